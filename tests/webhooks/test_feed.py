import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sipflow.calls.history import History
from sipflow.calls.record import Happening
from sipflow.store.database import Database
from sipflow.store.deliveries import EVENT, PENDING, POST_CALL, Deliveries, Delivery, LogFilter
from sipflow.webhooks.feed import Feed
from sipflow.webhooks.hooks import Hooks
from sipflow.webhooks.settings import Settings
from tests.webhooks.receiver import WAIT_S
from tests.webhooks.records import finished

NOW = datetime(2026, 3, 1, 13, tzinfo=UTC)
CRM, EVENTS = "https://crm.example.com/calls?token=1", "https://crm.example.com/events"
HOOKS = {"desk": Hooks(external_webhook_url=CRM), "sales": Hooks(events_webhook_url="https://sales.example.com/")}


def feed(settings: Settings | None = None, **changes: Any) -> Feed:
    return Feed(
        settings or Settings(events_url=EVENTS, give_up_s=60),
        hooks=lambda agent: HOOKS.get(agent, Hooks()),
        wall=lambda: NOW,
        **changes,
    )


async def in_store(database: Database) -> list[Delivery]:
    """Every delivery, in the order of calls and positions."""
    _, found = await Deliveries(database).page(LogFilter(), limit=1000, offset=0)
    return sorted((each for each, _ in found), key=lambda each: (each.call_id, each.position))


async def until_there_are(database: Database, count: int) -> list[Delivery]:
    async with asyncio.timeout(WAIT_S):
        while len(found := await in_store(database)) < count:  # noqa: ASYNC110  (a store tells nobody)
            await asyncio.sleep(0.01)
    return found


async def test_a_finished_call_tells_its_events_and_then_its_end() -> None:
    record = finished()
    found = feed(recording_url=lambda record: f"https://edge.example.com/{record.id}").deliveries_of(record)

    assert [(each.id, each.webhook_type, each.url, each.position) for each in found] == [
        ("evt_c1_0", EVENT, EVENTS, 0),
        ("evt_c1_1", EVENT, EVENTS, 1),
        ("evt_c1_end", EVENT, EVENTS, 1_000_000),
        ("post_c1", POST_CALL, CRM, 2_000_000),
    ]
    last = found[-1]
    assert json.loads(last.payload)["call"]["recording_url"] == "https://edge.example.com/c1"
    assert last == Delivery(
        id="post_c1",
        webhook_type=POST_CALL,
        url=CRM,
        endpoint="https://crm.example.com:443",
        agent="desk",
        call_id="c1",
        payload=last.payload,
        created_at=NOW,
        position=2_000_000,
        status=PENDING,
        next_at=NOW,
        expires_at=NOW + timedelta(seconds=60),
    )


async def test_an_agent_without_urls_tells_nothing() -> None:
    assert feed(Settings()).deliveries_of(finished(agent="")) == []


async def test_it_wants_the_calls_that_have_something_to_tell() -> None:
    own = finished(agent="", extra={"external_webhook_url": "https://own.example.com/"})
    records = [finished(agent=""), finished(), own]

    assert [feed(Settings()).wants(record) for record in records] == [False, True, True]
    assert [feed().wants(record) for record in records] == [True, True, True]


async def test_an_agent_may_have_its_events_elsewhere_and_only_named_ones_are_sent() -> None:
    found = feed(Settings(events=("answered",))).deliveries_of(finished(agent="sales"))

    assert [(each.id, each.url) for each in found] == [("evt_c1_1", "https://sales.example.com/")]


async def test_a_call_may_have_a_url_of_its_own() -> None:
    record = finished(history=(), extra={"external_webhook_url": "https://own.example.com/"})

    assert [each.url for each in feed().deliveries_of(record)] == ["https://own.example.com/"]


async def test_a_url_that_cannot_be_asked_is_written_all_the_same_so_that_its_log_says_why() -> None:
    record = finished(history=(), extra={"external_webhook_url": "no url\0 " + 3000 * "x"})
    (found,) = feed().deliveries_of(record)

    assert (found.url[:9], len(found.url), found.endpoint, found.status) == ("no url  x", 2000, "", PENDING)


async def test_deliveries_are_written_in_the_transaction_of_the_records(store: Database) -> None:
    woken: list[bool] = []
    made = feed(on_added=lambda: woken.append(True))

    try:
        async with store.write() as connection:
            await made.add(Deliveries(store), connection, [finished()])
            raise RuntimeError
    except RuntimeError:
        pass
    rolled_back = await in_store(store)
    for _ in range(2):  # a batch that is written twice
        async with store.write() as connection:
            await made.add(Deliveries(store), connection, [finished(), finished("c2", agent="")])

    assert rolled_back == []
    assert [each.id for each in await in_store(store)] == [
        "evt_c1_0", "evt_c1_1", "evt_c1_end", "post_c1", "evt_c2_0", "evt_c2_1", "evt_c2_end",
    ]  # fmt: skip
    assert woken


async def test_a_record_with_a_strange_value_does_not_hold_up_the_others(store: Database) -> None:
    strange = finished("c0")
    strange.extra = {"metadata": {(1, 2): "a key that is no text"}}

    async with store.write() as connection:
        await feed(Settings()).add(Deliveries(store), connection, [strange, finished()])

    assert [each.id for each in await in_store(store)] == ["post_c1"]


async def test_events_are_written_while_the_call_lives_and_only_once(store: Database) -> None:
    history, record, made = History(), finished(history=[]), feed()
    made.start(Deliveries(store), store, history)
    for name in ("started", "answered"):
        history.note(record, name)
    live = await until_there_are(store, 2)
    history.note(record, "ended")
    async with store.write() as connection:
        await made.add(Deliveries(store), connection, [record])
    await until_there_are(store, 4)
    await made.close()

    assert [(each.id, each.position) for each in live] == [("evt_c1_0", 0), ("evt_c1_1", 1)]
    assert [each.id for each in await in_store(store)] == ["evt_c1_0", "evt_c1_1", "evt_c1_end", "post_c1"]


async def test_the_end_of_a_call_that_a_killed_process_left_is_told_although_its_lines_are_lost(
    store: Database,
) -> None:
    history, record, made = History(), finished(history=[], agent=""), feed()
    made.start(Deliveries(store), store, history)
    history.note(record, "started")
    await until_there_are(store, 1)
    await made.close()
    stopped = finished(history=[Happening(NOW, "ended", {"by": "system", "status": 503})], agent="")
    async with store.write() as connection:
        await feed().add(Deliveries(store), connection, [stopped])

    assert [each.id for each in await in_store(store)] == ["evt_c1_0", "evt_c1_end"]


async def test_a_call_of_a_thousand_events_tells_all_of_them_and_its_end_last(store: Database) -> None:
    history, record, made = History(), finished(history=[], agent=""), feed()
    made.start(Deliveries(store), store, history)
    for _ in range(500):
        history.note(record, "digit")
    history.note(record, "ended")
    found = await until_there_are(store, 501)
    await made.close()

    names = [json.loads(each.payload)["call_event"]["name"] for each in found]
    assert (len(set(names[:-1])), names[-1]) == (1, "ended")
    assert len({each.id for each in found}) == 501


async def test_a_call_that_began_before_we_listened_tells_its_beginning_first(store: Database) -> None:
    history, record, made = History(), finished(history=[], agent=""), feed()
    for name in ("started", "ringing"):
        history.note(record, name)
    made.start(Deliveries(store), store, history)
    history.note(record, "answered")
    found = await until_there_are(store, 3)
    await made.close()
    history.note(record, "ended")

    assert [each.id for each in found] == ["evt_c1_0", "evt_c1_1", "evt_c1_2"]


async def test_a_strange_value_in_an_event_harms_nobody(store: Database) -> None:
    history, record, made = History(), finished(history=[], agent=""), feed()
    made.start(Deliveries(store), store, history)
    history.note(record, "strange", value={(1, 2): 3})
    history.note(record, "ended")
    found = await until_there_are(store, 1)
    await made.close()

    assert [each.id for each in found] == ["evt_c1_end"]


async def test_events_wait_for_a_store_that_is_locked(store: Database, tmp_path: Path) -> None:
    history, record, made = History(), finished(history=[], agent=""), feed()
    made.start(Deliveries(store), store, history)
    other = sqlite3.connect(tmp_path / "sipflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    history.note(record, "started")
    await asyncio.sleep(0.2)
    other.execute("ROLLBACK")
    other.close()
    found = await until_there_are(store, 1)
    await made.close()

    assert [each.id for each in found] == ["evt_c1_0"]
