"""Targets called by us, in turn or at once, until one of them takes the call; the others are cancelled."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sipflow.calls.ending import Word
from sipflow.calls.transfer.comfort import Comfort
from sipflow.calls.transfer.legs import Legs
from sipflow.calls.transfer.outcome import (
    Decider,
    FailedReason,
    Method,
    TransferAttempt,
    TransferStatus,
    decider_of,
    failed_reason_of,
    transfer_status_of,
)
from sipflow.calls.transfer.request import TransferRequest
from sipflow.calls.transfer.screening import Declined, screen
from sipflow.calls.transfer.targets import Target
from sipflow.errors import CallEnded, CallFailed, SipflowError, TransportError
from sipflow.sip.headers.reason import Reason
from sipflow.sip.usage.uac import UacInvite

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard
    from sipflow.calls.transfer.ledger import Ledger

_ELSEWHERE = ("Reason", str(Reason("SIP", 200, "Call completed elsewhere")))  # RFC 3326 §2
_GIVEN_UP = ("Reason", str(Reason("Q.850", 19, "nobody answered in time")))
_UNWANTED = ("Reason", str(Reason("Q.850", 16, "the call is wanted no more")))
_TAKEN = "another target took the call"
_BY_ITSELF = "the far end has taken the REFER after all, and calls it by itself"
_FAILED = "whoever was to ask it failed"
_DECLINED = ("Reason", str(Reason("SIP", 603, "the call is not put through")))


class Taken(NamedTuple):
    """A target that took the call.

    Attributes:
        target: which.
        leg: the call to it, answered.
        started_at: when it was called.
    """

    target: Target
    leg: "OutboundCall"
    started_at: datetime


Asked = Taken | Exception | None  # what asking one came to


class Hunt:
    """Calls the targets of one transfer.

    Attributes:
        left: those that have not been asked to an end.
    """

    def __init__(
        self, board: "Switchboard", call: "Call", request: TransferRequest, ledger: "Ledger", comfort: Comfort
    ) -> None:
        self._board = board
        self._call = call
        self._request = request
        self._ledger = ledger
        self._comfort = comfort
        self._legs = Legs(board, call, request)
        self._won = False  # whether one of several has taken the call
        self._ringing: OutboundCall | None = None  # the call to the one that is asked alone
        self._why = ""  # why what is cut off is, where it is neither the caller nor the agent
        self.left: list[Target] = []

    async def run(self, targets: Sequence[Target], *, unless: "asyncio.Future[None] | None" = None) -> Taken | None:
        """Call them as asked; None when nobody took the call, or they are `left` alone.

        Args:
            targets: whom.
            unless: done when the far end sends the caller on by itself after all: who rings is cancelled then, so that
                it rings for the far end alone. Not for targets at once.

        Cancelling cancels or hangs up every call to them.
        """
        if self._request.simultaneous and len(targets) > 1:
            return await self._at_once(targets)
        self.left = list(targets)
        while self.left and (unless is None or not unless.done()):
            target = self.left.pop(0)
            taken = await (self._ask(target) if unless is None else self._ask_unless(target, unless))
            if taken is not None:
                return taken
        return None

    async def _ask_unless(self, target: Target, unless: "asyncio.Future[None]") -> Taken | None:
        """Call one target, for as long as the far end does not; one that has answered is kept whatever it does."""
        self._ringing = None
        task = self._beside(target)
        asked = {task}
        try:
            await asyncio.wait((task, unless), return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and self._ringing is not None and self._ringing.answered:
                await asyncio.wait((task,))
            winner = _result(task) if task.done() else None
            if not task.done():
                self.left.insert(0, target)
            self._why = _BY_ITSELF
            await self._send_away(asked, winner)
        except BaseException:  # ended from outside, perhaps just as it has taken the call
            self._why = ""
            await self._send_away(asked, None)
            raise
        self._why = ""
        return winner

    async def _at_once(self, targets: Sequence[Target]) -> Taken | None:
        asked = {self._beside(target) for target in targets}
        try:
            winner = await self._first(asked)
            await self._send_away(asked, winner)
        except BaseException:  # ended from outside, perhaps just as one has taken the call
            self._won, self._why = False, ""
            await self._send_away(asked, None)
            raise
        return winner

    def _beside(self, target: Target) -> asyncio.Task[Asked]:
        return self._call.beside(self._asked(target), name=f"transfer to {target.text}")

    async def _asked(self, target: Target) -> Asked:
        """Ask one target in a task of its own, whose errors are given to whoever waits for it."""
        try:
            return await self._ask(target)
        except Exception as error:  # noqa: BLE001  (of an agent's own function: it is the agent that must hear of it)
            return error

    async def _first(self, asked: set[asyncio.Task[Asked]]) -> Taken | None:
        waiting = set(asked)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            took = [taken for task in done if (taken := _result(task)) is not None]
            if took:
                self._won, self._why = True, _TAKEN
                return took[0]
        return None

    async def _send_away(self, asked: set[asyncio.Task[Asked]], winner: Taken | None) -> None:
        """End the calls to all but the winner, those too that were answered in the moment in which it all ended.

        Cancelled in the middle it may be called again: who has been sent away already is not in `asked` any more.
        """
        waiting = {task for task in asked if not task.done()}
        for task in waiting:
            task.cancel()
        self._let_go_of(asked, winner)
        if waiting:
            await asyncio.wait(waiting)
        self._let_go_of(asked, winner)

    def _let_go_of(self, asked: set[asyncio.Task[Asked]], winner: Taken | None) -> None:
        for task in tuple(asked):
            if not task.done():
                continue
            taken = None if task.cancelled() or task.exception() is not None else task.result()
            if taken is not None and taken is winner:
                continue
            asked.discard(task)
            if isinstance(taken, Taken):
                self._let_go(taken)

    def _let_go(self, taken: Taken) -> None:
        self._close(taken.leg, self._because, "the call is wanted no more")
        self._ledger.cut_off(taken.target.text, Method.INVITE, 200, taken.started_at, self._why)

    @property
    def _because(self) -> tuple[str, str]:
        """What whoever is called in vain is told; that another has it only where that is so (RFC 3326 §2)."""
        return _ELSEWHERE if self._won else _UNWANTED

    # One target

    async def _ask(self, target: Target) -> Taken | None:
        """Call one target and ask it; whatever fails is an attempt of the record, and never an error."""
        started_at = self._ledger.began(target.text, Method.INVITE)
        try:
            leg = await self._legs.place(target)
        except SipflowError as error:
            self._not_placed(target, started_at, error)
            return None
        answered = False
        try:
            self._ringing = leg
            self._heed(leg)
            answered = await self._ring(target, leg, started_at)
            if not answered or await self._refuses(target, leg, started_at):
                return None
        except asyncio.CancelledError:
            status = 200 if answered or leg.answered else 487  # it may have answered in this very moment
            self._close(leg, self._because, "the call is wanted no more")
            self._ledger.cut_off(target.text, Method.INVITE, status, started_at, self._why)
            raise
        except BaseException:  # an agent's own function raised: its leg must not stay behind
            self._close(leg, _DECLINED, _FAILED)
            self._ledger.cut_off(target.text, Method.INVITE, 200, started_at, _FAILED)
            raise
        finally:
            self._comfort.detach()
        return Taken(target, leg, started_at)

    def _heed(self, leg: "OutboundCall") -> None:
        """Let the caller hear the target's early media, where nobody is to be asked in private."""
        if self._request.mode == "blind" and not self._request.simultaneous and self._request.music is None:
            self._comfort.attach(leg)

    async def _ring(self, target: Target, leg: "OutboundCall", started_at: datetime) -> bool:
        ring_s = self._legs.ring_s(leg)
        try:
            async with asyncio.timeout(ring_s):
                await leg.wait_answered()
        except CallFailed as failed:
            self._not_answered(target, leg, started_at, failed)
            return False
        except TimeoutError:
            if not leg.answered or leg.ending is not None:
                self._give_up(target, leg, started_at, ring_s)
                return False
        return True

    def _give_up(self, target: Target, leg: "OutboundCall", started_at: datetime, ring_s: float) -> None:
        """Cancel a target that does not answer; one of which nothing was heard at all is out of reach."""
        usage = leg.usage
        if isinstance(usage, UacInvite) and not usage.heard:
            why, word, status = f"no word from it in {ring_s:g} s", Word.UNREACHABLE, 0
            outcome, reason = TransferStatus.CONNECTION_ERROR, FailedReason.CARRIER_UNAVAILABLE
        else:
            why, word, status = f"nobody answered in {ring_s:g} s", Word.NO_ANSWER, 408
            outcome, reason = TransferStatus.NO_ANSWER, FailedReason.DESTINATION_UNAVAILABLE
        leg.give_up(why, by="system", word=word, headers=(_GIVEN_UP,))
        self._note(target, started_at, status, Declined(outcome, reason, why, Decider.SIPFLOW))

    async def _refuses(self, target: Target, leg: "OutboundCall", started_at: datetime) -> bool:
        """Ask whoever answered; True when the call is not taken."""
        try:
            declined = await screen(leg, self._request, self._board.tasks)
        except CallEnded as ended:
            if self._call.ending is not None and leg.ending is None:
                raise
            declined = _hung_up(leg, ended.reason)
        if declined is None and leg.ending is not None:
            declined = _hung_up(leg, leg.ending.why)
        if declined is None:
            return False
        self._note(target, started_at, 200, declined)
        self._close(leg, _DECLINED, declined.why)
        return True

    def _close(self, leg: "OutboundCall", reason: tuple[str, str], why: str) -> None:
        if leg.ending is None:
            leg.end(why, headers=(reason,))

    # What is kept

    def _not_placed(self, target: Target, started_at: datetime, error: SipflowError) -> None:
        if isinstance(error, CallFailed):
            reason = failed_reason_of(error.status, Method.INVITE)
            declined = Declined(TransferStatus.CONNECTION_ERROR, reason, error.reason, Decider.SIPFLOW)
            self._note(target, started_at, error.status, declined)
            return
        direct = ":" in target.dial
        unreachable = isinstance(error, TransportError) and direct
        reason = FailedReason.DESTINATION_UNAVAILABLE if unreachable else FailedReason.CARRIER_UNAVAILABLE
        word = TransferStatus.CONNECTION_ERROR
        self._note(target, started_at, 0, Declined(word, reason, str(error), Decider.SIPFLOW))

    def _not_answered(self, target: Target, leg: "OutboundCall", started_at: datetime, failed: CallFailed) -> None:
        ending, status = leg.ending, failed.status
        word = ending.word if ending is not None else None
        if word is Word.UNREACHABLE and (ending is None or ending.by != "remote"):
            declined = Declined(
                TransferStatus.CONNECTION_ERROR, FailedReason.CARRIER_UNAVAILABLE, failed.reason, Decider.SIPFLOW
            )
            status = 0
        elif word is Word.MEDIA_FAILED and leg.answered:
            status = 200
            declined = Declined(
                TransferStatus.CONNECTION_ERROR, FailedReason.MEDIA_NEGOTIATION_FAILED, failed.reason, Decider.SIPFLOW
            )
        else:
            reason = failed_reason_of(status, Method.INVITE)
            declined = Declined(transfer_status_of(status), reason, failed.reason, decider_of(status))
        self._note(target, started_at, status, declined)

    def _note(self, target: Target, started_at: datetime, status: int, declined: Declined) -> None:
        ended_at = self._ledger.now
        attempt = TransferAttempt(
            target.text, Method.INVITE, status, declined.why, declined.decided_by, declined.failed_reason,
            started_at, ended_at,
        )  # fmt: skip
        self._ledger.ended(attempt, declined.status)


def _result(task: asyncio.Task[Asked]) -> Taken | None:
    found = task.result()
    if isinstance(found, Exception):
        raise found
    return found


def _hung_up(leg: "OutboundCall", why: str) -> Declined:
    ending = leg.ending
    if ending is not None and ending.word is Word.MEDIA_FAILED:
        return Declined(
            TransferStatus.CONNECTION_ERROR, FailedReason.MEDIA_NEGOTIATION_FAILED, ending.why, Decider.SIPFLOW
        )
    said = f"whoever answered hung up before taking the call: {why}"
    return Declined(TransferStatus.DECLINED, FailedReason.REJECTED_BY_DESTINATION, said, Decider.DESTINATION)
