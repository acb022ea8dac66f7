from datetime import UTC, datetime, timedelta

from sipflow.calls.announced import Announced
from sipflow.store.announced import AnnouncedStore
from sipflow.store.database import Database

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def announced(call_id: str, *, at: datetime = NOON, lasts: timedelta = timedelta(minutes=10)) -> Announced:
    return Announced(
        id=call_id,
        agent="desk",
        from_number="+12065550199",
        to_number="+12065550100",
        variables={"customer": "Ada", "ü": "ö"},
        created_at=at,
        expires_at=at + lasts,
        workspace_id="main",
    )


async def test_what_was_announced_is_given_back_as_it_was_until_it_is_forgotten(database: Database) -> None:
    store = AnnouncedStore(database)
    await store.keep(announced("one"))
    await store.keep(announced("two", at=NOON + timedelta(seconds=1)))
    before = await store.waiting(NOON)
    await store.forget("one")
    await store.forget("never announced")

    assert before == [announced("one"), announced("two", at=NOON + timedelta(seconds=1))]
    assert await store.find("one") is None
    assert await store.waiting(NOON) == before[1:]


async def test_one_that_has_expired_waits_no_more_and_is_known_for_another_day(database: Database) -> None:
    store = AnnouncedStore(database)
    await store.keep(announced("old"))
    expired = NOON + timedelta(minutes=10)
    waiting = await store.waiting(expired)
    await store.keep(announced("next", at=expired + timedelta(hours=24)))
    known = await store.find("old")
    await store.keep(announced("last", at=expired + timedelta(hours=24, seconds=1)))

    assert waiting == []
    assert known == announced("old")
    assert await store.find("old") is None
