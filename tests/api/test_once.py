"""What is carried out once, with the real keys of a real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from sipflow.api.once import Answer, Once
from sipflow.errors import ApiError, NotFound
from sipflow.store.database import Database
from sipflow.store.idempotency import IdempotencyKeys
from sipflow.store.settings import Settings

REQUEST = {"phone": "+12065550123"}


class Calls:
    """Makes calls, and remembers them."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    async def make(self, call_id: str) -> Answer:
        self.made.append(call_id)
        await asyncio.sleep(0)
        return {"call_id": call_id}

    def again(self, call_id: str) -> Answer:
        return {"call_id": call_id}

    async def happened(self, call_id: str) -> bool:
        return call_id in self.made

    def wall(self) -> datetime:
        return self.now


@pytest_asyncio.fixture
async def keys(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[IdempotencyKeys]:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    made = IdempotencyKeys(database)
    yield made
    await made.close()
    await database.close()


def once_of(keys: IdempotencyKeys, calls: Calls) -> Once:
    return Once(keys, happened=calls.happened, wall=calls.wall)


async def run(once: Once, calls: Calls, key: str = "k") -> tuple[str, bool]:
    outcome = await once.run("t", key, REQUEST, calls.make, calls.again)
    return str(outcome.response["call_id"]), outcome.replayed


async def test_without_a_key_everything_is_carried_out(keys: IdempotencyKeys) -> None:
    calls = Calls()
    once = once_of(keys, calls)
    answers = [await run(once, calls, "") for _ in range(2)]

    assert [replayed for _, replayed in answers] == [False, False]
    assert len({call_id for call_id, _ in answers}) == len(calls.made) == 2


async def test_of_two_processes_one_makes_the_call_and_the_other_says_when_to_ask(keys: IdempotencyKeys) -> None:
    calls = Calls()
    once, other = once_of(keys, calls), once_of(keys, calls)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(call_id: str) -> Answer:
        begun.set()
        await go_on.wait()
        return {"call_id": call_id}

    first = asyncio.create_task(once.run("t", "k", REQUEST, slow, calls.again))
    await begun.wait()
    with pytest.raises(ApiError) as refused:
        await run(other, calls)
    go_on.set()
    outcome = await first

    assert (refused.value.status, refused.value.headers) == (409, {"Retry-After": "2"})
    assert await run(other, calls) == (outcome.response["call_id"], True)
    assert calls.made == []


async def test_a_process_that_died_before_its_answer_is_answered_for_by_its_call(keys: IdempotencyKeys) -> None:
    calls = Calls()
    await keys.claim("t", "k", hash_of_request(), call_id="c0ffee", now=calls.now)  # and then it died
    calls.made.append("c0ffee")

    assert await run(once_of(keys, calls), calls) == ("c0ffee", True)


async def test_a_process_that_died_before_its_call_leaves_the_key_to_whoever_asks_later(keys: IdempotencyKeys) -> None:
    calls = Calls()
    await keys.claim("t", "k", hash_of_request(), call_id="c0ffee", now=calls.now)
    with pytest.raises(ApiError) as refused:
        await run(once_of(keys, calls), calls)
    calls.now += timedelta(seconds=60)
    call_id, replayed = await run(once_of(keys, calls), calls)

    assert refused.value.category == "idempotency_key_in_use"
    assert (calls.made, replayed) == ([call_id], False)


def hash_of_request() -> str:
    from sipflow.api.once import _hash

    return _hash(REQUEST)


async def test_what_was_refused_is_not_kept(keys: IdempotencyKeys) -> None:
    calls = Calls()
    once = once_of(keys, calls)

    async def refuse(_: str) -> Answer:
        raise NotFound("there is no agent")

    with pytest.raises(NotFound):
        await once.run("t", "k", REQUEST, refuse, calls.again)

    assert await run(once, calls) == (calls.made[0], False)


async def test_a_call_that_was_made_is_answered_even_if_that_cannot_be_kept(
    keys: IdempotencyKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls()
    once = once_of(keys, calls)
    monkeypatch.setattr(keys, "settle", lambda *_, **__: None)
    first = await run(once, calls)
    monkeypatch.undo()

    assert await run(once, calls) == (first[0], True)
    assert len(calls.made) == 1


async def test_what_was_answered_is_kept_when_it_closes(keys: IdempotencyKeys) -> None:
    calls = Calls()
    once = once_of(keys, calls)
    call_id, _ = await run(once, calls)
    await once.close()
    found = await keys.find("t", "k")

    assert found is not None
    assert (found.status, found.response) == (200, {"call_id": call_id})
