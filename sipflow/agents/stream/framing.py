"""WebSocket frames (RFC 6455 §5) where they come and go 50 times a second and call: whole messages in one frame.

Everything else, and every rule about it, is left to the `websockets` library, which takes four times as long.
"""

from struct import Struct

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform for which the library has no C code
    from websockets.utils import apply_mask

TEXT, BINARY = 0x81, 0x82  # first octet of a frame that is a whole message: FIN and opcode
_WHOLE = frozenset({TEXT, BINARY})
_FIN, _OPCODE, _LAST_DATA_OPCODE = 0x80, 0x0F, 0x02
_MASKED = 0x80
_TWO_MORE, _EIGHT_MORE = 126, 127  # octets of length that follow
_LONGEST_16 = 0xFFFF
_short = Struct("!BB4s").pack
_middle = Struct("!BBH4s").pack
_long = Struct("!BBQ4s").pack

Piece = tuple[bytes, int]  # a whole message and TEXT or BINARY, or else frames as they came and 0


def client_frame(first: int, payload: bytes, mask: bytes) -> bytes:
    """Write a message as a client does: masked (§5.3).

    Args:
        first: TEXT or BINARY.
        payload: of it.
        mask: 4 octets that nobody can foretell.
    """
    size = len(payload)
    masked = apply_mask(payload, mask)
    if size < _TWO_MORE:
        return _short(first, _MASKED | size, mask) + masked
    if size <= _LONGEST_16:
        return _middle(first, _MASKED | _TWO_MORE, size, mask) + masked
    return _long(first, _MASKED | _EIGHT_MORE, size, mask) + masked


class Deframer:
    """Finds whole messages in what a server sends, in pieces of any length."""

    def __init__(self, *, max_message_bytes: int) -> None:
        self._most = max_message_bytes
        self._rest = bytearray()  # the beginning of a frame
        self._need = 0  # octets that the rest must have before there is anything to see in it
        self._fragmented = False
        self._lost = False  # after something that only the library can name

    def only(self, data: bytes) -> bytes | None:
        """Give the one whole message that `data` is, and nothing else: as a bot that speaks sends it; else None."""
        if self._rest or data[0] not in _WHOLE or self._fragmented or self._lost:
            return None
        have = len(data)
        if have - 2 > self._most:
            return None
        size = data[1] if have > 1 else _EIGHT_MORE
        if size == _TWO_MORE and have > 4 and have == 4 + (data[2] << 8 | data[3]):
            return data[4:]
        return data[2:] if size < _TWO_MORE and have == 2 + size else None

    def feed(self, data: bytes) -> list[Piece]:
        """Give what is whole now, in order."""
        if self._lost:
            return [(data, 0)]
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return []
            data, self._rest = bytes(self._rest), bytearray()
        found: list[Piece] = []
        at = 0
        while (end := self._end(data, at)) > at:
            found.append(self._piece(data, at, end))
            at = end
        if at < len(data):
            self._rest = bytearray(data[at:])
        return found

    def _end(self, data: bytes, at: int) -> int:
        """Give where the frame at `at` ends; `at` itself while it is not whole."""
        there = len(data) - at
        if there < 2:
            self._need = 2
            return at
        size = data[at + 1]
        if size < _TWO_MORE:
            need = 2 + size
        elif size == _TWO_MORE:
            need = 4 + (data[at + 2] << 8 | data[at + 3]) if there >= 4 else 4
        elif size == _EIGHT_MORE:
            need = 10 + int.from_bytes(data[at + 2 : at + 10], "big") if there >= 10 else 10
        else:
            need = self._most + 11  # masked, which no server may do (§5.1)
        if need > self._most + 10:
            self._lost = True
            return len(data)
        self._need = need
        return at + need if there >= need else at

    def _piece(self, data: bytes, at: int, end: int) -> Piece:
        first = data[at]
        if first in _WHOLE and not self._fragmented and not self._lost:
            size = data[at + 1]
            begin = 2 if size < _TWO_MORE else 4 if size == _TWO_MORE else 10
            return data[at + begin : end], first
        if first & _OPCODE <= _LAST_DATA_OPCODE:
            self._fragmented = not first & _FIN
        return data[at:end], 0
