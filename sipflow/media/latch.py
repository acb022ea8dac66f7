"""Whom a stream believes and where it sends: symmetric RTP (RFC 4961) with a guard against strangers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

Address = tuple[str, int]
Whence = tuple[str, int] | tuple[str, int, int, int]
"""Where a datagram came from, as a socket says it: over IPv6 flow and scope follow host and port."""
Late = Mapping[tuple[Address, int], int]
"""Streams that are not of this call, by source and SSRC, with the newest sequence number that was seen."""
_NOBODY: Late = MappingProxyType({})

_CANDIDATES = 8  # sources tried at the same time; one more pushes the oldest out
_STEP = 5  # a candidate may lose up to four packets in a row
_HALF = 0x8000  # of all sequence numbers: what is nearer ahead goes on where a stream stood
_MAX_DROPOUT = 3000  # RFC 3550 A.1: a stream that moved goes on at most a minute (at 20 ms) after where it stopped


@dataclass(slots=True)
class _Candidate:
    """A source on trial: its newest sequence number, and how many of its packets were in sequence."""

    sequence: int
    in_sequence: int = 1


class Latch:
    """Decides, packet by packet, whether a source is the peer.

    - Until a source is proven, the address in SDP is believed from its first packet on, and is where we send.
    - Any other source is believed once it sent `packets` packets in sequence with one SSRC, unless the address in SDP
      spoke before: then others are strays. So a peer behind NAT is found, and a stranger's few packets change nothing.
    - A proven source is kept. A new SSRC of it must send `packets` packets without one of the proven stream between
      them; the address in SDP, if that is another, so many whatever comes between: a stranger who was there first does
      not keep it out. Everybody else is a stray, unless the proven source has been silent
      for `silent_s` and the packets carry on its SSRC and sequence numbers: then the peer moved.
    - What was sent to our port before this call, and goes on, belongs to somebody else's; unless it comes from the
      address in SDP, it is a stray.
    - A new address in SDP (a re-INVITE) starts this over; the old stream is heard, for `silent_s` at most, until
      the new one is proven.

    Attributes:
        target: where to send: the proven source, else the address in SDP; None when there is neither.
        proven: whether a source is proven.
        strays: packets that were not believed.
    """

    __slots__ = (
        "_candidates",
        "_heard_at",
        "_late",
        "_needed",
        "_previous",
        "_previous_until",
        "_sdp",
        "_sdp_spoke",
        "_sequence",
        "_silent_s",
        "_source",
        "_ssrc",
        "proven",
        "strays",
        "target",
    )

    def __init__(self, sdp: Address | None, *, packets: int = 3, silent_s: float = 2.0, late: Late = _NOBODY) -> None:
        """Believe nobody yet but `sdp`, the peer's address as its SDP says; None while that names none."""
        self._late = late
        self._sdp = sdp
        self._needed = packets
        self._silent_s = silent_s
        self._candidates: dict[tuple[Address, int], _Candidate] = {}
        self._source: Address | None = None  # the proven one, with its SSRC, newest packet and the time of that
        self._ssrc = -1
        self._sequence = 0
        self._heard_at = 0.0
        self._sdp_spoke = False
        self._previous: Address | None = None  # proven before the last re-INVITE
        self._previous_until = 0.0
        self.proven = False
        self.target = sdp
        self.strays = 0

    def expect(self, sdp: Address | None, *, now: float) -> None:
        """Take the peer's address from a new SDP; the same address as before changes nothing."""
        if sdp == self._sdp:
            return
        if self._source is not None:
            self._previous = self._source
            self._previous_until = now + self._silent_s
        self._sdp = self.target = sdp
        self._source = None
        self._sdp_spoke = self.proven = False
        self._candidates.clear()

    def heard(self, sequence: int, *, now: float) -> None:
        """Take note that packets of the proven stream came, the newest with `sequence` at `now`: `accept`, in bulk."""
        self._sequence = sequence
        self._heard_at = now
        if self._candidates:
            self._drop_rivals()

    def accept(self, source: Address, ssrc: int, sequence: int, *, now: float) -> bool:
        """Say whether a valid packet comes from the peer; count it as a stray if not.

        Args:
            source: where it came from.
            ssrc, sequence: of the packet.
            now: monotonic seconds.
        """
        if source == self._source and ssrc == self._ssrc:  # nearly every packet
            self._sequence = sequence
            self._heard_at = now
            if self._candidates:
                self._drop_rivals()
            return True
        believed = (
            self._moves(source, ssrc, sequence, now) if self.proven else self._proves(source, ssrc, sequence, now)
        )
        if not believed:
            self.strays += 1
        return believed

    def _drop_rivals(self) -> None:
        """Forget who was on trial, but for the address in SDP where that is not the proven one."""
        sdp, source = self._sdp, self._source
        kept = {key: each for key, each in self._candidates.items() if key[0] == sdp and sdp != source}
        self._candidates = kept

    def _proves(self, source: Address, ssrc: int, sequence: int, now: float) -> bool:
        """Judge a packet while no source is proven."""
        if source == self._sdp:
            if not self._sdp_spoke:
                self._sdp_spoke = True
                self._candidates.clear()  # the address in SDP always wins
            self._follow(source, ssrc, sequence, now)
            return True
        if source == self._previous and now < self._previous_until:
            return True
        return not self._sdp_spoke and self._follow(source, ssrc, sequence, now)

    def _moves(self, source: Address, ssrc: int, sequence: int, now: float) -> bool:
        """Judge a packet that is not of the proven stream."""
        if source in (self._source, self._sdp):
            return self._follow(source, ssrc, sequence, now)
        if ssrc != self._ssrc or now - self._heard_at < self._silent_s:
            return False
        return 0 < (sequence - self._sequence) & 0xFFFF < _MAX_DROPOUT and self._follow(source, ssrc, sequence, now)

    def _follow(self, source: Address, ssrc: int, sequence: int, now: float) -> bool:
        """Count a packet for its source; true when that proved it."""
        candidate = self._candidates.get((source, ssrc))
        if self._late and source != self._sdp:
            newest = self._late.get((source, ssrc))
            if newest is not None and (sequence - newest) & 0xFFFF < _HALF:
                return False
        if candidate is None:
            if len(self._candidates) >= _CANDIDATES:
                del self._candidates[next(iter(self._candidates))]
            candidate = self._candidates[source, ssrc] = _Candidate(sequence)
        elif 0 < (sequence - candidate.sequence) & 0xFFFF <= _STEP:
            candidate.sequence = sequence
            candidate.in_sequence += 1
        elif sequence != candidate.sequence:
            candidate.sequence = sequence
            candidate.in_sequence = 1
        if candidate.in_sequence < self._needed:
            return False
        self._prove(source, ssrc, sequence, now)
        return True

    def _prove(self, source: Address, ssrc: int, sequence: int, now: float) -> None:
        self._source = self.target = source
        self._ssrc = ssrc
        self._sequence = sequence
        self._heard_at = now
        self.proven = True
        self._candidates.clear()
