"""Two legs joined: what one side says the other hears, what it does crosses, and its end is known to the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sipflow.calls.branching import end_like
from sipflow.calls.call import Call
from sipflow.calls.carrying import Carrier
from sipflow.calls.ending import Ending
from sipflow.calls.lane import Lane

__all__ = ["Joint", "Lane", "Parting", "bridge", "end_like", "join", "joined"]


@dataclass(frozen=True, slots=True)
class Parting:
    """The end of a bridge.

    Attributes:
        leg: the one that ended, first if both did.
        other: the one that did not, or not first.
        ending: how `leg` ended.
    """

    leg: Call
    other: Call
    ending: Ending


class Joint:
    """Two calls that hear each other, from the moment it is made until it is closed. It has no task of its own.

    Attributes:
        legs: the two.
        over: done when one of the two has ended.
        left_alone: whether it ended since somebody who sent the other one on to a third has left, and no third came.
    """

    def __init__(self, one: Call, other: Call) -> None:
        """Join two calls, which may still ring."""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._carriers: tuple[Carrier, ...] = ()
        self._lanes: tuple[Lane, ...] = ()
        self.legs = (one, other)
        self._leaving: Call | None = None
        self.left_alone = False
        self._join()

    def _join(self) -> None:
        one, other = self.legs
        if one.ending is not None or other.ending is not None:
            self._ended()
            return
        tasks = one.tasks
        for leg in self.legs:
            leg.joint = self
        self._lanes = (Lane(one, other), Lane(other, one)) if one.media is not None and other.media is not None else ()
        self._carriers = tuple(Carrier(lane, tasks, self._leg_ended) for lane in self._lanes)

    def partner(self, leg: Call) -> Call:
        """Give the other one of the two."""
        one, other = self.legs
        return other if leg is one else one

    def let_go(self, leg: Call) -> None:
        """Let the end of `leg` not be the end of it all: another call may take its place, see `swap` and `keep`."""
        self._leaving = leg

    def keep(self, leg: Call) -> None:
        """Let nobody take the place of `leg` after all; if it has ended meanwhile, that was the end."""
        if self._leaving is not leg:
            return  # somebody else has taken its place
        self._leaving = None
        if leg.ending is not None:
            self.left_alone = not self.over.done()
            self._ended()

    def swap(self, leg: Call, new: Call) -> None:
        """Join another call with the partner of `leg`, which goes on alone."""
        partner = self.partner(leg)
        if self._leaving is leg:
            self._leaving = None
        self._part()
        self.legs = (new, partner) if self.legs[0] is leg else (partner, new)
        self._join()

    def close(self) -> None:
        """Part them, and end neither. Twice is once."""
        self._part()
        self._ended()

    def parting(self) -> Parting:
        """Say which one ended first, and how; only once one has."""
        one, other = self.legs
        ended = [leg for leg in self.legs if leg.ending is not None]
        first = min(ended, key=lambda leg: leg.record.ended_at or leg.record.started_at)
        assert first.ending is not None
        return Parting(first, other if first is one else one, first.ending)

    def _part(self) -> None:
        carriers, self._carriers = self._carriers, ()
        lanes, self._lanes = self._lanes, ()
        for carrier in carriers:
            carrier.close()
        for lane in lanes:
            lane.close()
        for leg in self.legs:
            if leg.joint is self:
                leg.joint = None

    def _leg_ended(self) -> None:
        leaving = self._leaving
        if leaving is None or leaving.ending is None or self.partner(leaving).ending is not None:
            self._ended()

    def _ended(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def bridge(one: Call, other: Call) -> Parting:
    """Join two calls until one ends, and then end the other one for the same reason; see `join` and `end_like`.

    Cancelling parts the calls and ends neither.
    """
    parting = await join(one, other)
    end_like(parting.other, parting.ending, parting.leg.last_words)
    return parting


async def join(one: Call, other: Call) -> Parting:
    """Join two calls until one of them ends; the other goes on, without what it had not heard.

    Each direction begins as soon as both legs have audio, so calls may be joined while they still ring. How audio
    crosses, see `Lane`: packet by packet where both legs have one codec, else as samples. Digits are heard in every
    form, and sent in the form of the other leg, unless they have crossed already: as the same packets, or as tones in
    the audio. Hold, texts, INFO and more cross as the trunks say in `carry`, see `Carrier`. What is played to either
    call meanwhile is heard in place of the other's voice.

    Cancelling parts the calls and ends neither.
    """
    joint = Joint(one, other)
    try:
        await joint.over
    finally:
        joint.close()
    return joint.parting()


@asynccontextmanager
async def joined(one: Call, other: Call) -> AsyncIterator[Joint]:
    """Join two calls while the block runs; leaving it gives both back to the agent, whatever has become of them.

    Wait for `joint.over` inside to see one of them end.
    """
    joint = Joint(one, other)
    try:
        yield joint
    finally:
        joint.close()
