"""Descriptions of ours as text (RFC 8866 §5, RFC 3264 §5 and §6)."""

from collections.abc import Iterable
from typing import NamedTuple

from sipflow.sdp.agreement import LocalMedia
from sipflow.sdp.attributes import Direction
from sipflow.sdp.description import MediaDescription


class Format(NamedTuple):
    """One payload type as we write it.

    Attributes:
        payload_type: 0 to 127.
        rtpmap: encoding and clock rate, such as "PCMU/8000".
        fmtp: parameters, "" for none.
    """

    payload_type: int
    rtpmap: str
    fmtp: str = ""


def write_description(local: LocalMedia, time: str, media: Iterable[str]) -> bytes:
    """Write the session part, with the address for all media, and the media after it."""
    family = "IP6" if ":" in local.address else "IP4"
    return (
        f"v=0\r\no=- {local.session_id} {local.version} IN {family} {local.address}\r\ns=-\r\n"
        f"c=IN {family} {local.address}\r\nt={time}\r\n{''.join(media)}"
    ).encode()


def write_placed(local: LocalMedia, terms: str, *, rtcp_mux: bool) -> str:
    """Write an audio stream of known terms at our ports."""
    rtcp = "a=rtcp-mux" if rtcp_mux else f"a=rtcp:{local.rtcp_port}"  # RFC 5761 §5.1.1, RFC 3605 §2.1
    return f"m=audio {local.rtp_port} {terms}{rtcp}\r\n"


def write_terms(
    protocol: str,
    formats: list[Format],
    *,
    ptime_ms: int,
    direction: Direction,
    security: Iterable[str] = (),
) -> str:
    """Write what stands behind the port of our audio stream, up to its RTCP.

    Payload types with a fixed meaning get an a=rtpmap too, which harms nobody. `security` are whole lines without their
    ends, such as "a=crypto:...".
    """
    numbers = " ".join([str(entry.payload_type) for entry in formats])
    lines = [f"{protocol} {numbers}"]
    for number, rtpmap, fmtp in formats:
        lines.append(f"a=rtpmap:{number} {rtpmap}")
        if fmtp:
            lines.append(f"a=fmtp:{number} {fmtp}")
    lines.append(f"a=ptime:{ptime_ms}")
    lines.append(f"a={direction.value}")
    lines.extend(security)
    return "\r\n".join(lines) + "\r\n"


def write_refused(medium: MediaDescription) -> str:
    """Refuse a medium: port 0, the same protocol and formats (RFC 3264 §6)."""
    return f"m={medium.kind} 0 {medium.protocol} {' '.join(medium.formats) or '0'}\r\n"
