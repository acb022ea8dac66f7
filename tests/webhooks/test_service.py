import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipflow.calls.history import History
from sipflow.errors import NotFound
from sipflow.store.database import Database
from sipflow.store.deliveries import FAILED, PENDING, SUCCESS, Deliveries, LogFilter
from sipflow.store.writer import RecordWriter
from sipflow.webhooks.hooks import Hooks
from sipflow.webhooks.service import Webhooks
from sipflow.webhooks.settings import Settings
from tests.webhooks.receiver import WAIT_S, Answer, Receiver
from tests.webhooks.records import finished
from tests.webhooks.test_outbox import QUICK, delivery, nowhere, put
from tests.webhooks.test_outbox import finished as delivered


@asynccontextmanager
async def running(
    store: Database, url: str, settings: Settings = QUICK, history: History | None = None
) -> AsyncIterator[Webhooks]:
    """All webhooks, with every agent's finished calls told to a URL."""
    hooks = Hooks(external_webhook_url=url, events_webhook_url=url if history is not None else "")
    webhooks = Webhooks(settings, store, resolve=nowhere, hooks=lambda _agent: hooks, poll_s=0.02, lease_s=0.1)
    webhooks.open(history or History())
    try:
        yield webhooks
    finally:
        await webhooks.close()


async def rows(store: Database) -> dict[str, str]:
    _, found = await Deliveries(store).page(LogFilter(), limit=1000, offset=0)
    return {each.id: each.status for each, _ in found}


async def test_a_saved_record_is_told_soon_after(store: Database, receiver: Receiver, tmp_path: Path) -> None:
    async with running(store, receiver.url()) as webhooks:
        writer = RecordWriter(tmp_path / "journal", also=webhooks.also, every_s=0.01)
        await writer.open(store)
        writer.save(finished())
        (got,) = await receiver.requests(1)
        await delivered(store, "post_c1")
        await writer.close()

    assert json.loads(got.body)["call"]["call_id"] == "c1"
    assert await rows(store) == {"post_c1": SUCCESS}


async def test_events_of_a_live_call_come_in_order_and_before_its_end(
    store: Database, receiver: Receiver, tmp_path: Path
) -> None:
    history, record = History(), finished(history=[])
    async with running(store, receiver.url(), history=history) as webhooks:
        writer = RecordWriter(tmp_path / "journal", also=webhooks.also, every_s=0.01)
        await writer.open(store)
        history.note(record, "started")
        await receiver.requests(1)
        for name in ("ringing", "answered", "digit", "ended"):
            history.note(record, name)
        writer.save(record)
        got = await receiver.requests(6)
        await delivered(store, "post_c1")
        await writer.close()

    bodies = [json.loads(each.body) for each in got]
    told = [body["call_event"]["name"] if "call_event" in body else body["event"] for body in bodies]
    assert told == ["started", "ringing", "answered", "digit", "ended", "post_call"]


async def test_a_process_killed_at_any_moment_neither_loses_nor_doubles_what_calls_tell(
    store: Database, receiver: Receiver, tmp_path: Path
) -> None:
    url = receiver.script("/hook", Answer())
    told: set[str] = set()
    for kill_after in (1, 20):
        command = [sys.executable, str(Path(__file__).with_name("teller.py")), str(store.place.file), url]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert child.stdout is not None
        said: list[bytes] = []
        async with asyncio.timeout(WAIT_S):
            while len(said) < kill_after:
                said += [line for line in [await child.stdout.readline()] if line.startswith(b"saved ")]
        child.send_signal(signal.SIGKILL)
        said += [line for line in (await child.stdout.read()).splitlines(keepends=True) if line.startswith(b"saved ")]
        told |= {line.decode().split()[1] for line in said if line.endswith(b"\n")}
        await child.wait()
    async with running(store, url) as webhooks:
        writer = RecordWriter(tmp_path / "sipflow.db.calls", also=webhooks.also)
        await writer.open(store)
        await writer.flush()
        for call_id in told:
            await delivered(store, f"post_{call_id}")
        await writer.close()

    names = [got.headers["x-sipflow-event-id"] for got in receiver.got]
    assert {f"post_{call_id}" for call_id in told} <= set(names)
    assert set((await rows(store)).values()) == {SUCCESS}
    assert len(names) - len(set(names)) <= 2 * QUICK.per_endpoint  # what was under way when it was killed


async def test_a_failed_delivery_is_sent_once_more_when_asked(store: Database, receiver: Receiver) -> None:
    url = receiver.script("/hook", Answer(410), Answer(200))
    async with running(store, url) as webhooks:
        await put(store, delivery("one", url))
        failed, _ = await delivered(store, "one")
        again = await webhooks.redeliver("one")
        done, attempts = await delivered(store, "one")
        with pytest.raises(NotFound):
            await webhooks.redeliver("two")

    assert (failed.status, again.status, done.status) == (FAILED, PENDING, SUCCESS)
    assert again.expires_at is not None
    assert again.expires_at > datetime.now(UTC) + timedelta(seconds=QUICK.give_up_s - 60)
    assert [each.status_code for each in attempts] == [410, 200]
    assert [got.headers["x-sipflow-event-id"] for got in receiver.got] == ["one", "one"]


async def test_old_deliveries_leave_the_log_when_it_starts(store: Database, receiver: Receiver) -> None:
    old = datetime.now(UTC) - timedelta(days=31)
    kept: dict[str, Any] = {"status": SUCCESS, "next_at": None}
    await put(
        store,
        delivery("old", receiver.url(), finished_at=old, **kept),
        delivery("new", receiver.url(), finished_at=old + timedelta(days=2), **kept),
    )
    async with running(store, receiver.url()), asyncio.timeout(WAIT_S):
        while "old" in (left := await rows(store)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert left == {"new": SUCCESS}
