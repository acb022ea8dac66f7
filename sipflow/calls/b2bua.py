"""A second leg for a call: rung, answered, joined and ended as one, and the caller given back where there is nobody."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sipflow.calls.branching import end_like
from sipflow.calls.bridge import Joint
from sipflow.calls.call import Call
from sipflow.calls.carrying import Errands
from sipflow.calls.ending import Word
from sipflow.calls.header_policy import crossing, joined_lines, without_places
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, MediaError, TransportError
from sipflow.sip.headers.reason import Reason
from sipflow.sip.message import Headers

_NO_ANSWER, _TERMINATED, _UNREACHABLE, _BAD_GATEWAY = 480, 487, 503, 502
# What is wrong is between us and the far end of the second leg: our message, account, extensions, timer, codecs.
_NOT_THE_CALLERS = frozenset({400, 401, 403, 405, 406, 407, 413, 414, 415, 416, 420, 421, 422, 481, 488, 491, 505, 513})
_RINGING, _EARLY = 180, 183
_GIVEN_UP = ("Reason", str(Reason("Q.850", 19, "nobody answered in time")))  # RFC 3326 §2


@dataclass(frozen=True, slots=True)
class Unreached:
    """Why there is nobody for the caller to talk to.

    Attributes:
        status: what the caller is refused with.
        why: one sentence, for us; addresses of the other leg may stand in it.
        came: headers of the refusal, None where there was none.
        lost: whether there was somebody, who is gone.
        told: what the caller is told instead of `why`, which is about our own trunks and rules; "" for `why`.
    """

    status: int
    why: str
    came: Headers | None = None
    lost: bool = False
    told: str = ""

    def end(self, call: Call) -> None:
        """End the caller's call with it; nothing is said of where the other leg led."""
        why = self.told or without_places(self.why)
        if call.answered:
            call.end_for(Word.AGENT_FAILED, why, status=self.status)
        else:
            lines = crossing(self.came, call.trunk) if self.came is not None else ()
            call.end(why, headers=lines, status=self.status)


async def connect(
    call: Call,
    place: Callable[[], Awaitable[OutboundCall]],
    *,
    ring_s: float,
    who: str = "the endpoint",
    on_answered: Callable[[], None] | None = None,
) -> Unreached | None:
    """Place a second leg, and let the two talk until one hangs up; then the other is hung up on.

    Meanwhile the caller is told what the far end says: that it rings, its early media, its answer, and the headers that
    the caller's trunk lets pass. A call that is answered already is joined at once.

    Args:
        call: the caller's.
        place: places the second leg, most often by `call.dial`.
        ring_s: how long it may go unanswered.
        who: names it, in sentences.
        on_answered: told when it has answered.

    Returns:
        None once the conversation has come to its end; else why there was none, or why it broke off: then the caller is
        still there, and whatever was placed is over.

    Raises:
        CallEnded: the caller gave up, or never acknowledged our answer.

    Cancelling gives the caller back to whoever cancels, and ends the second leg.
    """
    try:
        leg = await place()
    except (TransportError, MediaError, LocalProtocolError) as error:
        return Unreached(_UNREACHABLE, f"{who} cannot be called: {error}", told="the call cannot be put through")
    except CallFailed as failed:  # 483: it has been sent on too often
        return Unreached(failed.status, failed.reason)
    return await _Connection(call, leg, who, on_answered or _nobody).run(ring_s)


class _Connection:
    """One second leg, from its first ringing to the end."""

    def __init__(self, call: Call, leg: OutboundCall, who: str, on_answered: Callable[[], None]) -> None:
        self._call = call
        self._leg = leg
        self._who = who
        self._on_answered = on_answered
        self._told: set[tuple[int, bool]] = set()
        self._progress: Errands[int] = Errands(call.tasks, self._pass_on, name=f"progress of call {leg.id}")

    async def run(self, ring_s: float) -> Unreached | None:
        call, leg = self._call, self._leg
        joint = Joint(call, leg)
        leg.on_progress = self._progressed
        for status in leg.provisionals:
            self._heard(status)
        try:
            unreached = await self._answered(ring_s)
            if unreached is None:
                await joint.over
                unreached = self._judge(joint)
        finally:
            leg.on_progress = _ignore
            self._progress.close()
            joint.close()
            if call.ending is not None:
                end_like(leg, call.ending, call.last_words)
            leg.end("the call that it was placed for goes on without it")
        return unreached if call.ending is None else None

    def _progressed(self, status: int, _reason: str) -> None:
        asyncio.get_running_loop().call_soon(self._heard, status)  # when the SDP that came with it has been read

    def _heard(self, status: int) -> None:
        """Tell the caller of a provisional response, unless he knows it: nearly always he hears ringing already."""
        call, leg = self._call, self._leg
        if call.answered or leg.answered or call.ending is not None or leg.ending is not None:
            return
        rings = status == _RINGING and call.record.ringing_at is not None
        if rings and (leg.media is None or leg.media.agreed is None) and not crossing(leg.headers, call.trunk):
            self._told.add((status, False))
        else:
            self._progress.put(status)

    async def _answered(self, ring_s: float) -> Unreached | None:
        """Wait for the answer, and answer the caller."""
        call, leg = self._call, self._leg
        try:
            async with asyncio.timeout(ring_s):
                await leg.wait_answered()
        except TimeoutError:
            if not leg.answered or leg.ending is not None:  # else in the same moment
                leg.give_up(f"nobody answered in {ring_s:g} s", by="system", word=Word.NO_ANSWER, headers=(_GIVEN_UP,))
                return Unreached(_NO_ANSWER, f"{self._who} did not answer in {ring_s:g} s")
        except CallFailed as failed:
            why = f"{self._who} was not reached: {failed}"
            return Unreached(_for_the_caller(failed.status), why, leg.last_words)
        self._progress.close()
        self._on_answered()
        if not call.answered:
            await call.answer(headers=joined_lines(crossing(leg.headers, call.trunk)))
        return None

    async def _pass_on(self, status: int) -> None:
        """Tell the caller of a provisional response; a caller that can take no early media goes on hearing ringing."""
        call, leg = self._call, self._leg
        if call.answered or leg.answered:
            return
        early = leg.media is not None and leg.media.agreed is not None
        if (status, early) in self._told:
            return
        lines = joined_lines(crossing(leg.headers, call.trunk))
        begins = early and not any(told for _, told in self._told)
        self._told.add((status, early))
        try:
            if begins:
                await call.progress(_EARLY, headers=lines)
            said = status == _RINGING and call.record.ringing_at is not None and not lines
            if (status != _EARLY or not early) and not said:
                await call.ring(status, headers=lines)
        except CallEnded:
            return
        except LocalProtocolError as error:  # answered meanwhile; or this caller can only hear ringing
            call.log.debug("not told to the caller", status=status, why=str(error))

    def _judge(self, joint: Joint) -> Unreached | None:
        """Say whether the end of the conversation was one; whoever hung up, the other is hung up on."""
        parting = joint.parting()
        call, ending = self._call, parting.ending
        lost = ending.by != "remote" or ending.word is not Word.HUNG_UP or joint.left_alone
        if parting.other is call and lost:
            return Unreached(_BAD_GATEWAY, f"{self._who} was lost: {ending.why}", lost=True)
        end_like(parting.other, ending, parting.leg.last_words)
        return None


def _for_the_caller(status: int) -> int:
    """Say what a refusal of the far end means for the caller: the same, unless it is about us, or says he gave up."""
    if status == _TERMINATED:
        return _NO_ANSWER  # RFC 3261 §21.4.25: the caller has sent no CANCEL, or we would not be here
    if status < 400 or status in _NOT_THE_CALLERS:
        return _BAD_GATEWAY
    return status


def _ignore(status: int, reason: str) -> None:
    """The leg is over, or not ours any more."""


def _nobody() -> None:
    """Stand in for a callback that nobody has given."""
