"""A process that adds numbers to a store, says each once it is there, and goes on until it is killed."""

import asyncio
import sys
from pathlib import Path

from sipflow.store.database import Database
from sipflow.store.settings import Settings
from tests.store.directories import UNUSED, opened
from tests.store.postgres import KEY


async def add(url: str) -> None:
    directory = await opened(await Database.open(Settings(url=url, encryption_keys=(KEY,)), folder=Path()))
    for last in range(101, 200):
        number = f"+12065550{last}"
        await directory.add_number(number, UNUSED)
        await directory.attach("echo", [number])
        print(number, flush=True)


asyncio.run(add(sys.argv[1]))
