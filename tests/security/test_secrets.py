"""No secret of a configuration stands in anything that a daemon says, writes or sends."""

import asyncio
import io
import json
import re
import shlex
import socket
import zipfile
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from sipflow.cli.main import app
from tests.daemon.api_client import TOKEN, Api
from tests.daemon.registrar import Registrar
from tests.interop.daemon import ANSWERED, Daemon, call
from tests.security.peers import SDP, sip
from tests.webhooks.receiver import Receiver

SECRETS = {
    "trunk": "pw-trunk-5kq2x",
    "inbound": "pw-inbound-8zr4m",
    "number": "pw-number-3hv9t",
    "agent": "key-agent-7wd1n",
    "webhook": "secret-webhook-2jf6b-long-enough",
    "api": TOKEN,
    "address of a bot": "pw-bot-4gs8e",
    "header of a bot": "key-bot-6yc3u",
    "signature for a bot": "sign-bot-1mx5o-long-enough",
    "links": "links-9ud2q-long-enough-to-be-one-of-theirs",
    "homer": "pw-homer-8fb6i",
}
BOT = "+12065550188"
COMMANDS = (
    "status -c {file}", "status -c {file} --json", "trunks -c {file} --json", "numbers -c {file} --json",
    "agents -c {file}", "agents -c {file} --json", "calls -c {file}", "calls show {call} -c {file}",
    "calls export -c {file}", "trace {call} -c {file} --full", "trace {call} -c {file} --json",
    "explain {call} -c {file}", "explain --to {number} --from 127.0.0.1 -c {file}",
    "explain --to {bot} --from 127.0.0.1 -c {file} --offline --json",
    "trunk test pbx -c {file} --verbose", "trunk test pbx -c {file} --json",
    "firewall {file}", "firewall {file} --format json", "check {file}", "token list -c {file}",
)  # fmt: skip


def sections(registrar: Registrar, receiver: Receiver, collector: int) -> dict[str, Any]:
    proxy = f"127.0.0.1:{registrar.port}"
    account = {"sip_domain": "pbx.example.com", "outbound_proxy": proxy, "username": "2001"}
    guarded = {"username": "desk", "password": SECRETS["inbound"], "enabled": True}
    return {
        "log": {"level": "debug", "format": "json"},
        "trunks": {
            "local": {"accept_from": ["127.0.0.1"]},
            "pbx": {**account, "password": SECRETS["trunk"]},
            "guarded": {"accept_from": ["127.0.0.2"], "authenticate_inbound": guarded},
        },
        "numbers": {
            ANSWERED: {"trunk": "local", "inbound_agent": "desk"},
            BOT: {"trunk": "local", "inbound_agent": "bot"},
            "+12065550177": {**account, "username": "2002", "password": SECRETS["number"], "inbound_agent": "broken"},
        },
        "agents": {
            "desk": {"handler": "echo", "external_webhook_url": receiver.url("/calls")},
            "broken": {"handler": "tests.daemon.agents:forget", "api_key": SECRETS["agent"]},
            "bot": {
                "handler": "stream",
                "dialect": "twilio",
                "url": f"ws://127.0.0.1:1/bot?token={SECRETS['address of a bot']}",
                "headers": {"Authorization": f"Bearer {SECRETS['header of a bot']}"},
                "sign_secret": SECRETS["signature for a bot"],
            },
        },
        "trace": {"hep": {"collector": f"127.0.0.1:{collector}", "key": SECRETS["homer"]}, "media": True},
        "recordings": {"automatic": True, "link_secret": SECRETS["links"]},
        "webhooks": {"secret": SECRETS["webhook"], "allow_networks": "127.0.0.1/32", "allow_http": True},
    }


def knock(daemon: Daemon, host: str, data: bytes) -> bytes:
    """Send one request from an address of this machine, and give the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.settimeout(10)
        sock.sendto(data, ("127.0.0.1", daemon.port))
        return sock.recv(65535)


def refusals(daemon: Daemon) -> list[bytes]:
    """What strangers, and callers whose proof is wrong, are told."""
    proof = 'Digest username="desk", realm="x", nonce="n", uri="sip:x", response="0"'
    return [
        knock(daemon, "127.0.0.66", sip(source="127.0.0.66", body=SDP)),
        knock(daemon, "127.0.0.2", sip(source="127.0.0.2", body=SDP)),
        knock(daemon, "127.0.0.2", sip(source="127.0.0.2", body=SDP, Authorization=proof)),
    ]


def everything_of(api: Api) -> list[str]:
    """Every answer of the API to a GET, and what it says of a wrong request."""
    assert api._client is not None
    client = api._client
    base = str(client.base_url).removesuffix("/v2/")
    document = client.get(f"{base}/v2/openapi.json").json()
    calls = client.get("/calls", params={"number": ANSWERED}).json()
    call_id = first_id(calls)
    names = {"model_id": "desk", "agent_id": "desk", "mobile_number_slug": ANSWERED, "call_id": call_id, "name": "pbx"}
    found = [json.dumps(calls)]
    for path, operations in document.get("paths", {}).items():
        if "get" not in operations or path.endswith(("/stream", "/v2/events")):
            continue  # those that do not end
        filled = re.sub(r"{(\w+)}", lambda found: names.get(found[1], found[1]), path)
        answer = client.get(f"{base}{filled}", timeout=10)
        found.append(readable(answer.content) + str(answer.headers))
    found += [client.get(f"{base}{path}").text for path in ("/metrics", "/readyz", "/healthz", "/console/")]
    wrong = client.post("/assistants", json={"type": 3})
    signed_in = httpx.post(f"{base}/console/session", json={"token": TOKEN}, headers={"X-Sipflow-Console": "1"})
    assert signed_in.status_code == 200
    found.append(signed_in.text + str(signed_in.headers))
    return [*found, wrong.text, httpx.get(f"{base}/v2/numbers", headers={"Authorization": "Bearer x"}).text]


def first_id(calls: dict[str, Any]) -> str:
    listed = calls.get("response", calls).get("calls") or calls.get("response", calls).get("items") or [{}]
    return str(listed[0].get("call_id") or listed[0].get("id") or "none")


def readable(content: bytes) -> str:
    """The text in an answer; of a zip file all that is packed in it."""
    if content[:2] != b"PK":
        return content.decode("latin-1")
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return "".join(f"{name}\n{packed.read(name).decode('latin-1')}\n" for name in packed.namelist())


def typed(file: Path, call_id: str) -> list[str]:
    """What every command prints that shows something, on both outputs, and if it fails its traceback."""
    said = []
    for command in COMMANDS:
        words = shlex.split(command.format(file=file, call=call_id, number=ANSWERED, bot=BOT))
        result = CliRunner().invoke(app, words)
        assert result.exit_code in {0, 1}, (command, result.output)
        said.append(f"{result.output}{result.exception!r}")
    return said


def reported(collector: socket.socket) -> list[str]:
    """What came to Homer, without the chunk that is its own password (HEP3 chunk 0x000e)."""
    said: list[str] = []
    collector.setblocking(False)
    key = SECRETS["homer"].encode()
    own = b"\x00\x00\x00\x0e" + (6 + len(key)).to_bytes(2, "big") + key
    while True:
        try:
            packet = collector.recv(65535)
        except BlockingIOError:
            return said
        assert packet.count(own) == 1
        said.append(packet.replace(own, b"").decode("latin-1"))


def written(folder: Path) -> list[str]:
    """What the caller's program said, and what the daemon keeps: the database, its log, its journal."""
    files = [*folder.glob("o*/call-*.log"), *(file for file in folder.glob("sipflow.db*") if file.suffix != ".key")]
    return [file.read_bytes().decode("latin-1") for file in files]


async def test_no_secret_of_the_configuration_is_in_any_output(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        with Registrar() as registrar, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as homer:
            homer.bind(("127.0.0.1", 0))
            api = Api()
            (tmp_path / "one").mkdir()
            (tmp_path / "other").mkdir()
            wanted = sections(registrar, receiver, homer.getsockname()[1])
            wanted["recordings"]["folder"] = str(tmp_path / "recordings")
            daemon = Daemon(tmp_path, api={**api.section, "console": True}, **wanted)
            with daemon:
                await asyncio.to_thread(api.wait, daemon)
                report, unheard = await asyncio.gather(
                    asyncio.to_thread(call, tmp_path / "one", daemon.uri(), "--seconds", "0.3", "--verbose"),
                    asyncio.to_thread(call, tmp_path / "other", daemon.uri(number=BOT), "--seconds", "0.3"),
                )
                answers = await asyncio.to_thread(refusals, daemon)
                await receiver.requests(1, "/calls")
                state = await asyncio.to_thread(daemon.state)
                with api:
                    found = api.ask("GET", f"/calls?number=%2B{ANSWERED[1:]}")
                commands = await asyncio.to_thread(typed, daemon.file, first_id(found))
                good = daemon.file.read_text(encoding="utf-8")
                daemon.file.write_text(good.replace("handler: echo", "handler: ecko") + "trunks: 5\n", encoding="utf-8")
                await asyncio.to_thread(daemon.reload)
                with api:
                    said = await asyncio.to_thread(everything_of, api)
            homers = reported(homer)
            told = [got.body.decode() + str(got.headers) for got in receiver.got]
            sent = [*registrar.heard, daemon.program.output]
    outputs = [
        *sent,
        *told,
        *said,
        *commands,
        *homers,
        *written(tmp_path),
        state,
        json.dumps([report.report, unheard.report]),
        *(a.decode() for a in answers),
    ]

    assert (report.status, unheard.report["status"] >= 500) == (200, True)
    assert any("REGISTER" in each for each in homers)
    assert any("record.json" in each and "SIP/2.0 200 OK" in each for each in said)  # the bundle of evidence
    assert len(said) > 20
    assert any("Digest" in each for each in registrar.heard)
    leaks = [
        (name, each[max(0, each.find(secret) - 80) :][:200])
        for name, secret in SECRETS.items()
        for each in outputs
        if secret in each
    ]
    assert leaks == []
