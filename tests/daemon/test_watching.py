"""A whole daemon is watched: its traces, its figures, the lines of its log."""

import socket
from pathlib import Path

import httpx

from sipflow.daemon.watching import Watching
from sipflow.net.ladder import label_of
from sipflow.net.tracers import Settings
from sipflow.store.directory import Directory
from tests.calls.outstage import answers, outgoing, refuses
from tests.daemon.api_client import Api
from tests.interop.daemon import ANSWERED, Daemon, call


async def test_every_attempt_of_a_call_out_is_part_of_its_trace() -> None:
    async with outgoing(refuses(503), answers) as stage:
        watching = Watching(Settings(), Directory())
        saved: list[object] = []
        watching.open(stage.near, saved)  # type: ignore[arg-type]
        stage.near.switchboard.trace = ring = watching.tracers.ring
        stage.near.endpoint._tracer = watching.tracers
        assert ring is not None
        record = await stage.over(stage.order())
        watching.close()
        labels = [label_of(each.data) for each in ring.of_owner(record.id)]
        hops = {each.hop.port for each in ring.of_owner(record.id)}
        ports = {stage.port("a"), stage.port("b")}

    assert [label for label in labels if label.startswith("INVITE")] == ["INVITE (sdp)"] * 2
    assert any(label.startswith("503") for label in labels)
    assert hops == ports
    assert saved == [watching.tally.over]


def test_a_daemon_names_the_call_on_each_line_of_it_hides_numbers_and_reports_to_a_collector(tmp_path: Path) -> None:
    api = Api()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(20)
        daemon = Daemon(
            tmp_path,
            api=api.section,
            log={"level": "debug", "format": "json", "mask_numbers": True},
            trace={"hep": f"127.0.0.1:{collector.getsockname()[1]}"},
        )
        with daemon, api.wait(daemon):
            answered = call(tmp_path, daemon.uri(), "--seconds", "0.3")
            daemon.wait_said("call over")
            refused = call(tmp_path, daemon.uri(number="+12065559999"), "--seconds", "0.3")
            (newest, oldest) = api.ask("GET", "/calls")["response"]["calls"]
            trace = api.ask("GET", f"/calls/{oldest['call_id']}/trace")["response"]
            status = api.ask("GET", "/status")["response"]
            metrics = httpx.get(f"http://{api.section['listen']}/metrics")
            reported = collector.recv(4000)
            lines = daemon.lines()
    of_calls = [
        line
        for line in lines
        if line["event"] in ("call in", "call over", "call refused")
        or (line["event"].startswith("sip ") and not line["message"].startswith(("INVITE", "SIP/2.0 100")))
    ]

    assert (answered.status, refused.status) == (200, 404)
    assert [each["label"] for each in trace["messages"]][-1] == "200 OK to BYE"
    assert {line.get("call") for line in of_calls} == {newest["call_id"], oldest["call_id"]}
    assert ANSWERED not in str(lines)
    assert [line["number"] for line in lines if line["event"] == "call in"] == ["+120***00"]
    assert reported[:4] == b"HEP3"
    assert {each["name"] for each in status["checks"] if not each["ok"]} <= {"loop"}
    assert status["calls"]["live"] == 0
    assert 'sipflow_calls_total{agent="echo",answered="yes"' in metrics.text
