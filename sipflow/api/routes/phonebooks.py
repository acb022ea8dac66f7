"""Phone books: made, listed, deleted, and their entries."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from sipflow.api.auth import requires
from sipflow.api.context import InContext
from sipflow.api.envelope import FURTHEST, MOST_PER_PAGE, Done, Enveloped
from sipflow.api.errors import documented
from sipflow.api.models.phonebooks import CreateEntry, CreatePhoneBook, Entry, EntryList, Key, PhoneBook, PhoneBookPage
from sipflow.calls.transfer.targets import PHONE_BOOK
from sipflow.store.phone_books import PhoneBooks

router = APIRouter(prefix="/v2/phonebooks", tags=["Phone books"])
BookId = Annotated[str, Path(max_length=80, pattern=r"^[A-Za-z0-9-]+$")]
EntryId = Annotated[str, Path(max_length=80, pattern=r"^[A-Za-z0-9-]+$")]
PageSize = Annotated[int, Query(ge=1, le=MOST_PER_PAGE)]
PageNumber = Annotated[int, Query(ge=1, le=FURTHEST // MOST_PER_PAGE)]
_WRITES = [requires("agents:write")]
_READS = [requires("agents:read")]


@router.post("", dependencies=_WRITES)
async def create_phone_book(context: InContext, wanted: CreatePhoneBook) -> Enveloped[Key]:
    """Make an empty phone book."""
    made = await PhoneBooks(context.database).add(wanted.name, workspace_id=wanted.workspace_id)
    return Enveloped(response=Key(key=made.phone_book_id))


@router.get("", dependencies=_READS)
async def list_phone_books(
    context: InContext, page_number: PageNumber = 1, page_size: PageSize = 20
) -> Enveloped[PhoneBookPage]:
    """List phone books, the oldest first."""
    total, found = await PhoneBooks(context.database).page(limit=page_size, offset=(page_number - 1) * page_size)
    mentioned = {name: books_in(agent.options, agent.fields) for name, agent in context.directory.agents.items()}
    items = [
        PhoneBook(
            phone_book_id=book.phone_book_id,
            workspace_id=book.workspace_id,
            name=book.name,
            entry_count=book.entry_count,
            agents=[agent for agent, books in mentioned.items() if book.phone_book_id in books],
        )
        for book in found
    ]
    return Enveloped(response=PhoneBookPage(total=total, page_size=page_size, page_number=page_number, items=items))


def books_in(*values: Any) -> set[str]:
    """Return the ids of the phone books that values name: `phonebook:<id>`, also with an entry, or `phone_book_id`."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, str) and value.startswith(PHONE_BOOK):
            found.add(value.removeprefix(PHONE_BOOK).partition("/")[0])
        elif isinstance(value, Mapping):
            named = value.get("phone_book_id")
            found |= {named} if isinstance(named, str) else set()
            found |= books_in(*value.values())
        elif isinstance(value, list | tuple):
            found |= books_in(*value)
    return found


@router.delete("/{phone_book_id}", dependencies=_WRITES, responses=documented(404))
async def delete_phone_book(context: InContext, phone_book_id: BookId) -> Done:
    """Delete a phone book with all its entries."""
    await PhoneBooks(context.database).remove(phone_book_id)
    return Done()


@router.get("/{phone_book_id}/entries", dependencies=_READS, responses=documented(404))
async def list_phone_book_entries(context: InContext, phone_book_id: BookId) -> Enveloped[EntryList]:
    """List the entries of a phone book. Ours; not in the reference."""
    found = await PhoneBooks(context.database).entries(phone_book_id)
    items = [
        Entry(
            entry_id=entry.entry_id,
            phone_number=entry.phone_number,
            transfer_condition=entry.transfer_condition,
            created_at=entry.created_at,
        )
        for entry in found
    ]
    return Enveloped(response=EntryList(items=items))


@router.post("/{phone_book_id}/entries", dependencies=_WRITES, responses=documented(404))
async def create_phone_book_entry(context: InContext, phone_book_id: BookId, wanted: CreateEntry) -> Enveloped[Key]:
    """Add somebody to a phone book."""
    books = PhoneBooks(context.database)
    made = await books.add_entry(phone_book_id, wanted.phone_number, wanted.transfer_condition)
    return Enveloped(response=Key(key=made.entry_id))


@router.delete("/{phone_book_id}/entries/{entry_id}", dependencies=_WRITES, responses=documented(404))
async def delete_phone_book_entry(context: InContext, phone_book_id: BookId, entry_id: EntryId) -> Done:
    """Take somebody out of a phone book."""
    await PhoneBooks(context.database).remove_entry(phone_book_id, entry_id)
    return Done()
