"""What a record has in it when it is kept."""

import asyncio

import pytest

from sipflow.calls.call import Call
from sipflow.calls.record import CallRecord
from sipflow.calls.saving import Saving
from sipflow.calls.transfer.request import TransferRequest, read_targets
from tests.calls.outstage import rings_on, story
from tests.calls.stage import WAIT_S
from tests.calls.transfer.scene import Scene, scene, transfers
from tests.calls.transfer.test_referring import reports


class Snapshots:
    """A store that remembers what stood in each record when it was kept."""

    def __init__(self) -> None:
        self.kept: dict[str, list[str]] = {}
        self.times = 0
        self.noted: list[tuple[str, bool]] = []

    def started(self, record: CallRecord) -> None:
        self.noted.append((record.id, record.ending is not None))

    def save(self, record: CallRecord) -> None:
        self.kept[record.id] = story(record)
        self.times += 1


def snapshots(stage: Scene) -> Snapshots:
    """Have the records of the near edge kept here."""
    store = Snapshots()
    stage.near.switchboard.saving = Saving(store)
    return store


@pytest.mark.parametrize("by", ["INVITE", "REFER"])
async def test_a_transfer_that_outlives_its_call_has_its_outcome_in_the_record_that_is_kept(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.referring._LAST_WORD_S", 0.2)
    on_refer = reports(then_hangs_up=True) if by == "REFER" else None
    async with scene(transfers(), on_refer=on_refer, bob=rings_on) as stage:
        store = snapshots(stage)
        call = await stage.call()
        record = stage.record
        if by == "INVITE":
            await stage.person("bob", answered=False)
            await call.hangup()
        async with asyncio.timeout(WAIT_S):
            while record.id not in store.kept:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await stage.quiet()

    assert store.kept[record.id][-3:] == ["ended", "transfer_attempt", "transfer_over"]


async def test_a_transfer_of_which_nothing_is_heard_any_more_holds_no_record_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.saving._LAST_WORD_S", 0.1)

    async def agent(_stage: Scene, call: Call) -> None:
        await call.answer()
        call.begin_transfer(TransferRequest(targets=read_targets("200")))  # and nobody ever runs it
        await call.ended()

    async with scene(agent) as stage:
        store = snapshots(stage)
        saving = stage.near.switchboard.saving
        for over in (False, True):
            call = await stage.call()
            ours = stage.agent.calls[-1]
            await call.hangup()
            await ours.ended()
            assert (ours.id in saving.waiting, ours.id in store.kept) == (True, False)
            assert (ours.id, True) in store.noted  # who kills us now loses the last word of the transfer only
            if over:
                saving.keep_all()
            async with asyncio.timeout(WAIT_S):
                while ours.id not in store.kept:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        await stage.quiet()

    assert (store.times, saving.waiting) == (2, {})
