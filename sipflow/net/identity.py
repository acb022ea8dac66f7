"""Whether a certificate is that of the SIP domain, or of the address, that we wanted to reach (RFC 5922 §7)."""

import ssl
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from sipflow.errors import RemoteProtocolError
from sipflow.net.literal import family_of
from sipflow.sip.uri import SipUri, parse_uri

_HOSTNAME_MISMATCH, _IP_MISMATCH = 62, 64  # X509_V_ERR_* of OpenSSL
_SHOWN = 5  # names of a certificate; some carry a hundred

Certificate = dict[str, Any]  # as `ssl.SSLSocket.getpeercert` gives it


class NamedPeer(ssl.SSLObject):
    """The TLS of a connection whose peer must prove the name that it was asked for by.

    The `ssl` module's own check knows no SIP URIs. This one takes its place; it belongs to the handshake, so that not
    an octet of ours has been sent when it fails.
    """

    def do_handshake(self) -> None:
        """Shake hands, and check the name at the end of it.

        Raises:
            ssl.SSLCertVerificationError: the certificate is another's.
        """
        super().do_handshake()
        if not self.server_side:
            check_name(self.getpeercert() or {}, self.server_hostname or "")


def check_name(certificate: Certificate, name: str) -> None:
    """Check that a certificate that we trust is for `name`, a host name or an IP literal.

    Raises:
        ssl.SSLCertVerificationError: it is for others; the message lists them.
    """
    addresses, domains = list(_addresses(certificate)), list(_domains(certificate))
    if family_of(name):
        if not any(_same_address(address, name) for address in addresses):
            raise _mismatch([*domains, *addresses], name, _IP_MISMATCH)
    elif not name or not any(_same_domain(domain, name) for domain in domains):
        raise _mismatch([*domains, *addresses], name, _HOSTNAME_MISMATCH)


def _domains(certificate: Certificate) -> Iterable[str]:
    """The domains that it is for: SIP URIs without user, and DNS names; where it lists nothing, its common name."""
    alternatives = certificate.get("subjectAltName", ())
    for kind, value in alternatives:
        if kind == "DNS":
            yield value
        elif kind == "URI":
            yield from _sip_domain(value)
    if not alternatives:  # RFC 5922 §7.1: only then
        for part in certificate.get("subject", ()):
            yield from (value for kind, value in part if kind == "commonName")


def _sip_domain(text: str) -> Iterable[str]:
    try:
        uri = parse_uri(text)
    except RemoteProtocolError:
        return
    # RFC 5922 §7.1: no other scheme counts, and one with a user names a user and not his domain.
    if isinstance(uri, SipUri) and uri.scheme == "sip" and uri.user is None:
        yield uri.host


def _addresses(certificate: Certificate) -> Iterable[str]:
    return (value for kind, value in certificate.get("subjectAltName", ()) if kind == "IP Address")


def _same_domain(pattern: str, name: str) -> bool:
    """Compare without case; `*` stands for one label in front of at least two.

    RFC 5922 §7.2 allows no wildcard at all, but carriers have such certificates, and browsers' rules for them are safe.
    """
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == name
    domain = pattern[2:]
    label, _, rest = name.partition(".")
    return bool(label) and "." in domain and "*" not in domain and rest == domain


def _same_address(address: str, name: str) -> bool:
    try:
        return ip_address(address) == ip_address(name.partition("%")[0])
    except ValueError:
        return False


def _mismatch(names: list[str], name: str, code: int) -> ssl.SSLCertVerificationError:
    listed = ", ".join("".join(c if c.isprintable() else "?" for c in one)[:80] for one in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    message = f"it names {listed or 'nobody'}{more}, not {name or 'an unknown host'}"
    error = ssl.SSLCertVerificationError(message)
    error.verify_code, error.verify_message = code, message
    return error
