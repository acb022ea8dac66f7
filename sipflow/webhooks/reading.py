"""What a reply means: a success, or why it is none, and for how long to leave its sender alone."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sipflow.webhooks.exchange import Reply


def why_failed(reply: Reply) -> str:
    """Say why a reply is no success, "" if it is one: any 2xx, however its body ended."""
    if reply.status is None:
        return reply.error or "there was no answer"
    if 200 <= reply.status < 300:
        return ""
    if 300 <= reply.status < 400:
        return f"answered {reply.status}: redirects are not followed; set the URL to where it leads"
    return f"answered {reply.status}"


def retry_after_s(reply: Reply, now: datetime) -> float | None:
    """Read Retry-After, as seconds or as a date (RFC 9110 §10.2.3); None when it is not there or makes no sense."""
    text = reply.header("retry-after").strip()
    if text.isascii() and text.isdecimal() and len(text) <= 9:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # of a date with numbers that no date has
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
