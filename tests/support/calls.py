"""An app for `Node` that answers calls and hangs up, and the plan of a call to it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sipflow.sip.headers.address import NameAddr
from sipflow.sip.outputs import Confirmed, Ended, Event, InviteReceived, OfferReceived
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri, parse_uri
from tests.support.wire import Node

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
