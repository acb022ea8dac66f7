"""Opus for telephone calls: one voice, at the rate that is wanted, repaired after losses (RFC 6716, RFC 7587)."""

import re
from dataclasses import dataclass, replace
from typing import Self

from sipflow.audio.codecs import libopus
from sipflow.audio.codecs.codec import AudioCodec
from sipflow.audio.codecs.libopus import DecoderState, EncoderState
from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import MediaError, RemoteProtocolError

# Of 0 to 10. What 20 ms at 16 kHz take to encode, and how they sound with 5 % of the packets lost (wide-band PESQ, the
# losses repaired from the next packet): 0: 50 us, 3.2. 1: 60 us, 3.6. 3: 140 us, 3.7. 5: 175 us, 4.1. 9: 300 us, 4.1.
COMPLEXITY = 5
_SILENT_COMPLEXITY = 0  # an agent is silent half of the time, and silence sounds the same for 25 us instead of 150
EXPECTED_LOSS_PERCENT = 10  # until it is measured; with 0 libopus repeats nothing, whatever the peer asks

# Bits a second by sample rate: the upper ends of RFC 7587 §3.1.1, and what repeating for the next packet takes.
_BIT_RATES = {8000: 16_000, 12000: 20_000, 16000: 24_000, 24000: 32_000, 48000: 40_000}
_LEAST_BIT_RATE = 6_000  # RFC 7587 §6.1: maxaveragebitrate
_NOT_SENT_BYTES = 2  # opus_encoder.h: in DTX, packets up to this size need not be sent
_STEPS_PER_SECOND = 400  # of 2.5 ms: whatever is made up is a number of these
_NUMBER = re.compile(r"[0-9]{1,7}")
# RFC 6716 §3.1, table 2: how long a frame is, in quarters of a millisecond, by configuration.
_FRAME_QUARTERS = (40, 80, 160, 240) * 3 + (40, 80) * 2 + (10, 20, 40, 80) * 4


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one side would like to get, as its `a=fmtp` says (RFC 7587 §6.1).

    Attributes:
        maxplaybackrate: in Hz, what it can play.
        maxaveragebitrate: in bits a second; None for no limit.
        useinbandfec: whether it repairs losses from what is repeated in the next packet.
        usedtx: whether it would rather get nothing during silence.
        cbr: whether all packets must have one size.
    """

    maxplaybackrate: int = 48000
    maxaveragebitrate: int | None = None
    useinbandfec: bool = False
    usedtx: bool = False
    cbr: bool = False

    @classmethod
    def parse(cls, fmtp: str) -> Self:
        """Read the parameters of `a=fmtp`; what cannot be read counts as absent (RFC 7587 §7)."""
        found: dict[str, str] = {}
        for part in fmtp.split(";"):
            name, _, value = part.partition("=")
            found.setdefault(name.strip().lower(), value.strip())
        rate, bits = _number(found.get("maxplaybackrate")), _number(found.get("maxaveragebitrate"))
        return cls(
            maxplaybackrate=48000 if rate is None else rate,
            maxaveragebitrate=bits,
            useinbandfec=found.get("useinbandfec") == "1",
            usedtx=found.get("usedtx") == "1",
            cbr=found.get("cbr") == "1",
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class OpusCodec(AudioCodec):
    """Opus with samples of one rate: 8, 12, 16, 24 or 48 kHz, whatever rate the peer uses (RFC 7587 §4.1)."""

    def new_decoder(self, fmtp: str = "") -> "OpusDecoder":  # noqa: ARG002  (a decoder takes whatever comes)
        """Make a decoder for one stream.

        Raises:
            MediaError: there is no libopus.
        """
        return OpusDecoder(self.sample_rate_hz)

    def new_encoder(self, fmtp: str = "", ptime_ms: int = 20) -> "OpusEncoder":
        """Make an encoder for one stream, which does what the peer's `fmtp` asks.

        Raises:
            MediaError: there is no libopus, or `ptime_ms` is not 10, 20, 40 or 60.
        """
        return OpusEncoder(self.sample_rate_hz, Wishes.parse(fmtp), ptime_ms)

    def at(self, sample_rate_hz: int) -> Self:
        """Give Opus for samples of another rate; as it is where Opus does not have that rate."""
        return replace(self, sample_rate_hz=sample_rate_hz) if sample_rate_hz in libopus.SAMPLE_RATES_HZ else self

    def missing(self) -> str:
        """Say what has to be installed before Opus can be used; "" if nothing."""
        return "" if libopus.load() is not None else "libopus: pip install av, or install the system's libopus0"

    def payload_ms(self, payload: bytes) -> float:
        """Say how long a packet plays, in milliseconds, from its first octets (RFC 6716 §3.2); 0 for no packet."""
        if not payload:
            return 0.0
        kind = payload[0] & 3
        frames = 1 if kind == 0 else 2
        if kind == 3:
            frames = payload[1] & 0x3F if len(payload) > 1 else 0
        duration_ms = frames * _FRAME_QUARTERS[payload[0] >> 3] / 4
        return duration_ms if duration_ms <= libopus.LONGEST_MS else 0.0


class OpusDecoder:
    """Decodes one stream.

    Attributes:
        sample_rate_hz: of the samples.
    """

    __slots__ = ("_state", "sample_rate_hz")

    def __init__(self, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._state = DecoderState(sample_rate_hz)

    def decode(self, payload: bytes) -> bytes:
        """Give the samples of a packet.

        Raises:
            RemoteProtocolError: it is no Opus packet. The stream may go on.
        """
        try:
            return self._state.decode(payload)
        except MediaError as error:
            raise RemoteProtocolError(str(error)) from None

    def conceal(self, duration_ms: int, next_payload: bytes | None = None) -> bytes:
        """Make up samples for what is missing: what the next packet repeats of it (RFC 6716 §2.1.7), or a guess."""
        wanted = self.sample_rate_hz * duration_ms // 1000
        step = self.sample_rate_hz // _STEPS_PER_SECOND
        longest = self.sample_rate_hz * libopus.LONGEST_MS // 1000
        left = -(-wanted // step) * step
        pieces = []
        while left > 0:
            samples = min(left, longest)
            left -= samples
            pieces.append(self._made_up(samples, None if left else next_payload))
        return b"".join(pieces)[: wanted * SAMPLE_BYTES]

    def _made_up(self, samples: int, following: bytes | None) -> bytes:
        if following:
            try:
                return self._state.make_up(samples, following)
            except MediaError:
                pass  # the next packet is none: it is counted when its time comes
        return self._state.make_up(samples)


class OpusEncoder:
    """Encodes one stream.

    Attributes:
        sample_rate_hz: of the samples.
    """

    __slots__ = ("_complexity", "_drops", "_samples", "_silence", "_state", "sample_rate_hz")

    def __init__(self, sample_rate_hz: int, wishes: Wishes = Wishes(), ptime_ms: int = 20) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._samples = sample_rate_hz * ptime_ms // 1000
        self._silence = bytes(self._samples * SAMPLE_BYTES)
        self._complexity = COMPLEXITY
        self._state = EncoderState(sample_rate_hz)
        self._drops = wishes.usedtx
        rate_hz = min(sample_rate_hz, playable(wishes.maxplaybackrate))
        bits = _BIT_RATES[rate_hz]
        if wishes.maxaveragebitrate is not None:
            bits = max(min(bits, wishes.maxaveragebitrate), _LEAST_BIT_RATE)
        settings = (
            (libopus.SET_COMPLEXITY, COMPLEXITY),
            (libopus.SET_SIGNAL, libopus.SIGNAL_VOICE),
            (libopus.SET_MAX_BANDWIDTH, libopus.BANDWIDTHS[rate_hz]),
            (libopus.SET_BITRATE, bits),
            (libopus.SET_VBR, not wishes.cbr),
            (libopus.SET_DTX, wishes.usedtx),
            (libopus.SET_INBAND_FEC, wishes.useinbandfec),
            (libopus.SET_PACKET_LOSS_PERC, EXPECTED_LOSS_PERCENT if wishes.useinbandfec else 0),
        )
        for request, value in settings:
            self._state.set(request, int(value))

    def encode(self, pcm: bytes) -> bytes:
        """Give the packet of a packet time of samples; nothing where the peer wants none during silence.

        Raises:
            MediaError: not the samples of one packet time.
        """
        complexity = _SILENT_COMPLEXITY if pcm == self._silence else COMPLEXITY
        if complexity != self._complexity:
            self._complexity = complexity
            self._state.set(libopus.SET_COMPLEXITY, complexity)
        packet = self._state.encode(pcm, self._samples)
        return b"" if self._drops and len(packet) <= _NOT_SENT_BYTES else packet


def playable(rate_hz: int) -> int:
    """Give the highest rate of Opus that is not above `rate_hz`; the lowest if all are."""
    return max((rate for rate in libopus.SAMPLE_RATES_HZ if rate <= rate_hz), default=libopus.SAMPLE_RATES_HZ[0])


OPUS_CODEC = OpusCodec("opus", 16000, 48000, 2, 0)
