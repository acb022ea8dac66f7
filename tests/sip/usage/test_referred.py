"""REFERs of peers: decided once, reported on in order, and never after a refusal (RFC 3515 §2.4, RFC 4488)."""

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.headers.refer_to import ReferTo
from sipflow.sip.headers.replaces import Replaces
from sipflow.sip.outputs import Ended, ReferReceived
from sipflow.sip.stack import Settings
from sipflow.sip.uri import SipUri
from tests.support.calls import SDP
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire, shown

OPEN = Settings(refer=True)
CAROL = ("Refer-To", "<sip:carol@c>")


def in_call() -> tuple[Wire, Peer, Node, str]:
    """Alice is in a call with us, who take REFERs; with our tag."""
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b", settings=OPEN)
    invite = alice.ask("INVITE", "b", body=SDP)
    wire.play()
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()
    return wire, alice, bob, alice.response(200).to.tag or ""


def asked(*lines: tuple[str, str]) -> tuple[Wire, Peer, Node, ReferReceived]:
    """She has asked us to call carol."""
    wire, alice, bob, tag = in_call()
    alice.ask("REFER", "b", cseq=2, to_tag=tag, headers=lines or (CAROL,))
    wire.play()
    return wire, alice, bob, bob.the(ReferReceived)


def accepted(*lines: tuple[str, str], answers: bool = True) -> tuple[Wire, Peer, Node, ReferReceived]:
    """We have accepted; with `answers` she answers what we report."""
    wire, alice, bob, event = asked(*lines)
    if answers:
        alice.answers["NOTIFY"] = 200
    bob.perform(event.referred.accept(now=wire.now))
    wire.play()
    return wire, alice, bob, event


def reports(wire: Wire) -> list[tuple[bytes, str | None]]:
    found = wire.messages("b NOTIFY")
    return [(one.body.rstrip(), one.headers.get("Subscription-State")) for one in found]


def test_it_is_handed_up_with_whom_and_who_wants_it() -> None:
    replaces = "c%40h%3Bto-tag%3D1%3Bfrom-tag%3D2"
    _, _, bob, event = asked(("Refer-To", f"<sip:carol@c?Replaces={replaces}>"), ("Referred-By", "<sip:alice@a>"))

    assert event.usage is bob.called
    assert (event.refer_to.uri, event.refer_to.replaces) == (
        SipUri("sip", "carol", None, "c"), Replaces("c@h", "1", "2"),
    )  # fmt: skip
    assert str(event.referred_by) == "<sip:alice@a>"
    assert event.referred.undecided
    bob.perform(event.referred.refuse(now=0.0))


def test_a_referred_by_that_cannot_be_read_is_nobody() -> None:
    _, _, bob, event = asked(CAROL, ("Referred-By", "<sip:"))

    assert event.referred_by is None
    bob.perform(event.referred.refuse(now=0.0))


@pytest.mark.parametrize(
    "lines",
    [(("X", "1"),), (CAROL, CAROL), (("Refer-To", "<sip:c>, <sip:d>"),), (("Refer-To", "nobody"),),
     (("Refer-To", "<sip:c?Replaces=x>"),), (("Refer-To", "<sip:c?X=%0d%0a>"),)],
)  # fmt: skip
def test_one_that_does_not_say_whom_is_refused_400(lines: Lines) -> None:
    wire, alice, bob, tag = in_call()
    alice.ask("REFER", "b", cseq=2, to_tag=tag, headers=lines)
    wire.play()

    assert wire.methods()[-1] == "b 400"
    assert "Warning" in alice.response(400).headers
    assert bob.happened(ReferReceived) == []


def test_switched_off_it_is_refused_405_with_what_is_allowed() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    alice.ask("REFER", "b", headers=(CAROL,))
    wire.play()

    assert "REFER" not in (alice.response(405).headers.get("Allow") or "REFER")
    assert bob.happened(ReferReceived) == []


def test_accepted_it_is_answered_202_and_reported_on_at_once() -> None:
    wire, alice, _, _ = accepted()

    assert alice.response(202).headers.get("Contact") == "<sip:b@b:5060>"
    assert shown(wire.request("b NOTIFY")) == [
        "NOTIFY sip:a@a SIP/2.0",
        "Via: SIP/2.0/UDP b:5060;branch=z9hG4bK*;rport",
        "Max-Forwards: 70",
        "From: <sip:b@b>;tag=*",
        "To: <sip:a@a>;tag=peer",
        "Call-ID: call-1",
        "CSeq: 1 NOTIFY",
        "Contact: <sip:b@b:5060>",
        "Event: refer;id=2",
        "Subscription-State: active;expires=180",
        "User-Agent: sipflow",
        "Content-Type: message/sipfrag;version=2.0",
        "Content-Length: 20",
    ]
    assert wire.request("b NOTIFY").body == b"SIP/2.0 100 Trying\r\n"


def test_progress_and_the_end_are_reported_and_then_nothing_more() -> None:
    wire, _, bob, event = accepted()
    bob.perform(event.referred.progress(180, now=wire.now))
    wire.play()
    bob.perform(event.referred.finish(486, "Busy\r\nHere", now=wire.now))
    wire.play()
    assert event.referred.finish(200, now=wire.now) == []
    assert event.referred.progress(180, now=wire.now) == []

    assert reports(wire) == [
        (b"SIP/2.0 100 Trying", "active;expires=180"),
        (b"SIP/2.0 180 Ringing", "active;expires=180"),
        (b"SIP/2.0 486 Busy''Here", "terminated;reason=noresource"),
    ]
    assert bob.ua.sizes["subscriptions"] == 0
    assert bob.happened(Ended) == []


def test_reports_go_one_after_the_other_and_of_those_that_wait_the_newest_counts() -> None:
    wire, alice, bob, event = accepted(answers=False)
    for status in (180, 183):
        bob.perform(event.referred.progress(status, now=wire.now))
    bob.perform(event.referred.finish(200, now=wire.now))
    wire.play()
    assert len(reports(wire)) == 1
    alice.answers["NOTIFY"] = 200
    alice.reply(alice.request("NOTIFY"), 200)
    wire.play()

    assert reports(wire)[1:] == [(b"SIP/2.0 200 OK", "terminated;reason=noresource")]


@pytest.mark.parametrize("status", [481, 405, 489, 500])
def test_a_peer_that_does_not_listen_is_told_nothing_more(status: int) -> None:
    wire, alice, bob, event = accepted(answers=False)
    alice.reply(alice.request("NOTIFY"), status)
    wire.play()
    assert event.referred.progress(180, now=wire.now) == []
    assert event.referred.finish(200, now=wire.now) == []

    assert len(reports(wire)) == 1
    assert bob.ua.sizes["subscriptions"] == 0
    assert bob.happened(Ended) == []


@pytest.mark.parametrize("status", [403, 405, 486, 603])
def test_refused_it_is_answered_with_the_reason_and_never_reported_on(status: int) -> None:
    wire, alice, bob, event = asked()
    bob.perform(event.referred.refuse(status, "transfers are not wanted", now=wire.now))
    wire.play(200.0)

    answer = alice.response(status)
    assert answer.headers.get("Reason") == f'SIP;cause={status};text="transfers are not wanted"'
    assert wire.messages("b NOTIFY") == []
    assert bob.ua.sizes["subscriptions"] == 0
    assert bob.happened(Ended) == []


def test_it_is_decided_once() -> None:
    wire, _, _, event = accepted()
    for decide in (event.referred.accept, event.referred.refuse):
        with pytest.raises(LocalProtocolError):
            decide(now=wire.now)


def test_what_was_not_accepted_is_not_reported_on_and_statuses_must_fit() -> None:
    wire, _, bob, event = asked()
    with pytest.raises(LocalProtocolError):
        event.referred.progress(180, now=wire.now)
    with pytest.raises(LocalProtocolError):
        event.referred.finish(180, now=wire.now)
    with pytest.raises(LocalProtocolError):
        event.referred.refuse(200, now=wire.now)
    bob.perform(event.referred.accept(now=wire.now))
    with pytest.raises(LocalProtocolError):
        event.referred.progress(200, now=wire.now)


def test_one_that_nobody_decides_on_is_forgotten_when_its_sender_waits_no_more() -> None:
    wire, _, bob, event = asked()
    wire.play(33.0)

    assert not event.referred.undecided
    assert bob.ua.counts["transactions"] == 0
    with pytest.raises(LocalProtocolError):
        event.referred.accept(now=wire.now)


def test_one_who_wants_no_reports_gets_none() -> None:
    wire, alice, bob, event = accepted(CAROL, ("Refer-Sub", "false"), ("Require", "norefersub"))
    bob.perform(event.referred.progress(180, now=wire.now))
    bob.perform(event.referred.finish(200, now=wire.now))
    wire.play()

    assert alice.response(202).headers.get("Refer-Sub") == "false"
    assert wire.messages("b NOTIFY") == []


def test_reports_end_when_their_time_is_over() -> None:
    wire, _, bob, event = accepted()
    bob.perform(event.referred.progress(180, now=wire.now))
    wire.play(181.0)

    assert reports(wire)[-1] == (b"SIP/2.0 180 Ringing", "terminated;reason=timeout")
    assert event.referred.finish(200, now=wire.now) == []


@pytest.mark.parametrize(
    ("expires", "state"),
    [
        ("600", "active;expires=600"),
        ("0", "terminated;reason=timeout"),
        ("999999", "active;expires=3600"),
        ("", "active;expires=180"),
    ],
)
def test_a_peer_may_prolong_or_end_its_subscription(expires: str, state: str) -> None:
    wire, alice, bob, _ = accepted()
    lines = (("Event", "refer;id=2"), ("Expires", expires))
    alice.ask("SUBSCRIBE", "b", cseq=3, to_tag=bob.called.established.local_tag, headers=lines)
    wire.play()

    assert "b 200" in wire.methods()
    assert reports(wire)[-1] == (b"SIP/2.0 100 Trying", state)


def test_a_subscribe_to_anything_else_is_refused_405() -> None:
    wire, alice, bob, tag = in_call()
    alice.ask("SUBSCRIBE", "b", cseq=2, to_tag=tag, headers=(("Event", "dialog"),))
    wire.play()

    assert wire.methods()[-1] == "b 405"
    assert bob.happened(Ended) == []


def test_reports_go_on_after_the_end_of_the_call() -> None:
    wire, alice, bob, event = accepted()
    alice.ask("BYE", "b", cseq=3, to_tag=bob.called.established.local_tag)
    wire.play()
    bob.perform(event.referred.finish(200, now=wire.now))
    wire.play()

    assert reports(wire)[-1] == (b"SIP/2.0 200 OK", "terminated;reason=noresource")
    assert len(bob.happened(Ended)) == 1


def test_outside_a_call_it_makes_a_dialog_of_its_own() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b", settings=OPEN)
    alice.answers["NOTIFY"] = 200
    alice.ask("REFER", "b", headers=(CAROL, ("Record-Route", "<sip:p;lr>")))
    wire.play()
    event = bob.the(ReferReceived)
    assert (event.usage, event.hop.host, event.refer_to) == (None, "a", ReferTo(SipUri("sip", "carol", None, "c")))
    bob.perform(event.referred.accept(now=wire.now))
    wire.play()

    answer, report = alice.response(202), wire.messages("b NOTIFY")[0]
    assert (answer.headers.get("Record-Route"), report.headers.get("Route")) == ("<sip:p;lr>", "<sip:p;lr>")
    assert report.from_.tag == answer.to.tag == event.referred.local_tag
    bob.perform(event.referred.finish(200, now=wire.now))


def test_outside_a_call_one_without_contact_is_refused_400() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a", contact=""), wire.node("b", settings=OPEN)
    alice.ask("REFER", "b", headers=(CAROL,))
    wire.play()

    assert wire.methods()[-1] == "b 400"
    assert bob.happened(ReferReceived) == []


def test_outside_a_call_it_may_name_one() -> None:
    wire, alice, bob, tag = in_call()
    line = ("Target-Dialog", f"call-1;local-tag=peer;remote-tag={tag}")
    alice.ask("REFER", "b", call_id="call-2", headers=(CAROL, line, ("Require", "tdialog")))
    alice.ask("REFER", "b", call_id="call-3", headers=(CAROL, ("Target-Dialog", "call-1;local-tag=x;remote-tag=y")))
    wire.play()

    found = [event.usage for event in bob.happened(ReferReceived)]
    assert found == [bob.called, None]
    for event in bob.happened(ReferReceived):
        assert event.referred.usage is None
        bob.perform(event.referred.refuse(now=wire.now))
