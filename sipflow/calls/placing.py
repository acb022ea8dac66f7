"""The INVITEs of one call out: target after target, trunk after trunk, and where a redirection points."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import structlog

from sipflow.calls.dialling import find_target
from sipflow.calls.ending import Ending, Word
from sipflow.calls.failover import Meaning, Redirected, meaning_of, redirections
from sipflow.calls.record import Attempt, CallRecord
from sipflow.calls.variables import printable
from sipflow.errors import LimitReached, LocalProtocolError, MediaError, SipflowError, TransportError
from sipflow.sip.hop import Hop
from sipflow.sip.message import Response
from sipflow.sip.outputs import Ended
from sipflow.sip.plan import RequestPlan
from sipflow.sip.usage.uac import UacInvite
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk

if TYPE_CHECKING:
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard

log = structlog.get_logger("sipflow.calls")
_MOST_ATTEMPTS = 24  # INVITEs of one call, wherever names and redirections lead
_DEFAULTS = OutboundSettings()
_RINGS = range(180, 184)


class Way(NamedTuple):
    """One way of a call out.

    Attributes:
        plan: the INVITE.
        trunk: that carries it; None goes straight to an address.
        codecs: in order of preference, instead of the trunk's.
    """

    plan: RequestPlan
    trunk: Trunk | None = None
    codecs: tuple[str, ...] = ()


def failover_of(trunk: Trunk | None, trunks: TrunkTable) -> list[Trunk]:
    """Give the trunks that take over from one, as far as they can carry calls."""
    named = [trunks.get(name) for name in trunk.outbound.failover] if trunk is not None else []
    return [each for each in named if each is not None and each.destination is not None]


class Placing:
    """Places one call; the call itself is an `OutboundCall` from the first INVITE to the end, whatever is tried.

    Args:
        board: carries it out.
        record: of the call; gets every attempt, and the trunk that is tried.
        way: to begin with.
        spare: trunks that are tried when that one cannot carry it, best first.
        others: plans the same call for another trunk; None tries no other.
        enter: asked before another trunk is tried; it raises LimitReached where that one has no room.
    """

    def __init__(
        self,
        board: "Switchboard",
        record: CallRecord,
        way: Way,
        *,
        spare: Iterable[Trunk] = (),
        others: Callable[[Trunk], Way] | None = None,
        enter: Callable[[str], None] | None = None,
    ) -> None:
        self._board = board
        self._record = record
        self._ways = deque([way])
        self._others = others
        self._enter = enter
        self._resting = board.ua.resting
        self._hops: deque[Hop] = deque()
        self._way = way
        self._tried: set[str] = set()
        self._redirects = 0
        self._rang = False
        self._fresh = True  # whether the INVITE of this way was not sent yet
        self._last: Ending | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._call: OutboundCall | None = None
        self._spare = deque(spare if others is not None else ())
        self._put_off: deque[Way] = deque()  # ways none of whose targets answered lately

    async def begin(self) -> "OutboundCall":
        """Send the first INVITE that can be sent.

        Raises:
            TransportError: no way has an address.
            PortsExhausted: no RTP port is free.
            LocalProtocolError: a header cannot be written, or the number may not be called.
        """
        tolls, record = self._board.tolls, self._record
        if tolls is not None:
            try:
                tolls.take(record.id, self._way.trunk.name if self._way.trunk is not None else "", record.number)
            except LimitReached as error:
                raise TransportError(str(error)) from None
        try:
            await self._launch_next()
        finally:
            if self._call is None and tolls is not None:
                tolls.spent(record.id, 0.0)
        assert self._call is not None
        return self._call

    # What the call tells

    def progressed(self, status: int) -> None:
        """Learn of a provisional response."""
        self._rang = self._rang or status in _RINGS

    def answered(self) -> None:
        """Learn that the far end has answered."""
        self._quiet()
        self._close_attempt(200, "answered")

    def ended(self, ending: Ending) -> None:
        """Learn that the call is over."""
        self._quiet()
        if self._record.attempts and not self._record.attempts[-1].status:
            self._close_attempt(ending.status, ending.why)

    def over(self, event: Ended) -> bool:
        """Take the end of an INVITE that was not answered; say whether the call goes on elsewhere."""
        call = self._call
        if call is None or call.given_up:
            return False
        self._quiet()
        response = event.message if isinstance(event.message, Response) else None
        status, why = event.status, printable(event.why)
        if response is None and status == 503:
            why = call.unreachable_because(self._board.endpoint) or why
        if response is None and status == 408:
            call.word = Word.UNREACHABLE  # nothing ever came; with a response of any kind this clock stops
        goes_on, then = self._judge(status, event.by, response)
        self._close_attempt(status, f"{why}; {then}" if then else why)
        if not goes_on:
            return False
        self._told_failed(status)
        self._last = Ending.of(event.by, status, why, word=call.word)
        call.word = None
        self._board.tasks.spawn(self._go_on(), name=f"next attempt of call {self._record.id}")
        return True

    def _judge(self, status: int, by: str, response: Response | None) -> tuple[bool, str]:
        """Say whether the call goes on, and what is done next, in words."""
        if status < 300 or (by == "remote" and response is None):
            return False, ""
        meaning = meaning_of(status, rang=self._rang)
        if meaning is Meaning.REDIRECTED and response is not None:
            return self._follow(response)
        if meaning is not Meaning.NEXT or len(self._record.attempts) >= _MOST_ATTEMPTS:
            return False, ""
        if self._hops:
            return True, "the next target is tried"
        if self._more:
            return True, "another way is tried"
        return False, ""

    def _follow(self, response: Response) -> tuple[bool, str]:
        """Go where a 3xx points (RFC 3261 §8.1.3.4), within the trunk's limits."""
        trunk = self._way.trunk
        if trunk is None:
            return False, "redirections are followed for trunks alone"
        if self._redirects >= trunk.outbound.max_redirects:
            return False, f"it was redirected {self._redirects} times already (outbound.max_redirects)"
        known = {each.name: each for each in self._board.doorkeeper.router.trunks} if self._others is not None else {}
        places, why = redirections(response, trunk, known, frozenset(self._tried))
        if not places:
            return False, why
        self._redirects += 1
        self._hops.clear()  # RFC 3261 §8.1.3.4: the targets of the 3xx take the place of those before
        self._ways.extendleft(self._redirected(place) for place in reversed(places))
        return True, f"redirected to {places[0].uri}"

    def _redirected(self, place: Redirected) -> Way:
        """Plan the same call for the place that a 3xx named: same Call-ID, To and From, next CSeq (§8.1.3.4)."""
        way, usage = self._way, self._call.usage if self._call is not None else None
        if place.trunk is not way.trunk and self._others is not None:
            other = self._others(place.trunk)
            uri, destination = find_target(str(place.uri), place.trunk)
            return other._replace(plan=replace(other.plan, uri=uri, destination=destination))
        cseq = usage.next_cseq if isinstance(usage, UacInvite) else 1
        plan = replace(way.plan, uri=place.uri, cseq=cseq)
        if place.direct:  # a stranger gets neither our password nor our proxy
            return way._replace(plan=replace(plan, destination=place.uri, accounts=(), routes=()))
        return way._replace(plan=replace(plan, destination=find_target(str(place.uri), place.trunk)[1]))

    # What is tried

    async def _go_on(self) -> None:
        call = self._call
        assert call is not None
        try:
            await self._launch_next()
        except (TransportError, MediaError, LocalProtocolError) as error:
            if call.ending is None:
                last = self._last or Ending.of("system", 503, str(error))
                self._board.close(call, last)

    async def _launch_next(self) -> None:
        """Send the next INVITE that can be sent; raises the last error where there is none."""
        error: SipflowError | None = None
        while True:
            if not self._hops:
                way = self._next_way()
                if way is None:
                    raise error or TransportError("there is no way left to try")
                try:
                    if not await self._find(way):
                        continue
                except TransportError as caught:
                    error = caught
                    self._note_unsent(way, str(caught))
                    continue
            if self._call is not None and self._call.ending is not None:
                return  # it was hung up while a name was looked up
            self._send(self._hops.popleft())
            return

    def _next_way(self) -> Way | None:
        """Give the next way: of a redirection, or of another trunk that has room."""
        if self._ways:
            return self._ways.popleft()
        while self._spare or self._put_off:
            trunk = self._spare.popleft() if self._spare else None
            known = self._put_off.popleft() if trunk is None else None
            way = self._let_in(trunk, known)
            if way is not None:
                return way
        return None

    def _let_in(self, trunk: Trunk | None, known: Way | None) -> Way | None:
        """Plan the call for another trunk, or take the way that was put off; None where its trunk has no room."""
        carries = known.trunk if known is not None else trunk
        try:
            if self._enter is not None and carries is not None:
                self._enter(carries.name)
            return known or (self._others(trunk) if self._others is not None and trunk is not None else None)
        except SipflowError as error:  # no room, or the number cannot be called by it
            name = carries.name if carries is not None else ""
            log.warning("trunk passed over", call=self._record.id, trunk=name, why=str(error))
            return None

    @property
    def _more(self) -> bool:
        """Whether there is another way."""
        return bool(self._ways or self._spare or self._put_off)

    async def _find(self, way: Way) -> bool:
        """Look up the targets of a way; False puts it off: none of them answered lately, and there are other ways."""
        hops = await self._board.endpoint.resolve(way.plan.destination)
        now = self._board.now
        if (self._ways or self._spare) and all(self._resting.rests(hop, now=now) for hop in hops):
            self._put_off.append(way)
            return False
        hops = self._resting.order(hops, now=now)
        self._way = way
        self._hops = deque(hops)
        self._fresh = True
        self._tried.add(str(way.plan.uri))
        return True

    def _send(self, hop: Hop) -> None:
        way, record = self._way, self._record
        self._rang = False
        record.trunk = way.trunk.name if way.trunk is not None else ""
        record.attempts = (*record.attempts, Attempt(record.trunk, str(hop), 0, "", record.now))
        if self._hops or self._more:
            wants = way.trunk.outbound if way.trunk is not None else _DEFAULTS
            self._silence = asyncio.get_running_loop().call_later(wants.silent_s, self._look, wants.silent_s)
        try:
            sent = way._replace(plan=self._plan())
            self._board.launch(sent, hop, record, call=self._call, ready=self._ready)
        except SipflowError as error:  # no RTP port, or a header that cannot be written: no other target helps
            self._quiet()
            self._close_attempt(503, str(error))
            raise

    def _ready(self, call: "OutboundCall") -> None:
        call.tries = self
        if self._call is not None:
            target, record = self._record.attempts[-1].target, self._record
            call.log.info("call out goes on", at=target, trunk=record.trunk)
            call.note("trying", trunk=record.trunk, target=target)
        self._call = call

    def _plan(self) -> RequestPlan:
        """Give the INVITE of a further target a Call-ID of its own, so that no late answer is mistaken for its."""
        plan, fresh, self._fresh = self._way.plan, self._fresh, False
        if fresh:
            return plan
        ids = self._board.ua.ids
        return replace(plan, call_id=ids.call_id(), from_=plan.from_.with_param("tag", ids.tag()), cseq=1)

    def _look(self, silent_s: float) -> None:
        """Leave a target that has said nothing at all, not even 100, while there is another one."""
        call = self._call
        if call is None or call.given_up or call.ending is not None or not isinstance(call.usage, UacInvite):
            return
        if call.usage.heard:
            return
        if call.usage.hop is not None:
            self._resting.silent(call.usage.hop, now=self._board.now)
        why = f"no word from it in {silent_s:g} s"
        self._close_attempt(408, f"{why}; the next target is tried")
        self._told_failed(408)
        self._last = Ending.of("system", 408, why, word=Word.UNREACHABLE)
        self._board.abandon(call)
        self._board.tasks.spawn(self._go_on(), name=f"next attempt of call {self._record.id}")

    def _quiet(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    # What is kept

    def _told_failed(self, status: int) -> None:
        if self._record.trunk and self._board.on_call_failed is not None:
            self._board.on_call_failed(self._record.trunk, status)

    def _close_attempt(self, status: int, why: str) -> None:
        record = self._record
        last = record.attempts[-1]._replace(status=status, why=why, ended_at=record.now)
        record.attempts = (*record.attempts[:-1], last)
        if status >= 300:
            self._board.history.note(record, "attempt_failed", trunk=last.trunk, status=status, why=why)

    def _note_unsent(self, way: Way, why: str) -> None:
        """Keep an attempt that never was one: its destination has no address."""
        now, record = self._record.now, self._record
        trunk = way.trunk.name if way.trunk is not None else ""
        record.attempts = (*record.attempts, Attempt(trunk, "", 503, why, now, now))
        self._board.history.note(record, "attempt_failed", trunk=trunk, status=503, why=why)
