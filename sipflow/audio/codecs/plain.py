"""Codecs without a memory: each payload stands for itself, and a lost one harms no other."""

from collections.abc import Callable
from dataclasses import dataclass

from sipflow.audio.codecs.codec import AudioCodec
from sipflow.audio.conceal import Concealer


@dataclass(frozen=True, slots=True)
class PlainCodec(AudioCodec):
    """A codec of two functions.

    Attributes:
        from_wire: payload to samples; RemoteProtocolError for what is no payload.
        to_wire: samples to payload; MediaError on half a sample.
    """

    from_wire: Callable[[bytes], bytes]
    to_wire: Callable[[bytes], bytes]

    def new_decoder(self, fmtp: str = "") -> "PlainDecoder":  # noqa: ARG002  (none of them has parameters)
        """Make a decoder for one stream; it has no parameters."""
        return PlainDecoder(self)

    def new_encoder(self, fmtp: str = "", ptime_ms: int = 20) -> "PlainEncoder":  # noqa: ARG002  (as above)
        """Make an encoder for packets of any length; it has no parameters."""
        return PlainEncoder(self)

    def decode(self, payload: bytes) -> bytes:
        """Give the samples of a payload."""
        return self.from_wire(payload)

    def encode(self, pcm: bytes) -> bytes:
        """Give the payload of samples."""
        return self.to_wire(pcm)


class PlainDecoder:
    """Decodes without a memory, and conceals with one."""

    __slots__ = ("_conceal", "_from_wire", "_good", "sample_rate_hz")

    def __init__(self, codec: PlainCodec) -> None:
        self.sample_rate_hz = codec.sample_rate_hz
        self._from_wire = codec.from_wire
        concealer = Concealer(codec.sample_rate_hz)
        self._good, self._conceal = concealer.good, concealer.conceal

    def decode(self, payload: bytes) -> bytes:
        """Give the samples of a payload; after a loss, faded in from what was made up."""
        return self._good(self._from_wire(payload))

    def conceal(self, duration_ms: int, next_payload: bytes | None = None) -> bytes:  # noqa: ARG002  (repeats nothing)
        """Make up samples for what is missing, from what was heard before."""
        return self._conceal(self.sample_rate_hz * duration_ms // 1000)


class PlainEncoder:
    """Encodes without a memory."""

    __slots__ = ("encode", "sample_rate_hz")

    def __init__(self, codec: PlainCodec) -> None:
        self.sample_rate_hz = codec.sample_rate_hz
        self.encode = codec.to_wire
