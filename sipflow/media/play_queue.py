"""What waits to be played into a call, and how much of it really was. Pure."""

from collections import deque
from collections.abc import Callable

from sipflow.errors import MediaError

Fate = Callable[[bool], None]  # told True when a mark's audio has left, False when it was dropped

_SAMPLE_BYTES = 2
_PATIENCE_TICKS = 5  # a live source that stopped short of its cushion is played out after this
_LIVE_SLACK_MS = 80  # a live source may run ahead by this before its oldest audio is dropped


class PlayQueue:
    """Samples in, one packet's worth at a time out, without copying what is waiting.

    Positions count what was enqueued since the beginning. A *run* is what was enqueued since the queue was last empty
    (or cleared); `clear` measures in runs.

    Attributes:
        played_bytes: samples handed out since the beginning, padding not counted.
        skipped_bytes: samples of live sources dropped because they ran ahead.
        dry: how often the queue ran empty in front of a live source, which then fills its cushion again.
        clears: how often the queue was cleared.
        marks: those not told yet, by position; there is nothing to settle while it is empty.
    """

    __slots__ = (
        "_at",
        "_bytes_per_ms",
        "_cushion",
        "_cushion_ms",
        "_filling",
        "_limit",
        "_live_limit",
        "_patience",
        "_pieces",
        "_position",
        "_run_start",
        "clears",
        "dry",
        "marks",
        "played_bytes",
        "queued_bytes",
        "skipped_bytes",
    )

    def __init__(self, *, sample_rate_hz: int = 8000, limit_s: float = 1800.0) -> None:
        """Start empty.

        Args:
            sample_rate_hz: of the samples, 16 bit mono.
            limit_s: how much may wait.
        """
        self._bytes_per_ms = sample_rate_hz * _SAMPLE_BYTES // 1000
        self._limit = int(limit_s * 1000) * self._bytes_per_ms
        self._pieces: deque[bytes] = deque()
        self._at = 0  # in the first piece
        self._position = 0  # of the next sample to go, in bytes
        self._run_start = 0  # `played_bytes` when the run began
        self.marks: deque[tuple[int, Fate]] = deque()  # by position
        self._cushion_ms = self._cushion = 0  # what a live source fills before it is played, also in bytes
        self._live_limit = 0
        self._filling = False
        self._patience = 0
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
    def run_ms(self) -> int:
        """How much of the current run was played."""
        return (self.played_bytes - self._run_start) // self._bytes_per_ms

    def enqueue(self, pcm: bytes, *, cushion_ms: int = 0, continues: bool = False) -> None:
        """Append samples.

        Args:
            pcm: signed 16-bit little-endian mono at the queue's rate, any number of them.
            cushion_ms: for a live source: how much of it must wait before any is played, at first and whenever it
                ran dry. A live source that runs ahead of real time loses its oldest audio.
            continues: this belongs to the run before it even if that has run dry.

        Raises:
            MediaError: half a sample, or more than the limit would be waiting.
        """
        size = len(pcm)
        queued = self.queued_bytes
        if size % _SAMPLE_BYTES:
            raise MediaError(f"{size} bytes are not whole 16-bit samples")
        if queued + size > self._limit:
            raise MediaError(
                f"{self.queued_ms / 1000:.0f} s of audio wait to be played; media.play_queue_s allows no more"
            )
        if not size:
            return
        if type(pcm) is not bytes:
            pcm = bytes(pcm)  # what is waiting must not change
        if cushion_ms != self._cushion_ms:
            self._cushion_ms = cushion_ms
            self._cushion = cushion_ms * self._bytes_per_ms
            self._live_limit = self._cushion + _LIVE_SLACK_MS * self._bytes_per_ms
        if not queued:
            if not continues:
                self._run_start = self.played_bytes
            self._filling = cushion_ms > 0
            self._patience = _PATIENCE_TICKS
        self._pieces.append(pcm)
        self.queued_bytes = queued + size
        if cushion_ms and queued + size > self._live_limit:
            self.skipped_bytes += len(self._cut(self.queued_bytes - self._cushion))

    def take(self, size: int) -> bytes | None:
        """Take the next `size` bytes of samples, the last ones padded with silence; None while nothing is to play."""
        if self._filling and not self._filled(size):
            return None
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

    def mark(self, fate: Fate, *, before_ms: int = 0) -> None:
        """Have `fate` called, once, when what is waiting now has left but for its last `before_ms`.

        It is called by `settle` or `clear`, at once if that much has left already.
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
        self._pieces.clear()
        self._position += self.queued_bytes
        self._at = self.queued_bytes = 0
        self._filling = False
        self._run_start = self.played_bytes
        self.clears += 1
        marks = self.marks
        self.marks = deque()
        for _, fate in marks:
            fate(False)
        return played_ms

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
        if self._cushion and (not left or self._patience > 0):
            self._filling = True
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
