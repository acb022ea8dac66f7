"""The codecs sipflow can turn into samples and back, by the names SDP gives them."""

from sipflow.audio.codecs.codec import AudioCodec, Decoder, Encoder
from sipflow.audio.codecs.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from sipflow.audio.codecs.g722 import G722_CODEC
from sipflow.audio.codecs.l16 import decode_l16, encode_l16
from sipflow.audio.codecs.opus import OPUS_CODEC
from sipflow.audio.codecs.plain import PlainCodec
from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import MediaError

__all__ = [
    "CODECS",
    "G722_CODEC",
    "OPUS_CODEC",
    "PCMA_CODEC",
    "PCMU_CODEC",
    "AudioCodec",
    "Decoder",
    "Encoder",
    "find_codec",
]

_L16_RATES_HZ = (8000, 16000, 24000, 48000)


def _l16(rate_hz: int) -> AudioCodec:
    return PlainCodec("L16", rate_hz, rate_hz, 1, rate_hz // 1000 * SAMPLE_BYTES, decode_l16, encode_l16)


PCMU_CODEC = PlainCodec("PCMU", 8000, 8000, 1, 8, decode_ulaw, encode_ulaw)
PCMA_CODEC = PlainCodec("PCMA", 8000, 8000, 1, 8, decode_alaw, encode_alaw)

CODECS: tuple[AudioCodec, ...] = (
    PCMU_CODEC,
    PCMA_CODEC,
    G722_CODEC,
    OPUS_CODEC,
    *[_l16(rate_hz) for rate_hz in _L16_RATES_HZ],
)

_BY_NAME = {(codec.name.upper(), codec.clock_rate_hz, codec.channels): codec for codec in CODECS}


def find_codec(name: str, clock_rate_hz: int = 8000, channels: int = 1) -> AudioCodec:
    """Find a codec by what SDP says of it: its name, in any case, RTP clock rate and channels.

    Raises:
        MediaError: sipflow has no such codec.
    """
    codec = _BY_NAME.get((name.upper(), clock_rate_hz, channels))
    if codec is None:
        raise MediaError(f"no codec {name}/{clock_rate_hz}: sipflow has {', '.join(map(str, CODECS))}")
    return codec
