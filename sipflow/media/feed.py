"""One source's way into a play queue: any rate in, the queue's rate out, no seam between pieces."""

from sipflow.audio.resample import Resampler
from sipflow.errors import MediaError
from sipflow.media.play_queue import PlayQueue, Samples

_SAMPLE_BYTES = 2
_AHEAD_MS = 60  # a source this far ahead is no live one: when the queue runs dry, that was its end


class Feed:
    """Enqueues what one source gives, and can measure and drop it apart from what others gave.

    A resampler holds back its last milliseconds until it has seen what follows. They are fetched when the queue runs
    dry: at once where the source was ahead of real time, else at the second packet that finds nothing, so that a live
    source is not cut into packets.
    """

    __slots__ = ("_ahead", "_dry_at", "_part", "_queue", "_rates", "_resampler")

    def __init__(self, queue: PlayQueue) -> None:
        """Begin with nothing; `close` or `drop` in the end."""
        self._queue = queue
        self._part = queue.part()
        self._resampler: Resampler | None = None
        self._rates = (0, 0)
        self._ahead = False
        self._dry_at = -1

    @property
    def played_ms(self) -> int:
        """How much of this source was played, in milliseconds."""
        return self._queue.played_ms_of(self._part)

    def write(self, pcm: Samples, sample_rate_hz: int, *, cushion_ms: int = 0, continues: bool = False) -> None:
        """Enqueue samples of any rate.

        Args:
            pcm: signed 16-bit little-endian mono, any number of them.
            sample_rate_hz: of `pcm`.
            cushion_ms: for a live source; see `PlayQueue.enqueue`.
            continues: as there.

        Raises:
            MediaError: half a sample, no such rate, or more would be waiting than the queue allows.
        """
        queue = self._queue
        if self._resampler is not None and self._rates != (sample_rate_hz, queue.sample_rate_hz):
            self.flush()
        if sample_rate_hz == queue.sample_rate_hz:
            queue.enqueue(pcm, cushion_ms=cushion_ms, continues=continues, part=self._part)
            return
        resampled = self._resampled(pcm, sample_rate_hz)
        try:
            queue.enqueue(resampled, cushion_ms=cushion_ms, continues=continues, part=self._part)
        except MediaError:
            self._forget_tail()
            raise
        self._ahead = self._ahead or queue.queued_ms > _AHEAD_MS

    def flush(self) -> None:
        """Enqueue what is held back until more comes: this is the end, or a moment to be measured."""
        resampler = self._resampler
        if resampler is not None:
            self._forget_tail()
            self._queue.enqueue(resampler.process(b"", last=True), continues=True, part=self._part)

    def close(self) -> int:
        """Let what waits be played. Gives how many milliseconds were played until now."""
        self.flush()
        played_ms = self.played_ms
        self._queue.forget(self._part)
        return played_ms

    def drop(self) -> int:
        """Drop what waits of this source, and nothing of others. Gives how many milliseconds were played."""
        self._forget_tail()
        return self._queue.drop(self._part)

    def cleared(self) -> None:
        """Hold nothing back any more: the whole queue is being cleared. The source may go on."""
        self._forget_tail()

    def _resampled(self, pcm: Samples, sample_rate_hz: int) -> bytes:
        pcm = bytes(pcm)
        if len(pcm) % _SAMPLE_BYTES:
            raise MediaError(f"{len(pcm)} bytes are not whole 16-bit samples")
        if self._resampler is None:
            self._rates = (sample_rate_hz, self._queue.sample_rate_hz)
            self._resampler = Resampler(*self._rates)
            self._queue.tails.append(self._tail)
        return self._resampler.process(pcm)

    def _tail(self, must: bool) -> None:
        """Enqueue what is held back if it is time; the queue has less than a packet left."""
        if must or self._ahead or self._dry_at == self._queue.end_bytes:
            self.flush()
        else:
            self._dry_at = self._queue.end_bytes

    def _forget_tail(self) -> None:
        self._resampler = None
        self._ahead = False
        if self._tail in self._queue.tails:
            self._queue.tails.remove(self._tail)
