from datetime import UTC, datetime

from sipflow.calls.ending import Ending
from sipflow.calls.transfer.ledger import Ledger, executed_actions, human_connected_at
from sipflow.calls.transfer.outcome import (
    Decider,
    FailedReason,
    Method,
    TransferAttempt,
    TransferOutcome,
    TransferStatus,
)
from sipflow.testing import FakeCall

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_a_record_without_transfers_has_no_actions() -> None:
    record = FakeCall().record
    assert (executed_actions(record), human_connected_at(record)) == ({}, None)


def test_each_transfer_is_an_action_with_a_line_for_each_attempt() -> None:
    call = FakeCall()
    ledger = Ledger(call, lambda: AT)
    call.note("transfer_started", mode="blind", targets=["+12065550100"])
    assert ledger.began("+12065550100", Method.INVITE) == AT
    reason = FailedReason.DESTINATION_UNAVAILABLE
    busy = TransferAttempt("+12065550100", Method.INVITE, 486, "Busy Here", Decider.DESTINATION, reason, AT, AT)
    ledger.ended(busy, TransferStatus.BUSY)
    ledger.over(TransferOutcome(TransferStatus.BUSY, reason, (busy,)))
    call.note("transfer_started", mode="warm", targets=["200"])
    ledger.ended(busy._replace(target="200", status=200, failed_reason=None, why="answered"), TransferStatus.SUCCESS)
    call.note("human_connected", target="200")
    connected = human_connected_at(call.record)
    running = executed_actions(call.record)
    ledger.over(TransferOutcome(TransferStatus.SUCCESS, None, (), AT, "200"))
    actions = executed_actions(call.record)

    assert ledger.word is TransferStatus.BUSY
    assert running["action_transfer_call_2"]["return_value"]["status"] == "transfer-success"
    assert actions == {
        "action_transfer_call": {
            "name": "transfer_call",
            "action_type": "transfer_call_action_type",
            "return_value": {"status": "transfer-failed-busy", "failed_reason": "destination_unavailable"},
            "timeline": [line("+12065550100", 486, "Busy Here", "failed", "destination_unavailable")],
        },
        "action_transfer_call_2": {
            "name": "transfer_call_2",
            "action_type": "transfer_call_action_type",
            "return_value": {"status": "transfer-success", "failed_reason": None, "human_connected_at": connected},
            "timeline": [line("200", 200, "answered", "success", None)],
        },
    }


def test_an_attempt_that_is_cut_off_says_by_whom() -> None:
    call = FakeCall()
    ledger = Ledger(call, lambda: AT)
    ledger.cut_off("200", Method.REFER, 0, AT)
    ledger.cut_off("200", Method.INVITE, 487, AT, "another target took the call")
    ledger.stopped_because = "the call was taken back"
    ledger.cut_off("200", Method.INVITE, 487, AT, "another target took the call")
    call.caller_hangs_up()
    ledger.cut_off("200", Method.INVITE, 200, AT)
    call.record.ending = Ending.of("local", 503, "sipflow is going down")
    ledger.cut_off("200", Method.INVITE, 487, AT)

    assert [(each.status, each.why, each.decided_by.value) for each in ledger.attempts] == [
        (0, "the agent gave the transfer up", "sipflow"),
        (487, "another target took the call", "sipflow"),
        (487, "the call was taken back", "sipflow"),
        (200, "the caller hung up", "caller"),
        (487, "the caller's call was ended here: sipflow is going down", "sipflow"),
    ]


def line(number: str, sip_status: int, why: str, status: str, failed_reason: str | None) -> dict[str, object]:
    """An entry of a timeline."""
    return {
        "phone_number": number,
        "status": status,
        "failed_reason": failed_reason,
        "sip_status": sip_status,
        "method": "INVITE",
        "decided_by": "destination",
        "why": why,
        "started_at": AT.isoformat(),
        "ended_at": AT.isoformat(),
    }
