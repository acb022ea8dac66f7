"""The codecs sipflow can turn into samples and back, by the names SDP gives them."""

from collections.abc import Callable
from dataclasses import dataclass

from sipflow.audio.codecs.g711 import ALAW_SILENCE, ULAW_SILENCE, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from sipflow.errors import MediaError


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """Turns payloads into 16-bit little-endian mono samples and back, one stateless frame at a time.

    Attributes:
        name: as in SDP, upper case.
        sample_rate_hz: of the samples.
        clock_rate_hz: of RTP timestamps.
        payload_bytes_per_ms: how much one millisecond takes on the wire.
        silence_ms: one millisecond of silence, encoded.
        decode: payload to samples.
        encode: samples to payload; MediaError on half a sample.
    """

    name: str
    sample_rate_hz: int
    clock_rate_hz: int
    payload_bytes_per_ms: int
    silence_ms: bytes
    decode: Callable[[bytes], bytes]
    encode: Callable[[bytes], bytes]

    def silence(self, duration_ms: int) -> bytes:
        """Give a payload of `duration_ms` milliseconds of silence."""
        return self.silence_ms * duration_ms


PCMU_CODEC = AudioCodec("PCMU", 8000, 8000, 8, 8 * ULAW_SILENCE, decode_ulaw, encode_ulaw)
PCMA_CODEC = AudioCodec("PCMA", 8000, 8000, 8, 8 * ALAW_SILENCE, decode_alaw, encode_alaw)

_BY_NAME = {(codec.name, codec.clock_rate_hz): codec for codec in (PCMU_CODEC, PCMA_CODEC)}


def find_codec(name: str, clock_rate_hz: int = 8000) -> AudioCodec:
    """Find a codec by its SDP name, in any case, and RTP clock rate.

    Raises:
        MediaError: sipflow has no such codec.
    """
    codec = _BY_NAME.get((name.upper(), clock_rate_hz))
    if codec is None:
        known = ", ".join(f"{known}/{rate}" for known, rate in _BY_NAME)
        raise MediaError(f"no codec {name}/{clock_rate_hz}: sipflow has {known}")
    return codec
