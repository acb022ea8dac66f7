"""Digits in SIP INFO: `application/dtmf-relay` and `application/dtmf`, which no RFC defines and everybody sends."""

import re
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.message import Request

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"

_MOST_BYTES = 512  # a digit takes thirty
_LONGEST_MS = 60_000
_KEYS = "0123456789*#ABCD"  # in the order of their codes (RFC 4733 §3.2), which some send instead of * and #
_LINE = re.compile(r"[ \t]*([A-Za-z]{1,20})[ \t]*[=:][ \t]*(.{0,20}?)[ \t]*", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


class InfoDigit(NamedTuple):
    """A digit, and for how many milliseconds its sender says it was pressed; 0 where it does not say."""

    digit: str
    duration_ms: int = 0


def read_digit(request: Request) -> InfoDigit | None:
    """Read the digit of an INFO; None where there is none: another body, a hook flash. Never raises.

    Senders differ, and are taken as they are: either body under either type, with or without spaces and line ends,
    in either case, `10` and `11` for `*` and `#`.
    """
    try:
        essence = request.content_type
    except RemoteProtocolError:
        return None
    if essence not in (RELAY, PLAIN) or len(request.body) > _MOST_BYTES:
        return None
    lines = request.body.decode("ascii", "replace").replace("\0", "").replace(";", "\n").split("\n")
    fields = {match[1].lower(): match[2] for line in lines if (match := _LINE.fullmatch(line.strip("\r")))}
    digit = _key(fields["signal"] if "signal" in fields else lines[0])
    if not digit:
        return None
    duration = fields.get("duration", "")
    duration_ms = min(int(duration), _LONGEST_MS) if _NUMBER.fullmatch(duration) else 0
    return InfoDigit(digit, duration_ms)


def write_digit(digit: str, *, duration_ms: int) -> bytes:
    """Write the body of an INFO of type `application/dtmf-relay`."""
    return f"Signal={digit.upper()}\r\nDuration={duration_ms}\r\n".encode()


def _key(text: str) -> str:
    """The key a text names, "" for none."""
    text = text.strip().upper()
    if len(text) == 1 and text in _KEYS:
        return text
    if _NUMBER.fullmatch(text) and 10 <= int(text) < len(_KEYS):
        return _KEYS[int(text)]
    return ""
