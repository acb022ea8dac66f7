"""What a call out is ordered with, and the ports through which it gets its number and is let in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from sipflow.calls.record import CallRecord

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CallOrder:
    """A call that somebody wants placed.

    Attributes:
        to: whom to call: a number in E.164, or as the trunk's country writes it.
        agent: name of the agent that talks once the callee has answered.
        from_number: the number of ours to call from; "" leaves the choice to the agent's numbers.
        name: of the person called.
        variables: what the agent is given.
        headers: further lines of the INVITE.
        ring_s: how long it may ring; None leaves that to the agent and the trunk.
        privacy: whether the callee is not to see who calls.
        queue_s: how long the call may wait where a limit of ours refuses it for now; 0 refuses at once.
        extra: further fields of the API that pass through us.
        id: of the call, where whoever orders it has given it one already; "" has one made.
        token: id of the API client that orders it, for its own limits; "" for none.
    """

    to: str
    agent: str
    from_number: str = ""
    name: str = ""
    variables: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    ring_s: float | None = None
    privacy: bool = False
    queue_s: float = 0.0
    extra: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    id: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The number that a call is placed from.

    Attributes:
        number: as listed.
        trunk: name of the trunk that carries it.
        why: how it was chosen, one sentence each.
    """

    number: str
    trunk: str
    why: tuple[str, ...] = ()


class Place(Protocol):
    """A place in the line of those who wait for room."""

    async def wait(self) -> Choice:
        """Wait for room.

        Raises:
            LimitReached: there was none in time.
            Conflict, NotFound: what was asked for is there no more.
        """

    def cancel(self) -> None:
        """Leave the line; what was granted and not taken is given back."""


class Numbers(Protocol):
    """Whoever says which number an agent calls from, and lets the call in; `calls.admission` does."""

    def choose(self, agent: str, callee: str, from_number: str = "", *, token: str = "") -> Choice:
        """Choose a number and let the call in; it counts until `free` or `undo`.

        Raises:
            Conflict: `from_number` is none of the agent's, or the agent has no number at all.
            NotFound: the agent names a pool that is not there.
            LimitReached: there is no room now; nothing was counted.
        """

    def join(
        self, agent: str, callee: str, from_number: str = "", *, at_most_s: float, token: str = ""
    ) -> Place | Choice:
        """Do as `choose`, and where there is no room now stand in line for it."""

    def free(self, choice: Choice, record: CallRecord) -> None:
        """Take back a number; the call's record says how it went."""

    def undo(self, choice: Choice) -> None:
        """Take back a number from which no call was placed."""
