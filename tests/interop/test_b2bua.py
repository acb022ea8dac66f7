"""Two legs between real programs: SIPp and baresip at the ends, Kamailio as the exchange, our daemon in the middle."""

import json
import re
import signal
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.interop.daemon import ANSWERED, Caller, Daemon, call
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.kamailio import DOMAIN, PASSWORD, Kamailio
from tests.interop.phone import TONE_DBFS, TONE_HZ, Phone, steady_dbfs
from tests.interop.programs import Program, require
from tests.interop.sipp import Calls
from tests.interop.waiting import wait_until

SCENARIOS = Path(__file__).parent / "sipp"
PASS = ["X-*", "User-to-User", "Diversion", "P-Asserted-Identity"]


def forwarding(folder: Path, to: str, *, trunk: str = "out", **sections: Any) -> Daemon:
    """A daemon whose number is forwarded."""
    folder.mkdir(exist_ok=True)
    trunks = {
        "local": {"accept_from": ["127.0.0.0/8"], "headers": {"pass": ["X-Agent"]}},
        "out": {
            "accept_from": ["192.0.2.1"],
            "sip_domain": "carrier.example",
            "region": "US",
            "headers": {"pass": PASS, "hide": ["X-Secret"], "set": {"X-Caller": "{caller}"}},
        },
    }
    agents = {"echo": {"handler": "forward", "to": to, "trunk": trunk, "ring_timeout_s": 15}}
    words: dict[str, Any] = {"trunks": trunks, "agents": agents, **sections}
    return Daemon(folder, **words)


def messages(file: Path, beginning: str) -> list[str]:
    """The messages of a trace of SIPp's that begin so."""
    text = file.read_text(encoding="utf-8")
    found = re.findall(r"received \[[0-9]+\] bytes ?:\n\n(.*?)\n-{20}", text + "\n" + "-" * 20, re.DOTALL)
    return [each for each in found if each.startswith(beginning)]


def lines(message: str) -> list[str]:
    """The header lines of a message, without values that are random."""
    head = message.replace("\r", "").partition("\n\n")[0].splitlines()[1:]
    return [re.split(": ", each)[0] if each.split(":")[0] in _RANDOM else each for each in head]


_RANDOM = ("Via", "From", "To", "Call-ID", "Contact", "Content-Length", "User-Agent")


def test_headers_cross_as_the_trunk_says_early_media_is_acknowledged_on_both_legs_and_nothing_else_shows(
    tmp_path: Path,
) -> None:
    port, trace = free_sip_port(), tmp_path / "callee-messages.log"
    command = [
        require("sipp", "sip-tester"),
        "-sf",
        str(SCENARIOS / "callee_with_early_media.xml"),
        "-m",
        "1",
        "-nostdin",
    ]
    command += ["-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1", "-mp", str(free_media_ports(4).start)]
    command += ["-timeout", "40", "-timeout_error", "-trace_msg", "-message_file", str(trace)]
    with (
        Program("sipp callee", command, tmp_path / "callee.log", cwd=tmp_path) as callee,
        forwarding(tmp_path / "near", f"sip:+12065550199@127.0.0.1:{port}") as near,
    ):
        calls = Calls(tmp_path, "caller_with_headers", f"127.0.0.1:{near.port}", "-s", ANSWERED)
        assert calls.finish() == ""
        assert callee.wait() == 0, callee.tail()
        near.wait_said("^call over", count=2)

    (invite,) = messages(trace, "INVITE")
    (bye,) = messages(trace, "BYE")
    everything = "\n".join(messages(trace, ""))
    assert lines(invite) == [
        "Via", "Max-Forwards: 32", "From", "To", "Call-ID", "CSeq: 1 INVITE", "Contact",
        "X-Customer: 4711",
        "User-to-User: 56a390f3;encoding=hex",
        "Diversion: <sip:+12065550177@carrier.example>;reason=no-answer",
        'P-Asserted-Identity: "Ann" <sip:+12065550199@carrier.example>',
        "Privacy: id",
        "X-Caller: inner",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY, REFER, MESSAGE",
        "Supported: 100rel, norefersub, replaces, tdialog, timer",
        "Session-Expires: 1800",
        "User-Agent", "Content-Type: application/sdp", "Content-Length",
    ]  # fmt: skip
    assert lines(bye) == [
        "Via", "Max-Forwards: 70", "From", "To", "Call-ID", "CSeq: 3 BYE",
        'Reason: Q.850;cause=16;text="the far end hung up (done at the far end)"',
        "X-Disposition: sold",
        "User-Agent", "Content-Length",
    ]  # fmt: skip
    hidden = [
        "Inner Name",
        "innertag",
        "innercontact",
        "inner///",
        "InnerPhone",
        "innerorigin",
        "innersession",
        "innertool",
    ]
    assert [each for each in (*hidden, f":{calls.port}", "X-Secret", "Organization") if each in everything] == []


@pytest.mark.parametrize("holder", ["caller", "callee"])
def test_hold_from_either_phone_crosses_kamailio_and_sound_stops_and_comes_back(
    holder: str, pbx: Kamailio, tmp_path: Path
) -> None:
    trunks = {
        "local": {"accept_from": ["192.0.2.0/24"]},
        "pbx": {
            "sip_domain": DOMAIN,
            "outbound_proxy": pbx.proxy("udp"),
            "username": "2101",
            "auth_username": "2101-auth",
            "password": PASSWORD,
            "register": False,
            "accept_from": ["127.0.0.0/8"],
        },
    }
    numbers = {ANSWERED: {"trunk": "pbx", "inbound_agent": "echo"}}
    near = forwarding(tmp_path / "near", "2003", trunk="pbx", trunks=trunks, numbers=numbers)
    with (
        Phone(tmp_path / "callee", pbx=pbx, account="2003") as callee,
        Phone(tmp_path / "caller", account="caller") as caller,
        near,
    ):
        pbx.wait_registered("2003")
        caller.dial(near.uri())
        callee.wait_event("CALL_ESTABLISHED")
        for phone in (caller, callee):
            phone.wait_heard(40)
        one, other = (caller, callee) if holder == "caller" else (callee, caller)
        one.command("hold")
        near.wait_said("^on hold")
        wait_until(lambda: quiet(one) and quiet(other), "silence on both sides", evidence=near.program.tail)
        one.command("resume")
        near.wait_said("^resumed")
        for phone in (caller, callee):
            phone.wait_heard(60)
        held = [line["event"] for line in near.said("^(on hold|resumed)")]
        for phone in (caller, callee):
            phone.quit()
        loud = [phone.heard_dbfs(TONE_HZ) for phone in (caller, callee)]

    assert held == ["on hold", "resumed"]
    assert loud == [pytest.approx(TONE_DBFS, abs=0.5)] * 2


def quiet(phone: Phone) -> bool:
    """Whether nothing comes to a phone for a moment."""
    before = phone.packets_heard()
    try:
        wait_until(lambda: phone.packets_heard() > before, "sound", timeout_s=0.4)
    except AssertionError:
        return True
    return False


def test_a_phone_of_one_codec_is_heard_by_a_phone_of_another(tmp_path: Path) -> None:
    with Phone(tmp_path / "callee", codec="PCMA", account="callee") as callee:
        near = forwarding(tmp_path / "near", callee.uri)
        with Phone(tmp_path / "caller", codec="G722/16000/1", account="caller") as caller:
            near.configuration["trunks"]["local"]["codecs"] = ["G722", "PCMU"]
            near.configuration["trunks"]["out"]["codecs"] = ["PCMA"]
            with near:
                caller.dial(near.uri())
                for phone in (caller, callee):
                    phone.wait_heard(60)
                for phone in (caller, callee):
                    phone.quit()
                near.wait_said("^call over", count=2)
                loud = [phone.heard_dbfs(TONE_HZ) for phone in (caller, callee)]

    assert loud == [pytest.approx(TONE_DBFS, abs=1.0)] * 2


def test_a_call_that_kamailio_sends_back_to_the_number_it_was_sent_on_from_is_a_loop(
    pbx: Kamailio, tmp_path: Path
) -> None:
    trunks = {
        "local": {"accept_from": ["192.0.2.0/24"]},
        "pbx": {
            "sip_domain": DOMAIN,
            "outbound_proxy": pbx.proxy("udp"),
            "username": "2102",
            "auth_username": "2102-auth",
            "password": PASSWORD,
            "accept_from": ["127.0.0.0/8"],
        },
    }
    numbers = {ANSWERED: {"trunk": "pbx", "inbound_agent": "echo"}}
    with forwarding(tmp_path / "near", "2102", trunk="pbx", trunks=trunks, numbers=numbers) as near:
        pbx.wait_registered("2102")
        report = call(tmp_path, near.uri())
        near.wait_said("come back")

    assert (report.exit_status, report.status) == (3, 482)


def test_a_message_on_a_machine_that_is_killed_is_on_the_disk_and_plays(tmp_path: Path) -> None:
    agents = {"echo": {"handler": "voicemail", "folder": "messages", "silence_s": 20}}
    with Daemon(tmp_path, agents=agents) as near:
        with Caller(tmp_path / "call.log", near.uri(), "--seconds", "20", "--tone", str(TONE_HZ)):
            near.wait_said("^call in")
            folder = tmp_path / "messages"
            size = 2 * 2 * 8000 * 2  # two seconds of two voices
            wait_until(
                lambda: any(each.stat().st_size > size for each in folder.glob("*.wav")), "two seconds of speech"
            )
            near.program.signal(signal.SIGKILL)
            near.program.wait()
        (file,) = folder.glob("*.wav")
        said = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))

    with wave.open(str(file)) as sound:
        pcm = sound.readframes(sound.getnframes())
    heard = b"".join(pcm[at : at + 2] for at in range(0, len(pcm), 4))
    assert (said["complete"], said["file"]) == (False, file.name)
    assert len(heard) >= 2 * 8000 * 2 - 1600
    assert steady_dbfs(heard[8000:24000], TONE_HZ) == pytest.approx(TONE_DBFS, abs=1.0)


@pytest.mark.timeout(150)
def test_a_session_is_refreshed_on_both_legs_half_way_and_the_call_goes_on(tmp_path: Path) -> None:
    scenarios, port = SCENARIOS.parents[2] / "scenarios", free_sip_port()

    def sipp(scenario: str, own_port: int, *options: str) -> Program:
        command = [require("sipp", "sip-tester"), *options, "-sf", str(scenarios / f"{scenario}.xml"), "-m", "1"]
        command += ["-i", "127.0.0.1", "-p", str(own_port), "-mi", "127.0.0.1", "-mp", str(free_media_ports(4).start)]
        command += ["-nostdin", "-timeout", "100", "-timeout_error"]
        return Program(f"sipp {own_port}", command, tmp_path / f"{own_port}.log", cwd=tmp_path)

    with (
        sipp("outbound/the_callee_leaves_the_refreshes_to_us", port) as callee,
        forwarding(tmp_path / "near", f"sip:+12065550199@127.0.0.1:{port}") as near,
        sipp("inbound/our_refresh_by_update_comes_half_way", free_sip_port(), f"127.0.0.1:{near.port}") as caller,
    ):
        assert caller.wait(100) == 0, caller.tail()
        assert callee.wait() == 0, callee.tail()
        near.wait_said("^call over", count=2)
