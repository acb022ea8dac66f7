import asyncio
from datetime import UTC, datetime

import pytest

from sipflow.api.live_events import Line, LiveEvents, Lost
from sipflow.calls.history import History
from sipflow.calls.record import CallRecord
from sipflow.errors import LimitReached

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def call(call_id: str) -> CallRecord:
    return CallRecord(call_id, "", "inbound", "+12065550199", "+12065550100", "pbx", "+12065550100", "desk", NOON)


def edge(*, kept: int = 10) -> tuple[LiveEvents, History]:
    events, history = LiveEvents(kept=kept), History(wall=lambda: NOON)
    history.tell(events)
    return events, history


def names(found: list[Line | Lost]) -> list[str | int | None]:
    return [each.name if isinstance(each, Line) else each.lines for each in found]


def test_a_reader_gets_every_line_from_now_on_with_what_it_needs_to_know_of_the_call() -> None:
    events, history = edge()
    history.note(call("a"), "started")
    reader = events.reader()
    history.note(call("a"), "answered", by="agent")
    (line,) = reader.take()

    assert isinstance(line, Line)
    assert (line.call_id, line.name) == ("a", "answered")
    assert line.data == {
        "call_id": "a",
        "name": "answered",
        "at": "2026-11-21T12:00:00+00:00",
        "details": {"by": "agent"},
        "model_id": "desk",
        "type_of_call": "inbound",
        "phone_number_from": "+12065550199",
        "phone_number_to": "+12065550100",
    }
    assert reader.take() == []


def test_a_reader_of_one_call_gets_its_lines_from_the_beginning_and_no_others() -> None:
    events, history = edge()
    one, other = call("one"), call("other")
    for name in ("started", "ringing"):
        history.note(one, name)
        history.note(other, name)

    assert names(events.reader("one").take()) == ["started", "ringing"]


def test_a_reader_that_comes_back_goes_on_where_it_was() -> None:
    events, history = edge()
    reader = events.reader()
    for name in ("started", "ringing", "answered"):
        history.note(call("a"), name)
    first, *_ = reader.take()

    assert names(events.reader(after=first.id).take()) == ["ringing", "answered"]
    assert names(events.reader("a", after=first.id).take()) == ["ringing", "answered"]


def test_a_slow_reader_loses_the_oldest_lines_and_is_told_how_many() -> None:
    events, history = edge(kept=4)
    reader = events.reader()
    for number in range(10):
        history.note(call("a"), f"line {number}")
    found = reader.take()

    assert names(found) == [6, "line 6", "line 7", "line 8", "line 9"]
    assert names(events.reader(after=found[0].id).take()) == ["line 6", "line 7", "line 8", "line 9"]
    assert reader.take() == []


@pytest.mark.parametrize("stranger", ["0badc0de-3", "nonsense", "-", "0badc0de-99999999999999999999"])
def test_a_reader_from_before_a_restart_is_told_that_nobody_knows_what_it_missed(stranger: str) -> None:
    events, history = edge()
    history.note(call("a"), "started")

    assert names(events.reader(after=stranger).take()) == [None, "started"]


def test_a_reader_that_breaks_off_once_it_knows_that_it_missed_something_misses_no_more() -> None:
    events, history = edge()
    history.note(call("a"), "started")
    lost = events.reader(after="00000000-7").take()[0]

    assert isinstance(lost, Lost)
    assert names(events.reader(after=lost.id).take()) == ["started"]


def test_an_id_of_the_future_is_taken_for_now() -> None:
    events, history = edge()
    reader = events.reader()
    history.note(call("a"), "started")
    (line,) = reader.take()
    later = events.reader(after=f"{line.id}77")
    history.note(call("a"), "ringing")

    assert names(later.take()) == ["ringing"]


async def test_waiting_ends_with_a_line_or_with_the_time() -> None:
    events, history = edge()
    reader = events.reader()
    waiting = asyncio.create_task(reader.more(10))
    await asyncio.sleep(0)
    history.note(call("a"), "started")

    assert await waiting
    reader.take()
    assert not await reader.more(0.01)


async def settle() -> None:
    """Let every task that could go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_reads_one_call_sleeps_while_others_talk_and_loses_nothing_by_it() -> None:
    events, history = edge(kept=10)
    history.note(call("one"), "started")
    reader = events.reader("one")
    reader.take()
    waiting = asyncio.create_task(reader.more(10))
    await settle()
    for _ in range(50):
        history.note(call("other"), "digit")
    await settle()
    asleep = not waiting.done()
    history.note(call("one"), "answered")

    assert (asleep, await waiting) == (True, True)
    assert names(reader.take()) == ["answered"]


async def test_who_reads_all_calls_gets_what_comes_in_quick_succession_together() -> None:
    events, history = edge()
    reader = events.reader()
    events._woken_at = asyncio.get_running_loop().time() + 60  # as if that had just been
    waiting = asyncio.create_task(reader.more(10))
    for name in ("started", "ringing", "answered"):
        await settle()
        history.note(call("a"), name)
    await settle()
    asleep = not waiting.done()
    events.close()  # which waits for nothing

    assert (asleep, await waiting) == (True, True)
    assert names(reader.take()) == ["started", "ringing", "answered"]


def test_readers_share_the_lines() -> None:
    events, history = edge()
    readers = [events.reader(), events.reader()]
    history.note(call("a"), "started")
    (one,), (other,) = [reader.take() for reader in readers]

    assert one is other


async def test_closing_ends_readers_that_have_had_everything() -> None:
    events, history = edge()
    reader = events.reader()
    history.note(call("a"), "started")
    waiting = asyncio.create_task(events.reader().more(10))
    await asyncio.sleep(0)
    events.close()

    assert not await waiting
    assert not reader.ended
    assert names(reader.take()) == ["started"]
    assert reader.ended


def test_more_readers_than_are_good_for_the_edge_are_refused() -> None:
    events, _ = edge()
    readers = [events.reader() for _ in range(200)]
    with pytest.raises(LimitReached, match="200 clients listen already"):
        events.reader()
    readers[0].close()
    readers[0].close()
    events.reader()
    with pytest.raises(LimitReached):
        events.reader()
