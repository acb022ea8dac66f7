"""Session-Expires and Min-SE: how long a session lasts without a refresh, and who sends that (RFC 4028 §4, §5)."""

from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import find_param, parse_params
from sipflow.sip.headers.scalars import parse_number

_DELTA_LIMIT = 2**32  # RFC 3261 §25.1 delta-seconds
_ROLES = ("uac", "uas")


class SessionExpires(NamedTuple):
    """One Session-Expires value.

    Attributes:
        interval_s: seconds without a refresh after which the session is over.
        refresher: "uac" or "uas", as the two sides of this one transaction are; "" where that is left open.
    """

    interval_s: int
    refresher: str = ""

    @classmethod
    def parse(cls, value: str) -> "SessionExpires":
        """Read a Session-Expires value, such as `1800;refresher=uac`.

        Raises:
            RemoteProtocolError: it is none (status 400).
        """
        number, semicolon, rest = value.partition(";")
        interval_s = parse_number(number.strip(" \t"), _DELTA_LIMIT)
        if interval_s is None:
            raise RemoteProtocolError(f"not a Session-Expires: {value[:80]!r}")
        refresher = (find_param(parse_params(semicolon + rest), "refresher") or "").lower()
        return cls(interval_s, refresher if refresher in _ROLES else "")

    def __str__(self) -> str:
        return f"{self.interval_s};refresher={self.refresher}" if self.refresher else str(self.interval_s)


def parse_min_se(value: str) -> int | None:
    """Read Min-SE, in seconds; None when it is malformed. Its parameters mean nothing (RFC 4028 §5)."""
    return parse_number(value.partition(";")[0].strip(" \t"), _DELTA_LIMIT)
