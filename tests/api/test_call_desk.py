from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sipflow.calls.transfer.request import TransferRequest, read_targets
from sipflow.errors import CallEnded, Conflict, NotFound
from sipflow.store.calls import CallFilter
from sipflow.store.settings import Settings
from tests.api.callstage import CallStage, callstage
from tests.calls.outstage import rings_on


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


async def test_a_call_that_has_just_ended_is_found_at_once(edge: CallStage) -> None:
    edge.writer._every_s = 30  # the store takes its time, and whoever asks does not wait for that
    call_id = await edge.answered()
    call = edge.near.switchboard.calls[call_id]
    await call.hangup()
    await edge.over(call_id)
    found = await edge.desk.find(call_id)
    page = await edge.desk.page(CallFilter(), limit=10, offset=0)

    assert found.record.ending is not None
    assert (page.total, [each.record.id for each in page.calls]) == (1, [call_id])


async def test_a_live_call_is_shown_with_its_audio_as_of_now_and_its_record_stays_as_it_is(edge: CallStage) -> None:
    call_id, call = await edge.called_in()
    await call.play(bytes(3200))
    found = await edge.desk.find(call_id)

    assert (found.record.codec, found.record.quality is not None) == ("PCMU", True)
    assert edge.near.switchboard.calls[call_id].record.quality is None
    assert found.record.ending is None


async def test_a_call_whose_transfer_has_its_last_word_to_say_is_found_meanwhile_and_kept_with_it(
    edge: CallStage,
) -> None:
    call_id, caller = await edge.called_in()
    call, desk = edge.near.switchboard.calls[call_id], edge.desk
    transfer = call.begin_transfer(TransferRequest(targets=read_targets("200")))
    await caller.hangup()
    await call.ended()
    found, page = await desk.find(call_id), await desk.page(CallFilter(), limit=10, offset=0)
    live = await desk.page(CallFilter(), limit=10, offset=0, only_live=True)
    meanwhile = [line.name for line in await desk.history(call_id)]
    with pytest.raises(CallEnded):
        await transfer.run()
    kept = [line.name for line in await desk.history(call_id)]

    assert found.record is call.record
    assert ([each.record.id for each in page.calls], live.calls) == ([call_id], [])
    assert meanwhile[-1] == "ended"
    assert (kept[: len(meanwhile)], kept[-1]) == (meanwhile, "transfer_over")
    assert edge.near.switchboard.saving.waiting == {}


async def test_a_store_that_hangs_holds_nobody_up_for_long(edge: CallStage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> None:
        await edge.taken[0].ended()

    call_id = await edge.answered()
    monkeypatch.setattr("sipflow.api.call_desk._FLUSH_S", 0.01)
    edge.desk.flush = never
    page = await edge.desk.page(CallFilter(), limit=10, offset=0)

    assert [each.record.id for each in page.calls] == [call_id]


async def test_who_acts_on_a_call_is_told_why_not(edge: CallStage) -> None:
    with pytest.raises(NotFound, match="there is no call 'nothing'"):
        await edge.desk.leg("nothing")
    edge.behaviour = rings_on
    call_id = await edge.place()
    await edge.happened(call_id, "ringing")
    leg = await edge.desk.leg(call_id)
    await leg.hangup()
    await edge.over(call_id)
    with pytest.raises(Conflict, match=f"call {call_id} is over"):
        await edge.desk.leg(call_id)

    assert await edge.desk.happened(call_id)
    assert not await edge.desk.happened("nothing")
