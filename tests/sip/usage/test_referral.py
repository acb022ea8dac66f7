"""REFERs of ours: what the far end says becomes of them, in any order, or does not say (RFC 3515, RFC 4488)."""

from dataclasses import replace

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import Account
from sipflow.sip.message import Request
from sipflow.sip.outputs import Ended, ReferEnded, ReferOutcome, ReferProgressed
from sipflow.sip.usage.referral import Referral, refer_lines
from tests.support.calls import answered, plan_to
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire, shown

CAROL = "<sip:carol@c>"


def referring(**more: object) -> tuple[Wire, Node, Peer, Referral]:
    """In a call of ours to bob we have asked him to call carol; he has not answered."""
    wire, alice, bob, usage = answered()
    referral, outputs = usage.refer(CAROL, now=wire.now, **more)  # type: ignore[arg-type]
    alice.perform(outputs)
    wire.play()
    return wire, alice, bob, referral


def referred(**more: object) -> tuple[Wire, Node, Peer, Referral]:
    """The same, and he has said 202."""
    wire, alice, bob, referral = referring(**more)
    bob.reply(bob.request("REFER"), 202)
    wire.play()
    return wire, alice, bob, referral


def notify(
    bob: Peer,
    body: bytes,
    *,
    cseq: int = 1,
    state: str = "active;expires=60",
    event: str = "refer;id=2",
    headers: Lines = (),
    from_tag: str = "bob",
    call_id: str = "call-1",
    to_tag: str = "call-1",
) -> Request:
    lines = (("Event", event), ("Subscription-State", state), ("Content-Type", "message/sipfrag;version=2.0"))
    request = bob.ask(
        "NOTIFY", "a", cseq=cseq, from_tag=from_tag, to_tag=to_tag, call_id=call_id, body=body,
        headers=[line for line in (*lines, *headers) if line[1]],
    )  # fmt: skip
    bob.wire.play()
    return request


def told(alice: Node) -> list[tuple[object, ...]]:
    """What the domain heard of it."""
    found: list[tuple[object, ...]] = []
    for event in alice.events:
        if isinstance(event, ReferProgressed):
            found.append((event.status, event.reason))
        elif isinstance(event, ReferEnded):
            found.append((event.outcome.value, event.status))
    return found


def test_a_refer_is_a_request_of_the_dialog_that_says_whom_and_who_wants_it() -> None:
    wire, _, _, _ = referring(referred_by="<sip:alice@a>", headers=(("X-Why", "sales"),))

    assert shown(wire.request("a REFER")) == [
        "REFER sip:b@b SIP/2.0",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK*;rport",
        "Max-Forwards: 70",
        "From: <sip:alice@a>;tag=call-1",
        "To: <sip:bob@b>;tag=bob",
        "Call-ID: call-1",
        "CSeq: 2 REFER",
        "Contact: <sip:alice@a:5060>",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY",
        "X-Why: sales",
        "Refer-To: <sip:carol@c>",
        "Referred-By: <sip:alice@a>",
        "User-Agent: sipflow",
        "Content-Length: 0",
    ]


def test_progress_and_success_are_told_as_they_are_reported() -> None:
    wire, alice, bob, referral = referred()
    notify(bob, b"SIP/2.0 100 Trying\r\n")
    notify(bob, b"SIP/2.0 180 Ringing\r\n", cseq=2)
    notify(bob, b"SIP/2.0 200 OK\r\n", cseq=3, state="terminated;reason=noresource")

    assert told(alice) == [(202, "Accepted"), (100, "Trying"), (180, "Ringing"), ("succeeded", 200)]
    assert alice.happened(ReferEnded)[0].why == "the far end reached whom it was to call (200 OK)"
    assert wire.methods()[-6:] == ["b NOTIFY", "a 200"] * 3
    assert alice.happened(Ended) == []
    assert referral.over


@pytest.mark.parametrize("status", [302, 486, 603, 503])
def test_a_refusal_by_whom_the_far_end_called_is_a_failure_with_its_status(status: int) -> None:
    _, alice, bob, _ = referred()
    notify(bob, f"SIP/2.0 {status} No\r\n".encode(), state="terminated;reason=noresource")

    assert told(alice)[1:] == [("failed", status)]


@pytest.mark.parametrize("status", [400, 403, 405, 420, 481, 501, 603])
def test_a_refer_that_is_refused_is_told_with_its_status(status: int) -> None:
    wire, alice, bob, _ = referring()
    bob.reply(bob.request("REFER"), status)
    wire.play()

    assert told(alice) == [("refused", status)]
    assert len(alice.happened(Ended)) == (status == 481)


def test_a_refer_that_nobody_answers_is_as_good_as_refused_with_no_status_and_the_call_goes_on() -> None:
    wire, alice, _, _ = referring()
    wire.play(33.0)

    assert told(alice) == [("refused", 0)]
    assert alice.happened(Ended) == []


def test_reports_may_overtake_the_202() -> None:
    wire, alice, bob, _ = referring()
    notify(bob, b"SIP/2.0 100 Trying\r\n")
    notify(bob, b"SIP/2.0 200 OK\r\n", cseq=2, state="terminated;reason=noresource")
    bob.reply(bob.request("REFER"), 202)
    wire.play()

    assert told(alice) == [(100, "Trying"), ("succeeded", 200)]


def test_a_202_that_is_lost_for_good_ends_nothing_where_reports_come() -> None:
    wire, alice, bob, _ = referring()
    notify(bob, b"SIP/2.0 100 Trying\r\n")
    wire.play(33.0)
    notify(bob, b"SIP/2.0 200 OK\r\n", cseq=2, state="terminated")

    assert told(alice) == [(100, "Trying"), ("succeeded", 200)]


def test_a_final_report_that_leaves_the_subscription_open_ends_it_and_the_last_one_is_still_answered() -> None:
    wire, alice, bob, _ = referred()
    notify(bob, b"SIP/2.0 200 OK\r\n")
    notify(bob, b"SIP/2.0 200 OK\r\n", cseq=2, state="terminated;reason=noresource")
    assert wire.methods()[-1] == "a 200"
    notify(bob, b"SIP/2.0 200 OK\r\n", cseq=3, state="terminated;reason=noresource")

    assert told(alice)[1:] == [("succeeded", 200)]
    assert wire.methods()[-1] == "a 481"


@pytest.mark.parametrize(("body", "status"), [(b"", 0), (b"SIP/2.0 180 Ringing\r\n", 180), (b"nonsense", 0)])
def test_reports_that_stop_before_the_end_leave_it_unknown(body: bytes, status: int) -> None:
    _, alice, bob, _ = referred()
    notify(bob, body, state="terminated;reason=timeout")

    assert told(alice)[1:] == [("unknown", status)]
    assert alice.happened(ReferEnded)[0].why == "the far end stopped reporting before the end (timeout)"


def test_a_far_end_that_never_reports_is_given_up_after_as_long_as_we_are_patient() -> None:
    wire, alice, _, _ = referred(patience_s=20.0)
    wire.play(19.0)
    assert told(alice) == [(202, "Accepted")]
    wire.play(1.1)

    assert told(alice)[1:] == [("timed_out", 0)]
    assert alice.happened(ReferEnded)[0].why.endswith("(not even that it is trying)")


def test_one_that_reports_until_it_said_and_no_longer_is_given_up_half_a_minute_later() -> None:
    wire, alice, bob, _ = referred()
    notify(bob, b"SIP/2.0 180 Ringing\r\n", state="active;expires=10")
    wire.play(43.0)

    assert told(alice)[1:] == [(180, "Ringing"), ("timed_out", 180)]


def test_a_subscription_that_is_prolonged_is_waited_for_but_not_longer_than_we_are_patient() -> None:
    wire, alice, bob, _ = referred(patience_s=100.0)
    notify(bob, b"SIP/2.0 180 Ringing\r\n", state="active;expires=10")
    wire.play(30.0)
    notify(bob, b"SIP/2.0 180 Ringing\r\n", state="active;expires=4000000000", cseq=2)
    wire.play(60.0)
    assert len(told(alice)) == 3
    wire.play(10.0)

    assert told(alice)[3:] == [("timed_out", 180)]


@pytest.mark.parametrize(("answer", "end"), [((("Refer-Sub", "false"),), [("unreported", 202)]), ((), [])])
def test_without_reports_it_ends_with_the_202_if_the_far_end_agrees(answer: Lines, end: list[object]) -> None:
    wire, alice, bob, referral = referring(subscribes=False)
    refer = bob.request("REFER")
    bob.reply(refer, 202, headers=answer)
    wire.play()

    assert (refer.headers.get("Refer-Sub"), refer.headers.get("Supported")) == ("false", "norefersub")
    assert told(alice)[1:] == end
    referral.abandon()


def test_the_bye_of_either_side_ends_the_call_and_not_the_referral() -> None:
    for ours in (True, False):
        wire, alice, bob, referral = referred()
        bob.answers["BYE"] = 200
        if ours:
            assert referral.usage is not None
            alice.bye(referral.usage)
        else:
            bob.ask("BYE", "a", cseq=1, from_tag="bob", to_tag="call-1")
        wire.play()
        notify(bob, b"SIP/2.0 200 OK\r\n", cseq=2, state="terminated;reason=noresource")

        assert wire.methods()[-1] == "a 200"
        assert told(alice)[1:] == [("succeeded", 200)]
        assert len(alice.happened(Ended)) == 1


def test_after_the_bye_reports_out_of_order_are_refused() -> None:
    wire, alice, bob, _ = referred()
    bob.ask("BYE", "a", cseq=5, from_tag="bob", to_tag="call-1")
    wire.play()
    notify(bob, b"SIP/2.0 200 OK\r\n", cseq=4)

    assert wire.methods()[-1] == "a 500"
    assert told(alice)[1:] == []


def test_several_referrals_of_one_call_are_told_apart_by_their_id() -> None:
    wire, alice, bob, first = referred()
    assert first.usage is not None
    second, outputs = first.usage.refer("<sip:dave@d>", now=wire.now)
    alice.perform(outputs)
    wire.play()
    bob.reply(bob.request("REFER"), 202)
    wire.play()
    notify(bob, b"SIP/2.0 486 Busy\r\n", event="refer;id=3", state="terminated")
    assert (first.over, second.over) == (False, True)
    notify(bob, b"SIP/2.0 200 OK\r\n", event="refer", state="terminated", cseq=2)  # there is but one left

    assert [event.referral for event in alice.happened(ReferEnded)] == [second, first]


def test_of_several_an_unknown_id_is_nobodys() -> None:
    wire, alice, bob, first = referred()
    assert first.usage is not None
    second, outputs = first.usage.refer("<sip:dave@d>", now=wire.now)
    alice.perform(outputs)
    wire.play()
    notify(bob, b"SIP/2.0 200 OK\r\n", event="refer;id=99", state="terminated")

    assert wire.methods()[-1] == "a 481"
    for referral in (first, second):
        referral.abandon()


@pytest.mark.parametrize(("event", "status"), [("dialog", 489), ("", 489), ("refer", 200), ("refer;id=77", 200)])
def test_only_reports_of_refers_are_taken(event: str, status: int) -> None:
    wire, alice, bob, _ = referred()
    notify(bob, b"SIP/2.0 180 Ringing\r\n", event=event)

    assert wire.methods()[-1] == f"a {status}"
    assert len(told(alice)) == (2 if status == 200 else 1)


@pytest.mark.parametrize("state", ["", "<", "active;expires=x", "pending"])
def test_a_report_whose_state_cannot_be_read_counts_by_its_body(state: str) -> None:
    wire, alice, bob, _ = referred()
    notify(bob, b"SIP/2.0 486 Busy\r\n", state=state)

    assert (wire.methods()[-1], told(alice)[1:]) == ("a 200", [("failed", 486)])


def test_a_report_without_a_subscription_is_refused_481_lost_or_refused_before() -> None:
    wire, alice, bob, _ = referring()
    bob.reply(bob.request("REFER"), 405)
    wire.play()
    notify(bob, b"SIP/2.0 200 OK\r\n")

    assert wire.methods()[-1] == "a 481"
    assert told(alice) == [("refused", 405)]
    assert alice.happened(Ended) == []


def test_a_challenge_is_answered_and_the_reports_name_the_second_try() -> None:
    wire, alice, bob, usage = answered(accounts=(Account("alice", "secret"),))
    referral, outputs = usage.refer(CAROL, now=wire.now)
    alice.perform(outputs)
    wire.play()
    bob.reply(bob.request("REFER"), 407, headers=(("Proxy-Authenticate", 'Digest realm="p", nonce="n"'),))
    wire.play()
    bob.reply(bob.request("REFER"), 202)
    wire.play()

    assert referral.id == "3"
    notify(bob, b"SIP/2.0 200 OK\r\n", event="refer;id=3", state="terminated")
    assert told(alice)[1:] == [("succeeded", 200)]


def test_what_we_wait_for_no_more_is_answered_481_and_told_to_nobody() -> None:
    wire, alice, bob, referral = referred()
    referral.abandon()
    notify(bob, b"SIP/2.0 200 OK\r\n")

    assert (wire.methods()[-1], told(alice)[1:]) == ("a 481", [])


def test_a_refer_that_nobody_has_answered_is_not_repeated_when_we_wait_for_it_no_more() -> None:
    wire, alice, bob, referral = referring()
    referral.abandon()
    sent = len(bob.heard)
    wire.play(40.0)

    assert (len(bob.heard), alice.ua.counts["transactions"]) == (sent, 0)


def test_a_refer_that_is_hushed_is_not_repeated_and_its_answer_still_counts() -> None:
    wire, alice, bob, referral = referring()
    referral.hush()
    sent = len(bob.heard)
    wire.play(20.0)
    repeated = len(bob.heard) - sent
    bob.reply(bob.request("REFER"), 202)
    wire.play()
    notify(bob, b"SIP/2.0 486 Busy\r\n", state="terminated")

    assert repeated == 0
    assert told(alice) == [(202, "Accepted"), ("failed", 486)]


def test_a_refer_that_injects_or_comes_too_late_is_not_sent() -> None:
    wire, alice, bob, usage = answered()
    with pytest.raises(LocalProtocolError):
        usage.refer("<sip:c>\r\nX: y", now=wire.now)
    assert wire.methods()[-1] == "a ACK"
    bob.ask("BYE", "a", from_tag="bob", to_tag="call-1")
    wire.play()
    with pytest.raises(LocalProtocolError, match="over"):
        usage.refer(CAROL, now=wire.now)
    assert alice.happened(ReferEnded) == []


# Outside a call


def referring_outside() -> tuple[Wire, Node, Peer, Referral]:
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b")
    referral, outputs = alice.ua.refer(replace(plan_to("b", method="REFER", body=b"")), CAROL, now=wire.now)
    alice.perform(outputs)
    wire.play()
    return wire, alice, bob, referral


def test_a_refer_outside_a_call_is_reported_on_in_a_dialog_of_its_own() -> None:
    wire, alice, bob, _ = referring_outside()
    refer = bob.request("REFER")
    bob.reply(refer, 202, tag="x")
    wire.play()
    notify(bob, b"SIP/2.0 100 Trying\r\n", event="refer", from_tag="x")
    notify(bob, b"SIP/2.0 180 Ringing\r\n", event="refer", from_tag="x", cseq=1)
    assert wire.methods()[-1] == "a 500"  # CSeq
    notify(bob, b"SIP/2.0 200 OK\r\n", event="refer", from_tag="x", cseq=2, state="terminated")

    assert (refer.headers.get("Refer-To"), refer.headers.get("Contact")) == (CAROL, "<sip:alice@a:5060>")
    assert told(alice) == [(202, "Accepted"), (100, "Trying"), ("succeeded", 200)]


def test_of_several_that_were_asked_outside_a_call_the_first_counts() -> None:
    wire, alice, bob, _ = referring_outside()
    notify(bob, b"SIP/2.0 100 Trying\r\n", from_tag="x")
    notify(bob, b"SIP/2.0 200 OK\r\n", from_tag="y")
    assert wire.methods()[-1] == "a 481"
    bob.reply(bob.request("REFER"), 202, tag="x")
    wire.play()
    notify(bob, b"SIP/2.0 603 Decline\r\n", from_tag="x", cseq=2, state="terminated")

    assert told(alice) == [(100, "Trying"), (202, "Accepted"), ("failed", 603)]


def test_what_a_refer_says() -> None:
    assert refer_lines(CAROL) == (("Refer-To", CAROL),)
    assert refer_lines(CAROL, "<sip:a>", subscribes=False) == (
        ("Refer-To", CAROL), ("Referred-By", "<sip:a>"), ("Refer-Sub", "false"), ("Supported", "norefersub"),
    )  # fmt: skip


def test_outcomes_have_one_word_each() -> None:
    assert sorted(ReferOutcome) == ["failed", "refused", "succeeded", "timed_out", "unknown", "unreported"]
