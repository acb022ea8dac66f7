"""Nonces that carry their own proof, and the little that must be remembered about those in use."""

import binascii
import enum
import heapq
import hmac
import struct
from typing import NamedTuple

_STAMP = struct.Struct(">Qd")  # serial number, time of issue
_MAC_BYTES = 14  # 16 + 14 octets are 40 base64 digits without padding; 112 bits are out of reach online
_OCTETS = _STAMP.size + _MAC_BYTES
_TEXT_LENGTH = 40
_SPENT = 1 << 32  # more than eight hexadecimal digits can say


class Standing(enum.Enum):
    """What a nonce is worth."""

    GOOD = "good"
    EXPIRED = "expired"
    FOREIGN = "foreign"  # well formed, yet not ours: given out before a restart, or forged
    MALFORMED = "malformed"


class Nonce(NamedTuple):
    """A nonce read back: its standing, its serial number and its time of issue (both 0 unless it is ours)."""

    standing: Standing
    serial: int = 0
    issued: float = 0.0


_FOREIGN = Nonce(Standing.FOREIGN)
_MALFORMED = Nonce(Standing.MALFORMED)


class NonceMint:
    """Makes nonces of time and HMAC(secret, time, realm) (RFC 7616 §3.3), and keeps the counts of those in use.

    A nonce costs no memory until a request with a right digest uses it. When too many are in use the oldest is
    forgotten, and from then on it and all older ones count as expired, so that forgetting never allows a replay.
    """

    def __init__(self, *, secret: bytes, realm: bytes, lifetime_s: float, remembered: int) -> None:
        self._keyed = hmac.new(secret, realm, "sha256")  # copied for each nonce: the key is set up once
        self._lifetime_s = lifetime_s
        self._remembered = remembered
        self._serial = 0
        self._forgotten = 0  # nonces up to this serial number are expired
        self._counts: dict[int, int] = {}
        self._oldest: list[tuple[int, float]] = []  # a heap of serial number and time of issue

    def __len__(self) -> int:
        return len(self._counts)

    def issue(self, *, now: float) -> str:
        """Make a nonce that differs from every other one."""
        self._serial += 1
        stamp = _STAMP.pack(self._serial, now)
        return binascii.b2a_base64(stamp + self._mac(stamp), newline=False).decode("ascii")

    def read(self, text: str, *, now: float) -> Nonce:
        """Say what the nonce in a request is worth at `now`."""
        octets = _decode(text)
        if octets is None:
            return _MALFORMED
        stamp = octets[: _STAMP.size]
        if not hmac.compare_digest(octets[_STAMP.size :], self._mac(stamp)):
            return _FOREIGN
        serial, issued = _STAMP.unpack(stamp)
        expired = serial <= self._forgotten or now - issued > self._lifetime_s
        return Nonce(Standing.EXPIRED if expired else Standing.GOOD, serial, issued)

    def count(self, nonce: Nonce, number: int | None, *, now: float) -> bool:
        """Use a good nonce for the `number`th time, or for its only time if None.

        Returns:
            False when it was used with that number or a higher one before.
        """
        last = self._counts.get(nonce.serial)
        wanted = _SPENT if number is None else number
        if wanted <= (last or 0):
            return False
        self._counts[nonce.serial] = wanted
        if last is None:
            heapq.heappush(self._oldest, (nonce.serial, nonce.issued))
            self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        oldest = self._oldest
        while oldest and (now - oldest[0][1] > self._lifetime_s or len(oldest) > self._remembered):
            serial, _ = heapq.heappop(oldest)
            del self._counts[serial]
            self._forgotten = max(self._forgotten, serial)

    def _mac(self, stamp: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(stamp)
        return keyed.digest()[:_MAC_BYTES]


def _decode(text: str) -> bytes | None:
    if len(text) != _TEXT_LENGTH:
        return None
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # not ASCII, or not base64
        return None
    return octets if len(octets) == _OCTETS else None
