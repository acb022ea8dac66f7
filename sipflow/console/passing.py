"""What a session may ask the API for: what the pages show and do, and nothing else, whatever its token is for."""

import re

_ID = r"[^/]{1,80}"
_READS = re.compile(
    rf"/v2/(?:calls(?:/{_ID}(?:/events|/events/stream|/trace|/pcap|/evidence|/quality|/recording|/listen)?)?|events|status|trunks"
    rf"|numbers|assistants|recordings/{_ID}|log)"
)
_DOES = re.compile(rf"/v2/(?:calls/{_ID}/hangup|explain)")
_RECORDINGS = "/v2/recordings/"


def passes(method: str, path: str) -> bool:
    """Whether a request of the pages goes on to the API."""
    if method in ("GET", "HEAD"):
        return _READS.fullmatch(path) is not None
    return method == "POST" and _DOES.fullmatch(path) is not None


def led_here(location: str, prefix: str) -> str:
    """Return where a redirection of the API leads below `prefix`; as it is when it leads to no recording."""
    at = location.find(_RECORDINGS)
    return prefix + location[at:] if at >= 0 else location
