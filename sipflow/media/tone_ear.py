"""Listens for DTMF inside the audio, where no better way was agreed."""

from collections.abc import Callable

from sipflow.audio.dtmf_detect import DtmfDetector


class ToneEar:
    """A listener of a stream that tells each digit it hears.

    Attributes:
        on_tone: who is told.
    """

    def __init__(self, on_tone: Callable[[str], None], sample_rate_hz: int) -> None:
        self.on_tone = on_tone
        self._sample_rate_hz = sample_rate_hz
        self._detector: DtmfDetector | None = None  # made for the first samples: many a call ends before any come

    def put(self, pcm: bytes) -> None:
        """Take samples."""
        if self._detector is None:
            self._detector = DtmfDetector(self._sample_rate_hz)
        for digit in self._detector.feed(pcm):
            self.on_tone(digit)

    def switch(self, sample_rate_hz: int) -> None:
        """Listen at another rate; a digit that was being pressed is heard anew."""
        self._sample_rate_hz = sample_rate_hz
        self._detector = None

    def end(self) -> None:
        """Nothing is left to do."""
