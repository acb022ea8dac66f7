"""The directory's rows: read as a whole, changed one by one, by one writer at a time whoever it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sipflow.errors import Conflict
from sipflow.store import agent_rows, attachments, number_rows, trunk_rows
from sipflow.store.database import Database
from sipflow.store.entries import AgentEntry
from sipflow.store.stored import Stored, StoredNumber, StoredTrunk
from sipflow.store.tables import settings

_REVISION = "directory_revision"  # a row that every change takes first: whoever has it is alone


class Change:
    """A change under way.

    Attributes:
        stored: what there is, with what this change has done to it so far.
    """

    def __init__(self, connection: AsyncConnection, database: Database, stored: Stored) -> None:
        self.stored = stored
        self._connection = connection
        self._database = database

    async def put_trunk(self, trunk: StoredTrunk) -> None:
        """Add a trunk, or change it."""
        await trunk_rows.put(self._connection, self._database, trunk)
        self.stored.trunks[trunk.name] = trunk

    async def remove_trunk(self, name: str) -> None:
        """Remove a trunk, if it is there."""
        if self.stored.trunks.pop(name, None) is not None:
            await trunk_rows.remove(self._connection, name)

    async def put_number(self, number: StoredNumber) -> None:
        """Add a number, or change it."""
        if number.number in self.stored.numbers:
            await number_rows.change(self._connection, number)
        else:
            await number_rows.add(self._connection, number)
        self.stored.numbers[number.number] = number

    async def remove_number(self, number: str) -> None:
        """Remove a number, the trunk it brought along, and its attachments."""
        await number_rows.remove(self._connection, number)
        await attachments.remove_number(self._connection, number)
        self.stored.numbers.pop(number, None)
        self.stored.attached.pop(number, None)
        await self.remove_trunk(number)

    async def put_agent(self, agent: AgentEntry) -> None:
        """Add an agent, or change it."""
        await agent_rows.put(self._connection, self._database, agent)
        self.stored.agents[agent.model_id] = agent

    async def remove_agent(self, model_id: str) -> None:
        """Remove an agent and its attachments."""
        await agent_rows.remove(self._connection, model_id)
        await attachments.remove_agent(self._connection, model_id)
        self.stored.agents.pop(model_id, None)
        for number, role in list(self.stored.attachments_of(model_id)):
            self.stored.detach(number, model_id, role)

    async def attach(self, number: str, agent: str, role: str, now: datetime) -> None:
        """Attach a number to an agent.

        Raises:
            Conflict: another agent answers it.
        """
        try:
            await attachments.add(self._connection, number, agent, role, now)
        except IntegrityError:  # somebody wrote past the directory
            raise Conflict(f"the number {number} has an agent already") from None
        self.stored.attach(number, agent, role)

    async def detach(self, number: str, agent: str, role: str) -> None:
        """Detach a number from an agent."""
        await attachments.remove(self._connection, number, agent, role)
        self.stored.detach(number, agent, role)


class Rows:
    """All rows of the directory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Stored:
        """Read everything, as it is at one moment.

        Raises:
            StoreError: the database is away, or a secret cannot be decrypted.
        """
        async with self._database.write() as connection:
            insert = self._database.insert(settings).values(name=_REVISION, value=b"1")
            await connection.execute(insert.on_conflict_do_nothing())
            return await self._read(connection, await self._take_turn(connection))

    async def revision(self) -> int:
        """Return the number of the last change."""
        async with self._database.read() as connection:
            found = await connection.scalar(select(settings.c.value).where(settings.c.name == _REVISION))
            return int(found or b"0")

    @asynccontextmanager
    async def changing(self, known: Stored) -> AsyncIterator[Change]:
        """Lend a change: committed when the block ends, undone when it raises; nobody else changes anything meanwhile.

        Args:
            known: what there was when last seen; what other processes have changed since is read again.

        Raises:
            StoreError: the database is away, locked, full or read-only.
            Conflict: what is written contradicts what is there.
        """
        try:
            async with self._database.write() as connection:
                stored = await self._turn(connection, known)
                yield Change(connection, self._database, stored)
        except IntegrityError:  # somebody wrote past the directory
            raise Conflict("somebody else has just changed the same; look at it again") from None

    async def _turn(self, connection: AsyncConnection, known: Stored) -> Stored:
        """Wait until nobody else changes the directory, until this transaction ends; return what there is by then.

        Its revision is the next one already. Where nobody else has changed anything that is one statement: with a
        server every one is a way there and back, and all who want to change something wait for it.
        """
        stored = known.copy()
        stored.revision = known.revision + 1
        if await self._count_up(connection, known.revision, stored.revision):
            return stored
        revision = await self._take_turn(connection)
        stored = await self._read(connection, revision)
        stored.revision = revision + 1
        await self._count_up(connection, revision, stored.revision)
        return stored

    async def _count_up(self, connection: AsyncConnection, known: int, now: int) -> bool:
        """Go from one revision to the next; False where it is another one."""
        mine = (settings.c.name == _REVISION) & (settings.c.value == str(known).encode())
        found = await connection.execute(update(settings).where(mine).values(value=str(now).encode()))
        return found.rowcount == 1

    async def _take_turn(self, connection: AsyncConnection) -> int:
        """Wait until nobody else changes the directory, until this transaction ends; return its revision."""
        its = select(settings.c.value).where(settings.c.name == _REVISION)
        return int(await connection.scalar(its.with_for_update()) or b"0")  # SQLite has waited at BEGIN IMMEDIATE

    async def _read(self, connection: AsyncConnection, revision: int) -> Stored:
        stored = Stored(revision)
        cipher = self._database.cipher
        stored.trunks = {trunk.name: trunk async for trunk in trunk_rows.read(connection, cipher)}
        stored.numbers = {number.number: number async for number in number_rows.read(connection)}
        stored.agents = {agent.model_id: agent async for agent in agent_rows.read(connection, cipher)}
        async for number, agent, role in attachments.read(connection):
            stored.attach(number, agent, role)
        return stored
