"""Phone books and their entries."""

import pytest

from sipflow.errors import LocalProtocolError, NotFound
from sipflow.store.database import Database
from sipflow.store.phone_books import PhoneBook, PhoneBooks
from tests.store.directories import sqlite_database

__all__ = ["sqlite_database"]


async def test_book_keeps_entries_in_their_order(database: Database) -> None:
    books = PhoneBooks(database)
    sales, other = await books.add("Sales", workspace_id="w1"), await books.add("Other")
    made = [
        await books.add_entry(sales.phone_book_id, number, "asks for a price") for number in ("+1 206 555 0100", "200")
    ]
    await books.remove_entry(sales.phone_book_id, made[1].entry_id)

    assert made[0].phone_number == "+12065550100"
    assert await books.entries(sales.phone_book_id) == made[:1]
    assert await books.page() == (2, [_with(sales, 1), other])
    assert await books.page(limit=1, offset=1) == (2, [other])
    assert await books.page(workspace_id="w1") == (1, [_with(sales, 1)])
    assert await books.find(sales.phone_book_id) == _with(sales, 1)


def _with(book: PhoneBook, entries: int) -> PhoneBook:
    return PhoneBook(book.phone_book_id, book.name, book.workspace_id, entries, book.created_at)


async def test_removed_book_takes_its_entries_along(database: Database) -> None:
    books = PhoneBooks(database)
    sales = await books.add("Sales")
    entry = await books.add_entry(sales.phone_book_id, "+12065550100")
    await books.remove(sales.phone_book_id)

    for gone in (
        books.find(sales.phone_book_id),
        books.entries(sales.phone_book_id),
        books.remove(sales.phone_book_id),
        books.add_entry(sales.phone_book_id, "+12065550100"),
        books.remove_entry(sales.phone_book_id, entry.entry_id),
    ):
        with pytest.raises(NotFound):
            await gone
    assert await books.page() == (0, [])


async def test_wrong_texts_are_refused(sqlite_database: Database) -> None:
    books = PhoneBooks(sqlite_database)
    sales = await books.add("Sales")

    for name in ("", " ", "x" * 201, "a\nb"):
        with pytest.raises(LocalProtocolError, match=r"^name: "):
            await books.add(name)
        with pytest.raises(LocalProtocolError, match=r"^phone_number: "):
            await books.add_entry(sales.phone_book_id, name)
    for condition in ("x" * 10_001, "\0"):
        with pytest.raises(LocalProtocolError, match=r"^transfer_condition: "):
            await books.add_entry(sales.phone_book_id, "200", condition)


async def test_numbers_are_given_for_transfers_whole_books_or_one_entry(sqlite_database: Database) -> None:
    books = PhoneBooks(sqlite_database)
    sales = await books.add("Sales")
    first = await books.add_entry(sales.phone_book_id, "+12065550100")
    await books.add_entry(sales.phone_book_id, "sip:200@pbx.example.com")

    assert list(await books.numbers(sales.phone_book_id)) == ["+12065550100", "sip:200@pbx.example.com"]
    assert list(await books.numbers(sales.phone_book_id, first.entry_id)) == ["+12065550100"]
    for book, entry in (("none", ""), (sales.phone_book_id, "none")):
        with pytest.raises(NotFound):
            await books.numbers(book, entry)
