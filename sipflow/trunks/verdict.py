"""What the end of a REGISTER means: what to do next, and the sentence an operator reads."""

from enum import Enum, auto

from sipflow.sip.headers.scalars import parse_min_expires, parse_retry_after
from sipflow.sip.message import Response
from sipflow.sip.plan import Outcome
from sipflow.sip.uri import SipUri
from sipflow.trunks.settings import LONGEST_EXPIRES_S
from sipflow.trunks.trunk import Trunk

_REDIRECTS = (300, 301, 302, 305)
_PASSING = frozenset({408, 423, 429, 430, 480, 482, 486, 491, 494})  # 4xx that another moment may answer otherwise
_NOT_IMPLEMENTED = 501
_REASON_LIMIT = 80  # characters of a stranger's text in one of our sentences

_ADVICE = {
    403: "check username and password",
    404: "the registrar does not know this user; check username and sip_domain",
    405: "this host is no registrar; check sip_domain and outbound_proxy, or leave out register",
    406: "the registrar does not take what we send; its log says more",
    410: "the account no longer exists; ask the provider",
    416: "check sip_domain",
    420: "the registrar does not know an extension we offer; its log says more",
    423: "raise register.expires",
    501: "this host is no registrar; check sip_domain and outbound_proxy, or leave out register",
    604: "the registrar does not know this user; check username and sip_domain",
}


class Ruling(Enum):
    """What to do next."""

    GRANTED = auto()
    MOVED = auto()
    TOO_BRIEF = auto()
    REJECTED = auto()
    FAILED = auto()


def judge(status: int) -> Ruling:
    """Say what a final status to a REGISTER means; an unknown status is taken for its class (RFC 3261 §8.1.3.2)."""
    if 200 <= status < 300:
        return Ruling.GRANTED
    if status in _REDIRECTS:
        return Ruling.MOVED
    if status == 423:
        return Ruling.TOO_BRIEF
    if status in _PASSING or (status >= 500 and status < 600 and status != _NOT_IMPLEMENTED) or status < 400:
        return Ruling.FAILED
    return Ruling.REJECTED


def explain(trunk: Trunk, outcome: Outcome, destination: SipUri) -> str:
    """Say in one sentence how a REGISTER ended, and what to do about it."""
    who = trunk.username
    if outcome.response is None:
        reason = _plain(outcome.reason) or "no answer"
        return f"trunk {trunk.name}: REGISTER as {who} to {destination}: {reason}"
    source = f" from {outcome.hop.host}" if outcome.hop is not None else ""
    realm = f" (realm {_plain(outcome.realm)})" if outcome.realm else ""
    said = f"{outcome.status} {_plain(outcome.reason)}".rstrip()
    advice = _advice(trunk, outcome)
    return f"trunk {trunk.name}: {said}{source} to REGISTER as {who}{realm}{': ' if advice else ''}{advice}"


def retry_after_s(response: Response | None) -> int:
    """Read Retry-After, 0 to 86400 s; 0 when there is none that can be read (RFC 3261 §20.33)."""
    value = response.headers.get("Retry-After") if response is not None else None
    seconds = parse_retry_after(value) if value is not None else None
    return min(seconds or 0, LONGEST_EXPIRES_S)


def min_expires_s(response: Response | None) -> int:
    """Read Min-Expires, 0 to 86400 s; 0 when there is none that can be read (RFC 3261 §20.23)."""
    value = response.headers.get("Min-Expires") if response is not None else None
    seconds = parse_min_expires(value) if value is not None else None
    return min(seconds or 0, LONGEST_EXPIRES_S)


def _advice(trunk: Trunk, outcome: Outcome) -> str:
    if outcome.status not in (401, 407):
        return _ADVICE.get(outcome.status, "")
    if not trunk.password:
        return "the registrar asks for a password and the trunk has none; set password"
    if not outcome.realm:
        return "its challenge cannot be read, or names no realm"
    if outcome.challenges_answered:
        return "check username, auth_username and password"
    if trunk.realm is not None and outcome.realm != trunk.realm:
        return f"the trunk answers only realm {trunk.realm}; check realm"
    if not trunk.allow_md5:
        return "no challenge could be answered; the registrar may know only MD5, which allow_md5 forbids"
    return "no challenge could be answered; the registrar uses an algorithm we do not know"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:_REASON_LIMIT]
