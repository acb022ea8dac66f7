"""Phone books: lists of numbers that calls can be transferred to, each with the condition in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, func, insert, select, true
from sqlalchemy.exc import IntegrityError

from sipflow.errors import LocalProtocolError, NotFound
from sipflow.numbers.number import normalise
from sipflow.store.database import Database
from sipflow.store.tables import phone_book_entries as entries
from sipflow.store.tables import phone_books as books

_LONGEST_TEXT = 200
_LONGEST_CONDITION = 10_000


@dataclass(frozen=True, slots=True)
class PhoneBook:
    """A phone book without its entries.

    Attributes:
        phone_book_id: ours, unique.
        name: for people.
        workspace_id: as the client gave it.
        entry_count: how many numbers are in it.
        created_at: UTC wall clock.
    """

    phone_book_id: str
    name: str
    workspace_id: str
    entry_count: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PhoneBookEntry:
    """One number of a phone book.

    Attributes:
        entry_id: ours, unique.
        phone_number: E.164, or what else can be dialled: an extension, a SIP URI.
        transfer_condition: when to transfer there, in words.
        created_at: UTC wall clock.
    """

    entry_id: str
    phone_number: str
    transfer_condition: str
    created_at: datetime


class PhoneBooks:
    """All phone books of one store."""

    def __init__(self, database: Database, *, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._wall = wall

    async def add(self, name: str, *, workspace_id: str = "") -> PhoneBook:
        """Create an empty phone book.

        Raises:
            LocalProtocolError: the name is empty or too long.
            StoreError: the store cannot be written.
        """
        values = {"name": _text(name, "name"), "workspace_id": workspace_id[:80]}
        made = PhoneBook(phone_book_id=str(uuid4()), entry_count=0, created_at=self._wall(), **values)
        async with self._database.write() as connection:
            row = {"phone_book_id": made.phone_book_id, "created_at": made.created_at, **values}
            await connection.execute(insert(books).values(row))
        return made

    async def page(
        self, *, limit: int = 20, offset: int = 0, workspace_id: str | None = None
    ) -> tuple[int, list[PhoneBook]]:
        """Return how many there are, and a page of them, the oldest first; `workspace_id` None is all."""
        wanted = true() if workspace_id is None else books.c.workspace_id == workspace_id
        async with self._database.read() as connection:
            total = await connection.scalar(select(func.count()).select_from(books).where(wanted)) or 0
            order = select(*_COLUMNS).where(wanted).order_by(books.c.created_at, books.c.phone_book_id)
            rows = await connection.execute(order.limit(limit).offset(offset))
            return total, [_book(row) for row in rows]

    async def find(self, phone_book_id: str) -> PhoneBook:
        """Return a phone book.

        Raises:
            NotFound: there is no such phone book.
        """
        async with self._database.read() as connection:
            found = await connection.execute(select(*_COLUMNS).where(books.c.phone_book_id == phone_book_id))
            row = found.first()
        if row is None:
            raise _no_book(phone_book_id)
        return _book(row)

    async def remove(self, phone_book_id: str) -> None:
        """Delete a phone book with its entries.

        Raises:
            NotFound: there is no such phone book.
            StoreError: the store cannot be written.
        """
        async with self._database.write() as connection:
            done = await connection.execute(delete(books).where(books.c.phone_book_id == phone_book_id))
            if not done.rowcount:
                raise _no_book(phone_book_id)

    async def entries(self, phone_book_id: str) -> list[PhoneBookEntry]:
        """Return the entries of a phone book, the oldest first.

        Raises:
            NotFound: there is no such phone book.
        """
        await self.find(phone_book_id)
        async with self._database.read() as connection:
            its = select(entries).where(entries.c.phone_book_id == phone_book_id)
            rows = await connection.execute(its.order_by(entries.c.created_at, entries.c.entry_id))
            return [
                PhoneBookEntry(row.entry_id, row.phone_number, row.transfer_condition, row.created_at) for row in rows
            ]

    async def numbers(self, phone_book_id: str, entry_id: str = "") -> Sequence[str]:
        """Return the numbers of a phone book, the oldest first, or that of one entry.

        Raises:
            NotFound: there is no such phone book, or no such entry in it.
        """
        found = [each for each in await self.entries(phone_book_id) if entry_id in ("", each.entry_id)]
        if entry_id and not found:
            raise _no_entry(phone_book_id, entry_id)
        return [each.phone_number for each in found]

    async def add_entry(self, phone_book_id: str, phone_number: str, transfer_condition: str = "") -> PhoneBookEntry:
        """Add a number to a phone book.

        Raises:
            NotFound: there is no such phone book.
            LocalProtocolError: the number is empty, or something is too long.
            StoreError: the store cannot be written.
        """
        text = _text(phone_number, "phone_number")
        number = text if text[:4].lower() in ("sip:", "sips") else normalise(text, region=None)
        if len(transfer_condition) > _LONGEST_CONDITION or "\0" in transfer_condition:
            raise LocalProtocolError(f"transfer_condition: a text of at most {_LONGEST_CONDITION} characters")
        made = PhoneBookEntry(str(uuid4()), number, transfer_condition, self._wall())
        row = {"entry_id": made.entry_id, "phone_book_id": phone_book_id, "phone_number": number}
        row |= {"transfer_condition": transfer_condition}
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(entries).values(created_at=made.created_at, **row))
        except IntegrityError:
            raise _no_book(phone_book_id) from None
        return made

    async def remove_entry(self, phone_book_id: str, entry_id: str) -> None:
        """Take a number out of a phone book.

        Raises:
            NotFound: there is no such entry in it.
            StoreError: the store cannot be written.
        """
        its: ColumnElement[bool] = (entries.c.phone_book_id == phone_book_id) & (entries.c.entry_id == entry_id)
        async with self._database.write() as connection:
            if not (await connection.execute(delete(entries).where(its))).rowcount:
                raise _no_entry(phone_book_id, entry_id)


_COUNT = (
    select(func.count())
    .select_from(entries)
    .where(entries.c.phone_book_id == books.c.phone_book_id)
    .scalar_subquery()
    .label("entry_count")
)
_COLUMNS = (books.c.phone_book_id, books.c.name, books.c.workspace_id, books.c.created_at, _COUNT)


def _book(row: Any) -> PhoneBook:
    return PhoneBook(row.phone_book_id, row.name, row.workspace_id, row.entry_count, row.created_at)


def _no_entry(phone_book_id: str, entry_id: str) -> NotFound:
    return NotFound(f"there is no entry {entry_id[:80]!r} in phone book {phone_book_id[:80]!r}")


def _no_book(phone_book_id: str) -> NotFound:
    return NotFound(f"there is no phone book {phone_book_id[:80]!r}")


def _text(value: str, key: str) -> str:
    if not value.strip() or len(value) > _LONGEST_TEXT or not value.isprintable():
        raise LocalProtocolError(f"{key}: a text of 1 to {_LONGEST_TEXT} characters that print")
    return value
