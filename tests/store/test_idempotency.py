import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipflow.store.database import Database
from sipflow.store.idempotency import Answer, IdempotencyKeys
from sipflow.store.settings import Settings

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def claim(keys: IdempotencyKeys, *, token: str = "t", key: str = "k", now: datetime = NOON) -> Answer | None:
    return await keys.claim(token, key, "hash", call_id="c0ffee", now=now)


async def test_what_was_answered_is_kept_over_a_restart(store_settings: Settings, tmp_path: Path) -> None:
    database = await Database.open(store_settings, folder=tmp_path)
    keys = IdempotencyKeys(database)
    first = await claim(keys)
    under_way = await claim(keys)
    await keys.settle("t", "k", call_id="c0ffee", status=200, response={"status": "ok"})
    await database.close()
    reopened = await Database.open(store_settings, folder=tmp_path)
    after = await claim(IdempotencyKeys(reopened))
    await reopened.close()

    assert first is None
    assert under_way == Answer("hash", "c0ffee", None, None, NOON)
    assert after == Answer("hash", "c0ffee", 200, {"status": "ok"}, NOON)


async def test_of_many_that_claim_a_key_at_once_one_gets_it(database: Database) -> None:
    keys = [IdempotencyKeys(database), IdempotencyKeys(database)]
    claimed = await asyncio.gather(*(claim(keys[number % 2]) for number in range(12)))

    assert claimed.count(None) == 1


async def test_every_client_has_its_own_keys(database: Database) -> None:
    keys = IdempotencyKeys(database)

    assert [await claim(keys, token=token) for token in ("one", "two")] == [None, None]


async def test_a_released_key_may_be_used_again(database: Database) -> None:
    keys = IdempotencyKeys(database)
    await claim(keys)
    await keys.release("t", "k")

    assert await keys.find("t", "k") is None
    assert await claim(keys) is None


@pytest.mark.parametrize(("age", "known"), [(timedelta(hours=24, seconds=-1), True), (timedelta(hours=24), False)])
async def test_a_key_is_kept_for_a_day(database: Database, age: timedelta, known: bool) -> None:
    keys = IdempotencyKeys(database)
    await claim(keys)

    assert (await claim(keys, now=NOON + age) is not None) is known
