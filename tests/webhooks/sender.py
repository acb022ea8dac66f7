"""A process that sends what waits in a store until it is killed: `python sender.py FILE`."""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


async def run(file: Path) -> None:
    from sipflow.store.database import Database
    from sipflow.store.settings import Settings as StoreSettings
    from tests.store.postgres import KEY
    from tests.webhooks.test_outbox import QUICK, running

    store = await Database.open(StoreSettings(url=f"sqlite:///{file}", encryption_keys=(KEY,)), folder=file.parent)
    async with running(store, QUICK, lease_s=0.1):
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    asyncio.run(run(Path(sys.argv[1])))
