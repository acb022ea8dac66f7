"""What transfers need of the rest of the edge: numbers to call from, phone books, the time of day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from sipflow.calls.order import Choice, Numbers
from sipflow.calls.transfer.request import Who
from sipflow.media.player import Source
from sipflow.media.voice import Voice


class PhoneBook(Protocol):
    """Whoever knows phone books; the store's directory does."""

    async def numbers(self, phone_book_id: str, entry_id: str = "") -> Sequence[str]:
        """Give the numbers of a book, in order, or of one entry.

        Raises:
            NotFound: there is no such book or entry.
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
        voice: speaks texts for clients of the API; None where nobody can.
        wall: UTC wall clock, for business hours.
    """

    numbers: Numbers | None = None
    enter: Callable[[Choice, str], None] | None = None
    phone_book: PhoneBook | None = None
    music: Source | None = None
    who: Who | None = None
    voice: Voice | None = None
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
