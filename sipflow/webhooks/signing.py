"""Signatures of webhooks: made here when we send, and checked with the same code by whoever receives.

A receiver written in Python needs one line:

    if not verify(secret, request.headers, await request.body()):
        return 401

Two signatures go with each request. `X-Sipflow-Signature` covers the time and the whole body, so that neither can be
changed and an old request cannot be sent again for long. `HTTP_SYNTHFLOW_SIGNATURE` covers the id of the call only; it
is there for receivers that know it already, and proves nothing about the body.
"""

import base64
import hmac
import re
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256

TIMESTAMP, SIGNATURE = "X-Sipflow-Timestamp", "X-Sipflow-Signature"
COMPATIBLE = "HTTP_SYNTHFLOW_SIGNATURE"
VERSION = "v1"
TOLERANCE_S = 300  # how far the clocks of both sides may be apart, and how long a request can be sent again

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def signed_headers(secrets: Sequence[str], *, body: bytes, call_id: str, at: float) -> list[tuple[str, str]]:
    """Give the header lines that sign a request.

    Args:
        secrets: one signature each, so that a receiver may know the old one or the new one; none gives no lines. The
            compatible signature is made with the first.
        body: of the request, octet for octet.
        call_id: what the compatible signature covers.
        at: UTC wall clock, seconds since 1970.
    """
    if not secrets:
        return []
    timestamp = str(int(at))
    signatures = ",".join(f"{VERSION}={signature(secret, timestamp=timestamp, body=body)}" for secret in secrets)
    return [
        (TIMESTAMP, timestamp),
        (SIGNATURE, signatures),
        (COMPATIBLE, compatible_signature(secrets[0], call_id)),
    ]


def signature(secret: str, *, timestamp: str, body: bytes) -> str:
    """Compute HMAC-SHA256 over `timestamp.body`, in hexadecimal (RFC 2104)."""
    return hmac.new(secret.encode(), timestamp.encode("ascii", "replace") + b"." + body, sha256).hexdigest()


def compatible_signature(secret: str, call_id: str) -> str:
    """Compute HMAC-SHA256 over the id of the call, in base64."""
    return base64.b64encode(hmac.new(secret.encode(), call_id.encode(), sha256).digest()).decode("ascii")


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Say whether a webhook is ours, unchanged and fresh; compares in constant time.

    Args:
        secret: as in the configuration of sipflow.
        headers: of the request; the case of names does not matter.
        body: as received, before any JSON is read.
        now: seconds since 1970; None for this machine's clock.
        tolerance_s: how old, or how far ahead, the request may be.
    """
    return not problem(secret, headers, body, now=now, tolerance_s=tolerance_s)


def problem(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Say why `verify` says no, in a sentence for a log; "" when it says yes."""
    found = {name.lower(): value for name, value in headers.items()}
    timestamp, given = found.get(TIMESTAMP.lower(), "").strip(), found.get(SIGNATURE.lower(), "")
    if not given or not timestamp:
        return f"the request is not signed: {SIGNATURE} or {TIMESTAMP} is missing"
    if _SECONDS.fullmatch(timestamp) is None:
        return f"{TIMESTAMP} is not a number of seconds"
    expected = signature(secret, timestamp=timestamp, body=body).encode()
    candidates = [part.strip() for part in given.split(",")]
    # Every one is compared, so that the time tells nothing about which.
    matches = [
        hmac.compare_digest(expected, candidate.removeprefix(f"{VERSION}=").encode("utf-8", "replace"))
        for candidate in candidates
        if candidate.startswith(f"{VERSION}=")
    ]
    if not any(matches):
        return "the signature does not fit: another secret, or the body was changed on the way"
    apart_s = (time.time() if now is None else now) - int(timestamp)
    if abs(apart_s) > tolerance_s:
        return f"the request is {apart_s:.0f} s old, more than {tolerance_s:g} s either way"
    return ""


def verify_compatible(secret: str, headers: Mapping[str, str], call_id: str) -> bool:
    """Say whether the compatible signature fits the id of the call; it says nothing about the body."""
    given = next((value for name, value in headers.items() if name.upper() == COMPATIBLE), "")
    return hmac.compare_digest(compatible_signature(secret, call_id).encode(), given.strip().encode("utf-8", "replace"))
