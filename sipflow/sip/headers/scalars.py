"""Headers that are one number: Max-Forwards, Expires, Min-Expires, Content-Length, Retry-After.

An absurd number is a peer's fault that hurts nobody when it is read as RFC 4475 §3.1.2.4 and §3.1.2.5 advise: as if the
header were absent, or at its default. Only Content-Length frames messages, and is never guessed.
"""

import re

from sipflow.errors import RemoteProtocolError

DEFAULT_EXPIRES_S = 3600  # RFC 3261 §20.10: what malformed values are taken for
_DELTA_LIMIT = 2**32  # RFC 3261 §25.1 delta-seconds, and §20.19: 0..2**32-1
_MAX_FORWARDS_LIMIT = 256  # RFC 3261 §20.22: 0..255
_DIGITS = re.compile(r"[0-9]+")
_LEADING_DIGITS = re.compile(r"([0-9]+)(?![0-9A-Za-z.])")
_NINE = 9  # digits that any limit of ours fits in; also keeps int() away from its 4300-digit error


def parse_number(value: str, limit: int) -> int | None:
    """Read 1*DIGIT below `limit`; None for anything else. Leading zeros do not count (RFC 4475 §3.1.1.1)."""
    if len(value) <= _NINE and value.isascii() and value.isdigit():
        number = int(value)
        return number if number < limit else None
    if _DIGITS.fullmatch(value) is None:
        return None
    significant = value.lstrip("0")
    if len(significant) > len(str(limit)):
        return None
    number = int(significant or "0")
    return number if number < limit else None


def parse_max_forwards(value: str) -> int | None:
    """Read Max-Forwards; None when it is above 255, as if it were absent (RFC 4475 §3.1.2.4).

    Raises:
        RemoteProtocolError: it is no number at all (status 400).
    """
    number = parse_number(value, _MAX_FORWARDS_LIMIT)
    if number is None and _DIGITS.fullmatch(value) is None:
        raise RemoteProtocolError(f"not a Max-Forwards: {value[:80]!r}")
    return number


def parse_expires(value: str) -> int:
    """Read Expires or an `expires` parameter, in seconds; 3600 for anything malformed (RFC 3261 §20.10, §20.19)."""
    number = parse_number(value, _DELTA_LIMIT)
    return DEFAULT_EXPIRES_S if number is None else number


def parse_min_expires(value: str) -> int | None:
    """Read Min-Expires, in seconds; None when it is malformed."""
    return parse_number(value, _DELTA_LIMIT)


def parse_retry_after(value: str) -> int | None:
    """Read the seconds of `120 (in a meeting);duration=60`; None when malformed or above 2**32-1 (RFC 4475 §3.1.2.5).

    Four thousand million seconds are legal: whoever waits sets a limit of their own.
    """
    match = _LEADING_DIGITS.match(value)
    return None if match is None else parse_number(match[1], _DELTA_LIMIT)


def parse_content_length(value: str, limit: int) -> int:
    """Read Content-Length, in octets, not above `limit`.

    Raises:
        RemoteProtocolError: not 1*DIGIT (status 400), or more than `limit` (status 413).
    """
    number = parse_number(value, limit + 1)
    if number is not None:
        return number
    if _DIGITS.fullmatch(value) is None:
        raise RemoteProtocolError(f"not a Content-Length: {value[:80]!r}")
    raise RemoteProtocolError(f"Content-Length {value[:20]} is more than {limit} octets", status=413)


def parse_preference(text: str | None) -> float:
    """Read a q value (RFC 3261 §25.1), 0 to 1; 1 where there is none that can be read."""
    if text is None or not text.isascii() or not text.replace(".", "", 1).isdigit() or len(text) > 5:
        return 1.0
    return min(float(text), 1.0)
