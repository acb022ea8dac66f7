"""Puts back in order the few packets that overtook each other. Pure; a jitter buffer may take its place."""

_TOO_FAR = 3000  # RFC 3550 A.1: beyond a minute (at 20 ms) it is another stream, not a gap

Held = tuple[int, bytes]  # timestamp and payload


class Reorder:
    """Holds packets behind a gap until the missing ones come, or until `depth` packets wait and they are given up.

    Attributes:
        late: packets that came after they had been given up, or twice.
        next: sequence number of the packet that may go on at once, -1 when any may. Whoever sees that packet while
            none is `held` may advance this instead of calling `passes`.
        held: packets that wait for a missing one, by sequence number.
    """

    __slots__ = ("_depth", "held", "late", "next")

    def __init__(self, *, depth: int = 3) -> None:
        """Start before the first packet; `depth` is how many packets wait for one that is missing."""
        self._depth = depth
        self.held: dict[int, Held] = {}
        self.next = -1
        self.late = 0

    def passes(self, sequence: int) -> bool:
        """Say whether a packet is the next one with none held, and count it as passed if so: nearly every packet."""
        if sequence != self.next or self.held:
            return False
        self.next = (sequence + 1) & 0xFFFF
        return True

    def push(self, sequence: int, timestamp: int, payload: bytes) -> list[Held]:
        """Take a packet that does not pass; give what may go on now, in order."""
        ahead = (sequence - self.next) & 0xFFFF
        if self.next < 0 or _TOO_FAR <= ahead < 0x10000 - _TOO_FAR:
            out = self.flush()
            self.next = (sequence + 1) & 0xFFFF
            return [*out, (timestamp, payload)]
        if ahead >= _TOO_FAR or sequence in self.held:
            self.late += 1
            return []
        self.held[sequence] = (timestamp, payload)
        if ahead and len(self.held) >= self._depth:
            return self.flush()
        return self._run()

    def flush(self) -> list[Held]:
        """Give up what is missing: everything held, in order."""
        out = []
        while self.held:
            self.next = min(self.held, key=self._ahead)
            out += self._run()
        return out

    def restart(self) -> None:
        """Forget the stream; the next packet begins another."""
        self.held.clear()
        self.next = -1

    def _ahead(self, sequence: int) -> int:
        return (sequence - self.next) & 0xFFFF

    def _run(self) -> list[Held]:
        """Take out the packets that follow without a gap."""
        out = []
        while (held := self.held.pop(self.next, None)) is not None:
            out.append(held)
            self.next = (self.next + 1) & 0xFFFF
        return out
