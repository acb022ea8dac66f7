"""Sound that waits at the rate of an earlier codec, and is converted only when its turn comes. Pure."""

from collections import deque
from collections.abc import Sequence

from sipflow.audio.resample import resample
from sipflow.media.run_up import run_up

_SAMPLE_BYTES = 2
_CHUNK_MS = 500  # converted at a time, in half a millisecond of CPU
_EDGE_MS = 10  # heard before and after what is converted, so that chunks join without a seam


class Backlog:
    """Pieces of sound of any rates in, chunks of one rate out.

    A call may have half an hour of sound queued when its codec changes; to convert that at once would hold up every
    other call, and a far end could ask for it again and again.

    Attributes:
        bytes: how many bytes of samples will come out, at the rate given last.
    """

    __slots__ = ("_before", "_before_hz", "_pieces", "bytes")

    def __init__(self) -> None:
        self._pieces: deque[tuple[memoryview, int, int]] = deque()  # samples, their rate, bytes they will come out as
        self._before = b""  # the last that was converted, as it was
        self._before_hz = 0
        self.bytes = 0

    def put(self, pcm: bytes | memoryview, sample_rate_hz: int, size: int) -> None:
        """Append samples that are to come out as `size` bytes."""
        self._pieces.append((memoryview(pcm), sample_rate_hz, size))
        self.bytes += size

    def retune(self, waiting: Sequence[bytes | memoryview], before_hz: int, size: int) -> None:
        """Go over to another rate.

        Args:
            waiting: samples that come before all others, at the old rate.
            before_hz: the old rate.
            size: bytes that everything together is to come out as.
        """
        pieces = [*((pcm, before_hz, len(pcm)) for pcm in waiting), *self._pieces]
        self._pieces.clear()
        self.clear()
        total = sum(piece[2] for piece in pieces)
        end = 0
        for pcm, rate_hz, old in pieces:
            end += old
            until = size * end // (total * _SAMPLE_BYTES) * _SAMPLE_BYTES
            self.put(pcm, rate_hz, until - self.bytes)

    def take(self, sample_rate_hz: int) -> bytes:
        """Give the next chunk at this rate, which all sizes are for; there must be one."""
        pcm, rate_hz, size = self._next()
        if rate_hz == sample_rate_hz:
            converted = pcm
        else:
            edge = self._before if self._before_hz == rate_hz else run_up(pcm, rate_hz)
            after = self._after(rate_hz)
            converted = resample(edge + pcm + after, rate_hz, sample_rate_hz)
            converted = converted[len(edge) * sample_rate_hz // (rate_hz * _SAMPLE_BYTES) * _SAMPLE_BYTES :]
        self._before = pcm[-(rate_hz * _EDGE_MS // 1000 * _SAMPLE_BYTES) :]
        self._before_hz = rate_hz
        self.bytes -= size
        converted = converted[:size]
        return converted + converted[-_SAMPLE_BYTES:] * ((size - len(converted)) // _SAMPLE_BYTES)

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self._before, self._before_hz = b"", 0
        self.bytes = 0

    def _next(self) -> tuple[bytes, int, int]:
        """Take up to a chunk of one rate: samples, rate, bytes they are to come out as."""
        rate_hz = self._pieces[0][1]
        want = rate_hz * _CHUNK_MS // 1000 * _SAMPLE_BYTES
        parts, total = [], 0
        while self._pieces and self._pieces[0][1] == rate_hz and want:
            pcm, _, size = self._pieces.popleft()
            if len(pcm) > want:
                share = size * want // (len(pcm) * _SAMPLE_BYTES) * _SAMPLE_BYTES
                self._pieces.appendleft((pcm[want:], rate_hz, size - share))
                pcm, size = pcm[:want], share
            want -= len(pcm)
            parts.append(pcm)
            total += size
        return b"".join(parts), rate_hz, total

    def _after(self, rate_hz: int) -> bytes:
        """Look at what follows, as far as it is of the same rate."""
        want = rate_hz * _EDGE_MS // 1000 * _SAMPLE_BYTES
        found = b""
        for pcm, other_hz, _ in self._pieces:
            if other_hz != rate_hz or len(found) >= want:
                break
            found += bytes(pcm[: want - len(found)])
        return found
