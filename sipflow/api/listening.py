"""Who listens to live calls, and how many may."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sipflow.errors import Conflict, LimitReached

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.media.listening import Listening


class Listeners:
    """Everybody who listens at the moment."""

    def __init__(self, most: int = 20) -> None:
        """Let at most so many listen at once."""
        self._most = most
        self._count = 0

    @contextmanager
    def one_more(self, call: "Call", *, name: str) -> Iterator["Listening"]:
        """Let somebody listen to a call from now on; the call's history says who.

        Raises:
            LimitReached: too many listen already.
            Conflict: the call has no audio yet.
        """
        if self._count >= self._most:
            raise LimitReached(f"{self._most} listen to calls already", limit="listeners", retry_after_s=10)
        if call.media is None or call.media.agreed is None:
            raise Conflict(f"call {call.id}: there is no audio yet: it has not been answered")
        session = call.media.session
        self._count += 1
        listening = session.listening()
        call.note("listening_started", by=name)
        try:
            yield listening
        finally:
            self._count -= 1
            session.let_go(listening)
            listening.end()
            if call.ending is None:
                call.note("listening_stopped", by=name)
