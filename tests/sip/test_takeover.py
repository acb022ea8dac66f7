"""An INVITE that is to take the place of a call: which, and whether it may (RFC 3891 §3)."""

import pytest

from sipflow.sip.headers.replaces import Replaces
from sipflow.sip.outputs import Ended, InviteReceived, Refused
from sipflow.sip.stack import Settings
from sipflow.sip.takeover import replaces_for
from tests.support.calls import SDP, plan_to
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire

OPEN = Settings(replaces=True)


def in_call(settings: Settings = OPEN, *, answer: bool = True) -> tuple[Wire, Peer, Node, str]:
    """Alice has called us; with the Replaces that names her call."""
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b", settings=settings)
    invite = alice.ask("INVITE", "b", body=SDP)
    wire.play()
    if answer:
        bob.answer(SDP)
        wire.play()
        alice.ack(invite, "b")
        wire.play()
    return wire, alice, bob, f"call-1;to-tag={bob.called.established.local_tag};from-tag=peer"


def takes_over(wire: Wire, *lines: tuple[str, str]) -> Peer:
    """Carol calls, and wants to replace somebody."""
    carol = Peer(wire, "c")
    carol.ask("INVITE", "b", call_id="call-2", from_tag="carol", body=SDP, headers=lines)
    wire.play()
    return carol


def test_the_call_it_names_is_handed_up_with_it() -> None:
    wire, _, bob, replaces = in_call()
    old = bob.called
    takes_over(wire, ("Replaces", replaces), ("Require", "replaces"))

    event = bob.happened(InviteReceived)[-1]
    assert (event.replaces, event.usage.call_id) == (old, "call-2")
    assert bob.happened(Ended) == []
    bob.answer(SDP)
    bob.bye(old)
    wire.play()
    assert "b BYE" in wire.methods()


def test_an_ordinary_invite_replaces_nobody() -> None:
    _, _, bob, _ = in_call()

    assert bob.the(InviteReceived).replaces is None


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((("Replaces", "call-1;to-tag=x;from-tag=peer"),), 481),
        ((("Replaces", "call-9;to-tag=x;from-tag=y"),), 481),
        ((("Replaces", "nonsense"),), 400),
        ((("Replaces", '"'),), 400),
        ((("Replaces", ";"),), 400),
        ((("Replaces", "c;to-tag=1;from-tag=2"), ("Replaces", "c;to-tag=1;from-tag=2")), 400),
        ((("Replaces", "c;to-tag=1;from-tag=2, d;to-tag=1;from-tag=2"),), 400),
    ],
)
@pytest.mark.parametrize("settings", [OPEN, Settings()])
def test_what_names_no_call_of_ours_is_refused_and_starts_none(lines: Lines, status: int, settings: Settings) -> None:
    wire, _, bob, _ = in_call(settings)
    carol = takes_over(wire, *lines)

    assert wire.methods()[-1] == f"b {status}"
    assert len(bob.happened(InviteReceived)) == 1
    assert bob.the(Refused).status == status
    assert "Warning" in carol.response(status).headers


def test_early_only_does_not_touch_a_call_that_is_answered() -> None:
    wire, _, _, replaces = in_call()
    takes_over(wire, ("Replaces", f"{replaces};early-only"))

    assert wire.methods()[-1] == "b 486"


def test_a_call_that_rings_here_cannot_be_replaced() -> None:
    wire, _, _, replaces = in_call(answer=False)
    takes_over(wire, ("Replaces", replaces))

    assert wire.methods()[-1] == "b 481"


@pytest.mark.parametrize("flag", ["", ";early-only"])
def test_a_call_of_ours_that_rings_there_can(flag: str) -> None:
    wire = Wire()
    bob, alice = wire.node("b", settings=OPEN), Peer(wire, "a")
    usage = bob.place(plan_to("a"))
    wire.play()
    alice.reply(alice.request("INVITE"), 180)
    wire.play()
    takes_over(wire, ("Replaces", f"call-1;to-tag=call-1;from-tag=bob{flag}"))

    assert bob.the(InviteReceived).replaces is usage


def test_a_call_that_is_just_over_is_declined() -> None:
    wire, _, bob, replaces = in_call()
    bob.bye()
    takes_over(wire, ("Replaces", replaces))

    assert wire.methods()[-1] == "b 603"


def test_where_calls_are_not_replaced_a_match_is_declined_and_the_extension_not_supported() -> None:
    wire, _, bob, replaces = in_call(Settings())
    takes_over(wire, ("Replaces", replaces))
    assert wire.methods()[-1] == "b 603"
    assert bob.happened(Ended) == []

    other = Peer(wire, "d")
    other.ask("INVITE", "b", call_id="call-3", body=SDP, headers=(("Replaces", replaces), ("Require", "replaces")))
    wire.play()
    assert other.response(420).headers.get("Unsupported") == "replaces"


def test_a_dialog_is_named_as_its_far_end_knows_it() -> None:
    _, _, bob, _ = in_call()
    dialog = bob.called.established

    assert replaces_for(dialog) == Replaces("call-1", "peer", dialog.local_tag)
    assert replaces_for(dialog, early_only=True).early_only
