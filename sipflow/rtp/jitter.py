"""Plays out packets at even times, however unevenly they come: by time, not by count, and as late as it has to be."""

from collections.abc import Callable
from enum import Enum

from sipflow.rtp.sequence import sequence_delta, timestamp_delta
from sipflow.rtp.source import MAX_DROPOUT, MAX_MISORDER
from sipflow.rtp.transit import Transit

_DRY_TAKES = 5  # concealed when nothing is there, before it is held to be a pause: concealment has faded by then
_LOOK_EVERY = 10  # takes from one look at the depth to the next
_SURE_AFTER = 4  # takes that must agree before the depth is corrected: more than are made at once after a stall
_PATIENCE = 25  # takes for which a correction may be due before it is made
_PATIENCE_FOR_QUIET = 150  # the same, where it can be told what is quiet
_SLACK_MS = 6.0  # more than a frame too much before a frame is dropped, so that it is not put in again soon
_GUARD_MS = 4.5  # this near to the edge and drifting towards it, a frame is put in if it is quiet
_SHORTEST_MS, _LONGEST_MS = 2.5, 120.0  # packet times that are believed
_MISSED = 64  # places remembered to tell late packets from second copies
_HELD = 100  # packets held at most, should nobody take them
_NEVER = -(1 << 60)  # before every place


class Missing(Enum):
    """Why there is no payload.

    LOST: its packet has not come: conceal one packet time.
    NOTHING: there should be none: before the first packet, in a pause of the sender's, or when nothing comes any more.
    """

    LOST = "lost"
    NOTHING = "nothing"


_LOST, _NOTHING = Missing.LOST, Missing.NOTHING


class JitterBuffer:
    """Holds the packets of one stream until it is their turn, by their timestamps.

    `put` what comes when it comes; `take` once per packet time, by an even clock. Depth is the time for which the
    fastest packets wait. It has to be as much as other packets are slower (`Transit`), and as takes are a packet time
    apart, it is up to one packet time more: between `target_ms` less a packet time, and `target_ms`.

    - It grows at once: a packet that comes after its time, with nothing newer played, is played and not dropped.
      If that is no way out, a frame is put in where one is missing, where it is quiet, or after a while.
    - It shrinks slowly: where a packet is missing its place is left out; a frame is dropped where it is quiet, or after
      half a second, or three seconds where `quiet` can tell. A burst after a stall is played, and its oldest packets
      are dropped in this way; at once if the depth is beyond `max_ms`. Clock drift is corrected by the same means, a
      frame at a time.
    - Pauses of the sender (timestamps jump, sequence numbers do not) are no losses. After one, the depth is set anew.
    - Timestamps that jump without sense, or go on where they stopped after a pause, are put in place by their arrival.
      A jump in the sequence numbers begins again at its second packet, as in RFC 3550 A.1.

    The time from one `take` to the next has to be `packet_ticks`, which is learnt from the timestamps: one packet of 60
    ms is one take, not three. Whoever finds it changed after a `take` takes at the new pace from there on.

    Packets without audio, such as telephone-events (RFC 4733) and comfort noise (RFC 3389), are put with an empty
    payload, so that their sequence numbers are no losses; what follows is a pause until audio comes again.

    Attributes:
        packet_ticks: from one payload to the next, in ticks: how often to call `take`.
        late: packets that came when their place had been passed.
        duplicates: packets that came twice.
        lost: takes that had to be concealed because a packet had not come, late ones included.
        inserted: takes that were concealed so that the depth could grow; nothing is missing from the audio.
        skipped: packets dropped so that the depth could shrink.
    """

    __slots__ = (
        "_add",
        "_calm",
        "_cursor",
        "_delay",
        "_dry",
        "_first",
        "_fresh",
        "_held_back",
        "_idle",
        "_last",
        "_least",
        "_limit",
        "_missed",
        "_most",
        "_newest",
        "_next_sequence",
        "_next_timestamp",
        "_odd",
        "_over",
        "_packets",
        "_patience",
        "_pausing",
        "_quiet",
        "_rate",
        "_respace",
        "_restart_at",
        "_shift",
        "_spacing",
        "_spurts",
        "_transit",
        "_under",
        "duplicates",
        "inserted",
        "late",
        "lost",
        "packet_ticks",
        "skipped",
    )

    def __init__(
        self,
        *,
        clock_rate_hz: int,
        frame_ticks: int,
        min_ms: int = 20,
        max_ms: int = 200,
        quiet: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Wait for a first packet.

        Args:
            clock_rate_hz: ticks a second of the timestamps.
            frame_ticks: the packet time that was agreed, in ticks; what really comes is learnt.
            min_ms, max_ms: bounds of the depth. The first packet waits no longer than `min_ms`.
            quiet: says of a payload whether one more or less like it would not be heard.
        """
        self._rate = float(clock_rate_hz)
        self._quiet = quiet
        self._patience = _PATIENCE_FOR_QUIET if quiet else _PATIENCE
        self.packet_ticks = self._spacing = max(frame_ticks, 1)
        self._least = min_ms * self._rate / 1000
        self._most = max(max_ms, min_ms) * self._rate / 1000
        self._limit = max(self._most, 0.2 * self._rate)  # a packet this much off is not late, but of another time line
        self._transit = Transit(clock_rate_hz, longest_ms=max(max_ms, min_ms))
        self._add = self._transit.add
        self.late = self.duplicates = self.lost = self.inserted = self.skipped = 0
        self._packets: dict[int, bytes] = {}  # by timestamp, without wrap and jumps: ticks of the play-out
        self._spurts: dict[int, int] = {}  # the first packet after a pause: where the pause begins
        self._missed: list[int] = []  # places that were concealed
        self.restart()

    def restart(self) -> None:
        """Forget the stream, as for a new SSRC; the spread of its delays and the counters stay."""
        self._packets.clear()
        self._spurts.clear()
        self._missed.clear()
        self._fresh = True  # no packet yet
        self._idle = True  # nothing is expected at any time
        self._pausing = False  # the last packet said that a pause begins
        self._held_back = False  # the last take put a frame in
        self._cursor = self._newest = self._shift = 0  # next place to play; newest packet; place less timestamp
        self._last = _NEVER  # place of the last payload given out
        self._first = 0  # place of the first payload after the last pause
        self._delay = 0.0  # of the play-out: time less cursor, in ticks, at the last look
        self._next_sequence = 0
        self._next_timestamp = -1  # of the packet that needs no thought; -1: think
        self._odd = 0  # a packet time seen once
        self._respace: tuple[int, int] | None = None  # from which place on packets have which packet time
        self._spacing = self.packet_ticks
        self._restart_at = -1  # sequence number that proves a jump
        self._dry = self._calm = self._over = self._under = 0

    @property
    def depth_ms(self) -> float:
        """For how long the fastest packets wait now, in milliseconds."""
        return 0.0 if self._fresh else max(self._delay - self._transit.base, 0.0) * 1000 / self._rate

    @property
    def target_ms(self) -> float:
        """The most that `depth_ms` should be with what is known of the network, in milliseconds."""
        return (self._need() + self.packet_ticks) * 1000 / self._rate

    @property
    def held(self) -> int:
        """How many packets wait."""
        return len(self._packets)

    def put(self, sequence: int, timestamp: int, payload: bytes, now: float, marker: bool = False) -> bool:  # noqa: ARG002  (see below)
        """Take a packet that came at `now`, monotonic seconds; False if it is of no use: too late, or a second copy.

        `marker` may be told and changes nothing: pauses show in the timestamps, and not every sender marks their ends.
        """
        if timestamp == self._next_timestamp and sequence == self._next_sequence and payload:  # nearly every packet
            spacing = self._spacing
            self._next_sequence = (sequence + 1) & 0xFFFF
            self._next_timestamp = (timestamp + spacing) & 0xFFFFFFFF
            self._newest = place = self._newest + spacing
            packets = self._packets
            packets[place] = payload
            self._add(now * self._rate - place)
            if len(packets) > _HELD:
                self._trim()
            return True
        return self._place(sequence, timestamp, payload, now)

    def take(self, now: float) -> bytes | Missing:
        """Give the next payload; called once per packet time (`packet_ticks`), at `now`, monotonic seconds.

        A call may be late, and after a stall several may follow at once: calls are counted, not times measured.
        """
        cursor = self._cursor
        payload = self._packets.pop(cursor, None)
        if payload is None or self._calm <= 0:
            return self._consider(payload, now)
        self._calm -= 1
        self._last = cursor
        self._cursor = cursor + self.packet_ticks
        return payload

    def peek_next(self) -> bytes | None:
        """Give the payload after the one that `take` has just called LOST, for its redundancy; None if not there."""
        return None if self._held_back else self._packets.get(self._cursor)

    def skip(self, packets: int) -> None:
        """Let packet times pass for which nobody will call `take`, as after a stall of the taker."""
        for _ in range(min(packets, _HELD) if not self._idle else 0):
            if self._packets.pop(self._cursor, None) is not None:
                self.skipped += 1
                self._last = self._cursor
            self._cursor += self.packet_ticks
        self._next_timestamp = -1

    def drain(self) -> list[bytes]:
        """Take everything that waits, in order, whatever is missing between."""
        packets = self._packets
        payloads = [packets[place] for place in sorted(packets)]
        if payloads:
            self._last = max(packets)
            self._cursor = self._last + self.packet_ticks
            packets.clear()
        return payloads

    # What comes

    def _place(self, sequence: int, timestamp: int, payload: bytes, now: float) -> bool:
        """Put a packet in its place that is the first, follows a gap, or is out of order."""
        if self._fresh:
            return self._begin(sequence, timestamp, payload, now)
        ahead = sequence_delta(sequence, (self._next_sequence - 1) & 0xFFFF)
        behind = timestamp_delta(timestamp, self._newest - self._shift & 0xFFFFFFFF)
        if not -MAX_MISORDER < ahead < MAX_DROPOUT:
            if sequence != self._restart_at:
                self._restart_at = (sequence + 1) & 0xFFFF
                self.late += 1
                return False
            ahead = 1  # RFC 3550 A.1: two in a row, so the sender has begun again
        if not payload:
            self._note_silence(sequence, ahead)
            return True
        done = self._append(sequence, timestamp, payload, now, ahead, behind) if ahead > 0 else (
            self._insert(self._newest + behind, payload, now)
        )  # fmt: skip
        if len(self._packets) > _HELD:
            self._trim()
        return done

    def _begin(self, sequence: int, timestamp: int, payload: bytes, now: float) -> bool:
        if payload:
            self._fresh = False
            self._newest, self._shift = timestamp, 0
            self._transit.rebase(now * self._rate - timestamp)
            self._await(timestamp, payload)
            self._expect(sequence, timestamp)
        return True

    def _note_silence(self, sequence: int, ahead: int) -> None:
        """Take note of a packet without audio: its number is not missing, and a pause begins."""
        if ahead > 0:
            self._next_sequence = (sequence + 1) & 0xFFFF
            self._next_timestamp = -1
            self._pausing = True

    def _append(self, sequence: int, timestamp: int, payload: bytes, now: float, ahead: int, step: int) -> bool:
        """Take a packet newer than all before: after a gap, with another packet time, or on a new time line."""
        time = now * self._rate
        base = self._transit.base
        place = self._newest + step
        follows = self._newest + ahead * self._spacing  # without a pause it would stand here
        late = time - place - base
        if step <= 0 or not -self._limit < late < self._limit:
            place = int(time - base)
            if place < follows + self._spacing:
                place = self._newest + self._spacing
            self._shift = place - timestamp
        else:
            if self._idle and late > self._need() + self._spacing:
                self._transit.rebase(time - place)  # it stood still, and so did its timestamps
            elif ahead == 1 and not self._pausing and step != self._spacing and 4 * late > -self._spacing:
                self._learn(step, place)  # it did not come long before its time, as with timestamps of another clock
        paused = place - follows
        self._newest = place
        self._expect(sequence, timestamp)
        self._pausing = False
        self._dry = 0
        if paused > 0:
            self._forgive(place - paused)
        if self._idle:
            self._forgive(place, inserted=True)
            self._await(place, payload)
        elif place < self._cursor:
            if not self._revive(place):
                self._add(time - place)
                self.late += 1
                return False
            self._packets[place] = payload
        else:
            if paused > 0:
                self._spurts = {known: begins for known, begins in self._spurts.items() if known > self._last}
                self._spurts[place] = place - paused
            self._packets[place] = payload
        self._add(time - place)
        return True

    def _insert(self, place: int, payload: bytes, now: float) -> bool:
        """Take a packet that is older than the newest."""
        missed = place in self._missed
        if place > self._newest:  # older by its number and newer by its timestamp
            self.late += 1
            return False
        if place in self._packets or (self._first <= place <= self._last and not missed):
            self.duplicates += 1
            return False
        self._add(now * self._rate - place)
        if place < self._cursor and not self._revive(place):
            if missed:
                self._missed.remove(place)  # another copy of it will be a duplicate
            self.late += 1
            return False
        self._packets[place] = payload
        return True

    def _expect(self, sequence: int, timestamp: int) -> None:
        self._next_sequence = (sequence + 1) & 0xFFFF
        self._next_timestamp = (timestamp + self._spacing) & 0xFFFFFFFF
        self._restart_at = -1

    def _await(self, place: int, payload: bytes) -> None:
        """Have what is played next begin with this packet, at a time that gives the depth that is needed."""
        self._idle = False
        self._first = place
        self._cursor = self._spurts[place] = place - 1
        self._packets[place] = payload

    def _learn(self, step: int, place: int) -> None:
        """Believe in another packet time: a shorter one at once, a longer one (it may be a pause) the second time."""
        spacing = self._spacing
        if not _SHORTEST_MS * self._rate <= 1000 * step <= _LONGEST_MS * self._rate:
            return
        if 4 * step <= 3 * spacing or (step == self._odd and 4 * step >= 5 * spacing):
            self._spacing = step
            self._respace = (place, step)
            self._calm = 0
        self._odd = step

    def _forgive(self, place: int, *, inserted: bool = False) -> None:
        """Take back that what was concealed from `place` on is lost: nothing was sent there, or it plays after all."""
        missed = self._missed
        while missed and missed[-1] >= place:
            missed.pop()
            self.lost -= 1
            self.inserted += inserted

    def _revive(self, place: int) -> bool:
        """Go back to a packet that comes after its time, if nothing newer was played and depth may grow by so much."""
        if place <= self._last:
            return False
        packets = self._packets
        first = min(packets, default=None)
        if first is not None and self._spurts.get(first, first) <= self._cursor < first:  # not begun to play
            self._first = place
            self._cursor = self._spurts[place] = place - 1
            return True
        depth = self._delay + self._cursor - place - self._transit.base
        if depth > (self._most if first is None else self._need() + self.packet_ticks):
            return False
        self._forgive(place, inserted=True)
        self._delay += self._cursor - place
        self._cursor = place
        self._calm = 0
        return True

    def _trim(self) -> None:
        """Drop the oldest packets down to the target: nobody has taken any for long."""
        places = sorted(self._packets)
        keep = int((self._need() + self.packet_ticks) / self.packet_ticks) + 1
        for place in places[:-keep]:
            del self._packets[place]
            self._spurts.pop(place, None)
            self.skipped += 1
        self._last, self._cursor = places[-keep - 1], places[-keep]

    # What goes

    def _need(self) -> float:
        """How long the fastest packets have to wait, in ticks."""
        ticks = self.packet_ticks
        return max(min(max(self._transit.need, self._least - ticks), self._most - ticks), 0.0)

    def _consider(self, payload: bytes | None, now: float) -> bytes | Missing:
        """Do what `take` does when the place at the cursor is empty, or when the depth is to be looked at."""
        self._held_back = False
        time = now * self._rate
        if self._respace is not None and self._cursor >= self._respace[0]:
            self.packet_ticks = self._respace[1]
            self._respace = None
        if payload is not None:
            return self._look(payload, time)
        packets = self._packets
        while packets:
            first = min(packets)
            if first <= self._last:
                del packets[first]  # it stood between two places, and the later was played
                self.skipped += 1
                continue
            begins = self._spurts.get(first)
            if begins is not None and begins <= self._cursor:
                if time - first - self._transit.base < self._need():
                    return _NOTHING
                self._delay = time - first
            elif first - self._cursor >= self.packet_ticks:
                if self._leave_out(time):
                    continue
                return _LOST
            return self._give(first, packets.pop(first))
        return self._run_dry()

    def _give(self, place: int, payload: bytes) -> bytes:
        """Give out a payload wherever its place is."""
        if self._spurts:
            self._spurts.pop(place, None)
        self._last = place
        self._cursor = place + self.packet_ticks
        if self._respace is not None and place < self._respace[0]:
            self._cursor = min(self._cursor, self._respace[0])
        return payload

    def _run_dry(self) -> Missing:
        """Conceal for a while in which the packet may be late or lost; then call it a pause."""
        self._next_timestamp = -1
        if self._idle or self._pausing or self._dry >= _DRY_TAKES:
            self._idle = True
            return _NOTHING
        self._dry += 1
        self._miss()
        return _LOST

    def _miss(self) -> None:
        """Pass a place whose packet has not come."""
        self.lost += 1
        self._missed.append(self._cursor)
        if len(self._missed) > _MISSED:
            del self._missed[: _MISSED // 2]
        self._cursor += self.packet_ticks

    def _leave_out(self, time: float) -> bool:
        """Pass a place whose packet is missing while later ones are there; True to play on without concealing it."""
        self._delay = time - self._cursor
        depth, need = self._delay - self._transit.base, self._need()
        if depth < need and self._under:
            self._under = 0
            self._insert_frame()
            return False
        self._under = 1 if depth < need else 0
        self._miss()
        if depth > need + self.packet_ticks + _SLACK_MS * self._rate / 1000:
            self._delay -= self.packet_ticks
            return True
        return False

    def _insert_frame(self) -> None:
        """Let the cursor wait for a packet time."""
        self.inserted += 1
        self._held_back = True
        self._delay += self.packet_ticks

    def _look(self, payload: bytes, time: float) -> bytes | Missing:
        """Compare the depth with what is needed, and correct it where that is not heard, or after a second."""
        self._calm = _LOOK_EVERY - 1 if self._respace is None else 0
        cursor, ticks = self._cursor, self.packet_ticks
        self._delay = time - cursor
        need = self._need()
        above = self._delay - self._transit.base - need
        over = above - ticks - _SLACK_MS * self._rate / 1000
        if over > 0:
            self._over, self._under, self._calm = self._over + 1, 0, 0
            if self._may(self._over, payload) or (self._over > _SURE_AFTER and above + need > self._most):
                return self._drop(payload, 1 + int(over // ticks))
        elif above < 0 or (above < _GUARD_MS * self._rate / 1000 and self._transit.rising and self._quiet is not None):
            self._over, self._under, self._calm = 0, self._under + 1, 0
            if self._may(self._under if above < 0 else min(self._under, self._patience - 1), payload):
                self._under = 0
                self._packets[cursor] = payload
                self._insert_frame()
                return _LOST
        else:
            self._over = self._under = 0
        return self._give(cursor, payload)

    def _may(self, takes: int, payload: bytes) -> bool:
        """Say whether a correction that has been due for some takes is to be made here."""
        if takes >= self._patience:
            return True
        return takes > _SURE_AFTER and self._quiet is not None and self._quiet(payload)

    def _drop(self, payload: bytes, frames: int) -> bytes:
        """Give out a later payload instead of this one, if it is there."""
        for _ in range(frames):
            following = self._packets.pop(self._cursor + self.packet_ticks, None)
            if following is None:
                break
            payload = following
            self.skipped += 1
            self._cursor += self.packet_ticks
            self._delay -= self.packet_ticks
            self._over = 0
        return self._give(self._cursor, payload)
