import pytest

from sipflow.calls.transfer.outcome import (
    Decider,
    FailedReason,
    Method,
    TransferOutcome,
    TransferStatus,
    decider_of,
    failed_reason_of,
    transfer_status_of,
)


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        ((404, 410, 416, 604), "number_not_found"),
        ((484, 485), "number_incomplete"),
        ((408, 480, 486, 487, 600, 699, 302), "destination_unavailable"),
        ((603,), "rejected_by_destination"),
        ((401, 403, 407, 607, 608), "transfer_blocked_by_carrier"),
        ((500, 502, 503, 504, 513, 555), "carrier_unavailable"),
        ((482, 483), "routing_loop"),
        ((415, 488, 606), "media_negotiation_failed"),
    ],
)
def test_each_status_has_its_reason(statuses: tuple[int, ...], reason: str) -> None:
    assert {failed_reason_of(status, Method.INVITE).value for status in statuses} == {reason}


def test_a_peer_that_does_not_know_refer_is_told_from_one_that_says_no() -> None:
    assert {failed_reason_of(status, Method.REFER) for status in (405, 420, 489, 501)} == {
        FailedReason.METHOD_UNSUPPORTED
    }
    assert failed_reason_of(603, Method.REFER) is FailedReason.REJECTED_BY_DESTINATION
    assert failed_reason_of(501, Method.INVITE) is FailedReason.CARRIER_UNAVAILABLE


def test_every_failing_status_has_a_reason_a_word_and_somebody_who_decided() -> None:
    for status in range(300, 700):
        assert isinstance(failed_reason_of(status, Method.INVITE), FailedReason)
        assert transfer_status_of(status) is not TransferStatus.SUCCESS
        assert isinstance(decider_of(status), Decider)


def test_busy_and_no_answer_have_words_of_their_own() -> None:
    words = {status: transfer_status_of(status).value for status in (486, 600, 408, 480, 503)}
    assert words == {
        486: "transfer-failed-busy",
        600: "transfer-failed-busy",
        408: "transfer-failed-no-answer",
        480: "transfer-failed-no-answer",
        503: "transfer-failed-connection-error",
    }


def test_only_a_success_is_ok() -> None:
    failed = TransferOutcome(TransferStatus.BUSY, FailedReason.DESTINATION_UNAVAILABLE)
    assert (TransferOutcome(TransferStatus.SUCCESS, None).ok, failed.ok, failed.why) == (True, False, "")
