"""The SDP attributes that decide about audio, one reader each; what cannot be read counts as absent."""

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

MIN_PTIME_MS = 10
MAX_PTIME_MS = 60

_RTPMAP = re.compile(r"([0-9]{1,3})[ \t]+([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64})/([0-9]{1,7})(?:/([0-9]{1,3}))?[ \t]*")
_FMTP = re.compile(r"([0-9]{1,3})[ \t]+(.+)")
_MILLISECONDS = re.compile(r"[ \t]*([0-9]{1,6})(?:\.[0-9]{1,9})?[ \t]*")  # RFC 8866 §6.4: integer or real
_RTCP = re.compile(r"([0-9]{1,5})(?:[ \t]+IN[ \t]+IP[46][ \t]+([0-9A-Fa-f:.]{2,45}))?[ \t]*")  # RFC 3605 §2.1


class Direction(Enum):
    """Which way media flows, seen from whoever wrote it (RFC 8866 §6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether its writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether its writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)


SENDRECV = Direction.SENDRECV
SENDONLY = Direction.SENDONLY
RECVONLY = Direction.RECVONLY
INACTIVE = Direction.INACTIVE

DIRECTIONS = {direction.value: direction for direction in Direction}


def direction_of(*, sends: bool, receives: bool) -> Direction:
    """Write down which way media flows."""
    if sends:
        return SENDRECV if receives else SENDONLY
    return RECVONLY if receives else INACTIVE


class RtpMap(NamedTuple):
    """What a payload type means (RFC 8866 §6.6).

    Attributes:
        payload_type: 0 to 127.
        encoding: as written; compared without regard to case.
        clock_rate_hz: above 0.
        channels: 1 unless written.
    """

    payload_type: int
    encoding: str
    clock_rate_hz: int
    channels: int = 1

    def __str__(self) -> str:
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload_type} {self.encoding}/{self.clock_rate_hz}{channels}"


@lru_cache(maxsize=512)  # the peers of a trunk write the same few in every call
def parse_rtpmap(value: str) -> RtpMap | None:
    """Read the value of `a=rtpmap`; None when it is none, or its numbers are out of range."""
    match = _RTPMAP.fullmatch(value)
    if match is None:
        return None
    payload_type, rate, channels = int(match[1]), int(match[3]), int(match[4] or 1)
    if payload_type > 127 or not rate or not channels:
        return None
    return RtpMap(payload_type, match[2], rate, channels)


# RFC 3551 §6, tables 4 and 5: payload types that mean something without a=rtpmap.
STATIC_PAYLOAD_TYPES = {
    mapping.payload_type: mapping
    for mapping in (
        RtpMap(0, "PCMU", 8000),
        RtpMap(3, "GSM", 8000),
        RtpMap(4, "G723", 8000),
        RtpMap(5, "DVI4", 8000),
        RtpMap(6, "DVI4", 16000),
        RtpMap(7, "LPC", 8000),
        RtpMap(8, "PCMA", 8000),
        RtpMap(9, "G722", 8000),
        RtpMap(10, "L16", 44100, 2),
        RtpMap(11, "L16", 44100),
        RtpMap(12, "QCELP", 8000),
        RtpMap(13, "CN", 8000),
        RtpMap(14, "MPA", 90000),
        RtpMap(15, "G728", 8000),
        RtpMap(16, "DVI4", 11025),
        RtpMap(17, "DVI4", 22050),
        RtpMap(18, "G729", 8000),
    )
}


@lru_cache(maxsize=512)
def parse_fmtp(value: str) -> tuple[int, str] | None:
    """Read the value of `a=fmtp`: payload type and parameters (RFC 8866 §6.15)."""
    match = _FMTP.fullmatch(value)
    if match is None or int(match[1]) > 127:
        return None
    return int(match[1]), match[2]


def parse_milliseconds(value: str) -> int | None:
    """Read the value of `a=ptime` or `a=maxptime` (RFC 8866 §6.4, §6.5); None for 0 and for what is no number."""
    match = _MILLISECONDS.fullmatch(value)
    return int(match[1]) or None if match else None


def usable_ptime(wanted_ms: int, longest_ms: int | None = None) -> int:
    """Give the packet time that we send for a wish: 10 to 60 ms, in steps of 10, no longer than `longest_ms`."""
    limit = MAX_PTIME_MS if longest_ms is None else min(longest_ms, MAX_PTIME_MS)
    return max(min(wanted_ms, limit) // 10 * 10, MIN_PTIME_MS)


def parse_rtcp(value: str) -> tuple[int, str] | None:
    """Read the value of `a=rtcp`: port, and address or "" (RFC 3605 §2.1)."""
    match = _RTCP.fullmatch(value)
    if match is None or not 0 < int(match[1]) < 65536:
        return None
    return int(match[1]), match[2] or ""
