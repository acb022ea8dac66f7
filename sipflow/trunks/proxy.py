"""Reads the addresses of a trunk as people write them: outbound proxy, SIP domain, origination URI."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from sipflow.errors import LocalProtocolError
from sipflow.sip.uri import SipUri

TRANSPORTS = ("udp", "tcp", "tls")

_PROXY_FORMS = "sip:host, sip:host:port, sip:host;transport=tcp, sips:host, host:port or host:port;transport=tls"
_DOMAIN_FORMS = "pbx.example.com, pbx.example.com:5070 or [2001:db8::1]"
_ADVERTISE_FORMS = "203.0.113.5, 203.0.113.5:5060 or edge.example.com"
_ORIGINATION_FORMS = "sip:203.0.113.5:5060 or sip:edge.example.com"

_SCHEME = re.compile(r"(sips?):(?!//)(.*)", re.IGNORECASE | re.DOTALL)
_HOST_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::([0-9]{1,5}))?")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # "_" is not legal, and common in container networks
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,127}}\.?")
_NAME_LIMIT = 253  # RFC 1035 §2.3.4, written with dots
_NUMERIC_END = re.compile(r"(?:.*\.)?[0-9]+\.?")  # RFC 3261 §25.1: a name's last label begins with a letter
_V6_LIKE = re.compile(r"[0-9A-Fa-f:.]*::[0-9A-Fa-f:.]*")
_PARAM = re.compile(r"([-.!*_+`'~0-9A-Za-z]+)(?:[ \t]*=[ \t]*((?:[-.!*_+`'~0-9A-Za-z:\[\]/&$]|%[0-9A-Fa-f]{2})+))?")


def parse_outbound_proxy(text: str) -> SipUri:
    """Read an outbound proxy in any form people write it.

    Scheme, `<>`, port, parameters and white space around the parts are all optional. Without a scheme it is `sip`.

    Args:
        text: such as `sip:10.0.0.5:5065`, `<sip:proxy.example.com;lr>`, `proxy;transport=tcp`, `[::1]:5060`.

    Returns:
        The URI, with `transport` in lower case and every other parameter as written, `lr` included.

    Raises:
        LocalProtocolError: it is none of these forms; the sentence says what is wrong and shows the right ones.
    """
    parts = _split(text, _PROXY_FORMS)
    params: list[tuple[str, str | None]] = []
    for name, value in parts.params:
        if any(name == known for known, _ in params):
            raise _wrong(text, f"{name} is given twice", _PROXY_FORMS)
        params.append((name, _transport(text, parts.scheme, value) if name == "transport" else value))
    return SipUri(parts.scheme, None, None, parts.host, parts.port, tuple(params))


def parse_sip_domain(text: str) -> SipUri:
    """Read a SIP domain: a host name or IP address, perhaps with a port, perhaps with `sip:` before it.

    Raises:
        LocalProtocolError: it is none of these; the sentence says what is wrong and shows the right forms.
    """
    parts = _split(text, _DOMAIN_FORMS)
    if parts.scheme == "sips":
        raise _wrong(text, "a domain has no scheme; for TLS set transport: tls", _DOMAIN_FORMS)
    if parts.params:
        raise _wrong(text, "a domain has no parameters; they belong into outbound_proxy", _DOMAIN_FORMS)
    return SipUri("sip", None, None, parts.host, parts.port)


def parse_origination_uri(text: str) -> SipUri:
    """Read an origination URI: the address and port of ours that a provider knows us by.

    Raises:
        LocalProtocolError: it is no SIP URI of a host; the sentence says what is wrong and shows the right forms.
    """
    parts = _split(text, _ORIGINATION_FORMS)
    return SipUri(parts.scheme, None, None, parts.host, parts.port, parts.params)


def parse_advertise(text: str) -> str:
    """Read the "host" or "host:port" that stands for us in Via and Contact; IPv6 in brackets.

    Raises:
        LocalProtocolError: it is neither; the sentence says what is wrong and shows the right forms.
    """
    parts = _split(text, _ADVERTISE_FORMS)
    if parts.params or _SCHEME.fullmatch(text.strip()):
        raise _wrong(text, "it is a host, perhaps with a port, and nothing else", _ADVERTISE_FORMS)
    return SipUri("sip", None, None, parts.host, parts.port).host_port


class _Parts(NamedTuple):
    scheme: str
    host: str
    port: int | None
    params: tuple[tuple[str, str | None], ...]


def _split(text: str, forms: str) -> _Parts:
    plain = text.strip()
    if plain.startswith("<") and plain.endswith(">"):
        plain = plain[1:-1].strip()
    if not plain:
        raise _wrong(text, "it is empty", forms)
    match = _SCHEME.fullmatch(plain)
    scheme, rest = (match[1].lower(), match[2]) if match else ("sip", plain)
    if "@" in rest:
        raise _wrong(text, "it has a user part; the user belongs into username", forms)
    if "?" in rest:
        raise _wrong(text, "it has headers after a question mark", forms)
    address, *params = rest.split(";")
    host, port = _host_port(text, address.strip(), forms)
    return _Parts(scheme, host, port, tuple(_param(text, param, forms) for param in params if param.strip()))


def _host_port(text: str, address: str, forms: str) -> tuple[str, int | None]:
    match = _HOST_PORT.fullmatch(address)
    if match is None:
        if _is_v6(address) or _V6_LIKE.fullmatch(address):
            raise _wrong(text, "an IPv6 address stands in brackets, as in [2001:db8::1]:5060", forms)
        raise _wrong(text, "it is not a host or host:port", forms)
    v6, name, port = match.groups()
    host = name if v6 is None else v6
    if not (_is_v6(host) if v6 is not None else _is_host(host)):
        raise _wrong(text, f"{host[:80]!r} is no host name and no IP address" if host else "there is no host", forms)
    if port is not None and not 0 < int(port) < 65536:
        raise _wrong(text, f"port {int(port)} is not in 1..65535", forms)
    return host, None if port is None else int(port)


def _is_v6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_host(text: str) -> bool:
    if not text.isascii() or len(text) > _NAME_LIMIT:
        return False
    if _NUMERIC_END.fullmatch(text) is None:
        return _NAME.fullmatch(text) is not None
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _param(text: str, param: str, forms: str) -> tuple[str, str | None]:
    match = _PARAM.fullmatch(param.strip())
    if match is None:
        raise _wrong(text, f"{param.strip()!r} is not a parameter", forms)
    return match[1].lower(), match[2]


def _transport(text: str, scheme: str, value: str | None) -> str:
    transport = (value or "").lower()
    if transport not in TRANSPORTS:
        raise _wrong(text, f"transport can be {', '.join(TRANSPORTS)}, not {transport!r}", _PROXY_FORMS)
    if scheme == "sips" and transport == "udp":
        raise _wrong(text, "sips is TLS, which does not run over UDP", _PROXY_FORMS)  # RFC 3261 §26.2.2
    return transport


def _wrong(text: str, why: str, forms: str) -> LocalProtocolError:
    shown = text.rpartition("@")[2] if "@" in text else text  # before an @ there may be a password
    return LocalProtocolError(f"{shown[:80]!r} cannot be used: {why} (write {forms})")
