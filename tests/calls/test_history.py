"""What happened in each call."""

import asyncio
from datetime import UTC, datetime

from sipflow.calls.history import History
from sipflow.calls.record import CallRecord, Happening

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def record(call_id: str = "c1") -> CallRecord:
    return CallRecord(call_id, "sip", "inbound", "+1", "+2", "pbx", "+2", "echo", AT)


def history() -> History:
    return History(wall=lambda: AT)


def test_lines_stand_in_the_record_in_order() -> None:
    one, kept = record(), history()
    kept.note(one, "ringing", status=180)
    kept.note(one, "answered")
    assert one.history == [Happening(AT, "ringing", {"status": 180}), Happening(AT, "answered", {})]


def test_a_call_keeps_two_hundred_lines_and_its_end() -> None:
    one, kept = record(), history()
    for _ in range(500):
        kept.note(one, "digit", digit="5")
    kept.note(one, "ended", status=200)
    assert (len(one.history), one.history[-1].name) == (201, "ended")


async def test_a_listener_hears_only_the_call_it_asked_for() -> None:
    kept = history()
    with kept.listening("c2") as listener:
        kept.note(record("c1"), "ringing")
        kept.note(record("c2"), "answered")
        heard = await asyncio.wait_for(anext(aiter(listener)), 5)
    assert (heard[0].id, heard[1].name) == ("c2", "answered")


async def test_a_listener_that_is_too_slow_loses_the_oldest_lines_and_can_see_it() -> None:
    kept = history()
    with kept.listening() as listener:
        for index in range(1003):
            kept.note(record(), "digit", index=index)
        first = await asyncio.wait_for(anext(aiter(listener)), 5)
    assert (listener.lost, first[1].details) == (3, {"index": 3})


async def test_nobody_is_told_after_the_listening_ended() -> None:
    kept = history()
    with kept.listening() as listener:
        pass
    kept.note(record(), "ringing")
    assert listener.lost == 0
    try:
        await asyncio.wait_for(anext(aiter(listener)), 0.05)
    except TimeoutError:
        return
    raise AssertionError("a line came")


def test_a_far_end_that_presses_digits_for_an_hour_leaves_room_for_what_became_of_its_transfer() -> None:
    kept, of = history(), record()
    for _ in range(300):
        kept.note(of, "digit")
    kept.note(of, "transfer_over")
    kept.note(of, "digit")
    assert [len(of.history), of.history[-1].name] == [201, "transfer_over"]
