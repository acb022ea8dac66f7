"""One transfer from its beginning to its truthful end; whatever fails, the caller is back with the agent."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sipflow.calls.alive import Lifetime
from sipflow.calls.branching import end_like
from sipflow.calls.bridge import Joint, Parting
from sipflow.calls.transfer.comfort import Comfort
from sipflow.calls.transfer.hunt import Hunt, Taken
from sipflow.calls.transfer.ledger import CONNECTED, STARTED, Ledger
from sipflow.calls.transfer.music import fetch_music, is_address
from sipflow.calls.transfer.outcome import (
    Decider,
    FailedReason,
    Method,
    TransferAttempt,
    TransferOutcome,
    TransferStatus,
    decider_of,
    failed_reason_of,
    transfer_status_of,
)
from sipflow.calls.transfer.referring import Referred, Sent, address_for, leave, refer, replacing, useless_because
from sipflow.calls.transfer.request import TransferRequest
from sipflow.calls.transfer.targets import PHONE_BOOK, Target, read_target
from sipflow.calls.transfer.wording import fill_headers
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from sipflow.sip.outputs import ReferOutcome

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard

_RING_S = 60.0
_NOTICE_S = 10.0  # beyond the ringing, in which a far end should have reported how its own call went
_QUIET_S = 2.0  # after that a caller whose far end makes nothing of a REFER hears music or ringing
_IDLE_S, _LOOK_S = 4.0, 0.5  # so does one whose agent has neither talked nor listened for so long; how often we look
_COMPLETION_S = 20.0  # how long a far end has to join caller and target by itself
_FAREWELL_S = 4.0  # how long a caller whose person has left waits for the news that the far end has joined them anew
_TOO_LATE = "the conversation was over before the far end had said whether it joins both parties by itself"


class Phase(StrEnum):
    """How far a transfer has come."""

    BEGUN = "begun"
    REFERRING = "referring"
    ASKING = "asking"
    CONNECTED = "connected"
    OVER = "over"


class Transfer:
    """One transfer of one call.

    Attributes:
        request: what was asked for.
        phase: how far it has come.
        leg: the call to the person who has it, or to whom that one has sent the caller on; None before that, and for
            a REFER.
        human_connected_at: when caller and person could talk, UTC.
        outcome: None until it is over.
        on_over: told once when its outcome stands in the record of its call.
    """

    patience_s = 0.0

    def __init__(self, board: "Switchboard", call: "Call", request: TransferRequest) -> None:
        self._board = board
        self._call = call
        self._ledger = Ledger(call, lambda: call.record.now)
        own = request.music if not is_address(request.music) else None
        self._comfort = Comfort(call, own if own is not None else board.transfers.music)
        self._life = Lifetime()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sent: Sent | None = None  # the REFER that was sent last, whose far end may go to its target after all
        self._sent_to: Target | None = None
        self.request = request
        self.phase = Phase.BEGUN
        self.leg: Call | None = None
        self.human_connected_at: datetime | None = None
        self.outcome: TransferOutcome | None = None
        self.on_over: Callable[[], None] = _nobody

    @property
    def said(self) -> bool:
        """Whether its outcome stands in the record of its call."""
        return self.outcome is not None

    @property
    def attempts(self) -> tuple[TransferAttempt, ...]:
        """What was tried so far."""
        return tuple(self._ledger.attempts)

    @property
    def target(self) -> str:
        """Who is tried now, or has the call; "" for nobody."""
        return self._ledger.target

    def take_back(self, why: str = "the call was taken back") -> None:
        """Give the call back to the agent, wherever the transfer stands; whoever was called is hung up on."""
        if self.outcome is None:
            self._ledger.stopped_because = why
            self._life.end("local", why)

    async def over(self) -> None:
        """Wait until it is over. Cancelling leaves it going on."""
        await asyncio.shield(self._over)

    async def run(self, first: Callable[[], Awaitable[None]] | None = None) -> TransferOutcome:
        """Carry it out; returns when the call is back with the agent, or over.

        Args:
            first: what comes before anybody is called, such as a word to the caller; taking the call back ends it.

        Raises:
            CallEnded: the caller hung up before anybody had the call.

        Cancelling gives the call back to the agent.
        """
        self._call.note(STARTED, mode=self.request.mode, targets=[each.text for each in self.request.targets])
        outcome: TransferOutcome | None = None
        try:
            if first is not None:
                with self._life.scope():
                    await first()
            outcome = await self._carried_out()
        except CallEnded:
            outcome = self._cut_short()
            if self._call.ending is not None and not outcome.ok:
                raise
        except asyncio.CancelledError:
            outcome = self._cut_short()
            raise
        finally:
            lost = self._failed(TransferStatus.CONNECTION_ERROR, FailedReason.DESTINATION_UNAVAILABLE)
            self._finish(outcome or lost)
        return outcome

    def _cut_short(self) -> TransferOutcome:
        """Say what became of it when it was ended from outside: by the caller, by the agent, or over the API."""
        if self.human_connected_at is not None:
            return self._success()
        ending, word = self._call.ending, TransferStatus.TAKEN_BACK
        if ending is not None:
            word = TransferStatus.CALLER_GONE if ending.by == "remote" else TransferStatus.CONNECTION_ERROR
        return self._failed(word, FailedReason.DESTINATION_UNAVAILABLE)

    def _finish(self, outcome: TransferOutcome) -> None:
        self.phase = Phase.OVER
        self.outcome = outcome
        self._comfort.stop()
        self._call.step_back()
        leg = self.leg
        if leg is not None and leg.ending is None:
            leg.end("the caller is back with the agent")
        self._ledger.over(outcome)
        if not self._over.done():
            self._over.set_result(None)
        on_over, self.on_over = self.on_over, _nobody
        on_over()

    # The way it goes

    async def _carried_out(self) -> TransferOutcome:
        targets = await self._wanted()
        if not targets:
            return self._failed(TransferStatus.OUTSIDE_AVAILABILITY, FailedReason.OUTSIDE_AVAILABILITY)
        company = self._call.beside(self._keep_company(), name=f"company for call {self._call.id}")
        try:
            with self._life.scope():
                left, outcome = await self._refer_all(targets)
            company.cancel()
            while left and outcome is None:
                taken = await self._ask_all(left)
                if taken is not None:
                    self._close_refer()
                    with self._life.scope():
                        return await self._connect(taken)
                with self._life.scope():
                    left, outcome = await self._after_all(left)
        finally:
            company.cancel()
            self._close_refer()
        return outcome or self._failed(self._ledger.word, self._last_reason())

    async def _wanted(self) -> list[Target]:
        """Give whom to call at this time of day; nobody when nobody is there."""
        request, desk = self.request, self._board.transfers
        open_now = request.hours is None or request.hours.open_at(desk.wall())
        found: list[Target] = []
        for target in request.targets if open_now else request.after_hours:
            found += await self._listed(target) if target.text.startswith(PHONE_BOOK) else [target]
        return found

    async def _listed(self, target: Target) -> list[Target]:
        """Read a phone book, or one entry of it.

        Raises:
            NotFound: there is no such book or entry, or it is empty.
        """
        numbers = await self._board.transfers.listed(target.text)
        return [read_target(number, region=self._call.region) for number in numbers]

    # By REFER

    def _soothe(self) -> None:
        """Play to a caller who waits; one who talks with somebody else meanwhile does not."""
        if self._call.joint is None:
            self._comfort.start()

    async def _keep_company(self) -> None:
        """Leave no caller in silence whose far end takes its time with a REFER."""
        await asyncio.sleep(_QUIET_S)
        self._soothe()

    async def _refer_all(self, targets: Sequence[Target]) -> tuple[list[Target], TransferOutcome | None]:
        """Tell the far end to go to each target in turn; gives those that we are to call ourselves."""
        left = list(targets)
        if self.request.mode != "blind" or self.request.simultaneous:
            return left, None
        useless = useless_because(self._call, self._call.trunk)
        while left and not useless:
            self.phase = Phase.REFERRING
            referred = await self._refer(left[0])
            if referred.ok:
                return [], self._gone_to(left[0], referred)
            if leave(self._call, referred):
                return [], None
            if not _to_be_called(referred):
                del left[0]
                continue
            useless = referred.why
        if useless and left:
            self._call.note("transfer_by_invite", why=useless)
            self._call.log.info("the target is called by us", why=useless)
            if not self.request.fallback_on_refer:
                return [], self._failed(self._ledger.word, self._last_reason(FailedReason.METHOD_UNSUPPORTED))
        return left, None

    async def _refer(self, target: Target) -> Referred:
        started_at = self._ledger.began(target.text, Method.REFER)
        headers = tuple(fill_headers(self.request.headers, self._call).items())
        trunk = self._call.trunk
        try:
            refer_to, beside = address_for(target, self._call, trunk, headers)
        except LocalProtocolError as error:
            referred = Referred(ReferOutcome.UNKNOWN, 0, False, str(error))
        else:
            ring_s = self.request.ring_s or (trunk.outbound.ring_s if trunk is not None else _RING_S)
            self._close_refer()
            try:
                patience_s = ring_s + _NOTICE_S
                self._sent = Sent(self._board, self._call, refer_to, patience_s=patience_s, headers=beside)
                self._sent_to = target
                referred = await self._sent.outcome()
            except (CallEnded, asyncio.CancelledError):
                self._ledger.cut_off(target.text, Method.REFER, 0, started_at)
                raise
        self._note_referred(target, referred, started_at)
        return referred

    async def _after_all(self, left: list[Target]) -> tuple[list[Target], TransferOutcome | None]:
        """Wait for a far end that was given up on and goes to its target after all; gives whom we are to call then."""
        sent, target = self._sent, self._sent_to
        if sent is None or target is None or sent.news is None or not sent.news.done():
            return [], None
        self.phase = Phase.REFERRING
        self._soothe()
        started_at = self._ledger.began(target.text, Method.REFER)
        try:
            referred = await sent.outcome()
        except (CallEnded, asyncio.CancelledError):
            self._ledger.cut_off(target.text, Method.REFER, 0, started_at)
            raise
        finally:
            self._close_refer()  # it has had its second chance
        self._note_referred(target, referred, started_at)
        if referred.ok:
            return [], self._gone_to(target, referred)
        if leave(self._call, referred):
            return [], None
        if left and left[0] is target and not _to_be_called(referred):
            del left[0]
        return left, None

    def _close_refer(self) -> None:
        sent, self._sent = self._sent, None
        if sent is not None:
            sent.close()

    def _note_referred(self, target: Target, referred: Referred, started_at: datetime) -> None:
        status, word = referred.status, TransferStatus.SUCCESS
        reason: FailedReason | None = None
        decider = Decider.DESTINATION if referred.outcome is ReferOutcome.SUCCEEDED else Decider.CARRIER
        if not referred.ok:
            told = status if status >= 300 else 0
            refused = referred.outcome is ReferOutcome.REFUSED
            reason = failed_reason_of(told or 408, Method.REFER if refused else Method.INVITE)
            word = transfer_status_of(told or 408)
            if not refused or not told:
                decider = decider_of(told) if told else Decider.SIPFLOW
            silent = (refused and not told) or (referred.outcome is ReferOutcome.TIMED_OUT and not referred.rang)
            if silent:
                word, reason = TransferStatus.CONNECTION_ERROR, FailedReason.CARRIER_UNAVAILABLE
        self._ledger.ended(
            TransferAttempt(
                target.text, Method.REFER, status, referred.why, decider, reason, started_at, self._ledger.now
            ),
            word,
        )

    def _gone_to(self, target: Target, referred: Referred) -> TransferOutcome:
        if referred.outcome is ReferOutcome.SUCCEEDED:
            self._connected(target.text)
        if self._call.ending is None:
            self._call.end(f"the call was transferred to {target.text}")
        return self._success(target.text)

    # By a call of ours

    async def _ask_all(self, targets: list[Target]) -> Taken | None:
        """Call the targets; the agent may go on talking with the caller, unless something is played.

        Of `targets` those are left who have not been asked to an end.
        """
        self.phase = Phase.ASKING
        call, request = self._call, self.request
        if not call.answered:
            await call.ring()
        if request.mode == "blind" or request.music is not None:
            self._soothe()
        hunt = Hunt(self._board, call, request, self._ledger, self._comfort)
        taken: Taken | None = None
        beside = [call.beside(self._console(), name=f"company for call {call.id}")]
        if is_address(request.music):
            beside.append(call.beside(self._fetch_music(request.music), name=f"music of call {call.id}"))
        try:
            with call._lifetime.scope(), self._life.scope():
                taken = await hunt.run(targets, unless=self._sent.news if self._sent is not None else None)
        except (CallEnded, asyncio.CancelledError):
            if taken is not None:  # just as it took the call
                self._ledger.cut_off(taken.target.text, Method.INVITE, 200, taken.started_at)
            raise
        finally:
            for task in beside:
                task.cancel()
            self._comfort.stop()
            if taken is not None:
                self.leg = taken.leg
        targets[:] = hunt.left
        return taken

    async def _console(self) -> None:
        """Let a caller hear something to whom nobody talks while a target is asked."""
        idle_s = 0.0
        while idle_s < _IDLE_S:
            await asyncio.sleep(_LOOK_S)
            idle_s = 0.0 if self._call.minded else idle_s + _LOOK_S
        self._soothe()

    async def _fetch_music(self, url: str) -> None:
        """Let the caller hear music of the web as soon as it is there; until then, and without it, the usual."""
        music = await fetch_music(self._call, self._board.transfers.fetcher, url)
        if music is not None:
            self._comfort.change(music)

    async def _connect(self, taken: Taken) -> TransferOutcome:
        """Join caller and person until one of them hangs up."""
        call, leg = self._call, taken.leg
        try:
            if not call.answered:
                await call.answer()
            call.step_aside()
            if self.request.stop_recording and call.recording is not None:
                await call.recording.stop()
        except (CallEnded, asyncio.CancelledError):
            self._ledger.cut_off(taken.target.text, Method.INVITE, 200, taken.started_at)
            raise
        self._note_taken(taken)
        self._connected(taken.target.text)
        for held in (each for each in (call, leg) if each.holding):
            call.beside(self._resume(held), name=f"resuming call {held.id}")
        completion = None
        if self.request.mode == "attended" and self._may_replace(leg):
            completion = call.beside(self._complete(taken), name=f"completion of transfer of call {call.id}")
        try:
            parting = await self._talk(leg)
            if completion is not None:
                await asyncio.wait((completion,), timeout=_FAREWELL_S)
        finally:
            if completion is not None:
                completion.cancel()
                await asyncio.wait((completion,))  # it has its line in the record to write
        self._part(parting)
        return self._success()

    async def _resume(self, held: "Call") -> None:
        """Take off hold whom the agent has put there: the two are to hear each other."""
        try:
            await held.take_off_hold()
        except (CallEnded, MediaError, LocalProtocolError) as error:
            held.log.warning("it stays on hold while a person has the call", why=str(error))

    async def _talk(self, leg: "OutboundCall") -> Parting:
        """Let the two talk; whoever the person has put in its own place by then is the one to be parted with."""
        joint = theirs = self._call.joint
        if joint is None:
            joint = Joint(self._call, leg)
        else:  # whoever has joined the caller with somebody goes on with it, to the end of this conversation
            partner = joint.partner(self._call)
            joint.swap(partner, leg)
            partner.end("whom it was joined with was transferred")
        try:
            await asyncio.shield(joint.over)
        except BaseException:  # the agent wants its caller back, and another call has taken the caller's place
            for each in joint.legs:
                if self._call.ending is not None and each.ending is None:
                    each.end("the caller's call is over")
            raise
        finally:
            if self._call.joint is joint:
                self.leg = joint.partner(self._call)
            if theirs is None:
                joint.close()
        return joint.parting()

    def _note_taken(self, taken: Taken) -> None:
        accepted = self.request.accept is not None
        why = "answered, and took the call" if accepted else "answered"
        decider = Decider.AGENT if accepted and not self.request.key else Decider.DESTINATION
        self._ledger.target = taken.target.text
        self._ledger.ended(
            TransferAttempt(
                taken.target.text, Method.INVITE, 200, why, decider, None, taken.started_at, self._ledger.now
            ),
            TransferStatus.SUCCESS,
        )

    def _connected(self, target: str) -> None:
        self.phase = Phase.CONNECTED
        self.human_connected_at = self._ledger.now
        self._ledger.target = target
        self._call.note(CONNECTED, target=target, leg=self.leg.id if self.leg is not None else None)
        self._call.log.info("connected to a person", target=target)

    def _part(self, parting: Parting) -> None:
        """End the other side too, unless the caller is wanted back."""
        call = self._call
        if call.ending is not None:  # which may be since another one has its place
            end_like(parting.other, parting.ending, parting.leg.last_words)
        elif not self.request.hand_back:
            end_like(call, parting.ending, parting.leg.last_words)

    # Attended, without us in the end

    def _may_replace(self, leg: "OutboundCall") -> bool:
        """Whether the far end of the caller can be told to join with the target by itself: both are on one trunk."""
        trunk = self._call.trunk
        if trunk is None or not trunk.refer.replaces or leg.record.trunk != trunk.name:
            return False
        why = useless_because(self._call, trunk)
        if why:
            self._call.log.info("the transfer stays with us", why=why)
        return not why

    async def _complete(self, taken: Taken) -> None:
        """Let the far end take our place (RFC 5589 §7); where it cannot, caller and person stay joined by us."""
        call, started_at = self._call, self._ledger.now
        try:
            referred = await refer(self._board, call, replacing(taken.leg.usage), patience_s=_COMPLETION_S)
        except (CallEnded, LocalProtocolError) as error:
            call.log.info("the transfer stays with us", why=str(error))
            return
        except asyncio.CancelledError:
            self._ledger.cut_off(taken.target.text, Method.REFER, 0, started_at, _TOO_LATE)
            raise
        self._note_referred(taken.target, referred, started_at)
        if referred.ok:
            for each in (call, taken.leg):
                if each.ending is None:
                    each.end("the far end has joined both parties by itself")

    # How it ended

    def _success(self, target: str = "") -> TransferOutcome:
        return TransferOutcome(
            TransferStatus.SUCCESS, None, self.attempts, self.human_connected_at, target or self._ledger.target
        )

    def _failed(self, status: TransferStatus, reason: FailedReason) -> TransferOutcome:
        return TransferOutcome(status, reason, self.attempts)

    def _last_reason(self, default: FailedReason = FailedReason.DESTINATION_UNAVAILABLE) -> FailedReason:
        found = [each.failed_reason for each in self._ledger.attempts if each.failed_reason is not None]
        return found[-1] if found else default


def _to_be_called(referred: Referred) -> bool:
    """Whether a REFER failed as a REFER, so that we may do better: refused, or taken and nothing done about it."""
    if referred.outcome is ReferOutcome.REFUSED:
        return True
    return referred.outcome in (ReferOutcome.TIMED_OUT, ReferOutcome.UNKNOWN) and not referred.rang


def _nobody() -> None:
    """Stand in for a callback that nobody has given."""
