"""What waits to be played into a call, and how much of it really was. Pure."""

from collections import deque
from collections.abc import Callable, Iterator

from sipflow.errors import MediaError
from sipflow.media.backlog import Backlog

Samples = bytes | bytearray | memoryview  # 16-bit little-endian mono, whoever made them
Fate = Callable[[bool], None]  # told True when a mark's audio has left, False when it was dropped

_SAMPLE_BYTES = 2
_PATIENCE_TICKS = 5  # a live source that stopped short of its cushion is played out after this
_LIVE_SLACK_MS = 80  # a live source may run ahead by this before its oldest audio is dropped


class Part:
    """What of a queue came from one source, so that it can be measured, and dropped without the rest.

    Attributes:
        played_bytes: how much of it was played, as far as it has been counted (`PlayQueue.played_ms_of`).
        spans: where what is not counted yet lies: [start, end] positions, in order.
    """

    __slots__ = ("played_bytes", "spans")

    def __init__(self) -> None:
        self.played_bytes = 0
        self.spans: list[list[int]] = []

    def extend(self, start: int, end: int) -> None:
        """Own what was enqueued there too."""
        if self.spans and self.spans[-1][1] == start:
            self.spans[-1][1] = end
        else:
            self.spans.append([start, end])

    def pass_by(self, position: int, *, played: bool) -> None:
        """Let go of what lies before `position`, and count it if it was played."""
        spans = self.spans
        while spans and spans[0][0] < position:
            start, end = spans[0]
            reached = min(end, position)
            if played:
                self.played_bytes += reached - start
            if reached < end:
                spans[0][0] = reached
                return
            del spans[0]


class PlayQueue:
    """Samples in, one packet's worth at a time out, without copying what is waiting.

    Positions count what was enqueued since the beginning. A *run* is what was enqueued since the queue was last empty
    (or cleared); `clear` measures in runs.

    Attributes:
        sample_rate_hz: of the samples; `retune` changes it.
        paused: whether nothing is given out although something waits.
        played_bytes: samples handed out since the beginning, padding not counted.
        queued_bytes: samples that wait.
        skipped_bytes: samples of live sources dropped because they ran ahead.
        dry: how often the queue ran empty in front of a live source, which then fills its cushion again.
        clears: how often the queue was cleared.
        marks: those not told yet, by position; there is nothing to settle while it is empty.
        on_wanted: called when something begins to wait, or `resume` lets what waits go; None for nobody.
        tails: sources that hold their last samples back until more comes. Each is called whenever less than a packet is
            left, and may enqueue them; with True it must.
    """

    __slots__ = (
        "_at",
        "_backlog",
        "_bytes_per_ms",
        "_cushion",
        "_cushion_ms",
        "_filling",
        "_limit_ms",
        "_live_limit",
        "_parts",
        "_patience",
        "_pieces",
        "_position",
        "_run_start",
        "_stopped",
        "clears",
        "dry",
        "marks",
        "on_wanted",
        "paused",
        "played_bytes",
        "queued_bytes",
        "sample_rate_hz",
        "skipped_bytes",
        "tails",
    )

    def __init__(self, *, sample_rate_hz: int = 8000, limit_s: float = 1800.0) -> None:
        """Start empty.

        Args:
            sample_rate_hz: of the samples, 16 bit mono.
            limit_s: how much may wait.
        """
        self.sample_rate_hz = sample_rate_hz
        self._bytes_per_ms = sample_rate_hz * _SAMPLE_BYTES // 1000
        self._limit_ms = int(limit_s * 1000)
        self._pieces: deque[bytes] = deque()
        self._backlog: Backlog | None = None  # what waits behind the pieces since `retune`, not converted yet
        self._at = 0  # in the first piece
        self._position = 0  # of the next sample to go, in bytes
        self._run_start = 0  # `played_bytes` when the run began
        self._parts: tuple[Part, ...] = ()
        self.marks: deque[tuple[int, Fate]] = deque()  # by position
        self.on_wanted: Callable[[], None] | None = None
        self.tails: list[Callable[[bool], None]] = []
        self._cushion_ms = self._cushion = 0  # what a live source fills before it is played, also in bytes
        self._live_limit = 0
        self._filling = False
        self._stopped = False  # filling or paused: one question for every packet instead of two
        self._patience = 0
        self.paused = False
        self.queued_bytes = 0
        self.played_bytes = self.skipped_bytes = self.dry = self.clears = 0

    @property
    def queued_ms(self) -> int:
        """How long what is waiting will play."""
        return self.queued_bytes // self._bytes_per_ms

    @property
    def played_ms(self) -> int:
        """How much was played since the beginning."""
        return self.played_bytes // self._bytes_per_ms

    @property
    def skipped_ms(self) -> int:
        """How much audio of live sources was dropped because it ran ahead."""
        return self.skipped_bytes // self._bytes_per_ms

    @property
    def end_bytes(self) -> int:
        """Position of the end of what waits."""
        return self._position + self.queued_bytes

    @property
    def run_ms(self) -> int:
        """How much of the current run was played."""
        return (self.played_bytes - self._run_start) // self._bytes_per_ms

    def enqueue(self, pcm: Samples, *, cushion_ms: int = 0, continues: bool = False, part: Part | None = None) -> None:
        """Append samples.

        Args:
            pcm: signed 16-bit little-endian mono at the queue's rate, any number of them.
            cushion_ms: for a live source: how much of it must wait before any is played, at first and whenever it
                ran dry. A live source that runs ahead of real time, or is held up by `pause`, loses its oldest audio.
            continues: this belongs to the run before it even if that has run dry.
            part: whose it is, of those that `part` gave.

        Raises:
            MediaError: half a sample, or more than the limit would be waiting.
        """
        if type(pcm) is not bytes:
            pcm = bytes(pcm)  # what is waiting must not change
        size = len(pcm)
        queued = self.queued_bytes
        if size % _SAMPLE_BYTES:
            raise MediaError(f"{size} bytes are not whole 16-bit samples")
        if queued + size > self._limit_ms * self._bytes_per_ms:
            raise MediaError(
                f"{self.queued_ms / 1000:.0f} s of audio wait to be played; media.play_queue_s allows no more"
            )
        if not size:
            return
        if cushion_ms != self._cushion_ms:
            self._set_cushion(cushion_ms)
        if not queued:
            if not continues:
                self._run_start = self.played_bytes
            self._filling = cushion_ms > 0
            self._stopped = self._filling or self.paused
            self._patience = _PATIENCE_TICKS
            if self.on_wanted is not None:
                self.on_wanted()
        if part is not None:
            part.extend(self._position + queued, self._position + queued + size)
        if self._backlog is None:
            self._pieces.append(pcm)
        else:
            self._backlog.put(pcm, self.sample_rate_hz, size)
        self.queued_bytes = queued + size
        if cushion_ms and queued + size > self._live_limit:
            self._skip(self.queued_bytes - self._cushion)

    def take(self, size: int) -> bytes | None:
        """Take the next `size` bytes of samples, the last ones padded with silence; None while nothing is to play."""
        if self._stopped and not self._ready(size):
            return None
        if self._backlog is not None:
            self._convert(size)
        head_end = self._at + size
        if self.queued_bytes < size:
            return self._last(size)
        pieces = self._pieces
        head = pieces[0]
        if head_end < len(head):
            pcm = head[self._at : head_end]
            self._at = head_end
            self.queued_bytes -= size
            self._position += size
        elif head_end == len(head) == size:  # a piece of just one packet goes as it is
            pcm = pieces.popleft()
            self.queued_bytes -= size
            self._position += size
        else:
            pcm = self._cut(size)
        self.played_bytes += size
        return pcm

    def pause(self) -> None:
        """Give nothing out, and keep what waits and its marks, until `resume`."""
        self.paused = self._stopped = True

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        self.paused = False
        self._stopped = self._filling
        if self.on_wanted is not None:
            self.on_wanted()

    def mark(self, fate: Fate, *, before_ms: int = 0) -> None:
        """Have `fate` called, once, when what is waiting now has left but for its last `before_ms`.

        It is called by `settle`, `clear` or `drop`, at once if that much has left already.
        """
        end = self._position + self.queued_bytes - before_ms * self._bytes_per_ms
        if end <= self._position:
            fate(True)
        elif not self.marks or self.marks[-1][0] <= end:
            self.marks.append((end, fate))
        else:
            self.marks = deque(sorted((*self.marks, (end, fate)), key=lambda mark: mark[0]))

    def settle(self) -> None:
        """Tell the marks whose last sample has left; call it after sending what `take` gave."""
        while self.marks and self.marks[0][0] <= self._position:
            self.marks.popleft()[1](True)

    def clear(self) -> int:
        """Drop what is waiting, tell its marks so, and give how many milliseconds of its run were played."""
        played_ms = self.run_ms
        for part in self._parts:
            part.pass_by(self._position, played=True)
            part.spans.clear()
        self._pieces.clear()
        self._backlog = None
        self._position += self.queued_bytes
        self._at = self.queued_bytes = 0
        self.tails.clear()
        self._fill_no_more()
        self._run_start = self.played_bytes
        self.clears += 1
        marks = self.marks
        self.marks = deque()
        for _, fate in marks:
            fate(False)
        return played_ms

    # Several sources

    def part(self) -> Part:
        """Give a new source's share, empty; `drop` or `forget` it in the end."""
        part = Part()
        self._parts = (*self._parts, part)
        return part

    def forget(self, part: Part) -> None:
        """Follow a share no longer; what waits of it is played."""
        part.pass_by(self._position, played=True)
        self._parts = tuple(other for other in self._parts if other is not part)

    def played_ms_of(self, part: Part) -> int:
        """How much of a share was played."""
        part.pass_by(self._position, played=True)
        return part.played_bytes // self._bytes_per_ms

    def drop(self, part: Part) -> int:
        """Drop what waits of one share, and forget it; what others enqueued moves up.

        Marks whose last sample was dropped are told so; later ones move up too.

        Returns:
            How many milliseconds of the share were played.
        """
        played_ms = self.played_ms_of(part)
        self.forget(part)
        spans = part.spans
        if not spans:
            return played_ms
        end = self.end_bytes
        if self._backlog is not None and spans[-1][0] <= end - self._backlog.bytes and spans[-1][1] == end:
            self.queued_bytes -= self._backlog.bytes
            self._backlog = None
        kept = list(self._outside(spans))
        self._pieces = deque(kept)
        self._at = 0
        self.queued_bytes = sum(map(len, kept))
        if not kept:
            self._fill_no_more()
        for other in self._parts:
            other.pass_by(self._position, played=True)
            other.spans = [[_moved(spans, start), _moved(spans, end)] for start, end in other.spans]
        marks, self.marks = self.marks, deque()
        dropped = []
        for position, fate in marks:
            if any(start < position <= end for start, end in spans):
                dropped.append(fate)
            else:
                self.marks.append((_moved(spans, position), fate))
        for fate in dropped:
            fate(False)
        return played_ms

    def _outside(self, spans: list[list[int]]) -> Iterator[bytes]:
        """Cut what waits at the spans, and give what lies between them."""
        if self._backlog is not None:
            self._convert(self.queued_bytes)
        position = self._position - self._at
        for piece in self._pieces:
            at = max(self._position - position, 0)
            for start, end in spans:
                if start < position + len(piece) and end > position + at:
                    if start > position + at:
                        yield piece[at : start - position]
                    at = end - position
            if at < len(piece):
                yield piece[at:]
            position += len(piece)

    # Another codec

    def retune(self, sample_rate_hz: int) -> None:
        """Go over to another rate: what waits is converted in its time, and all milliseconds stay what they were."""
        before, self.sample_rate_hz = self.sample_rate_hz, sample_rate_hz
        if before == sample_rate_hz:
            return

        def scaled(size: int) -> int:
            return size * sample_rate_hz // (before * _SAMPLE_BYTES) * _SAMPLE_BYTES

        for tail in tuple(self.tails):
            tail(True)
        end = self.end_bytes
        waiting: list[bytes | memoryview] = list(self._pieces)
        if self._at:
            waiting[0] = memoryview(waiting[0])[self._at :]
        self._bytes_per_ms = sample_rate_hz * _SAMPLE_BYTES // 1000
        for part in self._parts:
            part.pass_by(self._position, played=True)
            part.played_bytes = scaled(part.played_bytes)
            part.spans = [[scaled(start), scaled(end)] for start, end in part.spans]
        self.marks = deque((scaled(position), fate) for position, fate in self.marks)
        for name in ("_position", "_run_start", "played_bytes", "skipped_bytes"):
            setattr(self, name, scaled(getattr(self, name)))
        self.queued_bytes = scaled(end) - self._position
        backlog = self._backlog or Backlog()
        if self.queued_bytes:
            backlog.retune(waiting, before, self.queued_bytes)
        self._backlog = backlog if backlog.bytes else None
        self._pieces.clear()
        self._at = 0
        self._set_cushion(self._cushion_ms)

    # Inside

    def _convert(self, size: int) -> None:
        """See to it that of what waits the first `size` bytes are at the queue's rate."""
        backlog = self._backlog
        while backlog is not None and self.queued_bytes - backlog.bytes < size:
            chunk = backlog.take(self.sample_rate_hz)
            if chunk:
                self._pieces.append(chunk)
            if not backlog.bytes:
                backlog = self._backlog = None

    def _set_cushion(self, cushion_ms: int) -> None:
        self._cushion_ms = cushion_ms
        self._cushion = cushion_ms * self._bytes_per_ms
        self._live_limit = self._cushion + _LIVE_SLACK_MS * self._bytes_per_ms

    def _skip(self, size: int) -> None:
        """Drop the oldest of a live source that ran ahead."""
        for part in self._parts:
            part.pass_by(self._position, played=True)
            part.pass_by(self._position + size, played=False)
        self._convert(size)
        self._cut(size)
        self.skipped_bytes += size

    def _fill_no_more(self) -> None:
        self._filling = False
        self._stopped = self.paused

    def _ready(self, size: int) -> bool:
        """Say whether anything may be given out: not while paused, and of a live source when it is there."""
        if self.paused or (self._filling and not self._filled(size)):
            return False
        self._stopped = False
        return True

    def _filled(self, size: int) -> bool:
        """Say whether a live source may be played: its cushion is there, or it has stopped short of it."""
        if self.queued_bytes < max(self._cushion, size):
            if not self.queued_bytes:
                return False
            self._patience -= 1
            if self._patience > 0:
                return False
        else:
            self._patience = _PATIENCE_TICKS
        self._filling = False
        return True

    def _last(self, size: int) -> bytes | None:
        """Take less than a whole packet: padded, or nothing while a live source fills its cushion again."""
        left = self.queued_bytes
        for tail in tuple(self.tails):
            tail(False)
        if self.queued_bytes > left:
            return self.take(size)
        if self._cushion and (not left or self._patience > 0):
            self._filling = self._stopped = True
            self.dry += 1
            return None
        if not left:
            return None
        self.played_bytes += left
        return self._cut(left) + bytes(size - left)

    def _cut(self, size: int) -> bytes:
        """Take exactly `size` bytes, of which that many are waiting."""
        self.queued_bytes -= size
        self._position += size
        parts = []
        while size:
            head = self._pieces[0]
            part = head[self._at : self._at + size]
            size -= len(part)
            self._at += len(part)
            if self._at == len(head):
                self._pieces.popleft()
                self._at = 0
            parts.append(part)
        return b"".join(parts)


def _moved(spans: list[list[int]], position: int) -> int:
    """Say where a position is once the spans before it are gone."""
    return position - sum(min(position, end) - start for start, end in spans if start < position)
