"""Where SIP events become calls: every call of the daemon is in here, and nothing of SIP's bytes is."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import structlog

from sipflow.calls.call import Call
from sipflow.calls.digits import Kind
from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.encryption import encrypted
from sipflow.calls.ending import Ending, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.media import LegMedia
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.record import CallRecord, RecordStore
from sipflow.calls.routes import NoRoute, Route
from sipflow.calls.settings import Settings
from sipflow.calls.variables import party, printable
from sipflow.errors import (
    LocalProtocolError,
    MediaError,
    PortsExhausted,
    RemoteProtocolError,
    SipflowError,
    TransportError,
)
from sipflow.media.desk import MediaDesk
from sipflow.net.endpoint import Endpoint
from sipflow.sdp.agreement import Capabilities
from sipflow.sdp.codecs import codecs_named
from sipflow.sip import outputs as sip
from sipflow.sip.addressing import split_host_port
from sipflow.sip.admission import warning
from sipflow.sip.body import SDP
from sipflow.sip.dtmf_info import read_digit
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.usage.uas import UasInvite
from sipflow.sip.user_agent import UserAgent
from sipflow.tasks import Tasks
from sipflow.trunks.trunk import Trunk

log = structlog.get_logger("sipflow.calls")
_HEARD_AS_TONES = ("auto", "inband")  # as trunks say it in `dtmf`
_RETRY_AFTER = ("Retry-After", "5")  # seconds; a restart or a burst of calls is over by then


class Agents(Protocol):
    """Whoever runs agents; the agents room implements it."""

    def start(self, call: InboundCall, agent: str) -> None:
        """Run the agent of this name for a call, in a task of its own."""


class Switchboard:
    """All live calls, and the way from a SIP event to the call it concerns.

    Attributes:
        calls: live calls by id.
        tasks: owner of everything that runs beside the calls.
        on_call_failed: told the trunk and the status of each call out that the far end did not take.
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
    ) -> None:
        self.ua = ua
        self.endpoint = endpoint
        self.doorkeeper = doorkeeper
        self.agents = agents
        self.tasks = tasks
        self.calls: dict[str, Call] = {}
        self.on_call_failed: Callable[[str, int], None] | None = None
        self.draining = False
        self._desk = desk
        self._records = records
        self._settings = settings
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self.call_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("sipflow.call").bind()
        self._empty: asyncio.Future[None] | None = None

    @property
    def now(self) -> float:
        """Monotonic seconds, the clock of everything below."""
        return self._clock()

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
        self, plan: RequestPlan, *, trunk: Trunk | None = None, codecs: tuple[str, ...] = (), agent: str = ""
    ) -> OutboundCall:
        """Place a call; its body is made here.

        Raises:
            TransportError: the destination has no address, or we are going down.
            PortsExhausted: no RTP port is free.
            LocalProtocolError: a header of the plan cannot be written.
        """
        if self.draining:
            raise TransportError("sipflow is going down and places no more calls")
        hops = await self.endpoint.resolve(plan.destination)
        record = CallRecord(
            id=self.ua.ids.token(),
            sip_call_id=plan.call_id,
            direction="outbound",
            from_number=getattr(plan.from_.uri, "user", None) or "",
            to_number=getattr(plan.to.uri, "user", None) or "",
            trunk=trunk.name if trunk is not None else "",
            number="",
            agent=agent,
            started_at=datetime.now(UTC),
        )
        media = self._media(hops[0], trunk, record.id, codecs=codecs or (trunk.codecs if trunk is not None else ()))
        try:
            plan = replace(plan, body=media.offer(), content_type=SDP, reliable=media.prack)
            usage, outputs = self.ua.invite(plan, now=self.now, hops=hops)
        except SipflowError:  # a header of the plan cannot be written
            media.close()
            raise
        call = OutboundCall(self, usage, record, media)
        self.calls[call.id] = call
        self.apply(outputs)
        return call

    # Events

    def on_event(self, event: object) -> None:
        """Hand an event of the user agent to the call it concerns."""
        match event:  # what every call has stands first
            case sip.InviteReceived(usage, request, hop):
                self._invited(usage, request, hop)
            case sip.Confirmed(usage, message, body):
                self._confirmed(usage.app, message, body)
            case sip.Ended():
                self._ended(event)
            case sip.Progressed(usage, response, body, reliable):
                call = usage.app
                if isinstance(call, OutboundCall):
                    call.progressed(response, body, reliable=reliable)
            case sip.OfferReceived():
                self._reoffered(event)
            case sip.OfferAnswered(usage, status, body):
                self._offer_answered(usage.app, status, body)
            case sip.InfoReceived(usage, request):
                self._informed(usage.app, request)
            case sip.InfoAnswered(usage, status):
                call = usage.app
                if isinstance(call, Call) and "outbox" in vars(call):
                    call.outbox.info_answered(status)
            case sip.Finished(waiter, outcome):
                if isinstance(waiter, asyncio.Future) and not waiter.done():
                    waiter.set_result(outcome)
            case sip.Refused():
                self._refused(event)
            case sip.RequestReceived(transaction, _, _):
                self.apply(self.ua.respond(transaction, 405, now=self.now))

    def _refused(self, event: sip.Refused) -> None:
        source, request = str(event.hop), event.request
        if request is None:  # it does not even say what it wants, or it is an answer: nobody could be told
            log.info("message dropped: it cannot be read", source=source, why=event.why)
        elif event.status == 401:
            log.debug("challenged", method=request.method, source=source)
        else:
            log.info("refused", method=request.method, source=source, status=event.status, why=event.why)

    # Calls in

    def _invited(self, usage: UasInvite, request: Request, hop: Hop) -> None:
        route = self.doorkeeper.route(request, hop)
        if isinstance(route, NoRoute):
            self._turn_away(usage, route.status, route.why)
            return
        if self.draining or len(self.calls) >= self._settings.max_calls:
            why = "sipflow is going down" if self.draining else f"{len(self.calls)} calls are up (max_calls)"
            self._turn_away(usage, 503, why, (_RETRY_AFTER,))
            return
        try:
            call = self._admit(usage, request, hop, route)
        except PortsExhausted as error:
            self._turn_away(usage, 503, str(error), (_RETRY_AFTER,))
        except RemoteProtocolError as error:
            self._turn_away(usage, error.status, str(error), (warning(str(error), error.warning),))
        except MediaError as error:
            self._turn_away(usage, 500, str(error))
        else:
            self.agents.start(call, route.agent)

    def _turn_away(self, usage: UasInvite, status: int, why: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Refuse a call before it is one; the reason goes to the peer and into the log (never silently)."""
        log.warning("call refused", source=str(usage.hop), to=usage.request.uri, status=status, why=why)
        self.apply(usage.reject(status, now=self.now, headers=headers, why=why))

    def _admit(self, usage: UasInvite, request: Request, hop: Hop, route: Route) -> InboundCall:
        record = CallRecord(
            id=self.ua.ids.token(),
            sip_call_id=request.call_id,
            direction="inbound",
            from_number=party(request, "From"),
            to_number=party(request, "To"),
            trunk=route.trunk.name,
            number=route.number.number,
            agent=route.agent,
            started_at=datetime.now(UTC),
        )
        # Challenges to our BYE are answered only where the operator named the realm: whoever calls us could ask.
        accounts = route.trunk.accounts if route.trunk.realm else ()
        usage.adopt(advertise=route.trunk.advertise, accounts=accounts)
        media = self._media(hop, route.trunk, record.id, codecs=route.trunk.codecs)
        call = InboundCall(self, usage, record, media)
        try:
            call.prepare()
        except RemoteProtocolError:
            media.close()
            raise
        self.calls[call.id] = call
        # Not `call.log`: a logger of the call's own costs 5 us, which calls that nobody logs anything of need not pay.
        self.call_log.info(
            "call in",
            call=call.id,
            caller=call.caller,
            number=record.number,
            trunk=record.trunk,
            agent=record.agent,
        )
        return call

    def _media(self, hop: Hop, trunk: Trunk | None, call_id: str, *, codecs: tuple[str, ...]) -> LegMedia:
        override = split_host_port(trunk.advertise)[0] if trunk is not None and trunk.advertise else ""
        dtmf = trunk.dtmf if trunk is not None else "auto"
        capabilities = _capabilities(
            codecs, (trunk.ptime_ms if trunk is not None else 0) or self._desk.settings.ptime_ms, dtmf != "inband"
        )
        return LegMedia(
            self._desk,
            address=override or self._desk.settings.advertise or hop.local_host,
            capabilities=encrypted(capabilities, trunk, hop),
            session_id=int(self.ua.ids.token(4), 16),
            on_digit=lambda digit: self._digit(call_id, digit, "rfc4733"),
            on_tone=(lambda digit: self._digit(call_id, digit, "inband")) if dtmf in _HEARD_AS_TONES else None,
            on_silent=lambda silent_s: self._fell_silent(call_id, silent_s),
            on_failed=lambda why: self._media_failed(call_id, why),
            dtmf=dtmf,
            prack=trunk.prack if trunk is not None else True,
        )

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

    def _informed(self, call: object, request: Request) -> None:
        """Take an INFO that was answered already: a digit, or nothing to us."""
        info = read_digit(request)
        if info is not None and isinstance(call, Call):
            call.digit_heard(info.digit, "info", self.now, lasted_s=info.duration_ms / 1000)

    # Calls under way

    def _confirmed(self, call: object, message: Request | Response, body: bytes) -> None:
        if isinstance(call, InboundCall):
            call.confirmed(body)
        elif isinstance(call, OutboundCall):
            call.confirmed(message, body)

    def _reoffered(self, event: sip.OfferReceived) -> None:
        """Answer a re-INVITE or UPDATE: hold, resume, another address, another codec."""
        call, usage, now = event.usage.app, event.usage, self.now
        if not isinstance(call, Call) or call.media is None:
            self.apply(usage.refuse_offer(event.transaction, 488, "this call has no media", now=now))
            return
        try:
            body = call.media.accept(event.body) if event.body else call.media.offer()
        except RemoteProtocolError as error:
            self.apply(usage.refuse_offer(event.transaction, error.status, str(error), now=now))
            return
        self.apply(usage.answer_offer(event.transaction, body, now=now))
        held = call.held
        call.media.commit()
        call.media_changed()
        if held != call.held:
            call.log.info("on hold" if call.held else "resumed")

    def _offer_answered(self, call: object, status: int, body: bytes) -> None:
        """Take the end of an offer of ours: a refused one changes nothing (RFC 3261 §14.1)."""
        if not isinstance(call, Call) or call.media is None:
            return
        if isinstance(call, InboundCall) and not call.answered:
            call.early_answered(body)
            return
        if status < 300:
            try:
                call.media.take_answer(body)
            except (RemoteProtocolError, LocalProtocolError, MediaError) as error:
                call.log.warning("the far end's SDP cannot be used; the call goes on as it was", why=str(error))
                status = 488
            else:
                call.media_changed()
        call.reoffer_ended(status)

    def _ended(self, event: sip.Ended) -> None:
        call = event.usage.app
        if not isinstance(call, Call):
            return
        no_ack = event.by == "system" and ((event.status == 408 and call.answered) or event.status == 504)
        word = Word.NO_ACK if no_ack else call.word
        q850, why = None, event.why
        if event.status == 503 and event.message is None and isinstance(call, OutboundCall):
            why = call.unreachable_because(self.endpoint) or why
        if event.cause is not None:
            q850 = event.cause.cause if event.cause.protocol.upper() == "Q.850" else None
            why = f"{why} ({printable(event.cause.text)})" if event.cause.text else why
        self.close(call, Ending.of(event.by, event.status, why, q850=q850, word=word))

    def close(self, call: Call, ending: Ending) -> None:
        """Take an ended call out of the books."""
        if self.calls.pop(call.id, None) is None:
            return
        call.has_ended(ending)
        call.usage.app = None  # what stays for half a minute to absorb repetitions must not keep the whole call
        record = call.record
        self.call_log.info(
            "call over",
            call=call.id,
            by=ending.by,
            status=ending.status,
            word=ending.word,
            why=ending.why,
            talk_s=record.talk_s,
        )
        self._records.save(record)
        out = ending.by != "local" and not call.answered and record.trunk and isinstance(call, OutboundCall)
        if out and self.on_call_failed is not None:
            self.on_call_failed(record.trunk, ending.status)
        if not self.calls and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

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


@lru_cache(maxsize=64)  # a configuration has a handful
def _capabilities(names: tuple[str, ...], ptime_ms: int, events: bool) -> Capabilities:
    if names:  # an order that somebody has chosen: ours to keep in answers too (RFC 3264 §6.1)
        capabilities = Capabilities(codecs=codecs_named(names), ptime_ms=ptime_ms, own_order=True)
    else:
        capabilities = Capabilities(ptime_ms=ptime_ms)
    return capabilities if events else replace(capabilities, telephone_event_payload_type=None)
