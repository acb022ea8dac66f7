"""What was received becomes audio again: in order, in time, without holes, for everybody who listens. No sockets."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from sipflow.audio.codecs import AudioCodec, Decoder
from sipflow.audio.codecs.audioop import rms
from sipflow.audio.codecs.plain import PlainCodec
from sipflow.audio.comfort_noise import ComfortNoise, read_noise
from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.errors import RemoteProtocolError
from sipflow.rtp.jitter import JitterBuffer, Missing

_PACES_MS = range(5, 121)  # of packets that come; what we send has 10 to 60
_QUIET_RMS = 131  # of 16-bit samples, -45 dBFS: the noise of a quiet room on a telephone


class Sink(Protocol):
    """Somebody who listens: an agent's reader, a recording, a detector of tones."""

    def put(self, pcm: bytes) -> None:
        """Take one packet time of 16-bit little-endian mono samples. Must not wait."""

    def switch(self, sample_rate_hz: int) -> None:
        """Learn the rate of the samples to come."""

    def end(self) -> None:
        """Learn that no more will come."""


class Playout:
    """Takes payloads as they come, and gives one packet time of samples at each tick.

    From the first packet on every tick gives audio: what was said, what conceals a loss, or silence; so a listener's
    count of samples is its clock. While nobody listens nothing is decoded.

    Attributes:
        codec: what is decoded now.
        ptime_ms: from one tick to the next; learnt from the packets.
        on_pace: told another `ptime_ms` when the far end's packets have turned out to be longer or shorter.
        concealed_ms: audio that was made up because a packet had not come.
        broken: payloads that the codec could not read.
        sinks: who listens.
    """

    __slots__ = (
        "_bounds",
        "_buffer",
        "_counted",
        "_credit",
        "_decoder",
        "_noise",
        "_running",
        "_silence",
        "_ticks",
        "broken",
        "codec",
        "concealed_ms",
        "on_pace",
        "ptime_ms",
        "sinks",
    )

    def __init__(self, codec: AudioCodec, *, ptime_ms: int, min_ms: int, max_ms: int) -> None:
        """Start before the first packet; `min_ms` and `max_ms` bound how long packets are held."""
        self._bounds = (min_ms, max_ms)
        self.ptime_ms = ptime_ms
        self.sinks: tuple[Sink, ...] = ()
        self.on_pace: Callable[[int], None] = lambda _ptime_ms: None
        self.concealed_ms = self.broken = 0
        self._counted = 0  # late packets of earlier buffers
        self._credit = 0  # ticks whose audio was given before its time
        self._running = False
        self._noise: ComfortNoise | None = None
        self._buffer: JitterBuffer | None = None
        self._take_codec(codec, "")

    @property
    def late(self) -> int:
        """How many packets came after their place in the audio had passed."""
        return self._counted + (self._buffer.late if self._buffer is not None else 0)

    @property
    def depth_ms(self) -> float:
        """For how long the fastest packets wait now, in milliseconds."""
        return self._buffer.depth_ms if self._buffer is not None else 0.0

    @property
    def buffer(self) -> JitterBuffer:
        """What holds payloads until their time; made when the first packet comes, for many calls bring none."""
        if self._buffer is None:
            low, high = self._bounds
            self._buffer = JitterBuffer(
                clock_rate_hz=self.codec.clock_rate_hz,
                frame_ticks=self._ticks,
                min_ms=low,
                max_ms=high,
                quiet=partial(_quiet, self.codec) if isinstance(self.codec, PlainCodec) else None,
            )
        return self._buffer

    @property
    def sample_rate_hz(self) -> int:
        """Of what the sinks get."""
        return self._decoder.sample_rate_hz

    def listen(self, sink: Sink) -> None:
        """Give a sink what is said from now on."""
        self.sinks = (*self.sinks, sink)

    def forget(self, sink: Sink) -> None:
        """Give a sink no more; no error if it never listened."""
        self.sinks = tuple(other for other in self.sinks if other is not sink)

    def end(self) -> None:
        """End every sink."""
        sinks, self.sinks = self.sinks, ()
        for sink in sinks:
            sink.end()

    def decode_with(self, codec: AudioCodec, fmtp: str = "") -> None:
        """Decode with another codec from here on; what waits in the old one is heard first, at once.

        The same codec goes on as it was, whatever number its packets have now, or after a hold.
        """
        if self._running and codec == self.codec:
            return
        self._flush()
        self._counted = self.late
        before_hz = self.sample_rate_hz
        self._take_codec(codec, fmtp)
        if self.sample_rate_hz != before_hz:
            for sink in self.sinks:
                sink.switch(self.sample_rate_hz)

    def pace(self, ptime_ms: int) -> None:
        """Be ticked every `ptime_ms` from here on."""
        self.ptime_ms = ptime_ms
        self._silence = bytes(self.sample_rate_hz * ptime_ms // 1000 * SAMPLE_BYTES)

    def restart(self) -> None:
        """Begin with another stream: other sequence numbers, other timestamps."""
        self._flush()
        if self._buffer is not None:
            self._buffer.restart()

    def tick(self, at: float) -> None:
        """Give the sinks the packet time that is due at `at`, monotonic seconds."""
        buffer = self._buffer
        if buffer is None:
            return
        payload = buffer.take(at)
        if type(payload) is bytes:
            self._running = True
            sinks = self.sinks
            if sinks:
                pcm = self._decode(payload)
                for sink in sinks:
                    sink.put(pcm)
        elif self._running:
            self._fill(lost=payload is Missing.LOST)
        if buffer.packet_ticks != self._ticks:
            self._learn(buffer.packet_ticks)

    def skip(self, ticks: int) -> None:
        """Let packet times pass that nobody is given."""
        if self._buffer is not None:
            self._buffer.skip(ticks)

    def rest(self, payload: bytes) -> None:
        """Take a description of the noise that the far end is in while it is silent (RFC 3389)."""
        try:
            described = read_noise(payload)
        except RemoteProtocolError:
            self.broken += 1
            return
        if self._noise is None:
            self._noise = ComfortNoise(self.sample_rate_hz, np.random.default_rng())
        self._noise.describe(described)

    def _pause(self) -> bytes:
        """Give a packet time of what the far end's silence sounds like."""
        if self._noise is None:
            return self._silence
        return self._noise.read(len(self._silence) // SAMPLE_BYTES)

    def _decode(self, payload: bytes) -> bytes:
        try:
            return self._decoder.decode(payload)
        except RemoteProtocolError:
            self.broken += 1
            return self._decoder.conceal(self.ptime_ms)

    def _fill(self, *, lost: bool) -> None:
        """Make up for a packet time without a packet."""
        if self._credit:
            self._credit -= 1
            return
        if lost:
            self.concealed_ms += self.ptime_ms
        if not self.sinks:
            return
        pcm = self._decoder.conceal(self.ptime_ms, self.buffer.peek_next()) if lost else self._pause()
        for sink in self.sinks:
            sink.put(pcm)

    def _flush(self) -> None:
        """Let what waits be heard at once; it makes up for as many of the ticks to come, if they have nothing."""
        payloads = self._buffer.drain() if self._buffer is not None else ()
        self._credit += len(payloads)
        for payload in payloads if self.sinks else ():
            pcm = self._decode(payload)
            for sink in self.sinks:
                sink.put(pcm)

    def _learn(self, ticks: int) -> None:
        """Go at the pace of the far end's packets."""
        self._ticks = ticks
        ptime_ms = ticks * 1000 // self.codec.clock_rate_hz
        if ptime_ms != self.ptime_ms and ptime_ms in _PACES_MS:
            self.on_pace(ptime_ms)

    def _take_codec(self, codec: AudioCodec, fmtp: str) -> None:
        self.codec = codec
        self._noise = None
        self._decoder: Decoder = codec.new_decoder(fmtp)
        self._ticks = codec.clock_rate_hz * self.ptime_ms // 1000
        self._buffer = None
        self.pace(self.ptime_ms)


def _quiet(codec: PlainCodec, payload: bytes) -> bool:
    """Say whether a payload is quiet enough that one more or less like it would not be heard."""
    return rms(codec.decode(payload), SAMPLE_BYTES) < _QUIET_RMS
