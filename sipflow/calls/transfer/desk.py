"""What transfers need of the rest of the edge: numbers to call from, phone books, the time of day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from sipflow.calls.order import Choice, Numbers
from sipflow.calls.transfer.request import Who
from sipflow.calls.transfer.targets import PHONE_BOOK
from sipflow.errors import NotFound
from sipflow.media.player import Source
from sipflow.media.voice import Voice


class PhoneBook(Protocol):
    """Whoever knows phone books; the store's directory does."""

    async def numbers(self, phone_book_id: str, entry_id: str = "") -> Sequence[str]:
        """Give the numbers of a book, in order, or of one entry.

        Raises:
            NotFound: there is no such book or entry.
        """


class SoundFetcher(Protocol):
    """Whoever fetches sounds from the web, and knows which addresses may be asked; the webhooks do."""

    def check(self, url: str) -> None:
        """Look at a URL without asking anybody.

        Raises:
            LocalProtocolError: it cannot be used; the sentence says why.
        """

    async def fetch(self, url: str) -> bytes:
        """Give what is there, of bounded size, within bounded time.

        Raises:
            MediaError: it cannot be had; the sentence says why.
            LocalProtocolError: the URL cannot be used.
        """


@dataclass(slots=True)
class TransferDesk:
    """The ports of all transfers of one edge; the daemon fills in what it has.

    Attributes:
        numbers: says which number of ours an agent calls from; None calls by the trunk that the call came by.
        enter: asked before a call goes on by another trunk; it raises LimitReached where that one has no room.
        phone_book: finds the numbers of phone books; None has none.
        music: what callers hear while they wait, where the transfer does not say; None is ringing.
        who: tells a person from a machine where a client of the API asks for it; None where nobody can.
        fetcher: fetches music that is named by a URL; None where nobody can.
        voice: speaks texts for clients of the API; None where nobody can.
        wall: UTC wall clock, for business hours.
    """

    numbers: Numbers | None = None
    enter: Callable[[Choice, str], None] | None = None
    phone_book: PhoneBook | None = None
    music: Source | None = None
    who: Who | None = None
    voice: Voice | None = None
    fetcher: SoundFetcher | None = None
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def listed(self, named: str) -> Sequence[str]:
        """Give the numbers behind `phonebook:<id>` or `phonebook:<id>/<entry>`, in order.

        Raises:
            NotFound: there is no such book or entry, or it is empty; the sentence begins with `target:`.
            StoreError: the store cannot be read.
        """
        book, _, entry = named.removeprefix(PHONE_BOOK).partition("/")
        numbers = await self.phone_book.numbers(book, entry) if self.phone_book is not None else ()
        if not numbers:
            raise NotFound(f"target: there is nobody in phone book {book[:80]!r}")
        return numbers
