"""Who a NOTIFY or SUBSCRIBE inside a dialog is for (RFC 6665 §4.1.3, RFC 5057 §3)."""

import pytest

from sipflow.sip.outputs import Refused
from tests.support.calls import answered, taken
from tests.support.peer import Peer
from tests.support.wire import Wire

EVENT = (("Event", "refer"), ("Subscription-State", "active"))


def test_a_notify_outside_any_dialog_is_refused_481() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    alice.ask("NOTIFY", "b", headers=EVENT)
    alice.ask("NOTIFY", "b", to_tag="never", cseq=2, headers=EVENT)
    wire.play()

    assert wire.methods() == ["a NOTIFY", "a NOTIFY", "b 481", "b 481"]
    assert [event.status for event in bob.happened(Refused)] == [481, 481]


def test_a_notify_in_a_call_that_never_referred_is_refused_481_and_the_call_goes_on() -> None:
    wire, alice, bob, _ = taken()
    alice.ask("NOTIFY", "b", cseq=2, to_tag=alice.response(200).to.tag or "", headers=EVENT)
    wire.play()

    assert alice.response(481).reason == "Subscription Does Not Exist"
    assert not bob.called.over


@pytest.mark.parametrize("method", ["NOTIFY", "SUBSCRIBE"])
def test_a_stranger_who_guesses_call_id_and_tag_is_refused_481(method: str) -> None:
    wire, alice, bob, usage = answered()
    referral, outputs = usage.refer("<sip:c>", now=wire.now)
    alice.perform(outputs)
    wire.play()
    bob.ask(method, "a", from_tag="stranger", to_tag="call-1", headers=EVENT, body=b"SIP/2.0 200 OK\r\n")
    wire.play()

    assert wire.methods()[-1] == "a 481"
    assert not referral.over


def test_each_index_is_empty_once_all_is_told() -> None:
    wire, alice, bob, usage = answered()
    for _ in range(2):
        referral, outputs = usage.refer("<sip:c>", now=wire.now)
        alice.perform(outputs)
    wire.play()
    assert alice.ua.sizes["subscriptions"] == 2
    bob.answers["REFER"] = 603
    wire.play(40.0)

    assert alice.ua.sizes["subscriptions"] == 0
    assert referral.over
