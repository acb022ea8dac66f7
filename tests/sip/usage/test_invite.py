"""What both ends of a call share: BYE and its races, order, INFO, OPTIONS, and the end (RFC 3261 §12.2, §15)."""

from typing import Any

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import Account
from sipflow.sip.headers.reason import Reason
from sipflow.sip.message import Response
from sipflow.sip.outputs import (
    Confirmed,
    Ended,
    InfoAnswered,
    InfoReceived,
    MessageAnswered,
    MessageReceived,
    OfferReceived,
)
from sipflow.sip.stack import Settings
from sipflow.sip.usage.in_dialog import ignore_outcome, ignore_provisional
from sipflow.sip.usage.invite import InviteUsage, reason_of
from sipflow.sip.usage.state import State
from tests.support.calls import SDP, answered, calling, offered, plan_to, taken
from tests.support.peer import Peer
from tests.support.wire import Node, Wire, shown


def to_tag(alice: Peer) -> str:
    return alice.response(200).to.tag or ""


def both_up() -> tuple[Wire, Node, Node, Any]:
    """Two user agents of ours in a call."""
    wire = Wire()
    alice, bob = wire.node("a"), wire.node("b")
    usage = alice.place(plan_to("b"))
    wire.play()
    bob.answer(SDP)
    wire.play(0.05)
    return wire, alice, bob, usage


# BYE


@pytest.mark.parametrize("caller_hangs_up", [True, False])
def test_either_side_may_hang_up_and_both_are_told_who_did(caller_hangs_up: bool) -> None:
    wire, alice, bob, usage = both_up()

    if caller_hangs_up:
        alice.bye(usage)
    else:
        bob.bye()
    wire.play()

    by = ("a BYE", "b 200") if caller_hangs_up else ("b BYE", "a 200")
    assert wire.methods() == ["a INVITE", "b 100", "b 200", "a ACK", *by]
    told = [alice.the(Ended)[1:4], bob.the(Ended)[1:4]]
    assert sorted(told) == [("local", 200, "we hung up"), ("remote", 200, "the far end hung up")]
    assert told[0][0] == ("local" if caller_hangs_up else "remote")


def test_a_bye_is_written_as_rfc3261_15_1_1_says_and_has_no_contact() -> None:
    wire, alice, _, usage = answered()

    alice.bye(usage, headers=(("Reason", "Q.850;cause=16"),))

    assert shown(wire.request("a BYE")) == [
        "BYE sip:b@b SIP/2.0",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK*;rport",
        "Max-Forwards: 70",
        "From: <sip:alice@a>;tag=call-1",
        "To: <sip:bob@b>;tag=bob",
        "Call-ID: call-1",
        "CSeq: 2 BYE",
        "Reason: Q.850;cause=16",
        "User-Agent: sipflow",
        "Content-Length: 0",
    ]


def test_two_byes_that_cross_are_both_answered_and_end_the_call_once_on_each_side() -> None:
    wire, alice, bob, usage = both_up()

    alice.bye(usage)
    bob.bye()
    wire.play()

    assert wire.methods()[4:] == ["a BYE", "b BYE", "b 200", "a 200"]
    assert (alice.the(Ended).by, bob.the(Ended).by) == ("local", "local")
    assert (usage.state, bob.called.state) == (State.ENDED, State.ENDED)


def test_a_lost_bye_is_repeated_until_it_is_answered() -> None:
    wire, alice, bob, usage = both_up()
    wire.dropped = lambda _host, data: data.startswith(b"BYE") and wire.now < 2.0

    alice.bye(usage)
    wire.play(10.0)

    assert wire.methods()[4:] == ["a BYE", "a BYE", "a BYE", "a BYE", "b 200"]
    assert bob.the(Ended).by == "remote"


def test_a_repeated_bye_is_answered_again_and_ends_nothing_twice() -> None:
    wire, alice, bob, _ = taken()
    bye = alice.ask("BYE", "b", cseq=2, to_tag=to_tag(alice))
    wire.play()
    alice.tell(bye, "b")
    wire.play()

    assert wire.methods()[-4:] == ["a BYE", "b 200", "a BYE", "b 200"]
    assert len(bob.happened(Ended)) == 1


@pytest.mark.parametrize("status", [200, 401, 403, 408, 481, 500, 503, 603, None])
def test_our_bye_ends_the_dialog_however_it_is_answered(status: int | None) -> None:
    wire, alice, bob, usage = answered()
    alice.bye(usage)
    wire.play()
    assert alice.ua.counts["dialogs"] == 1  # so that a BYE that crosses ours finds it

    if status is not None:
        bob.reply(bob.request("BYE"), status)
    wire.play(33.0)

    assert usage.state is State.ENDED
    assert alice.ua.counts["dialogs"] == 0
    assert len(alice.happened(Ended)) == 1


def test_a_challenge_to_our_bye_is_answered_with_the_next_cseq() -> None:
    wire, alice, bob, usage = answered(accounts=(Account("alice", "secret"),))
    alice.bye(usage)
    wire.play()
    bob.reply(bob.request("BYE"), 401, headers=(("WWW-Authenticate", 'Digest realm="b", nonce="n"'),))
    wire.play()

    assert [str(bye.cseq) for bye in wire.messages("a BYE")] == ["2 BYE", "3 BYE"]
    assert "Authorization" in wire.messages("a BYE")[1].headers


def test_hanging_up_twice_is_once() -> None:
    wire, alice, _, usage = answered()
    alice.bye(usage)
    alice.bye(usage)
    wire.play(0.1)

    assert wire.methods()[3:] == ["a BYE"]
    assert len(alice.happened(Ended)) == 1


@pytest.mark.parametrize("line", [("X", "a\r\nb: c"), ("X:", "1"), ("X", "\0")])
def test_a_bye_with_a_line_that_injects_is_refused_and_the_call_goes_on(line: tuple[str, str]) -> None:
    wire, alice, _, usage = answered()

    with pytest.raises(LocalProtocolError):
        alice.bye(usage, headers=(line,))

    assert usage.state is State.CONFIRMED
    assert alice.happened(Ended) == []
    alice.bye(usage)
    assert wire.methods()[-1] == "a BYE"


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ('Q.850;cause=16;text="bye"', Reason("Q.850", 16, "bye")),
        ('SIP;cause=200;text="a", Q.850;cause=16', Reason("SIP", 200, "a")),
        ('Q.850;cause=16;text="never closed, as it were', None),
        ("", None),
        (";;;", None),
        ("Q.850;cause=99999999999999999999", Reason("Q.850", None, "")),
    ],
)
def test_the_reason_of_a_bye_is_handed_up_and_a_broken_one_ends_the_call_all_the_same(
    value: str, cause: Reason | None
) -> None:
    wire, alice, bob, _ = taken()

    alice.ask("BYE", "b", cseq=2, to_tag=to_tag(alice), headers=(("Reason", value),))
    wire.play()

    assert wire.methods()[-1] == "b 200"
    assert (bob.the(Ended).by, bob.the(Ended).cause) == ("remote", cause)


def test_no_message_has_no_reason() -> None:
    assert reason_of(None) is None
    assert reason_of(Response(200)) is None


# Order, and dialogs that are not ours


@pytest.mark.parametrize("cseq", [0, 1])
def test_a_request_out_of_order_is_refused_500_and_changes_nothing_rfc3261_12_2_2(cseq: int) -> None:
    wire, alice, bob, _ = taken()

    alice.ask("BYE", "b", cseq=cseq, to_tag=to_tag(alice))
    wire.play()

    assert wire.methods()[-1] == "b 500"
    assert alice.response(500).reason == "CSeq Out of Order"
    assert bob.happened(Ended) == []


def test_a_gap_in_the_order_is_no_error() -> None:
    wire, alice, _, _ = taken()

    alice.ask("OPTIONS", "b", cseq=400, to_tag=to_tag(alice))
    wire.play()

    assert wire.methods()[-1] == "b 200"


@pytest.mark.parametrize(
    "change", [{"call_id": "other"}, {"from_tag": "other"}, {"to_tag": "other"}, {"to_tag": "other", "from_tag": "x"}]
)
@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"])
def test_a_request_of_another_dialog_is_refused_481(method: str, change: dict[str, str]) -> None:
    wire, alice, bob, _ = taken()

    alice.ask(method, "b", cseq=2, **{"to_tag": to_tag(alice), **change})  # type: ignore[arg-type]
    wire.play()

    assert wire.methods()[-1] == "b 481"
    assert bob.happened(Ended) == []


def test_the_callee_counts_its_own_requests_and_never_the_callers() -> None:
    wire, alice, bob, _ = taken()
    for cseq in (2, 3):
        alice.ask("INFO", "b", cseq=cseq, to_tag=to_tag(alice))
        bob.perform(bob.called.info(b"Signal=1", "application/dtmf-relay", now=wire.now))
        wire.play()
        alice.reply(alice.request("INFO"), 200)
    wire.play()
    bob.bye()

    ours = [str(one.cseq) for word in ("b INFO", "b BYE") for one in wire.messages(word)]
    assert ours == ["1 INFO", "2 INFO", "3 BYE"]


# INFO and OPTIONS (RFC 6086, RFC 3261 §11.2)


def test_an_info_is_answered_and_handed_up() -> None:
    wire, alice, bob, _ = taken()
    lines = (("Content-Type", "application/dtmf-relay"),)

    info = alice.ask("INFO", "b", cseq=2, to_tag=to_tag(alice), headers=lines, body=b"Signal=5\r\nDuration=160")
    wire.play()

    assert wire.methods()[-2:] == ["a INFO", "b 200"]
    event = bob.the(InfoReceived)
    assert (event.usage, event.request.body, event.request.call_id) == (bob.called, info.body, "call-1")


@pytest.mark.parametrize("package", ["foo", "dtmf;x=1", ""])
def test_an_info_of_a_package_that_nobody_asked_for_is_refused_469_rfc6086_4_2_2(package: str) -> None:
    wire, alice, bob, _ = taken()

    alice.ask("INFO", "b", cseq=2, to_tag=to_tag(alice), headers=(("Info-Package", package or "x"),))
    wire.play()

    assert (alice.response(469).reason, alice.response(469).headers.get("Recv-Info")) == ("Bad Info Package", "")
    assert bob.happened(InfoReceived) == []


def test_our_info_carries_its_body() -> None:
    wire, alice, _, usage = answered()

    alice.perform(usage.info(b"Signal=1", "application/dtmf-relay", now=wire.now))

    info = wire.request("a INFO")
    assert (info.body, info.content_type, info.contact) == (b"Signal=1", "application/dtmf-relay", None)


def test_an_info_that_is_answered_481_ends_the_call_and_one_that_is_not_answered_does_not() -> None:
    wire, alice, bob, usage = answered()
    alice.perform(usage.info(b"1", "text/plain", now=wire.now))
    wire.play(40.0)
    assert alice.happened(Ended) == []

    alice.perform(usage.info(b"2", "text/plain", now=wire.now))
    wire.play()
    bob.reply(bob.request("INFO"), 481)
    wire.play()

    assert wire.methods()[-2:] == ["b 481", "a BYE"]
    assert alice.the(Ended)[1:4] == (
        "system", 481, "the far end lost the call (481 Call/Transaction Does Not Exist)",
    )  # fmt: skip


def test_no_info_after_the_end_nor_before_a_dialog() -> None:
    wire, alice, _, usage = answered()
    alice.bye(usage)
    with pytest.raises(LocalProtocolError):
        usage.info(b"1", "text/plain", now=wire.now)

    wire, alice, _, usage = calling()
    with pytest.raises(LocalProtocolError):
        usage.info(b"1", "text/plain", now=wire.now)
    assert (usage.dialog, alice.ua.counts["dialogs"]) == (None, 0)


def test_an_options_inside_the_call_says_what_we_can() -> None:
    wire, alice, _, _ = taken()

    alice.ask("OPTIONS", "b", cseq=2, to_tag=to_tag(alice))
    wire.play()

    answer = alice.said("200")
    assert [(name, answer.headers.get(name)) for name in ("Accept", "Accept-Encoding", "Allow")] == [
        ("Accept", "application/sdp, multipart/mixed"),
        ("Accept-Encoding", "identity"),
        ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY"),
    ]


@pytest.mark.parametrize(("method", "status"), [("REFER", 405), ("MESSAGE", 405), ("SUBSCRIBE", 405), ("FROB", 501)])
def test_a_method_that_we_do_not_serve_is_refused_inside_the_call_and_the_call_goes_on(
    method: str, status: int
) -> None:
    wire, alice, bob, _ = taken()

    alice.ask(method, "b", cseq=2, to_tag=to_tag(alice))
    wire.play()

    allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY"
    assert alice.response(status).headers.get("Allow") == allowed
    assert bob.called.state is State.CONFIRMED


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO", "OPTIONS"])
def test_what_comes_while_our_bye_is_on_its_way_is_refused_481_and_told_to_nobody(method: str) -> None:
    wire, alice, bob, _ = taken()
    bob.bye()
    events = len(bob.events)

    alice.ask(method, "b", cseq=2, to_tag=to_tag(alice), body=SDP)
    wire.play()

    assert wire.methods()[-1] == "b 481"
    assert len(bob.events) == events


def test_what_comes_after_we_want_to_hang_up_is_refused_481_though_the_ack_is_still_missing() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()
    bob.bye()

    alice.ask("INFO", "b", cseq=2, to_tag=to_tag(alice))
    wire.play()
    assert wire.methods()[-1] == "b 481"
    alice.ack(invite, "b")
    wire.play()

    assert wire.methods()[-1] == "b BYE"
    assert bob.happened(InfoReceived) == []


# Odds and ends


@pytest.mark.plain
def test_whoever_listens_to_nothing_hears_nothing() -> None:
    wire, alice, _, usage = answered()
    confirmed = alice.the(Confirmed)

    assert ignore_provisional(Response(180), wire.hops[0], 0.0) == []
    assert ignore_outcome(None, 0.0) == []  # type: ignore[arg-type]
    assert confirmed.usage is usage


def test_a_usage_without_dialog_says_so() -> None:
    _, alice, _, _ = answered()
    usage = InviteUsage(alice.ua._stack, "c", advertise="", digest=None)

    with pytest.raises(LocalProtocolError, match="no dialog yet"):
        _ = usage.established
    assert usage.bye(now=0.0) == []
    assert usage.answering is False
    assert usage.deadline is None


# What is said inside a call: INFO, MESSAGE, headers of the BYE


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"Signal=1\r\n", "application/dtmf-relay"), (b"{}", "application/json"), (b"\x00\xff", "application/x-thing")],
)
def test_an_info_of_any_type_goes_both_ways(body: bytes, content_type: str) -> None:
    wire, alice, bob, usage = both_up()
    alice.perform(usage.info(body, content_type, now=wire.now, headers=(("X-Seq", "7"),)))
    bob.perform(bob.called.info(body, content_type, now=wire.now))
    wire.play()

    for node in (alice, bob):
        request = node.the(InfoReceived).request
        assert (request.body, request.headers.get("Content-Type")) == (body, content_type)
        assert node.the(InfoAnswered).status == 200
    assert bob.the(InfoReceived).request.headers.get("X-Seq") == "7"


def test_the_body_of_the_answer_to_an_info_can_be_read() -> None:
    wire, alice, bob, usage = answered()
    alice.perform(usage.info(b"?", "text/plain", now=wire.now))
    wire.play()
    bob.reply(bob.request("INFO"), 200, body=b"!")
    wire.play()

    response = alice.the(InfoAnswered).response
    assert response is not None
    assert response.body == b"!"


def texting() -> tuple[Wire, Node, Node, Any]:
    """Two user agents of ours, which take texts, in a call."""
    wire = Wire()
    alice, bob = (wire.node(host, settings=Settings(message=True)) for host in "ab")
    usage = alice.place(plan_to("b"))
    wire.play()
    bob.answer(SDP)
    wire.play(0.05)
    return wire, alice, bob, usage


def test_a_text_inside_the_call_is_answered_and_handed_up() -> None:
    wire, alice, bob, usage = texting()
    alice.perform(usage.message("grüße".encode(), "text/plain;charset=utf-8", now=wire.now))
    wire.play()

    event = bob.the(MessageReceived)
    assert (event.usage, event.request.body.decode()) == (bob.called, "grüße")
    assert "Contact" not in event.request.headers  # RFC 3428 §4
    assert alice.the(MessageAnswered) == MessageAnswered(usage, 200)
    assert wire.methods()[4:] == ["a MESSAGE", "b 200"]


@pytest.mark.parametrize("status", [405, 481, None])
def test_a_text_that_is_not_taken_is_told_and_only_481_ends_the_call(status: int | None) -> None:
    wire, alice, bob, usage = answered()
    alice.perform(usage.message(b"hello", "text/plain", now=wire.now))
    wire.play()
    if status is not None:
        bob.reply(bob.request("MESSAGE"), status)
    wire.play(33.0)

    assert alice.the(MessageAnswered).status == (status or 408)
    assert len(alice.happened(Ended)) == (status == 481)


def test_nothing_is_said_inside_a_call_that_is_over() -> None:
    wire, alice, _, usage = answered()
    alice.bye(usage)
    for say in (usage.message, usage.info):
        with pytest.raises(LocalProtocolError):
            say(b"x", "text/plain", now=wire.now)


def test_custom_headers_and_reasons_of_a_bye_arrive_in_both_directions() -> None:
    lines = (("X-Outcome", "booked; id=7"), ("Reason", 'SIP;cause=200;text="done"'), ("Reason", "Q.850;cause=16"))
    for caller in (True, False):
        wire, alice, bob, usage = both_up()
        if caller:
            alice.bye(usage, headers=lines)
        else:
            bob.bye(headers=lines)
        wire.play()

        ended = (bob if caller else alice).the(Ended)
        assert ended.message is not None
        assert ended.message.headers.get("X-Outcome") == "booked; id=7"
        assert ended.cause == Reason("SIP", 200, "done")


@pytest.mark.parametrize("status", [408, 481])
def test_the_bye_of_a_call_that_the_far_end_has_lost_says_why(status: int) -> None:
    wire, alice, bob, usage = answered()
    alice.perform(usage.offer(lambda: SDP, now=wire.now))
    wire.play()
    bob.reply(bob.request("INVITE"), status)
    wire.play()

    assert (wire.request("a BYE").headers.get("Reason") or "").startswith(f"SIP;cause={status};text=")
    assert alice.the(Ended).lost


# A re-INVITE before the ACK


def accept(bob: Node) -> None:
    event = bob.happened(OfferReceived)[-1]
    bob.perform(event.usage.answer_offer(event.transaction, SDP, now=bob.wire.now))


def test_a_reinvite_before_the_ack_of_the_answer_is_taken_for_that_ack_rfc5407_3_1_4() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()

    reinvite = alice.ask("INVITE", "b", cseq=2, to_tag=to_tag(alice), body=SDP)
    wire.play()
    event = bob.the(OfferReceived)
    accept(bob)
    wire.play()
    alice.ack(invite, "b")  # late, and of no use any more
    wire.play(1.2)
    alice.ack(reinvite, "b")
    wire.play(40.0)

    assert wire.methods()[-6:] == ["a INVITE", "b 100", "b 200", "a ACK", "b 200", "a ACK"]
    assert bob.happened(Confirmed) == [Confirmed(bob.called, event.request, b"")]


def test_a_reinvite_before_the_ack_of_the_last_one_is_taken_for_that_ack_too() -> None:
    wire, alice, bob, _ = taken()
    alice.ask("INVITE", "b", cseq=2, to_tag=to_tag(alice), body=SDP)
    wire.play()
    accept(bob)
    wire.play()

    third = alice.ask("INVITE", "b", cseq=3, to_tag=to_tag(alice), body=SDP)
    wire.play()
    accept(bob)
    wire.play()
    alice.ack(third, "b")
    wire.play(40.0)

    assert wire.methods()[-6:] == ["b 100", "b 200", "a INVITE", "b 100", "b 200", "a ACK"]
    assert len(bob.happened(Confirmed)) == 1
