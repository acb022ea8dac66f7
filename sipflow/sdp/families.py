"""Where a peer takes audio in the address family that we have, when its `c=` line names the other one."""

import re
from dataclasses import replace

from sipflow.sdp.description import MediaDescription
from sipflow.sdp.peer import UNSPECIFIED, PeerAudio, read_host

_RTP, _RTCP = 1, 2  # RFC 8839 §5.1: component-id
_CANDIDATE = re.compile(
    r"[!-~]{1,32} +([12]) +[uU][dD][pP] +([0-9]{1,10}) +([0-9A-Fa-f:.]{2,45}) +([0-9]{1,5}) +[tT][yY][pP] +.*"
)
_ALTERNATIVE = re.compile(r"([0-9]{1,10}) +IP[46] +([0-9A-Fa-f:.]{2,45}) +([0-9]{1,5})[ \t]*")

_Address = tuple[str, int]


def in_family(audio: PeerAudio, medium: MediaDescription, *, ipv6: bool) -> PeerAudio:
    """Give what the peer says with an address of one family; as it was when it has none.

    A phone with both families may put IPv6 into `c=` though it signals over IPv4. Then its `a=altc` (RFC 6947) or its
    ICE candidates (RFC 8839 §5.1) name the address that we can reach. We do not speak ICE: an answer without candidates
    has the peer send to the address of our `c=` line.
    """
    if (":" in audio.host) is ipv6 and not audio.named:
        return audio
    if audio.host in UNSPECIFIED and not audio.named:  # nowhere is nowhere: hold as RFC 2543 did it
        return _nowhere(audio, ipv6)
    attributes = medium.attributes()
    found = _alternative(attributes, ipv6) or _candidate(attributes, ipv6, _RTP)
    if found is None:
        return _nowhere(audio, ipv6) if audio.named else audio
    host, port = found
    rtcp = _candidate(attributes, ipv6, _RTCP) or (host, port + 1 if port < 65535 else 0)  # RFC 3550 §11
    return replace(audio, host=host, rtp_port=port, rtcp_host=rtcp[0], rtcp_port=rtcp[1])


def _nowhere(audio: PeerAudio, ipv6: bool) -> PeerAudio:
    """Nowhere is nowhere in both families."""
    nowhere = "::" if ipv6 else "0.0.0.0"  # noqa: S104  (written, never bound)
    return replace(audio, host=nowhere, rtcp_host=nowhere)


def _alternative(attributes: list[tuple[str, str]], ipv6: bool) -> _Address | None:
    """Find the `a=altc` of the family that the peer likes best: the one with the lowest number."""
    found: list[tuple[int, _Address]] = []
    for name, value in attributes:
        match = _ALTERNATIVE.fullmatch(value) if name == "altc" else None
        address = _usable(match[2], match[3], ipv6) if match is not None else None
        if match is not None and address is not None:
            found.append((int(match[1]), address))
    return min(found)[1] if found else None


def _candidate(attributes: list[tuple[str, str]], ipv6: bool, component: int) -> _Address | None:
    """Find the candidate of the family with the highest priority."""
    found: list[tuple[int, _Address]] = []
    for name, value in attributes:
        match = _CANDIDATE.fullmatch(value) if name == "candidate" else None
        if match is not None and int(match[1]) == component:
            address = _usable(match[3], match[4], ipv6)
            if address is not None:
                found.append((int(match[2]), address))
    return max(found)[1] if found else None


def _usable(text: str, port: str, ipv6: bool) -> _Address | None:
    host, number = read_host(text), int(port)
    fits = host is not None and (":" in host) is ipv6 and host not in UNSPECIFIED and 0 < number < 65536
    return (host, number) if host is not None and fits else None
