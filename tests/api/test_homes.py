"""Homes of numbers, found out by a program that each test brings along."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sipflow.api.homes import NOWHERE, Homes
from sipflow.store.database import Database
from sipflow.store.number_homes import Home, read_home
from sipflow.store.settings import Settings

NUMBER, OTHER = "+12012000100", "+493012345678"
TELLS = "import json, sys; print(json.dumps([['WA', each.strip()] for each in sys.stdin]))"


@pytest_asyncio.fixture
async def store(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(sqlite_settings, folder=tmp_path)
    yield database
    await database.close()


def homes(store: Database, script: str, *, timeout_s: float = 30.0, patience_s: float = 30.0) -> Homes:
    return Homes(store, program=(sys.executable, "-c", script), timeout_s=timeout_s, patience_s=patience_s)


async def test_numbers_asked_for_together_are_found_out_in_one_process_and_kept(store: Database) -> None:
    asked = homes(store, TELLS)
    found = await asyncio.gather(*(asked.of(number) for number in (NUMBER, OTHER, NUMBER, "200", "+1206*")))
    again = await asked.of(NUMBER)
    later = await homes(store, "raise SystemExit('this must not run')").of(OTHER)
    await asked.close()

    assert found == [Home("WA", NUMBER), Home("WA", OTHER), Home("WA", NUMBER), NOWHERE, NOWHERE]
    assert (again, later) == (Home("WA", NUMBER), Home("WA", OTHER))


async def test_what_is_found_out_beforehand_is_there_for_whoever_asks_later(store: Database) -> None:
    asked = homes(store, TELLS)
    asked.find_out(NUMBER)
    async with asyncio.timeout(10):
        while await read_home(store, NUMBER) is None:  # noqa: ASYNC110  (a store tells nobody)
            await asyncio.sleep(0.01)
    await asked.close()

    assert await homes(store, "raise SystemExit('this must not run')").of(NUMBER) == Home("WA", NUMBER)


@pytest.mark.parametrize("script", ["raise SystemExit('no table')", "print('[]')", "print('{')", "print('[[1]]')"])
async def test_a_process_that_fails_leaves_them_at_home_nowhere_and_is_not_run_again_at_once(
    store: Database, script: str
) -> None:
    asked = homes(store, script)
    first = await asked.of(NUMBER)
    asked._program = (sys.executable, "-c", TELLS)
    second = await asked.of(NUMBER)
    asked._not_before = 0.0
    third = await asked.of(NUMBER)
    await asked.close()

    assert (first, second, third) == (NOWHERE, NOWHERE, Home("WA", NUMBER))


async def test_whoever_asks_does_not_wait_for_a_slow_process_and_a_hanging_one_is_killed(store: Database) -> None:
    asked = homes(store, "import time; time.sleep(600)", timeout_s=0.5, patience_s=0.01)
    first = await asked.of(NUMBER)
    assert asked._asking is not None
    await asyncio.wait([asked._asking], timeout=10)
    await asked.close()

    assert (first, asked._asking.done(), asked._wanted) == (NOWHERE, True, {})
    assert asked._not_before > 0


async def test_closing_kills_the_process_and_keeps_nobody_waiting(store: Database) -> None:
    asked = homes(store, "import time; time.sleep(600)", patience_s=60.0)
    waiting = asyncio.create_task(asked.of(NUMBER))
    async with asyncio.timeout(10):
        while not asked._wanted:  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.01)
    await asked.close()

    assert await waiting == NOWHERE
