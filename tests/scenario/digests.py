"""Digest answers checked by hand, with nothing but hashlib (RFC 7616 §3.4.1): the far end of our own arithmetic."""

import hashlib
import re
from collections.abc import Callable

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data).hexdigest(),
}
_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_ANSWERED = re.compile(r"^([A-Z]+) (\S+) SIP/2\.0\r?$.*?^(?:Proxy-)?Authorization: Digest ([^\r\n]+)", re.M | re.S)


def parameters(text: str) -> dict[str, str]:
    """The parameters of a challenge or an answer."""
    return {name: quoted or plain for name, quoted, plain in _PARAMETER.findall(text)}


def answer(method: str, given: dict[str, str], password: str) -> str:
    """Compute `response` for credentials that hold everything else."""
    hashed = _HASHES[given["algorithm"]]

    def of(*parts: str) -> str:
        return hashed(":".join(parts).encode())

    secret = of(given["username"], given["realm"], password)
    action = of(method, given["uri"])
    if "qop" not in given:
        return of(secret, given["nonce"], action)
    return of(secret, given["nonce"], given["nc"], given["cnonce"], given["qop"], action)


def answered_requests(trace: str) -> list[tuple[str, str, dict[str, str]]]:
    """Find method, Request-URI and credentials of every request with credentials in SIPp's trace of messages."""
    found = []
    for message in trace.split("-----------------------------------------------"):
        match = _ANSWERED.search(message)
        if match is not None:
            found.append((match[1], match[2], parameters(match[3])))
    return found
