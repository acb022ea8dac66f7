"""Everybody who sees the SIP messages of one edge: log, ring, counters and a Homer collector, as one `Tracer`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sipflow.errors import LocalProtocolError
from sipflow.net.hep import HepTracer
from sipflow.net.literal import family_of
from sipflow.net.ring import TraceRing
from sipflow.net.tally import MessageTally
from sipflow.net.trace import LogTracer, Tracer, log_tracer
from sipflow.sip.addressing import split_host_port
from sipflow.sip.hop import Hop

_HEP_PORT = 9060
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """What is kept of SIP messages, and who else gets them.

    Attributes:
        enabled: whether the messages of calls are kept at all.
        ring_mb: memory for the messages of calls, in MiB; a usual call takes 5 to 10 KB.
        call_messages: kept of one call.
        hep_collector: address and port of a Homer collector, "" for none.
        hep_agent_id: number of this sipflow among all that report to it.
        hep_key: its password.
        media: whether the audio packets of each call are kept from its beginning, without being asked for.
        media_s: seconds of audio packets that are kept of a call.
        media_calls: calls whose audio packets are kept at a time.

    Raises:
        LocalProtocolError: a value is wrong; the sentence begins with the field's name.
    """

    enabled: bool = True
    ring_mb: int = 32
    call_messages: int = 500
    hep_collector: str = ""
    hep_agent_id: int = 1
    hep_key: str = field(default="", repr=False)
    media: bool = False
    media_s: float = 60.0
    media_calls: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.ring_mb <= 16_384:
            raise LocalProtocolError("ring_mb: it is not in 1..16384")
        if not 10 <= self.call_messages <= 100_000:
            raise LocalProtocolError("call_messages: it is not in 10..100000")
        if not 1 <= self.media_s <= 3600:
            raise LocalProtocolError("media_s: it is not in 1..3600")
        if not 1 <= self.media_calls <= 1000:
            raise LocalProtocolError("media_calls: it is not in 1..1000")
        if not 0 <= self.hep_agent_id < 2**32:
            raise LocalProtocolError("hep_agent_id: it is not in 0..4294967295")
        if self.hep_collector:
            self.collector()

    def collector(self) -> tuple[str, int]:
        """Return the address and port of the collector.

        Raises:
            LocalProtocolError: it is none.
        """
        host, port = split_host_port(self.hep_collector)
        if not family_of(host):
            raise LocalProtocolError("hep_collector: must be address:port, as in 10.0.0.9:9060")
        return host, port or _HEP_PORT


class Tracers:
    """A `Tracer` made of several.

    Attributes:
        ring: the last messages of every call; None where they are not kept.
        tally: counts.
        hep: reports to a collector; None for none.
    """

    def __init__(self, settings: Settings, *, log: Callable[[], Tracer | None] = log_tracer) -> None:
        """Put them together.

        Args:
            settings: who is wanted.
            log: gives who logs, None where debug lines are not written.
        """
        self.ring = (
            TraceRing(calls_bytes=settings.ring_mb * _MIB, call_messages=settings.call_messages)
            if settings.enabled
            else None
        )
        self.tally = MessageTally()
        self.hep = (
            HepTracer(settings.collector(), agent_id=settings.hep_agent_id, key=settings.hep_key)
            if settings.hep_collector
            else None
        )
        lines = log()
        if isinstance(lines, LogTracer) and self.ring is not None:
            lines.owner_of = self.ring.owner_of
        everybody: list[Tracer | None] = [self.tally, self.ring, self.hep, lines]
        present = [each for each in everybody if each is not None]
        self._sent = tuple(each.sent for each in present)
        self._received = tuple(each.received for each in present)

    def sent(self, data: bytes, hop: Hop) -> None:
        """Take note of a message given to the network."""
        for note in self._sent:
            note(data, hop)

    def received(self, data: bytes, hop: Hop) -> None:
        """Take note of a message that came from the network."""
        for note in self._received:
            note(data, hop)

    def close(self) -> None:
        """Close what has a socket."""
        if self.hep is not None:
            self.hep.close()
