"""The lines that a transfer writes into its call's record while it goes on, and reading them back."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sipflow.calls.record import CallRecord, Happening
from sipflow.calls.transfer.outcome import (
    Decider,
    FailedReason,
    Method,
    TransferAttempt,
    TransferOutcome,
    TransferStatus,
)

if TYPE_CHECKING:
    from sipflow.calls.call import Call

STARTED, TRYING, ATTEMPT = "transfer_started", "transfer_trying", "transfer_attempt"
CONNECTED, OVER = "human_connected", "transfer_over"
_ACTION = "transfer_call"
_ACTION_TYPE = "transfer_call_action_type"


class Ledger:
    """Keeps what has been tried in one transfer.

    Attributes:
        attempts: in the order in which they ended.
        word: of the last attempt that failed.
        target: that is tried now, or has the call; "" for none.
        stopped_because: why attempts that are cut off are, where somebody has said so.
    """

    def __init__(self, call: "Call", wall: Callable[[], datetime]) -> None:
        self._call = call
        self._wall = wall
        self.attempts: list[TransferAttempt] = []
        self.word = TransferStatus.CONNECTION_ERROR
        self.target = ""
        self.stopped_because = ""

    @property
    def now(self) -> datetime:
        """UTC wall clock, by the call's own count of time."""
        return self._wall()

    def began(self, target: str, method: Method) -> datetime:
        """Note that a target is tried; returns when."""
        self.target = target
        self._call.note(TRYING, target=target, method=method.value)
        return self.now

    def ended(self, attempt: TransferAttempt, word: TransferStatus) -> None:
        """Note how an attempt ended."""
        self.attempts.append(attempt)
        if attempt.failed_reason is not None:
            self.word = word
        self._call.note(ATTEMPT, status=word.value, **_plain(attempt))
        self._call.log.info(
            "transfer attempt",
            target=attempt.target,
            method=attempt.method.value,
            status=attempt.status,
            failed_reason=attempt.failed_reason.value if attempt.failed_reason is not None else None,
            decided_by=attempt.decided_by.value,
            why=attempt.why,
        )

    def cut_off(self, target: str, method: Method, status: int, started_at: datetime, why: str = "") -> None:
        """Note an attempt that was ended from outside: by the end of the call, by `why`, or else by the agent."""
        ending = self._call.ending
        reason, word, decider = FailedReason.DESTINATION_UNAVAILABLE, TransferStatus.NO_ANSWER, Decider.SIPFLOW
        if ending is None:
            why = self.stopped_because or why or "the agent gave the transfer up"
        elif ending.by == "remote":
            why, word, decider = "the caller hung up", TransferStatus.CALLER_GONE, Decider.CALLER
        else:
            why, word = f"the caller's call was ended here: {ending.why}", TransferStatus.CONNECTION_ERROR
        self.ended(TransferAttempt(target, method, status, why, decider, reason, started_at, self.now), word)

    def over(self, outcome: TransferOutcome) -> None:
        """Note how the whole transfer ended."""
        connected = outcome.human_connected_at
        self._call.note(
            OVER,
            status=outcome.status.value,
            failed_reason=outcome.failed_reason.value if outcome.failed_reason is not None else None,
            target=outcome.target,
            human_connected_at=connected.isoformat() if connected is not None else None,
        )


def _plain(attempt: TransferAttempt) -> dict[str, object]:
    return {
        "target": attempt.target,
        "method": attempt.method.value,
        "sip_status": attempt.status,
        "why": attempt.why,
        "decided_by": attempt.decided_by.value,
        "failed_reason": attempt.failed_reason.value if attempt.failed_reason is not None else None,
        "started_at": attempt.started_at.isoformat(),
        "ended_at": attempt.ended_at.isoformat(),
    }


# Read back, for the API and webhooks


def executed_actions(record: CallRecord) -> dict[str, Any]:
    """Give the transfers of a call in the shape of the API's `executed_actions`: by name, each with its timeline."""
    actions: dict[str, Any] = {}
    for number, lines in enumerate(_transfers(record), 1):
        suffix = f"_{number}" if number > 1 else ""
        actions[f"action_{_ACTION}{suffix}"] = {
            "name": f"{_ACTION}{suffix}",
            "action_type": _ACTION_TYPE,
            "return_value": _return_value(lines),
            "timeline": [_entry(line.details) for line in lines if line.name == ATTEMPT],
        }
    return actions


def human_connected_at(record: CallRecord) -> str | None:
    """Say when caller and person could talk, of the last transfer in which they did: ISO 8601, None for never."""
    found = [line.at.isoformat() for line in record.history if line.name == CONNECTED]
    return found[-1] if found else None


def _transfers(record: CallRecord) -> Iterator[list[Happening]]:
    """Give the lines of each transfer of a call."""
    lines: list[Happening] = []
    for line in record.history:
        if line.name == STARTED:
            if lines:
                yield lines
            lines = [line]
        elif lines and line.name in (ATTEMPT, CONNECTED, OVER):
            lines.append(line)
    if lines:
        yield lines


def _return_value(lines: list[Happening]) -> dict[str, object]:
    connected = [line.at.isoformat() for line in lines if line.name == CONNECTED]
    over = [line.details for line in lines if line.name == OVER]
    value: dict[str, object] = {
        "status": over[-1].get("status") if over else "transfer-success" if connected else "transfer-started",
        "failed_reason": over[-1].get("failed_reason") if over else None,
    }
    if connected:
        value["human_connected_at"] = connected[-1]
    return value


def _entry(details: Mapping[str, object]) -> dict[str, object]:
    failed = details.get("failed_reason")
    return {
        "phone_number": details.get("target"),
        "status": "failed" if failed else "success",
        "failed_reason": failed,
        "sip_status": details.get("sip_status"),
        "method": details.get("method"),
        "decided_by": details.get("decided_by"),
        "why": details.get("why"),
        "started_at": details.get("started_at"),
        "ended_at": details.get("ended_at"),
    }
