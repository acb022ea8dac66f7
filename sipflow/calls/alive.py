"""Waits that end with the call: like `asyncio.timeout`, but the alarm is the far end hanging up."""

import asyncio
from types import TracebackType

from sipflow.errors import CallEnded


class Lifetime:
    """The life of one call. `with lifetime.scope():` lets the awaits inside raise `CallEnded` when it is over."""

    __slots__ = ("_ended", "_scopes")

    def __init__(self) -> None:
        self._scopes: list[Scope] = []
        self._ended: CallEnded | None = None

    def scope(self) -> "Scope":
        """A block whose awaits end with the call; entering it after the end raises at once."""
        return Scope(self)

    def check(self) -> None:
        """Do nothing while the call lives.

        Raises:
            CallEnded: it is over.
        """
        if self._ended is not None:
            raise CallEnded(self._ended.reason, by=self._ended.by)

    def end(self, by: str, why: str) -> None:
        """End every wait now; of blocks nested in one task the innermost is told."""
        self._ended = CallEnded(why, by=by)
        if not self._scopes:
            return
        innermost = {scope.task: scope for scope in self._scopes}
        for scope in innermost.values():
            scope.interrupt()

    def enter(self, scope: "Scope") -> None:
        """Let the end of the call interrupt `scope`; raises CallEnded if it is over already."""
        self.check()
        self._scopes.append(scope)

    def leave(self, scope: "Scope") -> None:
        """Let `scope` go."""
        self._scopes.remove(scope)


class Scope:
    """One block of one task."""

    __slots__ = ("_cancelled", "_cancelling", "_interrupted", "_lifetime", "task")

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self._interrupted = False
        self._cancelled = False
        self._cancelling = 0
        self.task: asyncio.Task[object] | None = None

    def interrupt(self) -> None:
        """Wake the task out of whatever it waits for; one that ended the call itself is not waiting."""
        if self._interrupted or self.task is None:
            return
        self._interrupted = True
        if self.task is not asyncio.current_task():
            self._cancelled = True
            self.task.cancel()

    def __enter__(self) -> None:
        self.task = asyncio.current_task()
        self._cancelling = self.task.cancelling() if self.task is not None else 0
        self._lifetime.enter(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lifetime.leave(self)
        if not self._interrupted or self.task is None:
            return
        # As asyncio.timeout does: only a cancellation that is ours becomes CallEnded; one from outside passes.
        ours = not self._cancelled or self.task.uncancel() <= self._cancelling
        if ours and (kind is None or kind is asyncio.CancelledError):
            self._lifetime.check()
