"""The timer values of RFC 3261 table 4, as one value that is passed in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds. Tests and unusual links pass their own; nothing reads a global.

    Attributes:
        t1: round-trip estimate, first retransmission interval (RFC 3261 §17.1.1.1).
        t2: longest interval between retransmissions of a non-INVITE request or a response.
        t4: longest time a message stays in the network.
        timer_d: how long an INVITE client absorbs repeated final responses over UDP (at least 32 s).
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    timer_d: float = 32.0

    @property
    def timeout(self) -> float:
        """64*T1: timers B, F, H, J, L and M."""
        return 64 * self.t1

    @property
    def patience(self) -> float:
        """12*T1: how long one of several targets may say nothing at all: a request was sent four times then."""
        return 12 * self.t1


DEFAULT_TIMERS = Timers()
