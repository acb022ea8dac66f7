"""Calls out: an order becomes a record at once, then INVITEs, and in the end an agent that talks."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import structlog

from sipflow.calls.dialling import checked_headers, plan_call
from sipflow.calls.ending import Ending, Word
from sipflow.calls.header_policy import Behalf
from sipflow.calls.identity import Caller
from sipflow.calls.order import CallOrder, Choice, Numbers, Place
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.placing import Placing, Way, failover_of
from sipflow.calls.record import CallRecord, record_id
from sipflow.calls.switchboard import Switchboard
from sipflow.errors import CallFailed, Conflict, LimitReached, LocalProtocolError, NotFound, SipflowError
from sipflow.numbers.number import normalise
from sipflow.sip.headers.lines import write_line
from sipflow.sip.headers.reason import Reason
from sipflow.trunks.trunk import Trunk

__all__ = ["CallOrder", "Choice", "Numbers", "Originator", "Place"]

log = structlog.get_logger("sipflow.calls")
_CALLEE = re.compile(r"\+?[0-9A-Za-z*#._-]{1,64}")  # a number, extension, code or user name; never an address
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164 §6.2.1
_LONGEST_RING_S = 3600.0
_NO_ROOM = 429
_BUSY = "sipflow has more to do than it can handle (sip.overload); the call was not placed"
_CONGESTION, _NO_ANSWER = 42, 19  # Q.850: switching equipment congestion; no answer from the user


@dataclass(slots=True)
class _Ordered:
    """A call that was ordered and is not over."""

    order: CallOrder
    record: CallRecord
    choice: Choice | None = None
    call: OutboundCall | None = None
    task: "asyncio.Task[None] | None" = None


class Originator:
    """Places the calls that are ordered.

    Attributes:
        numbers: says which number an agent calls from, and lets calls in; may be replaced while it runs.
        is_down: whether a trunk is known not to answer; it is tried after its fail-over trunks.
        enter: asked before a call goes on by another trunk; it raises LimitReached where that one has no room.
        busy_s: for how many seconds no order is taken, because more is going on than can be handled; 0 takes them.
    """

    def __init__(self, switchboard: Switchboard, *, numbers: Numbers) -> None:
        self._board = switchboard
        self._ordered: dict[str, _Ordered] = {}
        self.numbers = numbers
        self.is_down: Callable[[str], bool] = lambda _trunk: False
        self.enter: Callable[[Choice, str], None] | None = None
        self.busy_s: Callable[[], float] = lambda: 0.0

    @property
    def live(self) -> Mapping[str, CallRecord]:
        """Every call that was ordered and is not over, whether or not an INVITE of it is out, by id."""
        return {call_id: each.record for call_id, each in self._ordered.items()}

    def order(self, order: CallOrder) -> CallRecord:
        """Take an order, start it in the background and return its record; the record goes on changing.

        Raises:
            NotFound: there is no such agent.
            LocalProtocolError: `to:`, `from_number:`, `ring_s:` or `headers:` cannot be used as written, or the trunk
                may not call `to:`.
            Conflict: `from_number` is none of the agent's numbers, it has none, or no trunk carries them.
            LimitReached: a limit of ours refuses it for now, and it may not wait.
        """
        callee = self._checked(order)
        place = self._admit(order, callee)
        ordered = _Ordered(order, self._new_record(order, callee))
        record = ordered.record
        if isinstance(place, Choice):
            try:
                self._take(ordered, place)
            except SipflowError:
                self.numbers.undo(place)
                raise
        self._ordered[record.id] = ordered
        self._board.began(record)
        if not isinstance(place, Choice):
            self._board.history.note(record, "queued", at_most_s=order.queue_s)
        ordered.task = self._board.tasks.spawn(self._run(ordered, place), name=f"call {record.id} out")
        return record

    async def cancel(self, call_id: str, why: str = "the call was cancelled") -> None:
        """End a call that was ordered, wherever it stands: waiting, ringing or answered; returns once it is over.

        Raises:
            NotFound: there is no such call, or it is over.
        """
        ordered = self._ordered.get(call_id)
        if ordered is None:
            raise NotFound(f"there is no live call {call_id[:80]!r}")
        if ordered.call is not None:
            ordered.call.end(why)
        elif ordered.task is not None:
            self._close(ordered, Ending.of("local", 487, why))
            ordered.task.cancel()
        if ordered.task is not None:
            await asyncio.wait([ordered.task])

    # Before the call

    def _checked(self, order: CallOrder) -> str:
        """Refuse an order that cannot be carried out, and give the number to call."""
        if not self._board.agents.knows(order.agent):
            raise NotFound(f"there is no agent {order.agent[:80]!r}")
        callee = normalise(order.to.strip(), region=None)
        if _CALLEE.fullmatch(callee) is None or "@" in order.to:
            raise LocalProtocolError(f"to: {order.to[:80]!r} is no number to call; write E.164, as in +12065550100")
        if callee.startswith("+") and _E164.fullmatch(callee) is None:
            raise LocalProtocolError(f"to: {order.to[:80]!r} is not E.164: + and country code, then digits alone")
        if order.ring_s is not None and not 0 < order.ring_s <= _LONGEST_RING_S:
            raise LocalProtocolError(f"ring_s: {order.ring_s:g} is not more than 0 and at most {_LONGEST_RING_S:g}")
        try:
            for name, value in checked_headers(order.headers):
                write_line(name, value)
        except LocalProtocolError as error:
            raise LocalProtocolError(f"headers: {error}") from None
        return callee

    def _admit(self, order: CallOrder, callee: str) -> Choice | Place:
        if self._board.draining:
            raise LimitReached("sipflow is going down and places no more calls", limit="drain", retry_after_s=5)
        if (busy_s := self.busy_s()) > 0:
            raise LimitReached(_BUSY, limit="overload", retry_after_s=ceil(busy_s))
        if order.queue_s > 0:
            return self.numbers.join(order.agent, callee, order.from_number, at_most_s=order.queue_s, token=order.token)
        return self.numbers.choose(order.agent, callee, order.from_number, token=order.token)

    def _new_record(self, order: CallOrder, callee: str) -> CallRecord:
        return CallRecord(
            id=order.id or record_id(self._board.ua.ids.token()),
            sip_call_id="",
            direction="outbound",
            from_number=order.from_number,
            to_number=callee,
            trunk="",
            number="",
            agent=order.agent,
            started_at=datetime.now(UTC),
            name=order.name,
            variables=dict(order.variables) or None,
            extra=dict(order.extra) or None,
        )

    def _take(self, ordered: _Ordered, choice: Choice) -> Trunk:
        """Put the number that was chosen into the record.

        Raises:
            Conflict: no trunk carries it.
            LocalProtocolError: that trunk may not call the callee's number.
            LimitReached: a budget is used up.
        """
        trunk = self._trunk_for(choice)
        record = ordered.record
        if self._board.tolls is not None:
            self._board.tolls.check(record.to_number, trunk, choice.number)
            self._board.tolls.take(record.id, trunk.name, choice.number, ordered.order.token)
        ordered.choice = choice
        record.number = choice.number
        record.from_number = choice.number
        record.trunk = trunk.name
        record.to_number = normalise(record.to_number, region=trunk.region)
        record.why = tuple(choice.why)
        return trunk

    def _trunk_for(self, choice: Choice) -> Trunk:
        trunks = self._board.doorkeeper.router.trunks
        if choice.trunk:
            trunk = trunks.get(choice.trunk)
        else:
            trunk = next((each for each in trunks if each.destination is not None), None)
        if trunk is None or trunk.destination is None:
            which = f"trunk {choice.trunk}" if choice.trunk else "no trunk"
            raise Conflict(f"number {choice.number} cannot call: {which} has no far end to send calls to (sip_domain)")
        return trunk

    # The call

    async def _run(self, ordered: _Ordered, place: Choice | Place) -> None:
        record = ordered.record
        try:
            trunk = await self._granted(ordered, place)
            call = ordered.call = await self._placing(ordered, trunk).begin()
            self._board.call_log.info(
                "call out", call=record.id, to=record.to_number, number=record.number, trunk=record.trunk, at=call.where
            )
            await self._ring(call, self._ring_s(ordered.order, trunk))
            if call.answered and call.ending is None:
                self._board.agents.start(call, record.agent)
            await call.ended()
        except LimitReached as error:
            self._close(ordered, Ending.of("system", _NO_ROOM, str(error), q850=_CONGESTION, word=Word.OVERLOADED))
        except SipflowError as error:
            self._close(ordered, Ending.of("system", 503, str(error)))
        finally:
            if record.ending is None:  # we are going down at once
                self._close(ordered, Ending.of("system", 503, "sipflow is going down", word=Word.OVERLOADED))
            self._ordered.pop(record.id, None)
            if ordered.choice is not None:
                self.numbers.free(ordered.choice, record)

    async def _granted(self, ordered: _Ordered, place: Choice | Place) -> Trunk:
        if isinstance(place, Choice):
            return self._trunk_for(place)
        try:
            choice = await place.wait()
        except asyncio.CancelledError:
            place.cancel()
            raise
        try:
            return self._take(ordered, choice)
        except SipflowError:
            self.numbers.undo(choice)
            raise

    def _placing(self, ordered: _Ordered, trunk: Trunk) -> Placing:
        order, record, board = ordered.order, ordered.record, self._board
        caller = Caller(record.number, withheld=order.privacy)
        nobody = Behalf(variables={**(record.variables or {}), "call_id": record.id})

        def by(other: Trunk) -> Way:
            callee = record.to_number
            said, ids = order.headers, board.ua.ids
            return Way(plan_call(callee, ids=ids, trunk=other, caller=caller, headers=said, behalf=nobody), other)

        enter, choice = self.enter, ordered.choice
        first, *spare = self._in_order(trunk)
        return Placing(
            board,
            record,
            by(first),
            spare=spare,
            others=by,
            enter=(lambda name: enter(choice, name)) if enter is not None and choice is not None else None,
        )

    def _in_order(self, trunk: Trunk) -> list[Trunk]:
        """Give the trunk and those that take over from it; those that are known not to answer stand last."""
        found = [trunk, *failover_of(trunk, self._board.doorkeeper.router.trunks)]
        return sorted(found, key=lambda each: self.is_down(each.name))

    def _ring_s(self, order: CallOrder, trunk: Trunk) -> float:
        """How long it may ring: as ordered, else as the agent says, else as the trunk does."""
        return order.ring_s or self._board.agents.ring_s(order.agent) or trunk.outbound.ring_s

    async def _ring(self, call: OutboundCall, ring_s: float) -> None:
        """Wait until the call is answered, or over; cancel it when there is no answer in time."""
        try:
            async with asyncio.timeout(ring_s):
                await call.wait_answered()
        except CallFailed:
            return
        except TimeoutError:
            if call.answered:  # in the same moment
                return
            why = f"nobody answered in {ring_s:g} s"
            reason = ("Reason", str(Reason("Q.850", _NO_ANSWER, why)))  # RFC 3326 §2
            call.give_up(why, by="system", word=Word.NO_ANSWER, headers=(reason,))

    def _close(self, ordered: _Ordered, ending: Ending) -> None:
        """End a call that has no leg, or whose leg is to be left to itself."""
        record = ordered.record
        if record.ending is not None:
            return
        call = ordered.call
        if call is not None:
            self._board.close(call, ending)
            return
        record.ending = ending
        record.ended_at = record.now
        self._board.over(record, ending)
