"""Calls that were announced before their INVITE comes: the id in its X-EI header says which agent takes it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from sipflow.errors import LimitReached

EI = "X-EI"
_TOKEN = re.compile(r"(?:^|[;,\s])([SEO])\.([^;]+)")  # `S.<our id>;E.<the client's own id>;O.<diversion>;`
_MOST = 10_000  # that wait at once; a client that announces and never calls must not fill memory
_RETRY_S = 10


def read_ei(value: str) -> dict[str, str]:
    """Read an X-EI header: `S` is our id of the call, `E` the client's own, `O` who called first.

    Tokens may come in any order; the first of a kind counts, and what is none is passed over.
    """
    found: dict[str, str] = {}
    for kind, text in _TOKEN.findall(value):
        found.setdefault(kind, text.strip())
    return found


@dataclass(frozen=True, slots=True)
class Announced:
    """One call that is expected.

    Attributes:
        id: what the call will be called; goes into X-EI as `S.<id>;`.
        agent: who takes it, whatever agent the number has.
        from_number, to_number: as announced.
        variables: what the agent is given beside the headers.
        created_at, expires_at: UTC wall clock; an INVITE that comes later is a call like any other.
        workspace_id: as announced; we have none.
    """

    id: str
    agent: str
    from_number: str
    to_number: str
    variables: Mapping[str, str]
    created_at: datetime
    expires_at: datetime
    workspace_id: str = ""


class Expected(Protocol):
    """What the switchboard asks for the calls that were announced.

    Attributes:
        read: whether what was announced before a restart is known by now.
    """

    read: bool

    def expected(self, call_id: str) -> Announced | None:
        """Give the announcement with this id, if it is still good."""

    def came(self, call_id: str) -> None:
        """Learn that the call is here: its id is used up."""


class AnnouncedCalls:
    """The announcements that wait for their INVITE, in memory; `on_came` lets the store forget one.

    Args:
        wall: UTC wall clock.
        on_came: told each id that was used, or taken back.
        most: how many may wait at once.
        read: whether there is nothing more to be read of a store.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_came: Callable[[str], None] | None = None,
        most: int = _MOST,
        read: bool = True,
    ) -> None:
        self.on_came = on_came
        self.read = read
        self._wall = wall
        self._most = most
        self._waiting: dict[str, Announced] = {}  # the oldest first

    def announce(self, call: Announced) -> None:
        """Expect a call.

        Raises:
            LimitReached: too many are expected already.
        """
        if len(self._waiting) >= self._most:
            self._drop_expired()
        if len(self._waiting) >= self._most:
            raise LimitReached(
                f"{self._most} announced calls wait for their INVITE already; try again when some have come or expired",
                limit="announced calls",
                retry_after_s=_RETRY_S,
            )
        self._waiting[call.id] = call

    def expected(self, call_id: str) -> Announced | None:
        """Give the announcement with this id; None when there is none, or its time is over."""
        call = self._waiting.get(call_id)
        if call is not None and call.expires_at <= self._wall():
            del self._waiting[call_id]
            return None
        return call

    def came(self, call_id: str) -> None:
        """Let go of an announcement whose call is here, or that nobody wants any more. No error if there is none."""
        if self._waiting.pop(call_id, None) is not None and self.on_came is not None:
            self.on_came(call_id)

    def waiting(self) -> list[Announced]:
        """Give all that are still good, the oldest first."""
        self._drop_expired()
        return list(self._waiting.values())

    def _drop_expired(self) -> None:
        now = self._wall()
        for call in [call for call in self._waiting.values() if call.expires_at <= now]:
            del self._waiting[call.id]
