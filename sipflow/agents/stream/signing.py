"""The signed handshake: a bot can tell that it was sipflow who called, which call it is, and that it is no replay."""

import hmac
from hashlib import sha256

TIMESTAMP, CALL, SIGNATURE = "X-Sipflow-Timestamp", "X-Sipflow-Call", "X-Sipflow-Signature"
VERSION = "v1"
TOLERANCE_S = 300  # how far the clocks of both sides may be apart


def signed_headers(secret: str, *, url: str, call_id: str, at: float) -> list[tuple[str, str]]:
    """Give the header lines of a signed handshake.

    Args:
        secret: known to both sides, at least 16 characters.
        url: as configured, query and all.
        call_id: sipflow's id of the call.
        at: UTC wall clock, seconds since 1970.
    """
    timestamp = str(int(at))
    return [
        (TIMESTAMP, timestamp),
        (CALL, call_id),
        (SIGNATURE, f"{VERSION}={signature(secret, timestamp=timestamp, call_id=call_id, url=url)}"),
    ]


def signature(secret: str, *, timestamp: str, call_id: str, url: str) -> str:
    """Compute HMAC-SHA256 over `timestamp.call_id.url`, in hexadecimal (RFC 2104)."""
    return hmac.new(secret.encode(), f"{timestamp}.{call_id}.{url}".encode(), sha256).hexdigest()
