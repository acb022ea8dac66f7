"""Two legs joined: what one side says the other hears, digits cross over, and the end of one is known to the other."""

import asyncio
from dataclasses import dataclass

from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.calls.call import Call
from sipflow.calls.ending import Ending
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from sipflow.media.feed import Feed
from sipflow.media.session import MediaSession
from sipflow.sip.headers.reason import Reason

_LONGEST_WHY = 200  # of one leg's end, as the other's far end is told


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


async def bridge(one: Call, other: Call) -> Parting:
    """Join two calls until one ends, and then end the other one for the same reason; see `join` and `end_like`.

    Cancelling parts the calls and ends neither.
    """
    parting = await join(one, other)
    end_like(parting.other, parting.ending)
    return parting


async def join(one: Call, other: Call) -> Parting:
    """Carry audio and digits both ways until one of two calls ends; the other goes on, without what it had not heard.

    Each direction begins as soon as both legs have audio, so calls may be joined while they still ring. Audio crosses
    as samples of the codec it came in, resampled once and only if the other leg's codec has another rate; what it takes
    longer than a call with one leg is the time from one leg's tick to the other's, at most a packet time, and two if
    their packets differ in length or rate. Digits are heard in every form, and sent in the form of the other leg,
    unless both sides have them as tones in the audio, which crosses anyway. Whatever else is played to either call
    meanwhile gets into the way of the other's voice.

    Cancelling parts the calls and ends neither.
    """
    lanes = _lanes(one, other)
    async with asyncio.TaskGroup() as group:
        digits = [group.create_task(_pass_digits(lane)) for lane in lanes]
        ends = {leg: group.create_task(leg.ended()) for leg in (one, other)}
        try:
            await asyncio.wait(ends.values(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*digits, *ends.values()):
                task.cancel()
            for lane in lanes:
                lane.close()
    return _parting(one, other)


def end_like(call: Call, ending: Ending) -> None:
    """End a call because another one, joined with it, has ended: with the same reason (RFC 3326).

    An answered call gets BYE, one of ours that rings CANCEL; a call in that is not answered is refused with the status
    of the ending, or 480 where that was no refusal.
    """
    reason = str(Reason("Q.850", ending.q850, ending.why[:_LONGEST_WHY]))
    status = ending.status if ending.status >= 300 else 480
    call.end(f"the other leg is over: {ending.why}", headers=(("Reason", reason),), status=status)


def _parting(one: Call, other: Call) -> Parting:
    ended = [leg for leg in (one, other) if leg.ending is not None]
    first = min(ended, key=lambda leg: leg.record.ended_at or leg.record.started_at)
    assert first.ending is not None
    return Parting(first, other if first is one else one, first.ending)


def _lanes(one: Call, other: Call) -> list["Lane"]:
    return [Lane(one, other), Lane(other, one)] if one.media is not None and other.media is not None else []


async def _pass_digits(lane: "Lane") -> None:
    """Send on what is pressed; a digit that cannot be sent is lost, and the call goes on."""
    heard, said = lane.heard, lane.said
    async for digit in heard.dtmf:
        if _both_as_tones(heard, said):
            continue
        try:
            lane.muted = said.media is not None and said.media.dtmf != "info"  # events and tones take its place
            await said.send_digits(digit)
        except (LocalProtocolError, MediaError) as error:
            heard.log.warning("a digit could not be sent on", to=said.id, why=str(error))
        except CallEnded:
            return
        finally:
            lane.muted = False


def _both_as_tones(heard: Call, said: Call) -> bool:
    """Whether a digit crosses as sound already: neither side has agreed on events, and INFO is not asked for."""
    if heard.media is None or said.media is None or heard.media.agreed is None or said.media.agreed is None:
        return False
    in_band = heard.media.on_tone is not None and heard.media.agreed.telephone_event_receive is None
    return in_band and said.media.dtmf in ("auto", "inband") and said.media.agreed.telephone_event_send is None


class Lane:
    """One direction: what is heard of one stream is played into another, in the tick in which it is played out.

    It has no task and no queue of its own. Both streams are ticked by one clock and every tick gives audio, so a single
    packet time is cushion enough.

    Attributes:
        heard, said: the calls it leads from and to.
        muted: whether what is heard is dropped for now.
    """

    __slots__ = ("_cushion_ms", "_feed", "_from", "_rate_hz", "_size", "_to", "heard", "muted", "said")

    def __init__(self, heard: Call, said: Call) -> None:
        """Begin at once; nothing crosses before `said` has audio.

        Raises:
            LocalProtocolError: one of them has no media.
        """
        if heard.media is None or said.media is None:
            raise LocalProtocolError("a call without media cannot be heard or talked to")
        self.heard = heard
        self.said = said
        self.muted = False
        self._from: MediaSession = heard.media.session
        self._to: MediaSession = said.media.session
        self._feed = Feed(self._to.queue)
        self._rate_hz = self._size = self._cushion_ms = 0
        self._from.listen(self)

    def put(self, pcm: bytes) -> None:
        """Take a packet time of samples, and play it."""
        to = self._to
        if to.agreed is None or to.closed or self.muted:
            return
        if len(pcm) != self._size:
            self._measure(len(pcm), to.agreed.ptime_ms)
        self._feed.write(pcm, self._rate_hz, cushion_ms=self._cushion_ms)

    def switch(self, sample_rate_hz: int) -> None:
        """Learn the rate of the samples to come."""
        self._rate_hz = sample_rate_hz
        self._size = 0

    def end(self) -> None:
        """Learn that no more will come."""

    def close(self) -> None:
        """Stop, and drop what was not played."""
        self._from.forget(self)
        self._feed.drop()

    def _measure(self, size: int, said_ms: int) -> None:
        """Have so much wait that packets of one length never run out while those of another are sent."""
        self._size = size
        heard_ms = 1000 * size // (SAMPLE_BYTES * self._rate_hz)
        alike = heard_ms == said_ms and self._rate_hz == self._to.queue.sample_rate_hz
        self._cushion_ms = heard_ms if alike else heard_ms + said_ms
