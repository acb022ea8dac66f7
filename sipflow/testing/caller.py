"""The far end of a fake call: says what it is given, presses keys, hangs up, each at its time."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from heapq import heappop, heappush

from sipflow.audio.frame import SAMPLE_BYTES, Frame
from sipflow.audio.resample import to_rate

Said = bytes | Frame | Iterable[Frame | bytes] | AsyncIterable[Frame | bytes]


class Caller:
    """Plays a script on a clock that is moved by hand.

    Attributes:
        clock_s: seconds since the audio began.
        busy_until_s: when the last thing of the script was done.
    """

    def __init__(self, audio: Said | None, *, sample_rate_hz: int, frame_bytes: int) -> None:
        self.clock_s = 0.0
        self.busy_until_s = 0.0
        self._rate_hz = sample_rate_hz
        self._frame_bytes = frame_bytes
        self._pieces = _pieces(audio)
        self._rest = b""
        self._talks = audio is not None
        self._actions: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

    def at(self, seconds: float, action: Callable[[], object], *, counts: bool = True) -> None:
        """Do something when the clock shows `seconds`; `counts` when it belongs to the script."""
        self._number += 1
        heappush(self._actions, (seconds, self._number, action))
        if counts:
            self.busy_until_s = max(self.busy_until_s, seconds)

    async def next_frame(self) -> bytes:
        """Give what is said in the next packet time; silence when there is nothing more."""
        while self._talks and len(self._rest) < self._frame_bytes:
            piece = await anext(self._pieces, None)
            if piece is None:
                self._talks = False
            else:
                frame = piece if isinstance(piece, Frame) else Frame(bytes(piece), self._rate_hz)
                self._rest += to_rate(frame, self._rate_hz).pcm
        pcm, self._rest = self._rest[: self._frame_bytes], self._rest[self._frame_bytes :]
        if pcm:
            self.busy_until_s = max(self.busy_until_s, self.clock_s)
        return pcm + bytes(self._frame_bytes - len(pcm))

    def pass_time(self, seconds: float) -> None:
        """Move the clock, and do what its time has come for."""
        self.clock_s = round(self.clock_s + seconds, 6)
        while self._actions and self._actions[0][0] <= self.clock_s:
            heappop(self._actions)[2]()

    def frame_s(self) -> float:
        """Seconds that a packet time lasts."""
        return self._frame_bytes / SAMPLE_BYTES / self._rate_hz


async def _pieces(audio: Said | None) -> AsyncIterator[Frame | bytes]:
    if isinstance(audio, bytes | bytearray | Frame):
        yield audio
    elif isinstance(audio, AsyncIterable):
        async for piece in audio:
            yield piece
    elif audio is not None:
        for piece in audio:
            yield piece
