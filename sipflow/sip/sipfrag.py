"""The status line of a response as a body: how far a call of somebody else has come (RFC 3420, RFC 3515 §2.4.5)."""

import re
from typing import NamedTuple

from sipflow.sip.admission import one_line
from sipflow.sip.status import reason_phrase

CONTENT_TYPE = "message/sipfrag;version=2.0"
_MOST_BYTES = 4096  # a status line takes twenty; some send the whole response
_STATUS_LINE = re.compile(rb"\s*+SIP/2\.0[ \t]++([1-6][0-9]{2})(?![0-9])[ \t]*+([^\r\n]*+)", re.IGNORECASE)


class Fragment(NamedTuple):
    """The status line of a response that somebody else got.

    Attributes:
        status: 100 to 699.
        reason: its phrase, perhaps "".
    """

    status: int
    reason: str


def read_sipfrag(body: bytes) -> Fragment | None:
    """Read the status line of a body; None where it begins with none. Never raises."""
    match = _STATUS_LINE.match(body[:_MOST_BYTES])
    if match is None:
        return None
    return Fragment(int(match[1]), one_line(match[2].decode("utf-8", "replace").strip()))


def write_sipfrag(status: int, reason: str = "") -> bytes:
    """Write a status line as a body; control characters in `reason`, which may quote a peer, are replaced."""
    phrase = one_line(reason) or reason_phrase(status)
    return f"SIP/2.0 {status} {phrase}\r\n".encode("utf-8", "surrogateescape")
