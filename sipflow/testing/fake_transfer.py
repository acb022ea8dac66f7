"""Transfers of a fake call: what was asked for is kept, and what comes of it was said before."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipflow.calls.ending import Ending
from sipflow.calls.transfer.ledger import CONNECTED, STARTED, Ledger
from sipflow.calls.transfer.outcome import (
    Decider,
    FailedReason,
    Method,
    TransferAttempt,
    TransferOutcome,
    TransferStatus,
)
from sipflow.calls.transfer.request import TransferRequest
from sipflow.calls.transfer.transfer import Phase
from sipflow.errors import CallEnded

if TYPE_CHECKING:
    from sipflow.testing.fake_call import FakeCall

Result = TransferStatus | TransferOutcome
_ANSWERED = frozenset({TransferStatus.SUCCESS, TransferStatus.DECLINED, TransferStatus.VOICEMAIL})


class FakeTransfer:
    """Has what agents use of a `Transfer`; nobody is called.

    Attributes:
        request, phase, human_connected_at, outcome: as there.
        leg: never one.
    """

    leg = None

    def __init__(self, call: "FakeCall", request: TransferRequest, result: Result) -> None:
        self._call = call
        self._result = result
        self._ledger = Ledger(call, lambda: datetime.now(UTC))
        self.request = request
        self.phase = Phase.BEGUN
        self.human_connected_at: datetime | None = None
        self.outcome: TransferOutcome | None = None

    @property
    def attempts(self) -> tuple[TransferAttempt, ...]:
        """What was tried."""
        return tuple(self._ledger.attempts)

    @property
    def target(self) -> str:
        """Who has, or had, the call; "" for nobody."""
        return self._ledger.target

    async def run(self) -> TransferOutcome:
        """End as was said before: with a success the call is over, unless it was to be handed back.

        Raises:
            CallEnded: the caller hung up, as was said before.
        """
        call, request = self._call, self.request
        call.note(STARTED, mode=request.mode, targets=[each.text for each in request.targets])
        result = self._result
        outcome = result if isinstance(result, TransferOutcome) else self._ended_with(result)
        self.phase, self.outcome = Phase.OVER, outcome
        self._ledger.over(outcome)
        if outcome.status is TransferStatus.CALLER_GONE:
            call.caller_hangs_up()
            raise CallEnded("the far end hung up")
        if outcome.ok and not request.hand_back:
            call.has_ended(Ending.of("remote", 200, "the person hung up"))
        return outcome

    def _ended_with(self, status: TransferStatus) -> TransferOutcome:
        """Make up the outcome for a status: the first target did it."""
        if status is TransferStatus.OUTSIDE_AVAILABILITY:
            return TransferOutcome(status, FailedReason.OUTSIDE_AVAILABILITY)
        good = status is TransferStatus.SUCCESS
        target, reason = self.request.targets[0].text, None if good else FailedReason.DESTINATION_UNAVAILABLE
        began = self._ledger.began(target, Method.INVITE)
        code = 200 if status in _ANSWERED else 486
        attempt = TransferAttempt(
            target, Method.INVITE, code, "as the test says", Decider.DESTINATION, reason, began, self._ledger.now
        )
        self._ledger.ended(attempt, status)
        if good:
            self.human_connected_at = self._ledger.now
            self._call.note(CONNECTED, target=target, leg=None)
        return TransferOutcome(status, reason, (attempt,), self.human_connected_at, target if good else "")

    def take_back(self, why: str = "") -> None:
        """Do nothing: it is over already."""

    async def over(self) -> None:
        """Return at once."""
