"""A process that saves records and says so, until it is killed: `python teller.py FILE URL`."""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sipflow.calls.history import History
from sipflow.store.database import Database
from sipflow.store.settings import Settings as StoreSettings
from sipflow.store.writer import RecordWriter
from sipflow.webhooks.hooks import Hooks
from sipflow.webhooks.service import Webhooks
from tests.store.postgres import KEY
from tests.webhooks.records import finished
from tests.webhooks.test_outbox import QUICK, nowhere


async def run(file: Path, url: str) -> None:
    store = await Database.open(StoreSettings(url=f"sqlite:///{file}", encryption_keys=(KEY,)), folder=file.parent)
    hooks = Hooks(external_webhook_url=url)
    webhooks = Webhooks(QUICK, store, resolve=nowhere, hooks=lambda _agent: hooks, poll_s=0.02, lease_s=0.1)
    webhooks.open(History())
    writer = RecordWriter(file.parent / "sipflow.db.calls", also=webhooks.also, every_s=0.02)
    await writer.open(store)
    for number in range(10_000):
        call_id = f"{os.getpid()}-{number}"
        writer.save(finished(call_id))
        print(f"saved {call_id}", flush=True)
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))
