"""Where a registrar's 3xx sends us (RFC 3261 §8.1.3.4), within limits."""

from contextlib import suppress

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.scalars import parse_preference
from sipflow.sip.message import Response
from sipflow.sip.uri import SipUri
from sipflow.trunks.proxy import TRANSPORTS

MAX_REDIRECTS = 5  # a chain as long as this is a loop or a mistake


class Redirects:
    """Follows the redirections of one registration.

    301 is remembered for the attempts that follow until one fails; 300, 302 and 305 hold for this attempt.

    Attributes:
        target: where the current attempt is sent instead of the trunk's destination; None for that itself.
    """

    __slots__ = ("_home", "_moved", "_others", "_permanent", "_tried", "target")

    def __init__(self, home: SipUri) -> None:
        self._home = home
        self._moved: SipUri | None = None
        self._tried: list[SipUri] = []
        self._permanent = True
        self._others: list[tuple[SipUri, bool]] = []  # what else was named, best first, and whether by 301s alone
        self.target: SipUri | None = None

    def begin(self) -> None:
        """Start a new attempt."""
        self.target = self._moved
        self._tried = [self.target or self._home]
        self._permanent = True
        self._others.clear()

    def failed(self) -> None:
        """Forget where a 301 sent us: the next attempt goes to the trunk's own destination."""
        self._moved = None

    def follow(self, status: int, response: Response) -> str:
        """Take the best usable Contact of a 3xx as `target`, and keep the others for `go_on`.

        Returns:
            "" when there is one, else why the redirection cannot be followed.
        """
        if len(self._tried) > MAX_REDIRECTS:
            return f"redirected more than {MAX_REDIRECTS} times"
        why = "the redirection names no SIP address"
        permanent = self._permanent and status == 301  # RFC 3261 §21.3.2: only 301 SHOULD be remembered
        found: list[tuple[SipUri, bool]] = []
        for contact in _contacts(response):
            target, why_not = self._usable(contact)
            if target is not None:
                found.append((target, permanent))
            else:
                why = why_not
        self._others[:0] = found[:MAX_REDIRECTS]
        return "" if found and self.go_on() else why

    def go_on(self) -> bool:
        """Take the next place that was named as `target` (RFC 3261 §8.1.3.4); False when there is none."""
        while self._others and len(self._tried) <= MAX_REDIRECTS:
            target, permanent = self._others.pop(0)
            if target not in self._tried:
                self._tried.append(target)
                self.target, self._permanent = target, permanent
                self._moved = target if permanent else self._moved
                return True
        return False

    def _usable(self, contact: NameAddr) -> tuple[SipUri | None, str]:
        uri = contact.uri
        if not isinstance(uri, SipUri):
            return None, f"the redirection goes to {uri}, which is no SIP address"
        transport = (uri.param("transport") or "").lower()
        if transport and transport not in TRANSPORTS:
            return None, f"the redirection asks for transport {transport}"
        params = (("transport", transport),) if transport else ()
        target = SipUri(uri.scheme, None, None, uri.host, uri.port, params)
        if _is_secure(self._home) and not _is_secure(target):
            return None, f"the redirection to {target} would leave TLS"  # RFC 3261 §8.1.3.4
        if target in self._tried:
            return None, f"the redirection leads back to {target}"
        return target, ""


def _is_secure(uri: SipUri) -> bool:
    return uri.scheme == "sips" or (uri.param("transport") or "").lower() == "tls"


def _contacts(response: Response) -> list[NameAddr]:
    """All Contacts that can be read, best first (RFC 3261 §20.10: q): a broken one spoils no other."""
    try:
        values = response.headers.values("Contact")
    except RemoteProtocolError:
        return []
    found: list[NameAddr] = []
    for value in values:
        with suppress(RemoteProtocolError):
            found.append(NameAddr.parse(value))
    return sorted(found, key=lambda contact: -parse_preference(contact.param("q")))
