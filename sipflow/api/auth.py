"""Who asks, and whether the token is for this: Bearer tokens, hashed, each with its scopes."""

import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from sqlalchemy.exc import SQLAlchemyError

from sipflow.errors import ApiError, StoreError
from sipflow.store.tokens import SCOPES, Token, Tokens, hash_of

_log = structlog.get_logger("sipflow.api")
_REMEMBERED_S = 3.0  # a token that is revoked by the command line closes within this time
_REMEMBERED = 1000
_USED_EVERY_S = 300.0  # how often the use of a token is noted
_LONGEST_TOKEN = 500
_CHALLENGE = 'Bearer realm="sipflow"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is.

    Attributes:
        token_id: of the token; `config:1` for the first that the configuration declares.
        name: for the log.
        scopes: what it may do, all that follows from them included.
    """

    token_id: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the token is for this."""
        return scope in self.scopes


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """Return what these scopes let somebody do: who may write may read, and `admin` may everything."""
    given = set(scopes)
    if "admin" in given:
        return frozenset(SCOPES)
    reading = {scope.removesuffix(":write") + ":read" for scope in given if scope.endswith(":write")}
    return frozenset(given | reading)


class Door:
    """Knows the tokens: those of the configuration, and those of the store as it was a moment ago."""

    def __init__(
        self,
        tokens: Tokens | None,
        declared: Iterable[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the tokens in.

        Args:
            tokens: of the store; None when there is none.
            declared: texts of the tokens that the configuration declares.
            clock, wall: monotonic seconds, and UTC wall clock.
        """
        self._tokens = tokens
        self._clock = clock
        self._wall = wall
        everything = granted(["admin"])
        self._declared = [
            (hash_of(text), Caller(f"config:{place}", f"token {place} of the configuration", everything))
            for place, text in enumerate(declared, 1)
        ]
        self._known: OrderedDict[str, tuple[float, Token | None]] = OrderedDict()
        self._noted: dict[str, float] = {}

    async def open(self, authorization: str) -> Caller:
        """Return whose token stands in the value of an Authorization header.

        Raises:
            ApiError: 401, with what is wrong; never with the token.
            StoreError: it cannot be looked up.
        """
        scheme, _, text = authorization.strip().partition(" ")
        text = text.strip()
        if not authorization:
            raise _refused("send `Authorization: Bearer <token>`; `sipflow token create` makes a token")
        if scheme.lower() != "bearer" or not text or len(text) > _LONGEST_TOKEN:
            raise _refused("the Authorization header is not `Bearer <token>`", "invalid_request")
        found = hash_of(text)
        caller = None
        for wanted, owner in self._declared:  # all of them, so that the time does not tell which
            if hmac.compare_digest(found, wanted):
                caller = owner
        return caller or await self._stored(found, text)

    async def _stored(self, found: str, text: str) -> Caller:
        now = self._clock()
        remembered = self._known.get(found)
        if remembered is None or now - remembered[0] > _REMEMBERED_S:
            token = await self._tokens.find(text) if self._tokens is not None else None
            self._known[found] = remembered = (now, token)
            self._known.move_to_end(found)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        token = remembered[1]
        if token is None:
            raise _refused("this token is unknown", "invalid_token")
        if not token.good_at(self._wall()):
            what = "was revoked" if token.revoked_at is not None else "has expired"
            raise _refused(f"token {token.id} {what}; make another with `sipflow token create`", "invalid_token")
        await self._note(token, now)
        return Caller(token.id, token.name, granted(token.scopes))

    async def _note(self, token: Token, now: float) -> None:
        """Note now and then that a token is in use; that it cannot be noted is no reason to turn somebody away."""
        noted = self._noted.get(token.id)
        if self._tokens is None or (noted is not None and now - noted < _USED_EVERY_S):
            return
        self._noted[token.id] = now
        try:
            await self._tokens.used(token.id)
        except (StoreError, SQLAlchemyError, OSError) as error:
            _log.warning("the use of a token could not be noted", token=token.id, why=type(error).__name__)

    def forget(self) -> None:
        """Look everything up again, for a token was just revoked."""
        self._known.clear()


_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token of `sipflow token create`, or one of `api.tokens` in the configuration. Scopes: "
    + "; ".join(f"`{name}`: {meaning}" for name, meaning in SCOPES.items()),
)


async def authorised(request: Request, wanted: SecurityScopes, _: Annotated[Any, Security(_bearer)]) -> Caller:
    """Return who asks, once it is known that the token is for this.

    Raises:
        ApiError: nobody was let in (401), or the token has not the scope (403).
    """
    caller: Caller | None = request.scope.get("caller")
    if caller is None:
        raise _refused("send `Authorization: Bearer <token>`")
    for scope in wanted.scopes:
        if not caller.may(scope):
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
            sentence = f"this token may not do that: it needs the scope {scope}"
            raise ApiError(403, sentence, "insufficient_scope", headers={"WWW-Authenticate": challenge})
    return caller


def requires(scope: str) -> Any:
    """Return the dependency that lets in only tokens with this scope; it gives the route its `Caller`.

    `async def place(caller: Annotated[Caller, requires("calls:write")])`, or `dependencies=[requires("calls:read")]`.
    """
    if scope not in SCOPES:
        raise ValueError(f"there is no scope {scope}")
    return Security(authorised, scopes=[scope])


def _refused(sentence: str, error: str = "") -> ApiError:
    challenge = _CHALLENGE + (f', error="{error}"' if error else "")
    return ApiError(401, sentence, headers={"WWW-Authenticate": challenge})


Opens = Callable[[str], Awaitable[Caller]]
