"""What a bot and a call say to each other, whatever the dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Start:
    """What a bot is told of its call when the stream begins.

    Attributes:
        call_id: sipflow's id of the call.
        sip_call_id: the Call-ID of the INVITE.
        caller, callee: user parts of From and To.
        parameters: further names and values: the call's variables and what the configuration adds.
    """

    call_id: str
    caller: str
    callee: str
    sip_call_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(slots=True)
class Audio:
    """The bot speaks.

    Attributes:
        pcm: 16-bit little-endian mono samples, any number of whole ones.
        sample_rate_hz: of them.
    """

    pcm: bytes
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The bot wants to be told when what it said before this has been played.

    Attributes:
        name: the bot's own, given back as it came.
        kind: which of the dialect's ways of asking it was.
    """

    name: str
    kind: str = "mark"


@dataclass(frozen=True, slots=True)
class Clear:
    """The bot takes back what it said and what has not been played."""


@dataclass(frozen=True, slots=True)
class ClearMarks:
    """The bot takes back its marks; what it said goes on."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The bot ends the call."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something of the bot's that means nothing here: counted and passed over."""

    what: str


Command = Audio | Mark | Clear | ClearMarks | Hangup | Unknown
Commands = tuple[Command, ...]
