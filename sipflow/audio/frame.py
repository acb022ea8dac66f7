"""A piece of audio, as agents see it."""

from dataclasses import dataclass

SAMPLE_BYTES = 2  # signed 16 bit, little endian, one channel: the one form of audio inside sipflow


@dataclass(slots=True)
class Frame:
    """Some milliseconds of sound of one speaker. Not frozen, for speed; treat it as if it were.

    Attributes:
        pcm: signed 16-bit little-endian samples, one channel.
        sample_rate_hz: 8000 for telephone audio.
    """

    pcm: bytes
    sample_rate_hz: int = 8000

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.pcm) // SAMPLE_BYTES

    @property
    def duration_ms(self) -> float:
        """How long it plays, in milliseconds."""
        return 1000 * self.samples / self.sample_rate_hz
