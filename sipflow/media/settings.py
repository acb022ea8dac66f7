"""What an operator can set about media; the configuration's `media:` block becomes this."""

from dataclasses import dataclass

from sipflow.errors import ConfigError

_PTIME_MS = range(10, 61)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of every media stream of one daemon.

    Attributes:
        port_low, port_high: UDP port range, both ends included. A stream takes an even port for RTP and the odd one
            after it for RTCP, so the range carries half as many streams as it has ports.
        bind_host: IP address the sockets are bound to; an IPv6 address makes IPv6 sockets only.
        advertise: address written into SDP instead of the local one; None where peers reach us directly.
        drain_s: how long a given-back pair rests, so that late packets of one call never reach the next one.
        idle_pairs: how many unused pairs stay bound for the next calls; what is beyond for a minute is closed.
        dscp: DiffServ code point of sent media; 46 is Expedited Forwarding (RFC 4594 §4.1), 0 none.
        ptime_ms: milliseconds of audio in a packet where the peer asks for nothing else, 10 to 60.
        rtp_timeout_s: silence from the peer after which a session reports it; 0 never. It sleeps while on hold.
        send_silence: send silence while nothing plays, which keeps NAT bindings and the peer's time-out alive.
        latch_packets: packets in sequence that prove a source which is not the SDP's.
        latch_silent_s: how long a proven source is silent before its stream may move to another address.
        jitter_min_ms, jitter_max_ms: how long received packets are held, so that those that were slower can catch up.
        queue_frames: received frames kept for a reader that is slow; the oldest are lost.
        play_queue_s: seconds of audio that may wait to be played.
    """

    port_low: int = 10000
    port_high: int = 20000
    bind_host: str = "0.0.0.0"  # noqa: S104  (media comes from anywhere; the latch decides whom to believe)
    advertise: str | None = None
    drain_s: float = 10.0
    idle_pairs: int = 512
    dscp: int = 46
    ptime_ms: int = 20
    rtp_timeout_s: float = 60.0
    send_silence: bool = True
    latch_packets: int = 3
    latch_silent_s: float = 2.0
    jitter_min_ms: int = 20
    jitter_max_ms: int = 200
    queue_frames: int = 50
    play_queue_s: float = 1800.0

    @property
    def pairs(self) -> int:
        """How many streams the port range carries."""
        return (self.port_high - self.port_low - self.port_low % 2 + 1) // 2

    @property
    def files_needed(self) -> int:
        """Open files when every pair is lent: what RLIMIT_NOFILE must allow on top of all else."""
        return 2 * self.pairs

    def __post_init__(self) -> None:
        """Refuse values that cannot work.

        Raises:
            ConfigError: a value is out of range; its `key` names the setting.
        """
        if not 1 <= self.port_low < self.port_high <= 65535:
            raise ConfigError(f"{self.port_low}-{self.port_high} is not a range of UDP ports", key="media.ports")
        if not self.pairs:
            raise ConfigError("the range holds no even port with the odd one after it", key="media.ports")
        if self.ptime_ms not in _PTIME_MS:
            raise ConfigError(f"a packet of {self.ptime_ms} ms is not 10 to 60 ms", key="media.ptime_ms")
        if not 0 <= self.dscp <= 63:
            raise ConfigError(f"{self.dscp} is not a DiffServ code point (0-63)", key="media.dscp")
        for key in ("drain_s", "idle_pairs", "rtp_timeout_s", "latch_silent_s"):
            if getattr(self, key) < 0:
                raise ConfigError(f"{getattr(self, key)} is negative", key=f"media.{key}")
        if not 10 <= self.jitter_min_ms <= self.jitter_max_ms <= 1000:
            raise ConfigError(
                f"{self.jitter_min_ms} to {self.jitter_max_ms} ms is no range within 10 to 1000",
                key="media.jitter_max_ms",
            )
        for key in ("latch_packets", "queue_frames", "play_queue_s"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{getattr(self, key)} is less than 1", key=f"media.{key}")
