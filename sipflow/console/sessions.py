"""Who is signed in. A session is this process's own: a restart, a sign-out or its time ends it for good.

The cookie has a random id, when it ends, and an HMAC over both. The token that was shown stays here, and is looked at
again with every request: one that is revoked ends its sessions, too.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_ID_BYTES = 32


@dataclass(slots=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        id: random.
        authorization: what the API is told, with the token; in no repr.
        ends_at: on the clock of the sessions.
        under_way: what is being answered; cut off when the session ends.
    """

    id: str
    authorization: str = field(repr=False)
    ends_at: float
    under_way: set[asyncio.Timeout] = field(default_factory=set, repr=False)


class Sessions:
    """Every session there is."""

    def __init__(self, life_s: float, most: int, *, clock: Callable[[], float] = time.time) -> None:
        """Know nobody yet.

        Args:
            life_s: of a session.
            most: sessions at once; the oldest makes room.
            clock: seconds, the same ones for as long as the process lives.
        """
        self._life_s = life_s
        self._most = most
        self._clock = clock
        self._key = secrets.token_bytes(_ID_BYTES)
        self._all: OrderedDict[str, Session] = OrderedDict()

    def begin(self, authorization: str) -> Session:
        """Let somebody in."""
        session = Session(secrets.token_urlsafe(_ID_BYTES), authorization, float(int(self._clock() + self._life_s)))
        self._all[session.id] = session
        while len(self._all) > self._most:
            self.end(next(iter(self._all.values())))
        return session

    def cookie(self, session: Session) -> str:
        """Write the value of the session's cookie."""
        text = f"{session.id}.{int(session.ends_at)}"
        return f"{text}.{self._sign(text)}"

    def find(self, cookie: str) -> Session | None:
        """Return whose cookie this is; None for one that was not made here, was changed, or is over."""
        text, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(self._sign(text).encode(), signature.encode("utf-8", "replace")):
            return None
        session = self._all.get(text.partition(".")[0])
        if session is not None and session.ends_at <= self._clock():
            self.end(session)
            return None
        return session

    def left_s(self, session: Session) -> float:
        """Return how long a session still lasts."""
        return session.ends_at - self._clock()

    def end(self, session: Session) -> None:
        """Let somebody in no more, and cut off what they are being sent. Twice is once."""
        self._all.pop(session.id, None)
        for limit in session.under_way:
            limit.reschedule(asyncio.get_running_loop().time())

    @contextmanager
    def lasting(self, session: Session) -> Iterator[asyncio.Timeout]:
        """Give the limit under which something is sent to a session: `async with` it."""
        limit = asyncio.timeout(self.left_s(session))
        session.under_way.add(limit)
        try:
            yield limit
        finally:
            session.under_way.discard(limit)

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
