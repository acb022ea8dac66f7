import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from sipflow.errors import StoreError
from sipflow.store.database import Database
from sipflow.store.idempotency import Answer, IdempotencyKeys
from sipflow.store.settings import Settings
from sipflow.store.tables import idempotency as table

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def claim(keys: IdempotencyKeys, *, token: str = "t", key: str = "k", now: datetime = NOON) -> Answer | None:
    return await keys.claim(token, key, "hash", call_id="c0ffee", now=now)


@pytest_asyncio.fixture
async def keys(database: Database) -> AsyncIterator[IdempotencyKeys]:
    made = IdempotencyKeys(database)
    yield made
    await made.close()


async def test_what_was_answered_is_kept_over_a_restart(store_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(store_settings, folder=tmp_path)
    keys = IdempotencyKeys(database)
    first = await claim(keys)
    under_way = await claim(keys)
    keys.settle("t", "k", status=200, response={"status": "ok"})
    known_at_once = await claim(keys)
    await keys.close()
    await database.close()
    reopened = await Database.open(store_settings, folder=tmp_path)
    keys = IdempotencyKeys(reopened)
    after = await claim(keys)
    await keys.close()
    await reopened.close()

    assert first is None
    assert under_way == Answer("hash", "c0ffee", None, None, NOON)
    assert known_at_once == after == Answer("hash", "c0ffee", 200, {"status": "ok"}, NOON)


async def test_of_many_that_claim_a_key_at_once_one_gets_it(database: Database) -> None:
    keys = [IdempotencyKeys(database), IdempotencyKeys(database)]
    claimed = await asyncio.gather(*(claim(keys[number % 2]) for number in range(6)))
    for each in keys:
        await each.close()

    assert claimed.count(None) == 1


async def test_many_keys_at_once_are_all_had_and_all_answered(keys: IdempotencyKeys, database: Database) -> None:
    names = [f"key-{number}" for number in range(450)]  # more than go into one statement
    claimed = await asyncio.gather(*(claim(keys, key=name) for name in names))
    for name in names:
        keys.settle("t", name, status=200, response={"key": name})
    await keys.close()
    other = IdempotencyKeys(database)
    kept = [await other.find("t", name) for name in names]

    assert claimed == [None] * len(names)
    assert kept == [Answer("hash", "c0ffee", 200, {"key": name}, NOON) for name in names]


async def test_a_key_that_was_had_is_in_the_database(keys: IdempotencyKeys, database: Database) -> None:
    await claim(keys)

    assert await IdempotencyKeys(database).find("t", "k") == Answer("hash", "c0ffee", None, None, NOON)


async def test_whoever_is_cancelled_gives_the_key_back(keys: IdempotencyKeys, database: Database) -> None:
    async with database.write() as connection:  # so that the key is on its way
        if connection.dialect.name == "postgresql":  # SQLite has one writer at a time as it is
            await connection.execute(text(f"LOCK TABLE {table.name}"))
        asking = asyncio.create_task(claim(keys))
        await asyncio.sleep(0.01)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    await keys.close()

    assert await keys.find("t", "k") is None


async def test_while_the_database_is_away_no_key_is_had(
    keys: IdempotencyKeys, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[None]:
        raise StoreError("the store is away")
        yield

    monkeypatch.setattr(database, "write", away)
    with pytest.raises(StoreError, match="the store is away"):
        await claim(keys)
    monkeypatch.undo()

    assert await claim(keys) is None


async def test_every_client_has_its_own_keys(keys: IdempotencyKeys) -> None:
    assert [await claim(keys, token=token) for token in ("one", "two")] == [None, None]


async def test_a_released_key_may_be_used_again(keys: IdempotencyKeys) -> None:
    await claim(keys)
    await keys.release("t", "k")

    assert await keys.find("t", "k") is None
    assert await claim(keys) is None


@pytest.mark.parametrize(("age", "known"), [(timedelta(hours=24, seconds=-1), True), (timedelta(hours=24), False)])
async def test_a_key_is_kept_for_a_day(keys: IdempotencyKeys, age: timedelta, known: bool) -> None:
    await claim(keys)

    assert (await claim(keys, now=NOON + age) is not None) is known
