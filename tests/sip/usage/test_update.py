"""UPDATE as a whole: before and after the answer, in both roles, with and without an offer (RFC 3311)."""

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.outputs import Confirmed, Ended, OfferAnswered, OfferReceived, UpdateAnswered
from tests.sip.usage.test_modification import NEW, accept, reoffered, to_tag
from tests.support.calls import SDP, answered, calling, offered
from tests.support.peer import Peer
from tests.support.wire import Node, Wire

# UPDATE before the call is answered (RFC 3311 §5)

UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")
RELIABLE = (("Supported", "100rel"), UPDATES)


def settled_in(*, prack: bool = True) -> tuple[Wire, Peer, Node]:
    """Alice calls, and our 183 has carried the answer; with `prack` she has acknowledged that."""
    wire, alice, bob, _ = offered(headers=RELIABLE)
    bob.perform(bob.called.ring(now=wire.now, status=183, body=SDP, reliable=True))
    wire.play()
    if prack:
        progress = alice.response(183)
        rack = (("RAck", f"{progress.headers.get('RSeq')} 1 INVITE"),)
        alice.ask("PRACK", "b", cseq=2, to_tag=progress.to.tag or "", headers=rack)
        wire.play()
    return wire, alice, bob


def settled_out(*lines: tuple[str, str]) -> tuple[Wire, Node, Peer]:
    """We call bob, and his 183 has carried the answer, which we have acknowledged."""
    wire, alice, bob, _ = calling()
    bob.answers["PRACK"] = 200
    bob.reply(
        bob.request("INVITE"), 183, body=SDP, headers=(("Require", "100rel"), ("RSeq", "1"), *(lines or (UPDATES,)))
    )
    wire.play()
    return wire, alice, bob


def test_a_caller_may_offer_anew_before_the_answer_and_the_call_is_answered_after_it() -> None:
    wire, alice, bob = settled_in()
    assert "UPDATE" in (alice.response(183).headers.get("Allow") or ""), "RFC 3311 §4"
    alice.ask("UPDATE", "b", cseq=3, to_tag=alice.response(183).to.tag or "", body=NEW)
    wire.play()
    event = bob.the(OfferReceived)
    accept(bob, event)
    wire.play()
    assert (wire.methods()[-1], str(alice.response(200).cseq)) == ("b 200", "3 UPDATE")
    bob.answer(SDP)
    wire.play()
    alice.ack(wire.request("a INVITE"), "b")
    wire.play()

    assert len(bob.happened(Confirmed)) == 1


def test_we_may_offer_anew_before_our_answer_once_the_prack_has_come() -> None:
    wire, alice, bob = settled_in(prack=False)
    with pytest.raises(LocalProtocolError):
        bob.called.offer(lambda: NEW, now=wire.now)
    wire, alice, bob = settled_in()
    bob.perform(bob.called.offer(lambda: NEW, now=wire.now))
    wire.play()
    assert alice.request("UPDATE").body == NEW
    alice.reply(alice.request("UPDATE"), 200, tag=None, body=SDP)
    wire.play()

    assert bob.the(OfferAnswered) == OfferAnswered(bob.called, 200, SDP)
    assert wire.methods()[-2:] == ["b UPDATE", "a 200"]


def test_the_callee_may_offer_anew_before_it_answers_once_one_exchange_has_passed() -> None:
    wire, alice, bob = settled_out()
    bob.ask("UPDATE", "a", from_tag="bob", to_tag="call-1", body=NEW)
    wire.play()
    accept(alice, alice.the(OfferReceived))
    wire.play()
    assert wire.methods()[-1] == "a 200"
    bob.ask("INVITE", "a", cseq=2, from_tag="bob", to_tag="call-1", body=NEW)
    wire.play()

    assert wire.methods()[-1] == "a 491"  # §14.2: an INVITE of ours is in progress


def test_we_as_the_caller_may_offer_anew_before_the_answer() -> None:
    wire, alice, bob = settled_out()
    (usage,) = alice.calls
    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    wire.play()
    bob.ask("UPDATE", "a", from_tag="bob", to_tag="call-1", body=NEW)
    wire.play()
    assert wire.methods()[-1] == "a 491"
    bob.reply(bob.request("UPDATE"), 200, body=SDP)
    wire.play()
    bob.reply(bob.request("INVITE"), 200)
    wire.play()

    assert alice.the(OfferAnswered) == OfferAnswered(usage, 200, SDP)
    assert wire.methods()[-2:] == ["b 200", "a ACK"]
    alice.bye(usage)
    assert [str(one.cseq) for one in wire.messages("a BYE")] == ["4 BYE"]


def test_glare_of_two_updates_before_the_answer_is_tried_again() -> None:
    wire, alice, bob = settled_out()
    (usage,) = alice.calls
    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    wire.play()
    bob.reply(bob.request("UPDATE"), 491)
    bob.answers["UPDATE"] = 200
    wire.play(4.2)

    assert len(wire.messages("a UPDATE")) == 2
    assert [event.status for event in alice.happened(OfferAnswered)] == [200]


def test_an_update_that_waits_out_glare_becomes_one_in_the_answered_call() -> None:
    wire, alice, bob = settled_out()
    (usage,) = alice.calls
    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    wire.play()
    bob.reply(bob.request("UPDATE"), 491)
    bob.reply(bob.request("INVITE"), 200)
    bob.answers["UPDATE"] = 200
    wire.play(4.2)

    assert wire.methods()[-2:] == ["a UPDATE", "b 200"]
    assert [event.status for event in alice.happened(OfferAnswered)] == [200]


def test_who_does_not_take_update_gets_none() -> None:
    wire, alice, bob = settled_out(("Allow", "INVITE, ACK"))
    (usage,) = alice.calls
    with pytest.raises(LocalProtocolError, match="UPDATE"):
        usage.offer(lambda: NEW, now=wire.now)
    with pytest.raises(LocalProtocolError, match="UPDATE"):
        usage.update(now=wire.now)
    bob.reply(bob.request("INVITE"), 200)
    wire.play()
    with pytest.raises(LocalProtocolError, match="UPDATE"):
        usage.offer(lambda: NEW, now=wire.now, method="UPDATE")
    assert not usage.negotiating


@pytest.mark.parametrize("status", [486, 200])
def test_an_update_that_is_open_when_the_call_ends_is_ended_487_and_ours_is_told_to_nobody(status: int) -> None:
    wire, alice, bob = settled_in()
    alice.ask("UPDATE", "b", cseq=3, to_tag=alice.response(183).to.tag or "", body=NEW)
    wire.play()
    event = bob.the(OfferReceived)
    if status == 486:
        bob.reject(486)
    else:
        alice.cancel(wire.request("a INVITE"), "b")
    wire.play()

    assert "b 487" in wire.methods()
    assert event.usage.answer_offer(event.transaction, SDP, now=wire.now) == []


def test_our_update_that_is_open_when_the_callee_refuses_is_told_to_nobody() -> None:
    wire, alice, bob = settled_out()
    (usage,) = alice.calls
    alice.perform(usage.offer(lambda: NEW, now=wire.now))
    wire.play()
    bob.reply(bob.request("INVITE"), 486)
    bob.reply(bob.request("UPDATE"), 200, body=SDP)
    wire.play()

    assert alice.happened(OfferAnswered) == []
    assert alice.the(Ended).status == 486


def test_a_second_update_before_the_first_is_answered_is_refused_500_even_without_an_offer_rfc3311_5_2() -> None:
    wire, alice, bob, _, event = reoffered("UPDATE")
    alice.ask("UPDATE", "b", cseq=3, to_tag=to_tag(alice))
    wire.play()
    assert 0 <= int(alice.response(500).headers.get("Retry-After") or "-1") <= 10
    accept(bob, event)
    wire.play()
    alice.ask("UPDATE", "b", cseq=4, to_tag=to_tag(alice))
    wire.play()

    assert wire.methods()[-2:] == ["a UPDATE", "b 200"]


# Our UPDATE in a call that is up


def test_an_offer_may_go_by_update_in_a_call_that_is_up() -> None:
    wire, alice, bob, usage = answered(headers=(UPDATES,))
    alice.perform(usage.offer(lambda: NEW, now=wire.now, method="UPDATE"))
    wire.play()
    bob.reply(bob.request("UPDATE"), 200, body=SDP)
    wire.play()

    assert alice.the(OfferAnswered) == OfferAnswered(usage, 200, SDP)
    assert wire.methods()[-2:] == ["a UPDATE", "b 200"]


@pytest.mark.parametrize("status", [200, 403, 408, None])
def test_an_update_that_offers_nothing_carries_what_it_is_for_and_its_end_is_told(status: int | None) -> None:
    wire, alice, bob, usage = answered(headers=(UPDATES,))
    alice.perform(usage.update(now=wire.now, headers=(("P-Asserted-Identity", "<sip:carol@a>"),)))
    wire.play()
    update = bob.request("UPDATE")
    if status is not None:
        bob.reply(update, status)
    wire.play(33.0)

    assert (update.body, update.headers.get("P-Asserted-Identity")) == (b"", "<sip:carol@a>")
    assert [event.status for event in alice.happened(UpdateAnswered)] == [status or 408]
    assert alice.happened(Ended) == []


def test_what_a_reinvite_of_the_peer_allows_counts_from_then_on() -> None:
    wire, _, bob, _, event = reoffered(headers=(UPDATES,))
    accept(bob, event)
    wire.play()

    assert bob.called.allows("UPDATE")
    assert not bob.called.allows("MESSAGE")
