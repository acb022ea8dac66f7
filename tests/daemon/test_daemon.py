"""The daemon as a process: greeting, reload, draining, stopping, and what stands in its log."""

import re
import signal
import time
from pathlib import Path

import pytest

from sipflow.audio.wav import read_wav
from tests.daemon.registrar import Registrar
from tests.interop.daemon import ANSWERED, Caller, Daemon, call
from tests.interop.free_ports import free_sip_port

PASSWORD, KEY = "open-sesame-92", "key-of-the-agent-17"
TALK = ("--seconds", "60")
CALL_EVENTS = ("call in", "call over", "on hold", "resumed", "the agent raised")


def test_greeting_comes_within_a_second_and_says_all(tmp_path: Path) -> None:
    nobody = free_sip_port()
    daemon = Daemon(tmp_path)
    with Registrar() as registrar:
        account = {"username": "2001", "password": PASSWORD}
        daemon.configuration["trunks"] |= {
            "good": {"sip_domain": "pbx.example.com", "outbound_proxy": f"127.0.0.1:{registrar.port}", **account},
            "dead": {"sip_domain": "pbx.example.com", "outbound_proxy": f"127.0.0.1:{nobody}", **account},
        }
        with daemon:
            greeting = daemon.greeting.splitlines()

    assert greeting[1] == f"  listening on udp:127.0.0.1:{daemon.port}, tcp:127.0.0.1:{daemon.port}"
    assert greeting[2] == "  trunk local: takes calls from 127.0.0.0/8"
    assert re.fullmatch(rf"  trunk good: registered at udp:127\.0\.0\.1:{registrar.port} for 1[12][0-9] s", greeting[3])
    assert re.fullmatch(r"  trunk dead: .*refused.*, next try in [0-9]+ s", greeting[4])
    assert greeting[5] == f"  number {ANSWERED} -> agent echo"
    assert greeting[6] == f"  store {tmp_path / 'sipflow.db'}"
    assert f"call sip:{ANSWERED}@127.0.0.1:{daemon.port}   (or any softphone)" in greeting[7]
    assert any(text.startswith("REGISTER") and "expires=0" in text for text in registrar.heard[-2:])


def test_greeting_does_not_wait_for_a_registrar_that_says_nothing(tmp_path: Path) -> None:
    with Registrar() as mute:
        mute._answer = lambda request: ""  # type: ignore[method-assign]
        daemon = Daemon(tmp_path, log={"level": "debug", "format": "json"})
        daemon.configuration["trunks"]["slow"] = {
            "sip_domain": f"127.0.0.1:{mute.port}",
            "username": "2001",
            "password": PASSWORD,
        }
        daemon.save()
        started = time.monotonic()
        with daemon:
            first_s = time.monotonic() - started
            assert "  trunk slow: registering" in daemon.greeting
            stopping = time.monotonic()
            assert daemon.program.terminate() == 0
            stop_s = time.monotonic() - stopping

    assert first_s < 30  # a REGISTER that nobody answers is given up after 32 s (RFC 3261 §17.1.2.2)
    assert stop_s < 30  # un-registering is tried, and not for ever


def test_reload_under_a_live_call(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    with Daemon(tmp_path) as daemon, Caller(tmp_path / "live.log", daemon.uri(), *TALK, "--record", str(heard)) as live:
        daemon.wait_said("^call in")
        new = daemon.uri(number="+12065550150")
        good = daemon.file.read_text(encoding="utf-8")
        before = call(tmp_path, new)

        daemon.configuration["numbers"]["+12065550150"] = {"inbound_agent": "echo"}
        daemon.configuration["sip"]["listen"].append("udp:127.0.0.1:0")
        daemon.save()
        daemon.reload()
        (reloaded,) = daemon.said("^configuration reloaded")
        after = call(tmp_path, new, "--seconds", "0.3")

        broken = good.replace("inbound_agent:", "inbuond_agent:") + "agents: 3\n"
        complaints = []
        for content in (broken.encode(), b"\xff\x00", b"", None):
            daemon.file.unlink()
            if content is not None:
                daemon.file.write_bytes(content)
            daemon.reload()
            complaints.append(daemon.said("^the configuration was not reloaded")[-1]["why"])
        still = call(tmp_path, new, "--seconds", "0.3")

        live._program.signal(signal.SIGTERM)
        report = live.finish()

    line = 1 + good.splitlines().index(next(text for text in good.splitlines() if "inbound_agent:" in text))
    assert (before.status, after.status, still.status) == (404, 200, 200)
    assert reloaded["changes"] == "numbers: added +12065550150; only after a restart: sip.listen"
    assert len(daemon.said("^the configuration was not reloaded")) == len(complaints) == 4
    assert [text.startswith(str(daemon.file)) for text in complaints] == [True] * 4
    assert re.search(rf"^{re.escape(str(daemon.file))}:({line}|[0-9]+): ", complaints[0])
    assert (report.exit_status, report.status, report.media["lost"]) == (0, 200, 0)
    assert len(read_wav(heard.read_bytes()).pcm) / 16000 == pytest.approx(report.talk_s, abs=1.0)


def test_broken_reload_is_told_with_line_and_key(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        text = daemon.file.read_text(encoding="utf-8").replace("inbound_agent: echo", "inbound_agent: ecko")
        daemon.file.write_text(text, encoding="utf-8")
        daemon.reload()
        (said,) = daemon.said("^the configuration was not reloaded")

    line = 1 + next(number for number, each in enumerate(text.splitlines()) if "inbound_agent: ecko" in each)
    key = f"numbers.{ANSWERED}.inbound_agent"
    assert said["level"] == "error"
    assert said["why"] == f"{daemon.file}:{line}: {key}: there is no agent 'ecko'; did you mean echo?"


def test_state_is_said_when_asked(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "3"):
        daemon.wait_said("^call in")
        daemon.program.signal(signal.SIGUSR1)
        counts = daemon.program.wait_for("^  now: (.*)$")[1]

    assert counts.startswith("1 calls, ")


def test_term_waits_for_the_live_call_and_takes_no_other(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, drain_s=60) as daemon,
        Caller(tmp_path / "live.log", daemon.uri(), "--seconds", "8") as live,
    ):
        daemon.wait_said("^call in")
        daemon.program.signal(signal.SIGTERM)
        daemon.wait_said("^waiting for live calls")
        refused = call(tmp_path, daemon.uri())
        report = live.finish()
        status = daemon.program.wait()

    assert status == 0
    assert (refused.exit_status, refused.status) == (3, 503)
    assert (report.exit_status, report.why) == (0, "we hung up")
    assert daemon.lines()[-1]["event"] == "down"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_does_not_wait_for_the_call(tmp_path: Path, second: signal.Signals) -> None:
    with Daemon(tmp_path, drain_s=600) as daemon, Caller(tmp_path / "live.log", daemon.uri(), *TALK) as live:
        daemon.wait_said("^call in")
        daemon.program.signal(signal.SIGTERM)
        daemon.wait_said("^waiting for live calls")
        daemon.program.signal(second)
        status = daemon.program.wait(20)
        report = live.finish()

    assert status == 0
    assert report.exit_status in (0, 1)  # it may have been too short for a packet
    assert report.why.startswith("the far end hung up")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_stands_in_any_line_at_debug_level(tmp_path: Path, form: str) -> None:
    with Registrar() as registrar:
        daemon = Daemon(tmp_path, log={"level": "debug", "format": form})
        daemon.configuration["trunks"]["pbx"] = {
            "sip_domain": "pbx.example.com",
            "outbound_proxy": f"127.0.0.1:{registrar.port}",
            "username": "2001",
            "password": "${PBX_PASSWORD}",
        }
        daemon.configuration["agents"]["echo"] = {"handler": "tests.daemon.agents:forget", "api_key": KEY}
        daemon.configuration["numbers"] = {ANSWERED: {"inbound_agent": "echo", "trunk": "local"}}
        daemon.start(PBX_PASSWORD=PASSWORD)
        try:
            daemon.program.wait_for("trunk pbx: registered")
            sip_password = f"sip:{ANSWERED}:{PASSWORD}@127.0.0.1:{daemon.port}"
            status = call(tmp_path, sip_password).status
            daemon.program.wait_for("the agent raised")
            daemon.file.write_text(daemon.file.read_text(encoding="utf-8") + "nonsense: 1\n", encoding="utf-8")
            daemon.program.signal(signal.SIGHUP)
            daemon.program.wait_for("not reloaded")
            assert daemon.program.terminate() == 0
        finally:
            daemon.program.kill()

    output = daemon.program.output
    proofs = {proof for text in registrar.heard for proof in re.findall(r'response="([0-9a-f]+)"', text)}
    assert status == 500
    assert "RuntimeError: no agent for sipflow after 1 try" in output
    assert [secret for secret in (PASSWORD, KEY, *proofs) if secret in output] == []
    assert len(proofs) > 0


def test_every_line_of_a_call_names_it(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        call(tmp_path, daemon.uri(), "--seconds", "0.2", "--from", "one")
        call(tmp_path, daemon.uri(), "--seconds", "0.2", "--from", "two")
        over = daemon.wait_said("^call over", count=2)
        lines = [line for line in daemon.lines() if line["event"] in CALL_EVENTS]

    assert [line["event"] for line in lines] == ["call in", "call over"] * 2
    assert all(re.fullmatch("[0-9a-f]{24}", line["call"]) for line in lines)
    assert len({line["call"] for line in over}) == 2
