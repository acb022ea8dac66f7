"""The one place where SIP messages are logged, with secrets masked."""

import re
from collections.abc import Callable
from typing import Protocol

import structlog

from sipflow.sip.hop import Hop

_DEBUG = 10  # logging.DEBUG
_HIDDEN = "***"
_HIDDEN_KEY = "hidden"  # as often as it takes: Wireshark calls a message broken whose key is no base64 of its length

# What lets somebody who reads a log act in our name. Digest responses too: with the rest of the line they can be tried
# against a dictionary of passwords at leisure (RFC 7616 §5.8). Every repetition is bounded or cannot backtrack.
_DIGEST_PROOF = re.compile(r'(?i)\b((?:response|rspauth)[ \t]*=[ \t\r\n]*)("[^"\r\n]*"|[^\s,;"]+)')
_OTHER_CREDENTIALS = re.compile(
    r"(?im)^((?:proxy-)?authorization[ \t]*:(?:[ \t]|\r\n[ \t])*(?!digest\b)[!-~]+)[ \t][^\r\n]*(?:\r\n[ \t][^\r\n]*)*"
)
_URI_PASSWORD = re.compile(r"""(?i)\b(sips?:[^\s:@<>"]{1,128}:)[^\s@<>"]{1,128}@""")
_SDP_KEY = re.compile(
    r"(?im)^(k=(?:clear|base64|uri):)[^\r\n]*|(\binline:)([^\s|;]+)|^(a=key-mgmt:[!-~]+[ \t])[^\r\n]*"
)
_DIGIT = re.compile(
    r"(?im)^(signal[ \t]*=[ \t]*)[0-9*#a-d][^\r\n]*|(\r\n\r\n)[0-9*#a-d][ \t]*(?:\r\n)?\Z"
)  # of INFO: of PINs
_CALL_ID = re.compile(r"(?im)^(?:call-id|i)[ \t]*:[ \t]*([!-~]{1,256})")


def mask(text: str) -> str:
    """Hide what is secret in SIP or SDP: digest proofs and other credentials, URI passwords, media keys, digits."""
    text = _DIGEST_PROOF.sub(rf"\1{_HIDDEN}", text)
    text = _OTHER_CREDENTIALS.sub(rf"\1 {_HIDDEN}", text)
    text = _URI_PASSWORD.sub(rf"\1{_HIDDEN}@", text)
    text = _DIGIT.sub(rf"\1\2{_HIDDEN}", text)
    return _SDP_KEY.sub(_without_key, text)


def _without_key(found: re.Match[str]) -> str:
    if found[2]:
        size = len(found[3])
        return found[2] + (_HIDDEN_KEY * (size // len(_HIDDEN_KEY) + 1))[:size]
    return f"{found[1] or found[4]}{_HIDDEN}"


def masked(data: bytes) -> bytes:
    """Do the same to a message as it is on the wire; all other octets stay as they are."""
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


class Tracer(Protocol):
    """Sees every whole message on its way; must not block, raise or keep `data` unmasked where people read it."""

    def sent(self, data: bytes, hop: Hop) -> None:
        """Take note of a message given to the network."""

    def received(self, data: bytes, hop: Hop) -> None:
        """Take note of a message that came from the network."""


class LogTracer:
    """Writes one debug line per message.

    Attributes:
        owner_of: gives the call of ours that a Call-ID belongs to, "" for none.
    """

    def __init__(self) -> None:
        self.owner_of: Callable[[str], str] = lambda _call_id: ""
        self._log = structlog.get_logger("sipflow.sip")

    def sent(self, data: bytes, hop: Hop) -> None:
        self._line("sip sent", data, hop)

    def received(self, data: bytes, hop: Hop) -> None:
        self._line("sip received", data, hop)

    def _line(self, event: str, data: bytes, hop: Hop) -> None:
        text = data.decode("utf-8", "backslashreplace")
        call_id = _CALL_ID.search(text)
        known = {"call_id": call_id[1]} if call_id is not None else {}
        if call_id is not None and (owner := self.owner_of(call_id[1])):
            known["call"] = owner
        self._log.debug(event, hop=str(hop), size_bytes=len(data), message=mask(text), **known)


def log_tracer() -> LogTracer | None:
    """Give a `LogTracer` if debug lines are written at all, else None, which costs nothing per message.

    A program that never configured structlog gets None too: its default would print every message.
    """
    if not structlog.is_configured():
        return None
    enabled = getattr(structlog.get_logger("sipflow.sip"), "is_enabled_for", None)
    return LogTracer() if enabled is None or enabled(_DEBUG) else None
