"""What the transaction machines return: they know neither addresses nor their neighbours.

Slotted dataclasses, because two empty tuples would compare equal.
"""

from dataclasses import dataclass

from sipflow.sip.message import Message


@dataclass(slots=True)
class Send:
    """Pass these octets to the transport."""

    data: bytes


@dataclass(slots=True)
class Deliver:
    """Hand this message to the transaction's user."""

    message: Message


@dataclass(slots=True)
class TimedOut:
    """Nothing came in 64*T1: no response (timers B and F), no ACK (timer H) or no answer of our own; it is over."""


@dataclass(slots=True)
class TransportFailed:
    """A message of the transaction could not be sent."""


MachineOutput = Send | Deliver | TimedOut | TransportFailed
