"""Refusing a request without keeping anything of it (RFC 3261 §8.2.7)."""

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, make_response

_TAG_PREFIX = "busy-"


class Busy(NamedTuple):
    """The answer to a request that gets no transaction.

    Attributes:
        retry_after_s: what the 503 says, at least 1; 0 answers nothing at all.
        why: in plain words without quotes, for the Warning.
    """

    retry_after_s: int
    why: str


Guard = Callable[[Request, Hop], Busy | None]
"""Asked about each new request outside a dialog, and about no repetition; must not raise. None lets it pass."""


def _tag(request: Request) -> str:
    """The same tag for every retransmission, and for the ACK to know again (§8.2.7)."""
    identity = f"{request.branch}\n{request.from_.tag}\n{request.call_id}\n{request.cseq.number}"
    return _TAG_PREFIX + blake2b(identity.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def refuse_statelessly(request: Request, retry_after_s: int, why: str = "too many transactions") -> bytes:
    """Build the 503 for a request that gets no transaction, saying when to come back (§21.5.4)."""
    lines = (("Retry-After", str(retry_after_s)), ("Warning", f'399 sipflow "{why}"'))
    return bytes(make_response(request, 503, to_tag=_tag(request), headers=lines))


def acknowledges_refusal(ack: Request) -> bool:
    """Whether an ACK belongs to a 503 of `refuse_statelessly`, and so to nobody."""
    try:
        tag = ack.to.tag
        return tag is not None and tag.startswith(_TAG_PREFIX) and tag == _tag(ack)
    except RemoteProtocolError:
        return False
