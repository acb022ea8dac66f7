"""Re-INVITE and UPDATE in both directions, overlapping, crossing, cancelled and lost (RFC 3261 §14, RFC 3311)."""

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import Account
from sipflow.sip.message import Request
from sipflow.sip.outputs import Confirmed, Ended, OfferAnswered, OfferReceived
from tests.support.calls import SDP, answered, calling, offered, taken
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire, shown

NEW = b"v=0\r\nnew media"


def to_tag(alice: Peer) -> str:
    return alice.response(200).to.tag or ""


def reoffered(
    method: str = "INVITE", *, body: bytes = NEW, headers: Lines = ()
) -> tuple[Wire, Peer, Node, Request, OfferReceived]:
    """In a call that came in, alice has offered something new."""
    wire, alice, bob, _ = taken()
    request = alice.ask(method, "b", cseq=2, to_tag=to_tag(alice), body=body, headers=headers)
    wire.play()
    return wire, alice, bob, request, bob.the(OfferReceived)


def accept(bob: Node, event: OfferReceived, body: bytes = SDP) -> None:
    bob.perform(event.usage.answer_offer(event.transaction, body, now=bob.wire.now))


# The peer's re-INVITE


def test_a_reinvite_is_handed_up_answered_and_repeated_until_its_ack() -> None:
    wire, alice, bob, reinvite, event = reoffered()
    assert (event.usage, event.body) == (bob.called, NEW)
    assert wire.methods()[-2:] == ["a INVITE", "b 100"]

    accept(bob, event, b"v=0\r\nanswer")
    wire.play(2.0)
    alice.ack(reinvite, "b")
    wire.play(40.0)

    assert wire.methods()[-5:] == ["b 100", "b 200", "b 200", "b 200", "a ACK"]
    answer = alice.response(200)
    assert (answer.body, answer.headers.get("Contact")) == (b"v=0\r\nanswer", "<sip:b@b:5060>")
    assert [type(one) for one in bob.events[2:]] == [OfferReceived]  # neither a second Confirmed nor an OfferAnswered


def test_a_refused_reinvite_says_why_and_leaves_the_call_and_its_target_as_they_were() -> None:
    wire, alice, bob, _, event = reoffered(headers=(("Contact", "<sip:elsewhere@c>"),))

    bob.perform(event.usage.refuse_offer(event.transaction, 488, 'no "codec"\r\nin common', now=wire.now))
    wire.play()
    bob.bye()

    assert alice.response(488).headers.get("Warning") == "399 sipflow \"no 'codec'''in common\""
    assert bob.the(Ended).by == "local"
    assert wire.request("b BYE").uri == "sip:a@a"


def test_an_accepted_reinvite_moves_the_target() -> None:
    wire, alice, bob, reinvite, event = reoffered(headers=(("Contact", "<sip:elsewhere@c>"),))
    accept(bob, event)
    wire.play()
    alice.ack(reinvite, "b")
    wire.play()
    bob.bye()

    assert (wire.request("b BYE").uri, wire.hops[-1].host) == ("sip:elsewhere@c", "c")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_second_offer_before_the_first_is_answered_is_refused_500_for_a_while(method: str) -> None:
    wire, alice, bob, _, event = reoffered()

    alice.ask(method, "b", cseq=3, to_tag=to_tag(alice), body=NEW)
    wire.play()

    refusal = alice.response(500)
    assert 0 <= int(refusal.headers.get("Retry-After") or "-1") <= 10
    assert len(bob.happened(OfferReceived)) == 1
    accept(bob, event)
    wire.play()
    assert str(alice.response(200).cseq) == "2 INVITE"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_before_the_first_invite_is_answered_is_refused_500_rfc3261_14_2(method: str) -> None:
    wire, alice, bob, _ = offered()
    bob.ring()
    wire.play()

    alice.ask(method, "b", cseq=2, to_tag=alice.response(180).to.tag or "", body=NEW)
    wire.play()

    assert "Retry-After" in alice.response(500).headers
    assert bob.happened(OfferReceived) == []
    bob.answer(SDP)  # the first goes on
    assert wire.methods()[-1] == "b 200"


def test_a_repeated_reinvite_is_one_offer() -> None:
    wire, alice, bob, reinvite, event = reoffered()
    accept(bob, event)
    wire.play()
    alice.tell(reinvite, "b")
    wire.play()

    assert wire.methods()[-2:] == ["b 200", "a INVITE"]  # RFC 6026 §7.1: absorbed
    assert len(bob.happened(OfferReceived)) == 1


def test_an_empty_reinvite_gets_our_offer_and_its_ack_brings_the_answer() -> None:
    wire, alice, bob, reinvite, event = reoffered(body=b"")
    assert event.body == b""
    accept(bob, event, b"v=0\r\nour offer")
    wire.play()
    for method in ("INVITE", "UPDATE"):  # our offer is open now
        alice.ask(method, "b", cseq=3, to_tag=to_tag(alice), body=NEW)
        wire.play()
    assert wire.methods()[-4:] == ["a INVITE", "b 491", "a UPDATE", "b 500"]  # CSeq 3 twice

    alice.ack(reinvite, "b", body=b"v=0\r\ntheir answer")
    wire.play()

    assert bob.the(OfferAnswered) == OfferAnswered(bob.called, 200, b"v=0\r\ntheir answer")


def test_an_ack_that_owes_us_the_answer_and_brings_none_is_told() -> None:
    wire, alice, bob, reinvite, event = reoffered(body=b"")
    accept(bob, event)
    wire.play()

    alice.ack(reinvite, "b")
    wire.play()

    assert bob.the(OfferAnswered) == OfferAnswered(bob.called, 200, b"")


def test_an_update_while_the_offer_in_our_200_is_open_is_refused_491() -> None:
    wire, alice, bob, invite = offered(body=b"")
    bob.answer(SDP)
    wire.play()

    alice.ask("UPDATE", "b", cseq=2, to_tag=to_tag(alice), body=NEW)
    wire.play()
    assert wire.methods()[-1] == "b 491"
    alice.ack(invite, "b", body=NEW)
    wire.play()

    assert bob.the(Confirmed).body == NEW


def test_the_ack_of_a_reinvite_that_never_comes_ends_the_call_after_64_t1() -> None:
    wire, _, bob, _, event = reoffered()
    start = wire.now
    accept(bob, event)

    wire.play(32.1)

    assert [(round(at - start), word) for at, word in wire.timeline() if word == "b BYE"] == [(32, "b BYE")]
    assert bob.the(Ended)[1:3] == ("system", 408)


def test_cancel_of_a_reinvite_ends_it_and_not_the_call_rfc3261_9_2() -> None:
    wire, alice, bob, reinvite, event = reoffered()

    alice.cancel(reinvite, "b")
    wire.play()

    assert wire.methods()[-3:] == ["a CANCEL", "b 200", "b 487"]
    assert bob.happened(Ended) == []
    assert event.usage.answer_offer(event.transaction, SDP, now=wire.now) == []
    assert event.usage.refuse_offer(event.transaction, 488, "late", now=wire.now) == []
    alice.ask("INVITE", "b", cseq=3, to_tag=to_tag(alice), body=NEW)
    wire.play()
    assert len(bob.happened(OfferReceived)) == 2


def test_a_cancel_that_comes_after_our_answer_changes_nothing() -> None:
    wire, alice, bob, reinvite, event = reoffered()
    accept(bob, event)

    alice.cancel(reinvite, "b")
    wire.play()

    assert wire.methods()[-3:] == ["b 200", "a CANCEL", "b 200"]


@pytest.mark.parametrize("ours", [True, False])
def test_a_bye_of_either_side_ends_an_open_reinvite_with_487_rfc3261_15_1_2(ours: bool) -> None:
    wire, alice, bob, _, event = reoffered()

    if ours:
        bob.bye()
    else:
        alice.ask("BYE", "b", cseq=3, to_tag=to_tag(alice))
    wire.play()

    assert set(wire.methods()[-2:]) == ({"b 487", "b BYE"} if ours else {"b 200", "b 487"})
    assert event.usage.answer_offer(event.transaction, SDP, now=wire.now) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((("Content-Type", "text/plain"),), 415),
        ((("Require", "gruu"),), 420),
        ((("Accept", "text/plain"),), 406),
        ((("Content-Encoding", "gzip"),), 415),
    ],
)
def test_a_reinvite_that_cannot_be_served_is_refused_and_the_call_goes_on(headers: Lines, status: int) -> None:
    wire, alice, bob, _ = taken()

    alice.ask("INVITE", "b", cseq=2, to_tag=to_tag(alice), body=NEW, headers=headers)
    wire.play()

    assert wire.methods()[-1] == f"b {status}"
    assert bob.happened(OfferReceived) == []
    assert bob.happened(Ended) == []


# The peer's UPDATE (RFC 3311)


def test_an_update_is_answered_without_100_and_without_ack() -> None:
    wire, alice, bob, _, event = reoffered("UPDATE", headers=(("Contact", "<sip:elsewhere@c>"),))
    accept(bob, event, b"v=0\r\nanswer")
    wire.play(40.0)

    assert wire.methods()[-2:] == ["a UPDATE", "b 200"]
    answer = alice.response(200)
    assert (answer.body, answer.headers.get("Contact")) == (b"v=0\r\nanswer", "<sip:b@b:5060>")
    assert str(bob.called.established.target) == "sip:elsewhere@c"


def test_an_update_may_be_refused() -> None:
    wire, alice, bob, _, event = reoffered("UPDATE")

    bob.perform(event.usage.refuse_offer(event.transaction, 488, "no", now=wire.now))
    wire.play()

    assert alice.response(488).headers.get("Warning") == '399 sipflow "no"'


def test_an_update_that_offers_nothing_is_answered_at_once_and_moves_the_target() -> None:
    wire, alice, bob, _ = taken()

    alice.ask("UPDATE", "b", cseq=2, to_tag=to_tag(alice), headers=(("Contact", "<sip:elsewhere@c>"),))
    wire.play()

    assert wire.methods()[-2:] == ["a UPDATE", "b 200"]
    assert bob.happened(OfferReceived) == []
    assert str(bob.called.established.target) == "sip:elsewhere@c"


def test_an_update_that_offers_nothing_is_answered_even_while_it_rings() -> None:
    wire, alice, bob, _ = offered()
    bob.ring()
    wire.play()

    alice.ask("UPDATE", "b", cseq=2, to_tag=alice.response(180).to.tag or "")
    wire.play()

    assert wire.methods()[-1] == "b 200"


@pytest.mark.parametrize(("method", "body", "status"), [
    ("INVITE", NEW, 491), ("INVITE", b"", 491), ("UPDATE", NEW, 491), ("UPDATE", b"", 200),
])  # fmt: skip
def test_a_callee_that_offers_before_it_answers_our_invite_is_refused_491(
    method: str, body: bytes, status: int
) -> None:
    wire, alice, bob, _ = calling()
    bob.reply(bob.request("INVITE"), 180)
    wire.play()

    bob.ask(method, "a", from_tag="bob", to_tag="call-1", body=body)
    wire.play()

    assert wire.methods()[-1] == f"a {status}"
    assert alice.happened(OfferReceived) == []


# Our re-INVITE


def offering() -> tuple[Wire, Node, Peer, Request]:
    """In a call of ours we have offered something new."""
    wire, alice, bob, usage = answered()
    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    wire.play()
    return wire, alice, bob, bob.request("INVITE")


def test_our_reinvite_is_a_request_of_the_dialog_with_contact_and_allow() -> None:
    wire, _, _, _ = offering()

    assert shown(wire.messages("a INVITE")[1]) == [
        "INVITE sip:b@b SIP/2.0",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK*;rport",
        "Max-Forwards: 70",
        "From: <sip:alice@a>;tag=call-1",
        "To: <sip:bob@b>;tag=bob",
        "Call-ID: call-1",
        "CSeq: 2 INVITE",
        "Contact: <sip:alice@a:5060>",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY",
        "Supported: 100rel, timer",
        "User-Agent: sipflow",
        "Content-Type: application/sdp",
        f"Content-Length: {len(NEW)}",
    ]


def test_the_answer_to_our_offer_is_acknowledged_told_and_moves_the_target() -> None:
    wire, alice, bob, reinvite = offering()
    bob.reply(reinvite, 200, body=SDP, contact="<sip:moved@b>")
    wire.play()

    assert wire.methods()[-3:] == ["a INVITE", "b 200", "a ACK"]
    ack = wire.messages("a ACK")[-1]
    assert isinstance(ack, Request)
    assert (ack.uri, str(ack.cseq)) == ("sip:moved@b", "2 ACK")
    assert [event[1:] for event in alice.happened(OfferAnswered)] == [(200, SDP)]


def test_a_repeated_answer_is_acknowledged_again_even_while_the_next_offer_is_open() -> None:
    wire, alice, bob, first = offering()
    bob.reply(first, 200, body=SDP)
    wire.play()
    (usage,) = alice.calls
    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    wire.play()

    bob.reply(first, 200, body=SDP)
    wire.play()

    assert wire.methods()[-2:] == ["b 200", "a ACK"]
    assert [str(ack.cseq) for ack in wire.messages("a ACK")] == ["1 ACK", "2 ACK", "2 ACK"]
    assert len(alice.happened(OfferAnswered)) == 1
    bob.reply(bob.request("INVITE"), 488)
    wire.play()
    assert [event.status for event in alice.happened(OfferAnswered)] == [200, 488]


@pytest.mark.parametrize("status", [400, 403, 415, 488, 500, 503, 603])
def test_a_refusal_of_our_offer_is_told_and_the_call_goes_on(status: int) -> None:
    wire, alice, bob, reinvite = offering()
    bob.reply(reinvite, status)
    wire.play()

    assert wire.methods()[-2:] == [f"b {status}", "a ACK"]
    assert [event[1:] for event in alice.happened(OfferAnswered)] == [(status, b"")]
    assert alice.happened(Ended) == []


@pytest.mark.parametrize("status", [408, 481, None])
def test_a_far_end_that_has_no_such_call_any_more_is_hung_up_rfc3261_12_2_1_2(status: int | None) -> None:
    wire, alice, bob, reinvite = offering()
    if status is not None:
        bob.reply(reinvite, status)
    wire.play(33.0)

    assert "a BYE" in wire.methods()
    assert alice.the(Ended)[1:3] == ("system", status or 408)


def test_a_challenge_to_our_offer_is_answered_in_the_dialogs_order() -> None:
    wire, alice, bob, usage = answered(accounts=(Account("alice", "secret"),))
    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    wire.play()
    bob.reply(bob.request("INVITE"), 407, headers=(("Proxy-Authenticate", 'Digest realm="p", nonce="n"'),))
    wire.play()
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()
    alice.bye(usage)

    assert [str(one.cseq) for one in wire.messages("a INVITE")] == ["1 INVITE", "2 INVITE", "3 INVITE"]
    assert "Proxy-Authorization" in wire.messages("a ACK")[-1].headers
    assert str(wire.request("a BYE").cseq) == "4 BYE"


@pytest.mark.parametrize(("method", "body", "status"), [
    ("INVITE", NEW, 491), ("UPDATE", NEW, 491), ("UPDATE", b"", 200),
])  # fmt: skip
def test_while_our_offer_is_open_the_peers_is_refused_491(method: str, body: bytes, status: int) -> None:
    wire, alice, bob, _ = offering()

    bob.ask(method, "a", from_tag="bob", to_tag="call-1", body=body)
    wire.play()

    assert wire.methods()[-1] == f"a {status}"
    assert alice.happened(OfferReceived) == []


def test_two_offers_that_cross_are_both_refused_and_tried_again_until_one_gets_through() -> None:
    wire = Wire()
    alice, bob = wire.node("a"), wire.node("b", answer_offers)
    usage = alice.place(calling()[3].plan)
    wire.play()
    bob.answer(SDP)
    wire.play(0.1)
    alice.app = answer_offers

    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    bob.perform(bob.called.offer(lambda: NEW, now=wire.now))
    wire.play(5.0)

    assert wire.methods()[4:] == [
        "a INVITE", "b INVITE", "b 491", "a 491", "a ACK", "b ACK",
        "b INVITE", "a 100", "a 200", "b ACK",  # who did not make the Call-ID comes first: §14.1
        "a INVITE", "b 100", "b 200", "a ACK",
    ]  # fmt: skip
    assert [[event.status for event in node.happened(OfferAnswered)] for node in (alice, bob)] == [[200], [200]]


def answer_offers(node: Node, event: object) -> None:
    if isinstance(event, OfferReceived):
        node.perform(event.usage.answer_offer(event.transaction, SDP, now=node.wire.now))


def test_the_caller_waits_2_to_4_seconds_and_gives_an_offer_up_after_five_refusals_for_glare() -> None:
    wire, alice, bob, reinvite = offering()
    bob.answers["INVITE"] = 491
    bob.reply(reinvite, 491)
    wire.play(30.0)

    moments = [at for at, word in wire.timeline() if word == "a INVITE"][1:]
    refusals = [at for at, word in wire.timeline() if word == "b 491"]
    assert len(moments) == 5
    waits = [again - refused for again, refused in zip(moments[1:], refusals, strict=False)]
    assert all(2.1 <= wait <= 4.1 for wait in waits)
    assert [event[1:] for event in alice.happened(OfferAnswered)] == [(491, b"")]


def test_the_callee_waits_at_most_2_seconds() -> None:
    wire, alice, bob, _ = taken()
    bob.perform(bob.called.offer(lambda: NEW, now=wire.now))
    wire.play()
    alice.reply(alice.request("INVITE"), 491)
    alice.answers["INVITE"] = 200
    wire.play(2.1)

    assert wire.methods()[-3:] == ["b INVITE", "a 200", "b ACK"]


def test_an_offer_that_waits_out_glare_lets_the_peers_pass_first() -> None:
    wire, alice, bob, reinvite = offering()
    bob.reply(reinvite, 491)
    wire.play(1.0)

    bob.ask("INVITE", "a", from_tag="bob", to_tag="call-1", body=NEW)
    wire.play(10.0)
    assert len(wire.messages("a INVITE")) == 2  # still waiting: nobody has answered the peer's
    event = alice.the(OfferReceived)
    alice.perform(event.usage.answer_offer(event.transaction, SDP, now=wire.now))
    wire.play()
    bob.ask("ACK", "a", cseq=1, from_tag="bob", to_tag="call-1")
    bob.answers["INVITE"] = 200
    wire.play(4.1)

    assert wire.methods()[-3:] == ["a INVITE", "b 200", "a ACK"]
    assert [event[1:] for event in alice.happened(OfferAnswered)] == [(200, b"")]


def test_an_offer_that_waits_out_glare_is_dropped_when_the_call_ends() -> None:
    wire, alice, bob, reinvite = offering()
    bob.reply(reinvite, 491)
    wire.play()
    (usage,) = alice.calls
    alice.bye(usage)
    wire.play(10.0)

    assert len(wire.messages("a INVITE")) == 2


def test_one_offer_at_a_time() -> None:
    wire, alice, bob, reinvite = offering()
    (usage,) = alice.calls
    with pytest.raises(LocalProtocolError):
        usage.offer(lambda: NEW, now=wire.now)
    bob.reply(reinvite, 491)
    wire.play()
    with pytest.raises(LocalProtocolError):  # the first will be tried again
        usage.offer(lambda: NEW, now=wire.now)


def test_an_offer_waits_while_the_peers_is_open_and_until_its_ack() -> None:
    wire, alice, bob, reinvite, event = reoffered()
    bob.perform(bob.called.offer(lambda: NEW, now=wire.now))
    wire.play(1.0)
    assert wire.messages("b INVITE") == []
    accept(bob, event)
    wire.play(1.0)
    assert wire.messages("b INVITE") == []
    alice.ack(reinvite, "b")
    wire.play(0.6)

    assert wire.methods()[-1] == "b INVITE"


def test_each_attempt_of_an_offer_is_made_anew() -> None:
    wire, bob, alice, reinvite = offering()
    (usage,) = bob.calls
    alice.reply(reinvite, 488)
    wire.play()
    made = iter((b"v=0\r\nfirst", b"v=0\r\nsecond"))
    bob.perform(usage.offer(lambda: next(made), now=wire.now))
    wire.play()
    alice.reply(alice.request("INVITE"), 491)
    wire.play(4.2)

    assert [message.body for message in wire.messages("a INVITE")[2:]] == [b"v=0\r\nfirst", b"v=0\r\nsecond"]


def test_there_is_no_offer_outside_a_call() -> None:
    wire, alice, _, usage = calling()
    with pytest.raises(LocalProtocolError):
        usage.offer(lambda: NEW, now=wire.now)
    assert alice.happened(OfferAnswered) == []


@pytest.mark.parametrize("ours", [True, False])
def test_a_reinvite_of_ours_that_is_never_answered_is_forgotten_64_t1_after_the_call(ours: bool) -> None:
    wire, alice, bob, reinvite = offering()
    bob.reply(reinvite, 100, tag=None)
    wire.play()
    if ours:
        (usage,) = alice.calls
        alice.bye(usage)
        wire.play()
        bob.reply(bob.request("BYE"), 200)
    else:
        bob.ask("BYE", "a", from_tag="bob", to_tag="call-1")
    wire.play(31.0)
    assert alice.ua.counts["transactions"] >= 1

    wire.play(2.0)

    assert alice.ua.counts == {"transactions": 0, "dialogs": 0}
    assert alice.happened(OfferAnswered) == []
    assert len(alice.happened(Ended)) == 1


@pytest.mark.parametrize("status", [487, 200])
def test_the_late_end_of_a_reinvite_is_acknowledged_and_told_to_nobody(status: int) -> None:
    wire, alice, bob, reinvite = offering()
    bob.ask("BYE", "a", from_tag="bob", to_tag="call-1")
    wire.play()

    bob.reply(reinvite, status, body=SDP)
    wire.play()

    assert wire.methods()[-2:] == [f"b {status}", "a ACK"]
    assert alice.happened(OfferAnswered) == []


# 500 with Retry-After: the far end is busy with an offer (RFC 3261 §14.2)


def test_our_offer_is_made_again_when_the_far_end_asks_for_a_moment() -> None:
    wire, alice, bob, reinvite = offering()
    bob.reply(reinvite, 500, headers=(("Retry-After", "3"),))
    bob.answers["INVITE"] = 200
    wire.play(3.2)

    moments = [at for at, word in wire.timeline() if word == "a INVITE"]
    assert round(moments[2] - moments[1]) == 3
    assert [event.status for event in alice.happened(OfferAnswered)] == [200]


@pytest.mark.parametrize("wait", ["11", "soon", "99999999999"])
def test_but_not_when_it_asks_for_more(wait: str) -> None:
    wire, alice, bob, reinvite = offering()
    bob.reply(reinvite, 500, headers=(("Retry-After", wait),))
    wire.play(20.0)

    assert [event.status for event in alice.happened(OfferAnswered)] == [500]
