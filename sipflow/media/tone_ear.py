"""Listens for DTMF inside the audio, where no better way was agreed."""

from collections.abc import Callable

from sipflow.audio.dtmf_detect import DtmfDetector


class ToneEar:
    """A listener of a stream that tells each digit it hears."""

    def __init__(self, on_tone: Callable[[str], None], sample_rate_hz: int) -> None:
        self._on_tone = on_tone
        self._detector = DtmfDetector(sample_rate_hz)

    def put(self, pcm: bytes) -> None:
        """Take samples."""
        for digit in self._detector.feed(pcm):
            self._on_tone(digit)

    def switch(self, sample_rate_hz: int) -> None:
        """Listen at another rate; a digit that was being pressed is heard anew."""
        self._detector = DtmfDetector(sample_rate_hz)

    def end(self) -> None:
        """Nothing is left to do."""
