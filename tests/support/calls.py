"""An app for `Node` that answers calls and hangs up, and the plan of a call to it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sipflow.sip.headers.address import NameAddr
from sipflow.sip.message import Request
from sipflow.sip.outputs import Confirmed, Ended, Event, InviteReceived, OfferReceived
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri, parse_uri
from sipflow.sip.usage.uac import UacInvite
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def uri(text: str) -> SipUri:
    parsed = parse_uri(text)
    assert isinstance(parsed, SipUri)
    return parsed


def plan_to(host: str, *, call_id: str = "call-1", body: bytes = SDP, method: str = "INVITE") -> RequestPlan:
    """A call from alice to bob at `host`."""
    target = uri(f"sip:bob@{host}")
    return RequestPlan(
        method=method,
        uri=target,
        destination=target,
        from_=NameAddr.parse(f"<sip:alice@a>;tag={call_id}"),
        to=NameAddr.parse(f"<sip:bob@{host}>"),
        call_id=call_id,
        cseq=1,
        body=body,
        content_type="application/sdp" if body else "",
        contact_user="alice",
    )


@dataclass
class Callee:
    """Rings at once, answers after `answer_after_s`, accepts every re-offer; notes what became of each call."""

    answer_after_s: float = 0.5
    ring: bool = True
    received: list[str] = field(default_factory=list)
    ended: list[tuple[str, str, int]] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    on_confirmed: Callable[[Node, Confirmed], None] | None = None

    def __call__(self, node: Node, event: Event) -> None:
        wire = node.wire
        match event:
            case InviteReceived(call, request, _):
                self.received.append(request.call_id)
                if self.ring:
                    node.perform(call.ring(now=wire.now))

                def answer() -> None:
                    if call.pending:
                        node.perform(call.answer(SDP, now=wire.now))

                wire.at(wire.now + self.answer_after_s, answer)
            case Confirmed(usage, _, _):
                self.confirmed.append(usage.established.call_id)
                if self.on_confirmed is not None:
                    self.on_confirmed(node, event)
            case OfferReceived(usage, transaction, _, _):
                node.perform(usage.answer_offer(transaction, SDP, now=wire.now))
            case Ended(usage, by, status, _, _, _):
                self.ended.append((usage.call_id, by, status))
            case _:
                pass


def offered(*, headers: Lines = (), body: bytes = SDP, without: str = "") -> tuple[Wire, Peer, Node, Request]:
    """A call from alice (by hand, at "a") has reached our user agent at "b", which has only handed it up."""
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    invite = alice.ask("INVITE", "b", headers=headers, body=body, without=without)
    wire.play()
    return wire, alice, bob, invite


def taken(*, headers: Lines = (), body: bytes = SDP) -> tuple[Wire, Peer, Node, Request]:
    """The same, answered and acknowledged."""
    wire, alice, bob, invite = offered(headers=headers, body=body)
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()
    return wire, alice, bob, invite


def calling(**changes: Any) -> tuple[Wire, Node, Peer, UacInvite]:
    """Our user agent at "a" has called bob (by hand, at "b"), who has not answered; `changes` to the plan."""
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b")
    usage = alice.place(replace(plan_to("b"), **changes))
    wire.play()
    return wire, alice, bob, usage


def answered(*, headers: Lines = (), **changes: Any) -> tuple[Wire, Node, Peer, UacInvite]:
    """The same, answered and acknowledged; `headers` of the 200."""
    wire, alice, bob, usage = calling(**changes)
    bob.reply(bob.request("INVITE"), 200, body=SDP, headers=headers)
    wire.play()
    return wire, alice, bob, usage
