"""Why calls are answered or refused: the same sentences for a question, a log line and a record."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sipflow.calls.audio_steps import AudioSteps
from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.ending import Ending, Word
from sipflow.calls.explain import (
    Explainer,
    Explanation,
    Step,
    explain_record,
    hop_of,
    plain_invite,
    story,
)
from sipflow.calls.limits import Limit, Limits, LimitSettings
from sipflow.calls.record import Attempt, CallRecord
from sipflow.calls.routes import Router, Unread
from sipflow.calls.settings import Settings
from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Inventory, Number
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.parser import parse_datagram
from sipflow.trunks.settings import InboundAuth
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import SECRET

FIRST, SECOND = "+12065550100", "+12065550101"
A = Trunk("a", sip_domain="192.0.2.10", accept_from=Networks(["10.1.0.0/16"]), region="US")
B = Trunk("b", accept_from=Networks(["10.2.0.0/16"]))
NUMBERS = (Number(FIRST, trunk="a", inbound_agent="desk"), Number(SECOND, trunk="b"))
FROM_A, FROM_B, STRANGER = hop_of("10.1.0.9"), hop_of("10.2.0.9"), hop_of("198.51.100.7")
AUTH = InboundAuth(username="desk", password="open sesame", realm="edge")


class Agents:
    def __init__(self, *names: str) -> None:
        self.names = names

    def knows(self, agent: str) -> bool:
        return agent in self.names


def explainer(
    *trunks: Trunk,
    settings: Settings | None = None,
    limits: Limits | None = None,
    closed: str = "",
    agent: str = "desk",
    steered: bool = False,
) -> Explainer:
    router = Router(TrunkTable(trunks or (A, B), secret=SECRET), Inventory(NUMBERS))
    keeper = Doorkeeper(router, settings or Settings(), secret=b"k" * 16, clock=lambda: 0.0)
    return Explainer(
        keeper,
        agents=Agents(agent),
        audio=AudioSteps(),
        limits=limits,
        closed=lambda: closed,
        remarks=lambda name: (f"agent {name} is echo",),
        steers=lambda _name: steered,
    )


def lines(found: Explanation) -> list[str]:
    return [f"{step.part}{'' if step.good else '!'} {step.text}" for step in found.steps]


def invite(to: str = FIRST, hop: Hop = FROM_A) -> Request:
    parsed = parse_datagram(plain_invite(to, hop, "caller"))
    assert isinstance(parsed, Request)
    return parsed


def test_good_call_is_explained_from_its_source_to_its_answer() -> None:
    found = explainer().explain_number("2065550100", FROM_A)

    assert (found.status, found.answered) == (200, True)
    assert (found.trunk, found.number, found.agent, found.codec) == ("a", FIRST, "desk", "PCMU")
    assert lines(found) == [
        "trunk it came from 10.1.0.0/16, which trunk a accepts",
        "trunk trunk b: 10.1.0.9 is none of its addresses (10.2.0.0/16)",
        "admission trunk a asks its callers for no password",
        f"number Request-URI says 2065550100: it is {FIRST} (tried 2065550100, {FIRST})",
        f"agent {FIRST} -> desk",
        "agent agent desk is echo",
        "limits nobody was asked how many calls are up",
        "audio the caller offers PCMU, PCMA, telephone-event; trunk a allows PCMU, PCMA, and the caller's order counts",
        "audio PCMU/8000 is agreed, 20 ms a packet",
        "audio digits go as events in RTP (RFC 4733), payload type 101",
        "audio the audio is not encrypted (trunks.a.srtp: off)",
        "answer 200: agent desk gets the call, and answers it unless its code decides otherwise",
    ]


def test_stranger_is_told_why_he_is_none_of_each_trunk() -> None:
    found = explainer().explain_number(FIRST, STRANGER)

    why = (
        "198.51.100.7 is in no trunk's accept_from and is not the address of any registrar: "
        "add it to trunks.<name>.accept_from"
    )
    assert (found.status, found.why, found.trunk) == (403, why, "")
    assert lines(found) == [
        f"trunk! {why}",
        "trunk trunk a: 198.51.100.7 is none of its addresses (10.1.0.0/16, 192.0.2.10)",
        "trunk trunk b: 198.51.100.7 is none of its addresses (10.2.0.0/16)",
        f"answer! 403: {why}",
    ]


def test_stranger_who_is_told_nothing_has_status_0() -> None:
    found = explainer(settings=Settings(unknown_source="silent")).explain_number(FIRST, STRANGER)

    assert (found.status, found.answered, lines(found)[-1]) == (0, False, "answer! nothing is answered")


def test_unknown_number_is_told_with_each_form_that_was_tried_and_what_a_region_would_do() -> None:
    found = explainer().explain_number("2065550177", FROM_B)

    assert (found.status, found.trunk) == (404, "b")
    assert lines(found)[-4:] == [
        "number! Request-URI says 2065550177: it is no number of ours (tried 2065550177, +2065550177)",
        "number! trunk b says no region: national numbers are not read (trunks.b.region)",
        "number! no number of trunk b matches 2065550177, +2065550177",
        "answer! 404: no number of trunk b matches 2065550177, +2065550177",
    ]


def test_number_of_another_trunk_is_said_to_be_its() -> None:
    found = explainer().explain_number(FIRST, FROM_B)

    assert (
        f"number! Request-URI says {FIRST}: it is no number of ours (tried {FIRST} (listed, but only on trunk a))"
        in (lines(found))
    )


def test_number_without_an_agent_is_refused() -> None:
    found = explainer().explain_number(SECOND, FROM_B)

    assert (found.status, found.why) == (404, f"number {SECOND} has no inbound agent")


def test_agent_that_cannot_be_run_is_refused() -> None:
    assert explainer(agent="another").explain_number(FIRST, FROM_A).status == 503


@pytest.mark.parametrize(
    ("limits", "closed", "status", "why"),
    [
        ({"trunks": {"a": Limit(max_calls=1)}}, "", 503, "trunk a has 1 call up"),
        ({"agents": {"desk": Limit(max_calls=1)}}, "", 486, "agent desk has 1 call up"),
        ({}, "sipflow is going down", 503, "sipflow is going down"),
    ],
)
def test_call_without_room_is_told_the_limit(limits: dict[str, object], closed: str, status: int, why: str) -> None:
    counted = Limits(LimitSettings(**limits), clock=lambda: 0.0)  # type: ignore[arg-type]
    counted.admit_inbound("a", FIRST, "desk")
    found = explainer(limits=counted, closed=closed).explain_number(FIRST, FROM_A)

    assert (found.status, found.why.startswith(why)) == (status, True)
    assert counted.live()["calls"] == 1


def test_agent_without_room_keeps_no_call_out_that_a_webhook_may_give_to_another_one() -> None:
    counted = Limits(
        LimitSettings(trunks={"a": Limit(max_calls=2)}, agents={"desk": Limit(max_calls=1)}), clock=lambda: 0.0
    )
    edge = explainer(limits=counted, steered=True)
    counted.admit_inbound("a", FIRST, "desk")
    found = edge.explain_number(FIRST, FROM_A)
    real = counted.admit_inbound("a", FIRST, "desk", undecided=True)
    full = edge.explain_number(FIRST, FROM_A)
    real.release()

    assert (found.status, full.status) == (200, 503)
    assert (
        "limits! agent desk has 1 call up, which is as many as it may (agents.desk.max_calls): "
        "refused with 486 unless its inbound-call webhook gives the call to another agent"
    ) in lines(found)
    assert full.why == "trunk a has 2 calls up, which is as many as it may (trunks.a.max_calls)"


def test_explaining_counts_nothing_and_takes_no_room() -> None:
    counted = Limits(LimitSettings(whole=Limit(max_calls=1)), clock=lambda: 0.0)
    edge = explainer(limits=counted)

    assert [edge.explain_number(FIRST, FROM_A).status for _ in range(3)] == [200, 200, 200]
    assert counted.live() == {"calls": 0}


def test_trunk_that_wants_a_password_is_said_to_challenge_first() -> None:
    edge = explainer(replace(A, inbound_auth=AUTH), B)
    asked = "trunk a asks its callers for a password: it is challenged with 401 first"
    none = edge.explain(invite(), FROM_A)
    request = invite()
    request.headers.add(
        "Authorization",
        f'Digest username="desk", realm="edge", nonce="x", uri="{request.uri}", response="{"0" * 32}", '
        'algorithm=SHA-256, qop=auth, nc=00000001, cnonce="y"',
    )
    wrong = edge.explain(request, FROM_A)

    assert f"admission {asked}, and must answer as desk" in lines(none)
    assert f"admission! {asked}; its proof is not good: the password of 'desk' is wrong" in lines(wrong)
    assert "open sesame" not in repr((none, wrong))


def test_codec_that_nobody_has_in_common_is_488() -> None:
    text = plain_invite(FIRST, FROM_A, "caller").replace(b"RTP/AVP 0 8 101", b"RTP/AVP 18")
    found = explainer().explain_text(text, FROM_A)

    assert (found.status, found.number, lines(found)[-2]) == (
        488, FIRST, "audio! nothing in common: the offer has G729/8000, this trunk allows PCMU, PCMA",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "status", "why"),
    [
        (b"hello", 400, "it"),
        (b"", 400, "it cannot be read"),
        (b"SIP/2.0 200 OK\nVia: SIP/2.0/UDP h\n\n", 400, "it"),
        (b"OPTIONS sip:x@y SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nCSeq: 1 OPTIONS\n\n", 405, "it is no INVITE"),
        (b"INVITE sip:x@y SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nCSeq: 1 INVITE\n\n", 400, ""),
        (b"INVITE sip:x@y SIP/2.0\nCSeq: 1 \x1b[2J\n\n", 400, ""),
    ],
)
def test_text_that_is_no_invite_is_explained_too(text: bytes, status: int, why: str) -> None:
    found = explainer().explain_text(text, FROM_A)

    assert (found.status, found.why.startswith(why)) == (status, True)
    assert found.why.isprintable()


def test_text_of_a_file_needs_neither_crlf_nor_the_right_length() -> None:
    text = (
        plain_invite(FIRST, FROM_A, "caller").replace(b"\r\n", b"\n").replace(b"Content-Length: ", b"Content-Length: 9")
    )

    assert explainer().explain_text(b"\n" + text, FROM_A) == explainer().explain_number(FIRST, FROM_A)


def test_source_of_a_text_is_its_topmost_via_unless_it_is_said() -> None:
    text = plain_invite(FIRST, FROM_A, "caller")

    assert explainer().explain_text(text).trunk == "a"
    assert explainer().explain_text(text, FROM_B).trunk == "b"
    assert explainer().explain_text(text.replace(b"UDP 10.1.0.9", b"UDP phone.example")).status == 403


@pytest.mark.parametrize(
    ("to", "status"),
    [("sip:+12065550100@edge", 200), ("tel:+1-206-555-0100", 200), ("(206) 555 0100", 200), ("x\r\nEvil: 1", 404)],
)
def test_number_may_be_written_in_every_way(to: str, status: int) -> None:
    assert explainer().explain_number(to, FROM_A).status == status


def test_what_is_required_and_not_known_is_420() -> None:
    text = plain_invite(FIRST, FROM_A, "caller").replace(b"Max-Forwards: 70", b"Max-Forwards: 70\r\nRequire: magic")

    assert explainer().explain_text(text, FROM_A).status == 420


def test_call_to_the_account_means_its_only_number() -> None:
    account = Trunk("a", sip_domain="10.1.0.9", username="2001", password="secret-word")
    found = explainer(account).explain_number("2001", FROM_A)

    assert "number it is for the account itself, and trunk a has one number only: +12065550100" in lines(found)


def test_many_trunks_are_counted_and_not_listed() -> None:
    trunks = [Trunk(f"t{number}", accept_from=Networks([f"10.9.{number}.0/24"])) for number in range(20)]
    found = explainer(*trunks).explain_number(FIRST, STRANGER)

    assert lines(found)[-2] == "trunk and 12 more trunks, none of which it is"
    assert len(found.steps) == 11


def test_trunks_of_the_same_source_are_told_by_what_was_better() -> None:
    wide = Trunk("wide", accept_from=Networks(["10.0.0.0/8"]))
    found = explainer(A, wide).explain_number(SECOND, FROM_A)

    assert lines(found)[:2] == [
        "trunk it came from 10.1.0.0/16, which trunk a accepts",
        "trunk trunk wide: it came from 10.0.0.0/8, which trunk wide accepts, but the network that trunk a accepts is "
        "narrower",
    ]


def test_numbers_that_are_not_read_yet_are_said_to_be_awaited() -> None:
    edge = explainer()
    edge._keeper.router.unread = Unread("sipflow has just started", brief=False)

    assert edge.explain_number("+12065550199", FROM_A).why == "sipflow has just started"


def test_story_of_a_refusal_is_the_question_answered() -> None:
    edge = explainer()
    found = edge.explain_number("+12065550177", FROM_A)
    told = story(edge._keeper, invite("+12065550177"), FROM_A, found.why)

    said = {step.text for step in found.steps}
    assert [text for text in told if text not in said] == []
    assert told[-1] == found.why
    assert story(edge._keeper, invite("+12065550177"), FROM_A)[-1] == told[-2]


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("198.51.100.7", Hop("udp", "198.51.100.7", 5060)),
        ("TLS:198.51.100.7", Hop("tls", "198.51.100.7", 5061)),
        ("tcp:[2001:db8::7]:5070", Hop("tcp", "2001:db8::7", 5070)),
        ("2001:db8::7", Hop("udp", "2001:db8::7", 5060)),
    ],
)
def test_address_is_read_with_or_without_transport_and_port(text: str, hop: Hop) -> None:
    assert hop_of(text) == hop


@pytest.mark.parametrize("text", ["", "pbx.example.com", "198.51.100.7:0", "198.51.100.7:x", "[::1", "udp:"])
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        hop_of(text)


AT = datetime(2026, 5, 1, tzinfo=UTC)


def record(**fields: object) -> CallRecord:
    base: dict[str, object] = {
        "id": "1", "sip_call_id": "1", "direction": "inbound", "from_number": "", "to_number": "", "trunk": "a",
        "number": FIRST, "agent": "desk", "started_at": AT,
    }  # fmt: skip
    return CallRecord(**(base | fields))  # type: ignore[arg-type]


def test_call_that_was_is_explained_by_its_record() -> None:
    found = explain_record(
        record(why=("it came",), answered_at=AT, codec="PCMU", ending=Ending.of("remote", 200, "the far end hung up"))
    )

    assert (found.status, found.answered, found.codec) == (200, True, "PCMU")
    assert lines(found) == [
        "route it came",
        "audio PCMU was agreed",
        "answer 200: it was answered, and ended by remote: the far end hung up (hung_up)",
    ]


def test_refused_call_and_its_attempts_are_told() -> None:
    found = explain_record(
        record(
            attempts=(Attempt("a", "udp:10.0.0.5:5060", 503, "full", AT, AT), Attempt("b", "", 486, "busy", AT, AT)),
            ending=Ending.of("remote", 486, "Busy\x1b Here", word=Word.BUSY),
        )
    )

    assert (found.status, found.why) == (486, "Busy  Here")
    assert found.steps == (
        Step("attempt", "trunk a at udp:10.0.0.5:5060: 503 full", False),  # type: ignore[arg-type]
        Step("attempt", "trunk b: 486 busy", False),  # type: ignore[arg-type]
        Step("answer", "486: Busy  Here", False),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("answered_at", "status"), [(AT, 200), (None, 100)])
def test_call_that_lives_is_told_as_it_is(answered_at: datetime | None, status: int) -> None:
    assert explain_record(record(answered_at=answered_at)).status == status
