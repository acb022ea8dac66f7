"""What every codec can do: make decoders and encoders, one pair for each stream, and tell what a payload holds."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, Self

from sipflow.audio.frame import SAMPLE_BYTES


class Decoder(Protocol):
    """Turns the payloads of one stream into samples, in the order they were said.

    Attributes:
        sample_rate_hz: of the samples.
    """

    sample_rate_hz: int

    def decode(self, payload: bytes) -> bytes:
        """Give the 16-bit little-endian mono samples of a payload.

        Raises:
            RemoteProtocolError: the payload is none of this codec. The stream may go on, as after a loss.
        """

    def conceal(self, duration_ms: int, next_payload: bytes | None = None) -> bytes:
        """Make up samples for a packet that is missing.

        Args:
            duration_ms: how long it would have played.
            next_payload: the packet after it, if it has come: some codecs repeat in it what was said before. It is to
                be decoded as well when its time comes.
        """


class Encoder(Protocol):
    """Turns samples into the payloads of one stream.

    Attributes:
        sample_rate_hz: of the samples.
    """

    sample_rate_hz: int

    def encode(self, pcm: bytes) -> bytes:
        """Give the payload of one packet's worth of 16-bit little-endian mono samples.

        Nothing (b"") means that nothing is to be sent for it: the far end makes up the silence (DTX).

        Raises:
            MediaError: not whole samples, or not as many as a packet holds.
        """


@dataclass(frozen=True, slots=True)
class AudioCodec(ABC):
    """A codec, as it is agreed in SDP.

    Attributes:
        name: as in SDP, in the usual case; compared without regard to case.
        sample_rate_hz: of the samples, unless a decoder or encoder is made for another.
        clock_rate_hz: of RTP timestamps; not always the rate of the samples.
        channels: as SDP says; there is always one channel of samples.
        payload_bytes_per_ms: how much one millisecond takes on the wire; 0 if that varies.
    """

    name: str
    sample_rate_hz: int
    clock_rate_hz: int
    channels: int
    payload_bytes_per_ms: int

    def __str__(self) -> str:
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.name}/{self.clock_rate_hz}{channels}"

    @abstractmethod
    def new_decoder(self, fmtp: str = "") -> Decoder:
        """Make a decoder for one stream; `fmtp` is what we told the peer that we would like to get."""

    @abstractmethod
    def new_encoder(self, fmtp: str = "", ptime_ms: int = 20) -> Encoder:
        """Make an encoder for one stream.

        Args:
            fmtp: what the peer told us that it would like to get.
            ptime_ms: how much a packet holds, 10 to 60.
        """

    def at(self, sample_rate_hz: int) -> Self:  # noqa: ARG002  (what codecs of one rate do with a wish for another)
        """Give this codec for samples of another rate, or as it is where it has only one."""
        return self

    def missing(self) -> str:
        """Say what has to be installed before this codec can be used; "" if nothing."""
        return ""

    def payload_ms(self, payload: bytes) -> float:
        """Say how long a payload plays, in milliseconds; 0 for what cannot be played."""
        return len(payload) / self.payload_bytes_per_ms

    def silence(self, duration_ms: int) -> bytes:
        """Give a payload of `duration_ms` milliseconds of silence, 10 to 60 in steps of 10."""
        return _silence(self, duration_ms)

    def decode(self, payload: bytes) -> bytes:
        """Give the samples of a payload that belongs to no stream."""
        return self.new_decoder().decode(payload)

    def encode(self, pcm: bytes) -> bytes:
        """Give the payload of samples that belong to no stream."""
        return self.new_encoder(ptime_ms=len(pcm) * 1000 // (SAMPLE_BYTES * self.sample_rate_hz)).encode(pcm)


@lru_cache(maxsize=128)  # a handful of codecs, six packet times
def _silence(codec: AudioCodec, duration_ms: int) -> bytes:
    return codec.encode(bytes(codec.sample_rate_hz * duration_ms // 1000 * SAMPLE_BYTES))
