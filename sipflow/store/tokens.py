"""API tokens: 256 random bits each, of which only the SHA-256 is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping

from sipflow.errors import LocalProtocolError, NotFound
from sipflow.store.database import Database
from sipflow.store.tables import tokens as table

PREFIX = "sipflow_"  # so that a token is known for one where it was left by mistake
_RANDOM_BYTES = 32
_NAME_CHARACTERS = 200

SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "numbers:read": "see numbers, trunks and pools",
        "numbers:write": "import, change and delete numbers, trunks and pools",
        "agents:read": "see agents and phone books",
        "agents:write": "create, change and delete agents and phone books, and attach numbers to agents",
        "calls:read": "see calls and what happens in them",
        "calls:write": "place and announce calls, and act on live ones",
        "recordings:read": "fetch recordings, and listen to live calls",
        "logs:read": "see the log, and the deliveries of webhooks",
        "logs:write": "send deliveries of webhooks once more",
        "status:read": "see metrics and how the edge is",
        "admin": "everything, tokens among it",
    }
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without the text that opens the door.

    Attributes:
        id: for lists and for `revoke`.
        name: for people.
        scopes: what it may be used for, names of `SCOPES`.
        created_at, expires_at, last_used_at, revoked_at: UTC wall clock; None where that has not been or will not be.
            The use is noted now and then, not each time.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def good_at(self, now: datetime) -> bool:
        """Whether it opens the door at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def hash_of(text: str) -> str:
    """Return what is kept of a token's text; it is random, so no salt is needed and no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class Tokens:
    """The tokens of one store; several processes may use them at once."""

    def __init__(self, database: Database, *, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._wall = wall

    async def create(
        self, name: str, scopes: Iterable[str], *, expires_at: datetime | None = None
    ) -> tuple[Token, str]:
        """Make a token; return it with its text, which is nowhere else and cannot be had again.

        Raises:
            LocalProtocolError: no name, no scope, an unknown scope, or an end that has passed.
        """
        wanted = _checked(name, scopes)
        now = self._wall()
        if expires_at is not None and expires_at <= now:
            raise LocalProtocolError("expires_at: it has passed already")
        text = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
        token = Token("tok_" + secrets.token_hex(8), name.strip(), wanted, now, expires_at)
        values = {
            "id": token.id, "name": token.name, "hash": hash_of(text), "scopes": list(wanted),
            "created_at": now, "expires_at": expires_at,
        }  # fmt: skip
        async with self._database.write() as connection:
            await connection.execute(insert(table).values(values))
        return token, text

    async def everything(self) -> list[Token]:
        """Return all tokens, revoked ones too, the oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(table).order_by(table.c.created_at, table.c.id))
            return [_token(row) for row in rows.mappings()]

    async def find(self, text: str) -> Token | None:
        """Return the token with this text, good or not; None when there is none."""
        wanted = hash_of(text)
        async with self._database.read() as connection:
            row = (await connection.execute(select(table).where(table.c.hash == wanted))).mappings().first()
        if row is None or not hmac.compare_digest(row["hash"], wanted):
            return None
        return _token(row)

    async def used(self, token_id: str) -> None:
        """Note that a token is in use."""
        async with self._database.write() as connection:
            await connection.execute(update(table).where(table.c.id == token_id).values(last_used_at=self._wall()))

    async def revoke(self, token_id: str) -> None:
        """Close the door to a token for good; once more is no error.

        Raises:
            NotFound: there is no such token.
        """
        async with self._database.write() as connection:
            known = await connection.execute(select(table.c.id).where(table.c.id == token_id))
            if known.first() is None:
                raise NotFound(f"there is no token {token_id[:80]!r}")
            fresh = (table.c.id == token_id) & table.c.revoked_at.is_(None)
            await connection.execute(update(table).where(fresh).values(revoked_at=self._wall()))


def _checked(name: str, scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes in the order of `SCOPES`, each once."""
    if not 0 < len(name.strip()) <= _NAME_CHARACTERS or not name.isprintable():
        raise LocalProtocolError(f"name: it has 1 to {_NAME_CHARACTERS} characters that print")
    wanted = list(scopes)
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        what = f"{unknown[0][:80]!r} is unknown" if unknown else "there is none"
        raise LocalProtocolError(f"scopes: {what}; choose from {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in wanted)


def _token(row: RowMapping) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        scopes=tuple(row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )
