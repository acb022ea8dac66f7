"""Where SIP events become calls: every call of the daemon is in here, and nothing of SIP's bytes is."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from sipflow.calls.announced import Expected
from sipflow.calls.call import Call
from sipflow.calls.digits import Kind
from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.ending import Ending, Word
from sipflow.calls.fitting import Ears, fitted
from sipflow.calls.history import History
from sipflow.calls.inbound import InboundCall
from sipflow.calls.limits import Limits, Permit
from sipflow.calls.loops import Loops
from sipflow.calls.media import LegMedia
from sipflow.calls.mid_call import MidCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.placing import Placing, Way, failover_of
from sipflow.calls.reception import Reception
from sipflow.calls.record import CallRecord, RecordStore, record_id
from sipflow.calls.returns import Returns
from sipflow.calls.saving import Saving, Unsaid
from sipflow.calls.settings import Settings
from sipflow.calls.strangers import Strangers
from sipflow.calls.tolls import Tolls
from sipflow.calls.transfer.desk import TransferDesk
from sipflow.calls.transfer.referring import Waiter
from sipflow.calls.turning_away import TurningAway
from sipflow.calls.variables import printable
from sipflow.errors import (
    LimitReached,
    SipflowError,
    TransportError,
)
from sipflow.media.desk import MediaDesk
from sipflow.net.endpoint import Endpoint
from sipflow.net.ring import TraceRing
from sipflow.sip import outputs as sip
from sipflow.sip.headers.reason import warning_in
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.usage.uac import UacInvite
from sipflow.sip.user_agent import UserAgent
from sipflow.tasks import Tasks
from sipflow.trunks.trunk import Trunk

log = structlog.get_logger("sipflow.calls")


class Agents(Protocol):
    """Whoever runs agents; the agents room implements it."""

    def start(self, call: InboundCall | OutboundCall, agent: str) -> None:
        """Run the agent of this name for a call, in a task of its own."""

    def knows(self, agent: str) -> bool:
        """Whether there is an agent of this name."""

    def ring_s(self, agent: str) -> float | None:
        """How long a call for this agent may go unanswered, in seconds; None where the agent does not say."""


class Switchboard:
    """All live calls, and the way from a SIP event to the call it concerns.

    Attributes:
        calls: live calls by id.
        tasks: owner of everything that runs beside the calls.
        on_call_failed: told the trunk and the status of each call out that the far end did not take.
        announced: the calls that were announced before their INVITE; None where nobody announces any.
        limits: how many calls there may be, in and out.
        tolls: which numbers may be called, and how much; None where nobody minds.
        steers: whether somebody may yet give the calls of an agent to another one, by `hand_over`.
        strangers: whoever judges sources that belong to no trunk; None where nobody does.
        history: what happens in each call, for its record and for whoever listens.
        loops: which calls came of which.
        returns: calls that come in for one that is there already.
        transfers: what transfers need of the rest of the edge.
        turning_away: refuses calls before they are any.
        permits: what live calls count for, by id; a call that is not limited has none.
        trace: is told which Call-IDs belong to which call; None where no messages are kept.
        draining: True once the daemon is going down: no call gets in or out any more.
        call_log: what the calls bind their ids to; made once, for it costs more than the rest of a short call.
    """

    def __init__(
        self,
        *,
        ua: UserAgent,
        endpoint: Endpoint,
        desk: MediaDesk,
        doorkeeper: Doorkeeper,
        agents: Agents,
        records: RecordStore,
        settings: Settings,
        tasks: Tasks,
        history: History | None = None,
        limits: Limits | None = None,
        strangers: Strangers | None = None,
    ) -> None:
        self.history = history or History()
        self.ua = ua
        self.endpoint = endpoint
        self.doorkeeper = doorkeeper
        self.agents = agents
        self.tasks = tasks
        self.calls: dict[str, Call] = {}
        self.on_call_failed: Callable[[str, int], None] | None = None
        self.announced: Expected | None = None
        self.trace: TraceRing | None = None
        self.draining = False
        self._desk = desk
        self._records = records
        self.saving = Saving(records)
        self._settings = settings
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self.call_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("sipflow.call").bind()
        self.limits = limits or Limits(clock=self._clock)
        self.strangers = strangers
        self.tolls: Tolls | None = None
        self.steers: Callable[[str], bool] = lambda _agent: False
        self.loops = Loops()
        self.returns = Returns(self)
        self._mid_call = MidCall(self)
        self.transfers = TransferDesk()
        self.turning_away = TurningAway(self)
        self._reception = Reception(self)
        self.permits: dict[str, Permit] = {}
        self._empty: asyncio.Future[None] | None = None

    @property
    def now(self) -> float:
        """Monotonic seconds, the clock of everything below."""
        return self._clock()

    @property
    def closed(self) -> str:
        """Why no call at all gets in now; "" when calls do."""
        if self.draining:
            return "sipflow is going down"
        live = len(self.calls)
        return f"{live} calls are up (max_calls)" if live >= self._settings.max_calls else ""

    def apply(self, outputs: list[sip.Output]) -> None:
        """Carry out what the user agent returned."""
        self.endpoint.perform(outputs)

    # Requests that are no calls

    async def request(self, plan: RequestPlan) -> Outcome:
        """Send a request outside a dialog and wait for its end; what registrations and health checks use.

        Cancelling forgets the request; what is on the wire goes on to its end unheard.
        """
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.apply(self.ua.request(plan, waiter, now=self.now))
        outcome = await waiter
        if outcome.response is None and outcome.hop is not None:
            return replace(outcome, reason=self.endpoint.why(outcome.hop) or outcome.reason)
        return outcome

    # Calls out

    async def place(
        self,
        plan: RequestPlan,
        *,
        trunk: Trunk | None = None,
        codecs: tuple[str, ...] = (),
        agent: str = "",
        others: Callable[[Trunk], Way] | None = None,
    ) -> OutboundCall:
        """Place a call; its body is made here.

        Args:
            plan: the INVITE.
            trunk: that carries it, if any.
            codecs: in order of preference, instead of the trunk's.
            agent: on whose behalf, for the record.
            others: plans the same call for another trunk, where the first cannot carry it; None tries no other.

        Raises:
            TransportError: the destination has no address, a limit is reached, or we are going down.
            PortsExhausted: no RTP port is free.
            LocalProtocolError: a header of the plan cannot be written.
        """
        if self.draining:
            raise TransportError("sipflow is going down and places no more calls")
        record = CallRecord(
            id=record_id(self.ua.ids.token()),
            sip_call_id=plan.call_id,
            direction="outbound",
            from_number=getattr(plan.from_.uri, "user", None) or "",
            to_number=getattr(plan.to.uri, "user", None) or "",
            trunk=trunk.name if trunk is not None else "",
            number="",
            agent=agent,
            started_at=datetime.now(UTC),
        )
        spare = failover_of(trunk, self.doorkeeper.router.trunks) if others is not None else ()
        permit = self._let_out(record.trunk)
        call: OutboundCall | None = None
        try:
            call = await Placing(self, record, Way(plan, trunk, codecs), spare=spare, others=others).begin()
        finally:
            if call is not None and call.id in self.calls:
                self.permits[call.id] = permit
            else:
                permit.release()
        self.began(record)
        return call

    def _let_out(self, trunk: str) -> Permit:
        """Count a call that an agent places; those that are ordered are counted with their number."""
        try:
            return self.limits.admit_outbound(trunk, "")
        except LimitReached as error:
            raise TransportError(str(error)) from None

    def began(self, record: CallRecord) -> None:
        """Note in its history, and in the store, that a call has begun."""
        self.history.note(
            record,
            "started",
            direction=record.direction,
            from_number=record.from_number,
            to_number=record.to_number,
            trunk=record.trunk,
            agent=record.agent,
        )
        self._records.started(record)

    def launch(
        self,
        way: Way,
        hop: Hop,
        record: CallRecord,
        *,
        call: OutboundCall | None,
        ready: Callable[[OutboundCall], None],
    ) -> None:
        """Send an INVITE to one target: the first of a call, or with `call` its next one.

        Args:
            way: what is sent, and by which trunk.
            hop: the target.
            record: of the call.
            call: that goes on, None for a new one.
            ready: told the call before anything is sent, and so before anything can come of it.

        Raises:
            TransportError: we are going down.
            PortsExhausted: no RTP port is free.
            LocalProtocolError: a header of the plan cannot be written, or the number may not be called.
        """
        if self.draining:
            raise TransportError("sipflow is going down and places no more calls")
        trunk = way.trunk
        if self.tolls is not None:
            self.tolls.check_target(way.plan.uri, trunk, record.number)
        media = self.media_for(hop, trunk, record.id, codecs=way.codecs or (trunk.codecs if trunk is not None else ()))
        try:
            plan = way.plan.offering(media.offer(), reliable=media.prack)
            usage, outputs = self.ua.invite(plan, now=self.now, hops=(hop,))
        except SipflowError:  # a header of the plan cannot be written
            media.close()
            raise
        if self.strangers is not None:
            self.strangers.vouch(hop.host)
        record.sip_call_id = plan.call_id
        self.claim(record.sip_call_id, record.id)
        self.loops.launched(record.id, plan.call_id)
        if call is None:
            call = OutboundCall(self, usage, record, media)
            self.calls[call.id] = call
        else:
            call.renew(usage, media)
        ready(call)
        self.apply(outputs)

    def abandon(self, call: OutboundCall) -> None:
        """Give up on a target that says nothing; should it ring or answer after all, it is cancelled or hung up."""
        usage = call.usage
        usage.app = None
        if isinstance(usage, UacInvite):
            self.apply(usage.cancel(now=self.now))

    def note_digit(self, record: CallRecord, digit: str) -> None:
        """Note in a call's history that a key was pressed; which one only where that is wanted (PINs, card numbers)."""
        self.history.note(record, "digit", digit=digit if self._settings.keep_digits else None)

    # Events

    def on_event(self, event: object) -> None:
        """Hand an event of the user agent to the call it concerns."""
        match event:  # what every call has stands first
            case sip.InviteReceived(usage, request, hop, replaced):
                self._reception.take(usage, request, hop, replaced)
            case sip.Confirmed(usage, message, body):
                self._confirmed(usage.app, message, body)
            case sip.Ended():
                self._ended(event)
            case sip.Progressed(usage, response, body, reliable):
                call = usage.app
                if isinstance(call, OutboundCall):
                    call.progressed(response, body, reliable=reliable)
            case sip.ReferProgressed(referral) | sip.ReferEnded(referral):
                if isinstance(referral.app, Waiter):
                    referral.app.told(event)
            case sip.Finished(waiter, outcome):
                if isinstance(waiter, asyncio.Future) and not waiter.done():
                    waiter.set_result(outcome)
            case sip.Refused():
                self.turning_away.refused(event)
            case sip.RequestReceived(transaction, _, _):
                self.apply(self.ua.respond(transaction, 405, now=self.now))
            case _:
                self._mid_call.take(event)

    # For calls in both directions

    def keep(self, record: CallRecord) -> None:
        """Keep the record of a call that was over before it was one."""
        self._records.save(record)

    def claim(self, sip_call_id: str, call_id: str) -> None:
        """Have the messages of a call kept apart from those of strangers."""
        if self.trace is not None:
            self.trace.claim(sip_call_id, call_id)

    def media_for(self, hop: Hop, trunk: Trunk | None, call_id: str, *, codecs: tuple[str, ...]) -> LegMedia:
        """Lend a call its audio, as the trunk wants it.

        Raises:
            PortsExhausted: no RTP port is free.
        """
        ears = Ears(
            on_digit=lambda digit: self._digit(call_id, digit, "rfc4733"),
            on_tone=lambda digit: self._digit(call_id, digit, "inband"),
            on_silent=lambda silent_s: self._fell_silent(call_id, silent_s),
            on_failed=lambda why: self._media_failed(call_id, why),
        )
        session_id = int(self.ua.ids.token(4), 16)
        return fitted(self._desk, hop, trunk, codecs=codecs, session_id=session_id, ears=ears)

    def _digit(self, call_id: str, digit: str, kind: Kind) -> None:
        call = self.calls.get(call_id)
        if call is not None:
            call.digit_heard(digit, kind, self.now)

    def _fell_silent(self, call_id: str, silent_s: float) -> None:
        """End an answered call whose far end has sent no audio for long: nobody is there any more."""
        call = self.calls.get(call_id)
        if call is not None and call.answered:
            call.end_for(Word.MEDIA_LOST, f"no audio came for {silent_s:.0f} s (media.rtp_timeout_s)", status=408)

    def _media_failed(self, call_id: str, why: str) -> None:
        call = self.calls.get(call_id)
        if call is not None:
            call.end_for(Word.MEDIA_FAILED, why, status=488)

    # Calls under way

    def _confirmed(self, call: object, message: Request | Response, body: bytes) -> None:
        if isinstance(call, InboundCall):
            call.confirmed(body)
        elif isinstance(call, OutboundCall):
            call.confirmed(message, body)

    def _ended(self, event: sip.Ended) -> None:
        call = event.usage.app
        if not isinstance(call, Call):
            return
        if isinstance(call, OutboundCall):
            if call.goes_on(event):
                return
            event = call.judged(event)
        no_ack = event.by == "system" and ((event.status == 408 and call.answered) or event.status == 504)
        word = Word.LOST if event.lost else Word.NO_ACK if no_ack else call.word
        q850, why = None, event.why
        if event.status == 503 and event.message is None and isinstance(call, OutboundCall):
            why = call.unreachable_because(self.endpoint) or why
        if event.cause is not None:
            q850 = event.cause.cause if event.cause.protocol.upper() == "Q.850" else None
        said = [event.cause.text] if event.cause is not None else []
        said += [warning_in(event.message.headers)] if event.message is not None else []
        text = next((text for each in said if (text := printable(each)) not in ("", why)), "")
        why = f"{why} ({text})" if text else why
        call.last_words = event.message.headers if event.message is not None else None
        self.close(call, Ending.of(event.by, event.status, why, q850=q850, word=word))

    def close(self, call: Call, ending: Ending) -> None:
        """Take an ended call out of the books."""
        if self.calls.pop(call.id, None) is None:
            return
        if (permit := self.permits.pop(call.id, None)) is not None:
            permit.release()
        call.has_ended(ending)
        self.loops.over(call.id)
        call.usage.app = None  # what stays for half a minute to absorb repetitions must not keep the whole call
        record = call.record
        self.over(record, ending, call.transferring, call._sent_on)
        out = ending.by != "local" and not call.answered and record.trunk and isinstance(call, OutboundCall)
        if out and self.on_call_failed is not None:
            self.on_call_failed(record.trunk, ending.status)
        if not self.calls and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def over(self, record: CallRecord, ending: Ending, *unsaid: Unsaid | None) -> None:
        """Keep the record of a call that is over, with what became of its transfers."""
        self.history.note(record, "ended", by=ending.by, status=ending.status, word=ending.word, why=ending.why)
        self.call_log.info(
            "call over",
            call=record.id,
            by=ending.by,
            status=ending.status,
            word=ending.word,
            why=ending.why,
            talk_s=record.talk_s,
        )
        if self.tolls is not None and record.direction == "outbound":
            self.tolls.spent(record.id, record.talk_s)
        self.saving.save(record, *unsaid)

    def hand_over(self, record: CallRecord, agent: str) -> None:
        """Have another agent be the one that a call in counts for.

        Raises:
            LimitReached: that agent has no room.
        """
        permit = self.permits.get(record.id)
        if permit is not None:
            permit.hand_over(agent)
        record.agent = agent

    async def drain(self, timeout_s: float) -> None:
        """Take no more calls, wait for the live ones, then hang up what is left.

        Cancelling leaves the switchboard draining.
        """
        self.draining = True
        if self.calls:
            log.info("waiting for live calls", calls=len(self.calls), at_most_s=timeout_s)
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=timeout_s)
        self.hang_up_all()

    def hang_up_all(self) -> None:
        """End every live call now."""
        self.draining = True
        for call in list(self.calls.values()):
            call.end("sipflow is going down", status=503)
