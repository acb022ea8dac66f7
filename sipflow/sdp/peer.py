"""What a peer's description says about one audio stream, with what the session part passes down to it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.attributes import (
    DIRECTIONS,
    SENDRECV,
    STATIC_PAYLOAD_TYPES,
    Direction,
    RtpMap,
    parse_fmtp,
    parse_milliseconds,
    parse_rtcp,
    parse_rtpmap,
)
from sipflow.sdp.description import MediaDescription, SessionDescription

UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104  (read, never bound)

_NOWHERE = "0.0.0.0"  # noqa: S104  (written, never bound)
_NAME = re.compile(r"(?:(?!-)[-0-9A-Za-z_]{1,63}\.)*(?=[0-9]*[A-Za-z])[-0-9A-Za-z]{1,63}\.?")
_CONNECTION = re.compile(r"IN[ \t]+IP[46][ \t]+([!-.0-~]{1,255})(?:/[0-9/]{1,16})?[ \t]*")  # RFC 8866 §5.7


@dataclass(slots=True)  # not frozen: that makes construction four times slower, and every offer has one
class PeerAudio:
    """One audio stream as the peer describes it.

    Attributes:
        mappings: meaning of each payload type, in the peer's order; types without a meaning are left out.
        host: IP literal in its shortest form; the unspecified one where the peer gives a name.
        named: whether it gives a name (RFC 8866 §5.7: `c=IN IP4 pbx.example.com`). Names are not looked up: that could
            take seconds, and a caller could have us ask any DNS; its audio says where it is.
        rtp_port: 1 to 65535.
        rtcp_host, rtcp_port: where the peer takes RTCP unless it is multiplexed; port 0 when there is no such port.
        direction: seen from the peer; an unspecified address takes away its receiving (RFC 3264 §8.4).
        ptime_ms, maxptime_ms: None when absent or unusable.
        rtcp_mux: offered or answered (RFC 5761 §5.1.1).
        fmtps: the first a=fmtp of each payload type that has one.
    """

    mappings: tuple[RtpMap, ...]
    host: str
    rtp_port: int
    rtcp_host: str
    rtcp_port: int
    direction: Direction
    ptime_ms: int | None
    maxptime_ms: int | None
    rtcp_mux: bool
    fmtps: Mapping[int, str] = field(default_factory=dict)
    named: bool = False


def read_audio(
    description: SessionDescription, medium: MediaDescription, known: dict[int, RtpMap] | None = None
) -> PeerAudio:
    """Read one audio medium; `known` gives payload types a meaning that the peer need not repeat.

    Raises:
        RemoteProtocolError: no usable address (400), or one that we do not send to (488).
    """
    attributes: dict[str, str] = {}
    direction = None
    listed = medium.attributes()
    for name, value in listed:
        if name in DIRECTIONS:
            direction = direction or DIRECTIONS[name]
        else:
            attributes.setdefault(name, value)
    host, named = _address(medium.first("c") or description.session.first("c"))
    rtcp_host, rtcp_port = _rtcp(attributes, host, medium.port)
    direction = direction or _session_direction(description)
    if host in UNSPECIFIED and not named:  # RFC 3264 §8.4: hold as RFC 2543 did it
        direction = Direction.SENDONLY if direction.sends else Direction.INACTIVE
    return PeerAudio(
        mappings=read_mappings(medium.formats, listed, known),
        host=host,
        rtp_port=medium.port,
        rtcp_host=rtcp_host,
        rtcp_port=rtcp_port,
        direction=direction,
        ptime_ms=_milliseconds(attributes, description, "ptime"),
        maxptime_ms=_milliseconds(attributes, description, "maxptime"),
        rtcp_mux="rtcp-mux" in attributes,
        fmtps=_fmtps(listed),
        named=named,
    )


def _address(connection: str | None) -> tuple[str, bool]:
    """Read a `c=` value: an IP literal, the unspecified one for a name, and whether it is a name."""
    if connection is None:
        raise RemoteProtocolError("the audio has no c= line (RFC 8866 §5.7)")
    match = _CONNECTION.fullmatch(connection)
    if match is None:
        raise RemoteProtocolError(f"not a connection line: c={connection[:80]!a} (RFC 8866 §5.7)")
    host = read_host(match[1])
    if host is None and _NAME.fullmatch(match[1]) is not None:
        return _NOWHERE, True
    if host is None:
        raise RemoteProtocolError(f"c= names {match[1][:80]}: audio goes to the IP address of one host", status=488)
    return host, False


@lru_cache(maxsize=1024)  # a trunk names the same few addresses in every call
def read_host(text: str) -> str | None:
    """Read an IP literal of one host, in its shortest form; None for names, groups and scoped addresses.

    An IPv4 address in the clothes of an IPv6 one, as sockets of both families show it, is that IPv4 address.
    """
    try:
        address = IPv6Address(text) if ":" in text else IPv4Address(text)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # RFC 5118 §4.9
            text = str(address)
    except ValueError:
        return None
    if address.is_multicast or text == "255.255.255.255" or "%" in text:
        return None
    return str(address)


def _rtcp(attributes: dict[str, str], host: str, rtp_port: int) -> tuple[str, int]:
    """Say where RTCP goes that has a port of its own: a=rtcp (RFC 3605 §2.1), or the next one (RFC 3550 §11)."""
    told = parse_rtcp(attributes["rtcp"]) if "rtcp" in attributes else None
    if told is not None:
        port, named = told
        other = read_host(named) if named else host
        if other is not None and (":" in other) is (":" in host) and other not in UNSPECIFIED:
            return other, port
    return host, rtp_port + 1 if rtp_port < 65535 else 0


def _session_direction(description: SessionDescription) -> Direction:
    """Give the session's direction, which holds for media that have none (RFC 8866 §6.7)."""
    for name, _ in description.session.attributes():
        if name in DIRECTIONS:
            return DIRECTIONS[name]
    return SENDRECV


def _fmtps(attributes: list[tuple[str, str]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, value in attributes:
        if name == "fmtp":
            parameters = parse_fmtp(value)
            if parameters is not None:
                found.setdefault(*parameters)
    return found


def _milliseconds(attributes: dict[str, str], description: SessionDescription, name: str) -> int | None:
    value = attributes.get(name)
    if value is None:
        value = description.session.attribute(name)
    return None if value is None else parse_milliseconds(value)


def read_mappings(
    formats: tuple[str, ...], attributes: list[tuple[str, str]], known: dict[int, RtpMap] | None = None
) -> tuple[RtpMap, ...]:
    """Say what each payload type of an RTP medium means, in order; `known` helps out where a=rtpmap is missing."""
    maps: dict[int, RtpMap] = {}
    for name, value in attributes:
        if name == "rtpmap":
            mapping = parse_rtpmap(value)
            if mapping is not None:
                maps.setdefault(mapping.payload_type, mapping)
    found = []
    for text in formats:
        if len(text) > 3 or not (text.isascii() and text.isdigit()):
            continue  # no payload type, or far beyond 127
        number = int(text)
        meaning = maps.get(number) or (known or {}).get(number) or STATIC_PAYLOAD_TYPES.get(number)
        if meaning is not None:
            found.append(meaning)
    return tuple(found)
