import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sipflow.calls.call import Call
from sipflow.calls.captures import Captures
from sipflow.calls.record import CallRecord
from sipflow.errors import Conflict, LimitReached, LocalProtocolError
from tests.calls.outstage import Outgoing, answers, outgoing
from tests.calls.stage import WAIT_S


async def talk(call: Call) -> None:
    """Say something until the call is over."""
    await call.play(bytes(64_000))
    await call.ended()


@pytest_asyncio.fixture
async def edge() -> AsyncIterator[Outgoing]:
    async with outgoing(answers, agent=talk) as made:
        yield made


def captures(edge: Outgoing, *, most: int = 2, every_call: bool = False) -> Captures:
    board = edge.near.switchboard
    made = Captures(board.calls, seconds=5.0, most=most, every_call=every_call)
    board.history.tell(made)
    return made


async def up(edge: Outgoing) -> Call:
    record = edge.order()
    await edge.happened(record, "answered")
    return edge.near.switchboard.calls[record.id]


async def some(made: Captures, call_id: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while len(made.of(call_id)) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def end(edge: Outgoing, record: CallRecord) -> None:
    await edge.originator.cancel(record.id)


async def test_the_packets_of_a_call_are_kept_from_when_it_is_asked_and_stay_after_its_end(edge: Outgoing) -> None:
    made, call = captures(edge), await up(edge)
    before = made.of(call.id)
    seconds = made.start(call)
    await some(made, call.id)
    during = made.running(call.id)
    await end(edge, call.record)
    kept = made.of(call.id)

    assert (before, seconds, during, made.running(call.id)) == ((), 5.0, True, False)
    assert {each.sent for each in kept} >= {True}
    assert kept == made.of(call.id)


async def test_what_cannot_be_is_refused_in_words(edge: Outgoing) -> None:
    made, call, other = captures(edge, most=1), await up(edge), await up(edge)
    made.start(call, 10)
    with pytest.raises(Conflict) as twice:
        made.start(call)
    with pytest.raises(LimitReached) as many:
        made.start(other)
    with pytest.raises(LocalProtocolError) as long:
        made.start(other, 1e9)
    stopped = made.stop(call.id), made.stop(call.id)
    made.start(other)
    for each in (call, other):
        await end(edge, each.record)

    assert str(twice.value) == f"the audio packets of call {call.id} are being kept already"
    assert "which is as many as may be (trace.media_calls)" in str(many.value)
    assert str(long.value) == "seconds: it is not in 1..3600"
    assert stopped == (True, False)


async def test_every_call_is_kept_where_that_is_wanted_and_the_oldest_captures_go(edge: Outgoing) -> None:
    made = captures(edge, every_call=True)
    ids = []
    for _ in range(3):
        call = await up(edge)
        ids.append(call.id)
        await some(made, call.id)
        await end(edge, call.record)

    assert [bool(made.of(call_id)) for call_id in ids] == [False, True, True]
