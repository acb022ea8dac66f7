"""Transfers among real telephones: baresip and Linphone as caller and person, Kamailio between, SIPp for what fails."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from sipflow.audio.tones import sine
from sipflow.audio.wav import wav_header
from sipflow.calls.transfer.hours import WEEKDAYS
from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.kamailio import DOMAIN, Kamailio
from tests.interop.linphone import Linphone
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


def test_an_attended_transfer_ends_with_two_telephones_that_talk_without_us(tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    with Linphone(tmp_path / "ann", "ann") as ann, Linphone(tmp_path / "bob", "bob") as bob:
        line = {
            "accept_from": ["127.0.0.0/8"],
            "sip_domain": f"127.0.0.1:{bob.port}",
            "register": False,
            "refer": {"replaces": True},
        }
        with Daemon(
            tmp_path / "near",
            trunks={"line": line},
            numbers={ANSWERED: {"trunk": "line", "inbound_agent": "attended"}},
            agents={"attended": {"handler": AGENT, "target": "bob", "mode": "attended", "trunk": "line"}},
        ) as near:
            ann.tell(f"call sip:{ANSWERED}@127.0.0.1:{near.port}")
            (over,) = near.wait_said("^transfer over")
            ended = near.wait_said("^call over", count=2)
        for each in (ann, bob):  # sipflow is gone
            each.program.wait_for("^Media streams established with .* for call 2")
        assert [each.count(r"ended \(No error\)") for each in (ann, bob)] == [1, 1]
        ann.quit()
        bob.program.wait_for(r"Call 2 with sip:ann@127.0.0.1 ended \(No error\)")
        bob.quit()

    assert over["attempts"] == [["INVITE", 200, ""], ["REFER", 200, ""]]
    assert (over["outcome"], over["connected"]) == ("transfer-success", True)
    assert sorted((each["by"], each["why"]) for each in ended) == [
        ("local", "the far end has joined both parties by itself"),
        ("remote", "the far end hung up"),
    ]


def test_a_telephone_that_transfers_us_is_told_what_became_of_it_and_the_agent_goes_on_with_the_other_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "near").mkdir()
    with Linphone(tmp_path / "ann", "ann") as ann, Linphone(tmp_path / "bob", "bob") as bob:
        line = {
            "accept_from": ["127.0.0.0/8"],
            "sip_domain": f"127.0.0.1:{bob.port}",
            "register": False,
            "refer": {"receive": "follow"},
        }
        numbers = {ANSWERED: {"trunk": "line", "inbound_agent": "echo"}}
        with Daemon(tmp_path / "near", trunks={"line": line}, numbers=numbers) as near:
            ann.tell(f"call sip:{ANSWERED}@127.0.0.1:{near.port}")
            ann.program.wait_for("^Media streams established with .* for call 1")
            ann.tell(f"transfer 1 sip:bob@127.0.0.1:{bob.port}")
            bob.program.wait_for("^Media streams established with .* for call 1")
            ann.program.wait_for("^(linphonec> )?The distant endpoint .* of call 1 has been transfered")
            ann.program.wait_for(r"^Call 1 with .* ended \(No error\)")
            near.wait_said("^call over")
            assert bob.count(r"ended \(No error\)") == 0
            bob.quit()
            overs = near.wait_said("^call over", count=2)

    assert [(each["by"], each["word"], each["status"]) for each in overs] == [("remote", "hung_up", 200)] * 2


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
        targets = [Called(tmp_path, "refuses", {"486 Busy Here": each}) for each in refusals]
        for target in targets:
            stack.enter_context(target)
        uris = [target.uri for target in targets]
        near = stack.enter_context(sipp_daemon(tmp_path / "near", target=uris, ring_s=5, mode="warm"))
        caller = said_otherwise(tmp_path, "takes_refer", near, {_taking_refer(): ""})
        (over,) = near.wait_said("^transfer over")
        assert caller.finish() == ""

    assert over["attempts"] == [["INVITE", int(status[:3]), reason] for status, reason in refusals.items()]
    assert over["failed_reason"] == "media_negotiation_failed"


def test_of_two_telephones_that_ring_at_once_the_first_to_answer_has_the_call_and_the_other_is_told(
    tmp_path: Path,
) -> None:
    elsewhere = {"Q.850;cause=[0-9]+": "SIP;cause=200;text=.Call completed elsewhere"}
    with ExitStack() as stack:
        late = stack.enter_context(Called(tmp_path, "rings_until_cancelled", elsewhere))
        soon = stack.enter_context(Called(tmp_path, "answers_and_hangs_up", {}))
        how = {"target": [late.uri, soon.uri], "simultaneous": True, "mode": "warm", "ring_s": 20}
        near = stack.enter_context(sipp_daemon(tmp_path / "near", **how))
        caller = said_otherwise(tmp_path, "takes_refer", near, {_taking_refer(): ""})
        (over,) = near.wait_said("^transfer over")
        assert caller.finish() == ""
        assert (late.wait(), soon.wait()) == (0, 0), late.tail()

    assert (over["outcome"], over["connected"]) == ("transfer-success", True)
    assert sorted(over["attempts"]) == [["INVITE", 200, ""], ["INVITE", 487, "destination_unavailable"]]


def test_a_refer_that_the_telephone_does_not_know_and_a_time_when_nobody_is_there_have_their_reasons(
    tmp_path: Path,
) -> None:
    (tmp_path / "near").mkdir()
    day = WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]
    closed = {"timezone": "UTC", "schedule": [{"weekday": day, "interval": [{"from": "12:00", "to": "12:01"}]}]}
    target = "sip:person@127.0.0.1:9"
    agents = {
        "refers": {"handler": AGENT, "target": target, "fallback_on_refer": False},
        "closed": {"handler": AGENT, "target": target, "hours": closed},
    }
    numbers = {
        ANSWERED: {"trunk": "local", "inbound_agent": "refers"},
        REGISTERED: {"trunk": "local", "inbound_agent": "closed"},
    }
    text = _taking_refer()
    refuses = text[: text.index('  <send retrans="500">')].replace("202 Accepted", "405 Method Not Allowed")
    with Daemon(tmp_path / "near", numbers=numbers, agents=agents) as near:
        for number, said in ((ANSWERED, refuses), (REGISTERED, "")):
            folder = tmp_path / number
            folder.mkdir()
            assert said_otherwise(folder, "takes_refer", near, {text: said}, number).finish() == ""
        overs = near.wait_said("^transfer over", count=2)

    assert [(each["outcome"], each["failed_reason"], each["attempts"]) for each in overs] == [
        (
            "transfer-failed-connection-error",
            "transfer_method_unsupported",
            [["REFER", 405, "transfer_method_unsupported"]],
        ),
        ("transfer-failed-outside-availability", "transfer_outside_availability", []),
    ]


def _taking_refer() -> str:
    """What a scenario has from its REFER to the BYE."""
    text = (SCENARIOS / "takes_refer.xml").read_text(encoding="utf-8")
    return text[text.index('  <recv request="REFER">') : text.index('  <recv request="BYE"/>')]


class Called(Program):
    """A SIPp that is called once, by a scenario in which some texts are others.

    Attributes:
        uri: where to call it.
    """

    def __init__(self, folder: Path, scenario: str, changes: dict[str, str]) -> None:
        port = free_sip_port()
        file = changed(folder, scenario, changes, f"-{port}")
        self.uri = f"sip:person@127.0.0.1:{port}"
        command = [require("sipp", "sip-tester"), "-sf", str(file), "-m", "1", "-nostdin", "-i", "127.0.0.1"]
        command += ["-p", str(port), "-mp", str(free_media_ports(4).start), "-timeout", "60"]
        super().__init__(f"sipp {scenario}", command, folder / f"{scenario}-{port}.log", cwd=folder)


def changed(folder: Path, scenario: str, changes: dict[str, str], mark: str) -> Path:
    """Write a scenario in which some texts are others."""
    text = (SCENARIOS / f"{scenario}.xml").read_text(encoding="utf-8")
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    file = folder / f"{scenario}{mark}.xml"
    file.write_text(text, encoding="utf-8")
    return file


def said_otherwise(folder: Path, scenario: str, near: Daemon, changes: dict[str, str], number: str = ANSWERED) -> Calls:
    """Call with a scenario in which some texts are others."""
    file = changed(folder, scenario, changes, f"-{os.getpid()}")
    return Calls(folder, str(file.with_suffix("")), f"127.0.0.1:{near.port}", "-s", number)
