from datetime import UTC, datetime, timedelta

from sipflow.calls.transfer.desk import TransferDesk


def test_a_desk_without_anything_calls_by_the_trunk_of_the_call_and_knows_the_time() -> None:
    desk = TransferDesk()

    assert (desk.numbers, desk.enter, desk.phone_book, desk.music) == (None, None, None, None)
    assert abs(desk.wall() - datetime.now(UTC)) < timedelta(seconds=5)
