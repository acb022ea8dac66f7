"""G.722 at 64 kbit/s: 16 kHz in the room of G.711 (ITU-T G.722, RFC 3551 §4.5.2)."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from sipflow.audio.codecs.codec import AudioCodec
from sipflow.audio.conceal import Concealer
from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import MediaError

SAMPLE_RATE_HZ = 16000
_BITS_PER_SECOND = 64000
_PAIR_BYTES = 2 * SAMPLE_BYTES  # an octet carries two samples


@dataclass(frozen=True, slots=True)
class G722Codec(AudioCodec):
    """G.722, whose RTP clock has 8000 ticks a second for 16000 samples, by an old mistake (RFC 3551 §4.5.2)."""

    def new_decoder(self, fmtp: str = "") -> "G722Decoder":  # noqa: ARG002  (there are no parameters)
        """Make a decoder for one stream; MediaError if the package `g722` is not there."""
        return G722Decoder()

    def new_encoder(self, fmtp: str = "", ptime_ms: int = 20) -> "G722Encoder":  # noqa: ARG002  (as above)
        """Make an encoder for packets of any length; MediaError if the package `g722` is not there."""
        return G722Encoder()

    def missing(self) -> str:
        """Say what has to be installed before G.722 can be used; "" if nothing."""
        return "" if find_spec("G722") is not None else "its package: pip install g722"


class G722Decoder:
    """Decodes one stream.

    Attributes:
        sample_rate_hz: of the samples.
    """

    __slots__ = ("_conceal", "_decode", "_good", "sample_rate_hz")

    def __init__(self) -> None:
        self.sample_rate_hz = SAMPLE_RATE_HZ
        self._decode = _coder().decode
        concealer = Concealer(SAMPLE_RATE_HZ)
        self._good, self._conceal = concealer.good, concealer.conceal

    def decode(self, payload: bytes) -> bytes:
        """Give the samples of a payload, any octets being G.722; after a loss, faded in from what was made up."""
        return self._good(self._decode(payload).tobytes())

    def conceal(self, duration_ms: int, next_payload: bytes | None = None) -> bytes:  # noqa: ARG002  (repeats nothing)
        """Make up samples for what is missing, from what was heard before."""
        return self._conceal(self.sample_rate_hz * duration_ms // 1000)


class G722Encoder:
    """Encodes one stream.

    Attributes:
        sample_rate_hz: of the samples.
    """

    __slots__ = ("_encode", "sample_rate_hz")

    def __init__(self) -> None:
        self.sample_rate_hz = SAMPLE_RATE_HZ
        self._encode = _coder().encode

    def encode(self, pcm: bytes) -> bytes:
        """Give the payload of samples.

        Raises:
            MediaError: not pairs of samples.
        """
        if len(pcm) % _PAIR_BYTES:
            raise MediaError(f"{len(pcm)} bytes are not whole pairs of 16-bit samples, as G.722 takes them")
        return bytes(self._encode(memoryview(pcm).cast("h")))


def _coder() -> Any:
    """Make a coder, which decodes or encodes one stream."""
    try:
        from G722 import G722
    except ImportError:
        raise MediaError("G.722 needs its package: pip install g722") from None
    return G722(SAMPLE_RATE_HZ, _BITS_PER_SECOND)


G722_CODEC = G722Codec("G722", SAMPLE_RATE_HZ, 8000, 1, 8)
