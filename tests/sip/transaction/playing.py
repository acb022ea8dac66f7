"""Plays machines and layers on a clock of its own, and writes the messages they are fed with."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.parser import parse_datagram
from sipflow.sip.transaction.layer import ClientTransaction, ServerTransaction, TransactionLayer
from sipflow.sip.transaction.outputs import NewRequest, Transmit

UDP = Hop("udp", "192.0.2.1", 5060, "192.0.2.99", 5060)
TCP = Hop("tcp", "192.0.2.1", 40001, "192.0.2.99", 5060, connection=7)
OTHER = Hop("udp", "203.0.113.5", 5060, "192.0.2.99", 5060)
LAST_MOMENT = 100.0  # every timer of RFC 3261 table 4 is over by then

Played = list[tuple[float, Any]]


class Timed(Protocol):
    """A machine, or the whole layer."""

    @property
    def deadline(self) -> float | None: ...

    def handle_timer(self, *, now: float) -> Sequence[object]: ...


def run_until_silent(timed: Timed, first: Iterable[object] = (), *, now: float = 0.0) -> Played:
    """Call `handle_timer` at each deadline until there is none; `first` is what was returned at `now`."""
    played: Played = [(now, output) for output in first]
    while (at := timed.deadline) is not None and at <= LAST_MOMENT:
        assert at >= now, f"the clock ran back from {now} to {at}"
        now = at
        outputs = timed.handle_timer(now=at)
        played += [(at, output) for output in outputs]
        assert timed.deadline != at, f"still due at {at}: a shell would spin"
    return played


def request(
    method: str = "INVITE",
    *,
    uri: str = "sip:bob@192.0.2.99",
    via: str = "SIP/2.0/UDP 192.0.2.1",
    branch: str | None = "z9hG4bK-1",
    via_params: str = "",
    from_tag: str | None = "alice",
    to_tag: str | None = None,
    call_id: str = "call-1",
    cseq: int = 1,
    more: str = "",
) -> Request:
    """A request as the parser gives it."""
    top = f"{via};branch={branch}{via_params}" if branch is not None else f"{via}{via_params}"
    text = (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: {top}\r\n"
        f"From: <sip:alice@192.0.2.1>{_tag(from_tag)}\r\n"
        f"To: <sip:bob@192.0.2.99>{_tag(to_tag)}\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        f"Max-Forwards: 70\r\n{more}"
        "Content-Length: 0\r\n\r\n"
    )
    parsed = parse_datagram(text.encode())
    assert isinstance(parsed, Request)
    return parsed


def _tag(tag: str | None) -> str:
    return "" if tag is None else f";tag={tag}"


def response(to: Request, status: int, *, tag: str | None = "bob") -> Response:
    """A response as the parser gives it."""
    parsed = parse_datagram(bytes(make_response(to, status, to_tag=tag)))
    assert isinstance(parsed, Response)
    return parsed


def accept(layer: TransactionLayer, new: Request, hop: Hop = UDP, *, now: float = 0.0) -> ServerTransaction:
    """Feed a request that must be new, and return its transaction."""
    (output,) = layer.receive_request(new, hop, now=now)
    assert isinstance(output, NewRequest)
    return output.transaction


def place(layer: TransactionLayer, ours: Request, hop: Hop = UDP, *, now: float = 0.0) -> ClientTransaction:
    transaction, outputs = layer.request(ours, hop, now=now)
    assert outputs == [Transmit(bytes(ours), hop, transaction)]
    return transaction
