"""Transfers among real telephones: baresip as caller and as person, Kamailio between them, SIPp for what goes wrong."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.free_ports import free_sip_port
from tests.interop.kamailio import DOMAIN, Kamailio
from tests.interop.phone import Phone, steady_dbfs
from tests.interop.programs import Program, require
from tests.interop.sipp import Calls
from tests.interop.transfer_agents import AGENT_HZ, WHISPER_HZ

CALLER_HZ, PERSON_HZ = 700, 1100
AGENT = "tests.interop.transfer_agents:transferring"
REGISTERED, BY_REFER = "+12065550101", "+12065550102"
SCENARIOS = Path(__file__).parent / "sipp"
_ENOUGH = 60  # packets: more than a second
_PIECE = 2 * 8000 // 5  # bytes of 100 ms


@pytest.fixture(scope="module")
def daemon(pbx: Kamailio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Two accounts of the PBX: one whose calls are transferred by a second INVITE, one by REFER."""
    daemon = Daemon(
        tmp_path_factory.mktemp("daemon"),
        trunks={
            "pbx": pbx.trunk("2001", "udp", refer={"send": "never"}),
            "refers": pbx.trunk("2002", "udp"),
            "local": {"accept_from": ["127.0.0.0/8"]},
        },
        numbers={
            REGISTERED: {"trunk": "pbx", "inbound_agent": "warm"},
            BY_REFER: {"trunk": "refers", "inbound_agent": "blind"},
        },
        agents={
            "warm": {"handler": AGENT, "target": "2102", "mode": "warm", "ring_s": 5},
            "blind": {"handler": AGENT, "target": "2102", "ring_s": 5},
        },
    )
    with daemon:
        daemon.wait_said("registered at", count=2)
        yield daemon


def phone(folder: Path, pbx: Kamailio, account: str, hz: int) -> Phone:
    """A phone of the PBX with a voice of its own pitch."""
    made = Phone(folder, pbx=pbx, account=account)
    voice = sine(hz, 60_000, level_dbfs=-12.0)
    (folder / "tone.wav").write_bytes(wav_header(len(voice)) + voice)
    return made


def heard(pcm: bytes) -> list[set[int]]:
    """What is heard of the four voices, moment by moment; each change is told once, and what lasts 200 ms or more."""
    pieces = [pcm[at : at + _PIECE] for at in range(0, len(pcm) - _PIECE + 1, _PIECE)]
    voices = [
        {hz for hz in (CALLER_HZ, PERSON_HZ, AGENT_HZ, WHISPER_HZ) if steady_dbfs(piece, hz) > -22} for piece in pieces
    ]
    lasting = [one for one, other in pairwise(voices) if one == other]
    return [one for at, one in enumerate(lasting) if one and (at == 0 or lasting[at - 1] != one)]


def test_a_warm_transfer_between_two_phones_of_a_pbx_lets_each_hear_just_what_is_for_them(
    pbx: Kamailio, daemon: Daemon, tmp_path: Path
) -> None:
    with (
        phone(tmp_path / "person", pbx, "2102", PERSON_HZ) as person,
        phone(tmp_path / "caller", pbx, "2101", CALLER_HZ) as caller,
    ):
        for account in ("2101", "2102"):
            pbx.wait_registered(account)
        caller.dial(f"sip:{REGISTERED}@{DOMAIN}")
        person.wait_event("CALL_ESTABLISHED")
        daemon.wait_said("^connected to a person")
        person.wait_heard(_ENOUGH)
        person.quit()
        caller.wait_event("CALL_CLOSED")
        caller.quit()
        by_caller, by_person = heard(caller.recorded()), heard(person.recorded())
    (over,) = daemon.wait_said("^transfer over")

    assert by_caller == [{AGENT_HZ}, {PERSON_HZ}]
    assert by_person == [{WHISPER_HZ}, {CALLER_HZ}]
    assert (over["outcome"], over["connected"], over["attempts"]) == ("transfer-success", True, [["INVITE", 200, ""]])


def test_a_blind_transfer_is_done_by_the_callers_phone_and_we_are_out_of_the_call(
    pbx: Kamailio, daemon: Daemon, tmp_path: Path
) -> None:
    with (
        phone(tmp_path / "person", pbx, "2102", PERSON_HZ) as person,
        phone(tmp_path / "caller", pbx, "2101", CALLER_HZ) as caller,
    ):
        for account in ("2101", "2102"):
            pbx.wait_registered(account)
        before = len(daemon.said("^transfer over"))
        caller.dial(f"sip:{BY_REFER}@{DOMAIN}")
        person.wait_event("CALL_ESTABLISHED")
        over = daemon.wait_said("^transfer over", count=before + 1)[-1]
        person.wait_heard(_ENOUGH)
        person.quit()
        by_person = heard(person.recorded())
        caller.quit()

    assert by_person == [{CALLER_HZ}]
    assert (over["outcome"], over["connected"], over["attempts"]) == ("transfer-success", True, [["REFER", 200, ""]])


def test_a_phone_that_is_not_there_leaves_the_caller_with_the_agent(
    pbx: Kamailio, daemon: Daemon, tmp_path: Path
) -> None:
    with phone(tmp_path / "caller", pbx, "2101", CALLER_HZ) as caller:
        pbx.wait_registered("2101")
        before = len(daemon.said("^transfer over"))
        caller.dial(f"sip:{REGISTERED}@{DOMAIN}")
        over = daemon.wait_said("^transfer over", count=before + 1)[-1]
        caller.wait_event("CALL_CLOSED")
        caller.quit()
        by_caller = heard(caller.recorded())

    assert by_caller == [{AGENT_HZ}]
    assert over["failed_reason"] in ("destination_unavailable", "number_not_found")
    assert over["connected"] is False


# With SIPp, what goes wrong


def sipp_daemon(folder: Path, **how: object) -> Daemon:
    folder.mkdir()
    return Daemon(folder, agents={"echo": {"handler": AGENT, **how}})


@pytest.mark.parametrize(
    ("report", "outcome", "failed_reason", "decided"),
    [
        ("200 OK", "transfer-success", None, True),
        ("486 Busy Here", "transfer-failed-busy", "destination_unavailable", False),
        ("503 Service Unavailable", "transfer-failed-connection-error", "carrier_unavailable", False),
    ],
)
def test_what_the_callers_telephone_reports_is_what_became_of_it(
    report: str, outcome: str, failed_reason: str | None, decided: bool, tmp_path: Path
) -> None:
    status = int(report[:3])
    with sipp_daemon(tmp_path / "near", target="sip:person@127.0.0.1:9") as near:
        changes = {"SIP/2.0 200 OK\n    ]]>": f"SIP/2.0 {report}\n    ]]>"}
        caller = said_otherwise(tmp_path, "takes_refer", near, changes)
        assert caller.finish() == ""
        (over,) = near.wait_said("^transfer over")

    assert (over["outcome"], over["failed_reason"], over["connected"]) == (outcome, failed_reason, decided)
    assert over["attempts"] == [["REFER", status, failed_reason or ""]]


def test_a_telephone_that_hangs_up_after_its_202_and_reports_nothing_is_taken_at_its_word(tmp_path: Path) -> None:
    text = (SCENARIOS / "takes_refer.xml").read_text(encoding="utf-8")
    first = text.index("  <send retrans", text.index("202 Accepted"))
    silent = text[first : text.index('  <recv request="BYE"/>')]
    goodbye = silent[: silent.index("<recv")].replace("NOTIFY", "BYE")
    of_a_notify = ("Event", "Subscr", "SIP", "Content-Type")
    goodbye = "\n".join(line for line in goodbye.splitlines() if not line.strip().startswith(of_a_notify))
    end = text[text.index('  <recv request="BYE"/>') : text.index("</scenario>")]
    with sipp_daemon(tmp_path / "near", target="sip:person@127.0.0.1:9") as near:
        changes = {silent: goodbye + '\n  <recv response="200"/>\n', end: ""}
        assert said_otherwise(tmp_path, "takes_refer", near, changes).finish() == ""
        (over,) = near.wait_said("^transfer over")

    assert (over["outcome"], over["connected"]) == ("transfer-success", False)
    assert over["attempts"] == [["REFER", 0, ""]]


def test_each_refusal_of_a_target_has_its_reason_and_the_next_one_is_called(tmp_path: Path) -> None:
    refusals = {
        "404 Not Found": "number_not_found",
        "484 Address Incomplete": "number_incomplete",
        "480 Temporarily Unavailable": "destination_unavailable",
        "486 Busy Here": "destination_unavailable",
        "603 Decline": "rejected_by_destination",
        "403 Forbidden": "transfer_blocked_by_carrier",
        "503 Service Unavailable": "carrier_unavailable",
        "483 Too Many Hops": "routing_loop",
        "488 Not Acceptable Here": "media_negotiation_failed",
    }
    with ExitStack() as stack:
        targets = [Refusing(tmp_path, each) for each in refusals]
        for target in targets:
            stack.enter_context(target)
        uris = [target.uri for target in targets]
        near = stack.enter_context(sipp_daemon(tmp_path / "near", target=uris, ring_s=5, mode="warm"))
        caller = said_otherwise(tmp_path, "takes_refer", near, {_taking_refer(): ""})
        (over,) = near.wait_said("^transfer over")
        assert caller.finish() == ""

    assert over["attempts"] == [["INVITE", int(status[:3]), reason] for status, reason in refusals.items()]
    assert over["failed_reason"] == "media_negotiation_failed"


def _taking_refer() -> str:
    """What a scenario has from its REFER to the BYE."""
    text = (SCENARIOS / "takes_refer.xml").read_text(encoding="utf-8")
    return text[text.index('  <recv request="REFER">') : text.index('  <recv request="BYE"/>')]


class Refusing(Program):
    """A SIPp that refuses one call.

    Attributes:
        uri: where to call it.
    """

    def __init__(self, folder: Path, refusal: str) -> None:
        port, file = free_sip_port(), folder / f"refuses-{refusal[:3]}.xml"
        text = (SCENARIOS / "refuses.xml").read_text(encoding="utf-8")
        file.write_text(text.replace("486 Busy Here", refusal), encoding="utf-8")
        self.uri = f"sip:person@127.0.0.1:{port}"
        command = [require("sipp", "sip-tester"), "-sf", str(file), "-m", "1", "-nostdin", "-i", "127.0.0.1"]
        command += ["-p", str(port), "-timeout", "60"]
        super().__init__(f"sipp {refusal}", command, folder / f"{refusal[:3]}.log", cwd=folder)


def said_otherwise(folder: Path, scenario: str, near: Daemon, changes: dict[str, str]) -> Any:
    """Call with a scenario in which some texts are others."""
    text = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    file = folder / f"{scenario}-{os.getpid()}.xml"
    file.write_text(text, encoding="utf-8")
    return Calls(folder, str(file.with_suffix("")), f"127.0.0.1:{near.port}", "-s", ANSWERED)
