"""What the API knows of calls, put together as the daemon does; tests/api/routes prove what it does."""

from pathlib import Path

import httpx

from sipflow.store.settings import Settings
from tests.api.callstage import callstage
from tests.interop.daemon import ANSWERED, Daemon, call
from tests.interop.free_ports import free_sip_port
from tests.store.databases import sqlite_settings, sqlite_template

__all__ = ["sqlite_settings", "sqlite_template"]
TOKEN = "a token that opens everything"


async def test_the_switchboard_tells_the_desk_and_asks_it(sqlite_settings: Settings, tmp_path: Path) -> None:
    async with callstage(sqlite_settings, tmp_path, sounds="sounds") as edge:
        desk = edge.desk
        reader = desk.events.reader()
        together = (edge.near.switchboard.announced is desk.announced, desk.sounds, desk.links._life_s)
        with_one = await edge.answered()
        told = [getattr(line, "name", "lost") for line in reader.take()]

    assert together == (True, "sounds", 86_400.0)
    assert told == ["started", "ringing", "answered"]
    assert with_one


def test_an_announced_call_finds_its_agent_and_its_recording_through_a_running_edge(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_sip_port()}"
    daemon = Daemon(
        tmp_path,
        api={"listen": listen, "tokens": [TOKEN]},
        recordings={"automatic": True},
        agents={"echo": {"handler": "echo"}, "other": {"handler": "echo"}},
    )
    with daemon, httpx.Client(base_url=f"http://{listen}", headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        daemon.wait_said("the API is open")
        body = {"from_number": "1", "to_number": ANSWERED, "model_id": "other", "custom_variables": {"a": "x"}}
        announced = client.post("/v2/prepare_inbound", json=body).json()
        daemon.program.kill()  # between the announcement and its INVITE
        daemon.start()
        daemon.wait_said("the API is open", count=2)
        report = call(tmp_path, daemon.uri(), "--seconds", "0.5", "--header", f"X-EI: {announced['x_ei']}")
        daemon.wait_said("^call over")
        call_id = announced["call_id"]
        (shown,) = client.get(f"/v2/calls/{call_id}").json()["response"]["calls"]
        where = client.get(f"/v2/calls/{call_id}/recording").headers["location"]
        part = httpx.get(where, headers={"Range": "bytes=0-3"})

    assert report.status == 200
    assert (shown["status"], shown["model_id"], shown["prompt_variables"]["a"]) == ("completed", "other", "x")
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert (tmp_path / "recordings").is_dir()
