"""Finds out where numbers are at home, in a process of its own that lives for a moment, and remembers it."""

import asyncio
import json
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from sipflow.errors import StoreError
from sipflow.store.database import Database
from sipflow.store.number_homes import Home, read_home, write_homes
from sipflow.store.stored import e164_or_none
from sipflow.tasks import Tasks

log = structlog.get_logger("sipflow.api")
PROGRAM = (sys.executable, "-m", "sipflow.numbers.geocode")
NOWHERE = Home("", "")
_TOGETHER_S = 0.02  # what is asked for within this time is asked in one process
_AT_ONCE = 500  # numbers in one process
_MOST_WAITING = 5000
_REMEMBERED = 10_000
_TIMEOUT_S = 30.0
_PATIENCE_S = 3.0  # of whoever asks for a number; the process takes less than one on an idle machine
_AGAIN_S = 60.0  # after a process that failed


class Homes:
    """Where numbers are at home. One process runs at a time, and only while somebody asks for what nobody knows.

    Args:
        database: keeps the answers.
        program: what is run, see `sipflow.numbers.geocode`.
        timeout_s: after which it is killed.
        patience_s: how long `of` waits for it; after that the number is at home nowhere until it has come to its end.
        wall: UTC wall clock.
    """

    def __init__(
        self,
        database: Database,
        *,
        program: Sequence[str] = PROGRAM,
        timeout_s: float = _TIMEOUT_S,
        patience_s: float = _PATIENCE_S,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._program = program
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._wall = wall
        self._known: OrderedDict[str, Home] = OrderedDict()
        self._wanted: dict[str, asyncio.Future[Home]] = {}
        self._tasks = Tasks()
        self._asking: asyncio.Task[None] | None = None
        self._not_before = 0.0

    async def of(self, number: str) -> Home:
        """Return where a number is at home; nowhere for what is not E.164, and where it cannot be found out now."""
        if not e164_or_none(number):
            return NOWHERE
        known = self._known.get(number)
        if known is not None:
            return known
        try:
            kept = await read_home(self._database, number)
        except StoreError:  # the number itself is known without the store, so it is shown without its home
            return NOWHERE
        if kept is not None:
            self._remember(number, kept)
            return kept
        future = self._want(number)
        if future is None:
            return NOWHERE
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(future), self._patience_s)
        return NOWHERE

    def find_out(self, number: str) -> None:
        """Have it found out, for whoever asks later."""
        if e164_or_none(number) and number not in self._known:
            self._want(number)

    async def close(self) -> None:
        """Stop; what is not found out yet is asked for again."""
        await self._tasks.close()

    def _want(self, number: str) -> "asyncio.Future[Home] | None":
        loop = asyncio.get_running_loop()
        future = self._wanted.get(number)
        if future is None:
            if len(self._wanted) >= _MOST_WAITING or loop.time() < self._not_before:
                return None
            future = self._wanted[number] = loop.create_future()
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.spawn(self._ask(), name="homes of numbers")
        return future

    async def _ask(self) -> None:
        try:
            while self._wanted:
                await asyncio.sleep(_TOGETHER_S)
                await self._ask_for(list(self._wanted)[:_AT_ONCE])
        finally:
            for future in self._wanted.values():  # we stop: nobody may be left waiting
                future.set_result(NOWHERE)
            self._wanted.clear()

    async def _ask_for(self, numbers: list[str]) -> None:
        homes = dict.fromkeys(numbers, NOWHERE)
        try:
            homes = dict(zip(numbers, await self._run("\n".join(numbers)), strict=True))
            await write_homes(self._database, homes, self._wall())
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            self._not_before = asyncio.get_running_loop().time() + _AGAIN_S
            log.warning("it cannot be found out where numbers are at home", numbers=len(numbers), why=_why(error))
        except StoreError as error:
            log.warning("where numbers are at home is not kept", numbers=len(numbers), why=str(error))
        else:
            for number, home in homes.items():
                self._remember(number, home)
        for number in numbers:
            self._wanted.pop(number).set_result(homes[number])

    async def _run(self, numbers: str) -> list[Home]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._program, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(self._timeout_s):
                said, complaint = await process.communicate(numbers.encode("ascii"))
        except BaseException:  # too slow, or we stop: it must not stay behind
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            lines = complaint.decode("utf-8", "replace").strip().splitlines()
            raise OSError(f"it ended with {process.returncode}: {lines[-1] if lines else 'it said nothing'}")
        return [Home(str(region), str(locality)) for region, locality in json.loads(said)]

    def _remember(self, number: str, home: Home) -> None:
        self._known[number] = home
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _why(error: Exception) -> str:
    return "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
