"""What the layer around the transaction machines returns: it names the transaction and the hop.

Slotted dataclasses, because tuples of the same parts would compare equal.
"""

from dataclasses import dataclass, field

from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.transaction.records import ClientTransaction, ServerTransaction


@dataclass(slots=True)
class Transmit:
    """Send `data` to `hop`; if that fails, call `transport_failed(transaction)`.

    Attributes:
        data: the whole message.
        hop: where to; for a stream, `connection` says which one (0: any that is open, or a new one).
        transaction: whose message it is, None for one that belongs to no transaction.
    """

    data: bytes
    hop: Hop
    transaction: ClientTransaction | ServerTransaction | None


@dataclass(slots=True)
class NewRequest:
    """A request that is no retransmission; answer it with `respond(transaction, ...)` or `discard` it.

    Attributes:
        transaction: its server transaction; on a CANCEL, `.invite` is what it cancels (RFC 3261 §9.2).
        hop: where it came from.
        merged: it came by a second path while the first is still in work: answer 482 (RFC 3261 §8.2.2.2).
    """

    transaction: ServerTransaction
    request: Request
    hop: Hop
    merged: bool = False


@dataclass(slots=True)
class Ack:
    """An ACK that is part of no transaction: the dialog's, to a 2xx (RFC 3261 §13.3.1.4).

    Attributes:
        transaction: the INVITE's, where the ACK has the same branch: it should have one of its own, and often has not.
    """

    request: Request
    hop: Hop
    transaction: ServerTransaction | None = field(default=None, compare=False)


@dataclass(slots=True)
class NewResponse:
    """A response to a request of ours: each provisional, the final, and every 2xx to an INVITE (RFC 6026 §7.2)."""

    transaction: ClientTransaction
    response: Response
    hop: Hop


@dataclass(slots=True)
class StrayResponse:
    """A response that no transaction takes; a 2xx to an INVITE among them wants ACK and BYE (RFC 3261 §13.2.2.4)."""

    response: Response
    hop: Hop


@dataclass(slots=True)
class Expired:
    """A transaction that is over because nothing came in 64*T1.

    For a client it counts as a 408 (timers B and F, RFC 3261 §8.1.3.1). For an INVITE server no ACK came (timer H);
    for any other server its user never answered, and now need not (RFC 4320 §4.2).
    """

    transaction: ClientTransaction | ServerTransaction


@dataclass(slots=True)
class Failed:
    """A message of `transaction` could not be sent (RFC 3261 §17.1.4, §17.2.4).

    A client transaction is over and counts as a 503 (§8.1.3.1); a server transaction is over too, but for an INVITE's:
    a later response may get through (RFC 6026 §7.1).
    """

    transaction: ClientTransaction | ServerTransaction


LayerOutput = Transmit | NewRequest | Ack | NewResponse | StrayResponse | Expired | Failed
