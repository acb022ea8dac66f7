"""A short way past FastAPI for the request that comes by the hundred a second: `POST /v2/calls`.

The framework's routing, injection and validation cost several times what placing the call does. Only requests that are
plainly in order go this way; all others are left to the framework's route, which also says what is wrong with them.
"""

import json
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError
from starlette.responses import JSONResponse

from sipflow.api.auth import Caller
from sipflow.api.models.calls import PlaceCall
from sipflow.api.routes.calls import IDEMPOTENCY_KEY, order

if TYPE_CHECKING:
    from sipflow.api.call_desk import CallDesk
    from sipflow.api.context import Context

Scope = MutableMapping[str, Any]
_JSON = b"application/json"


class Express(Protocol):
    """A short way for some requests."""

    async def __call__(self, scope: Scope, body: bytes) -> JSONResponse | None:
        """Carry out a request and return the answer; do nothing and return None where the framework must have it."""


class PlacingExpress:
    """The short way of `POST /v2/calls`."""

    def __init__(self, context: "Context") -> None:
        self._context = context

    async def __call__(self, scope: Scope, body: bytes) -> JSONResponse | None:
        """See `Express`.

        Raises:
            SipflowError: the call cannot be placed, as the route would say.
        """
        desk, caller, key = self._context.calls, scope.get("caller"), _key(scope["headers"])
        if desk is None or key is None or not isinstance(caller, Caller) or not caller.may("calls:write"):
            return None
        wanted = _read(body)
        return None if wanted is None else await _placed(desk, caller, key, wanted)


async def _placed(desk: "CallDesk", caller: Caller, key: str, wanted: PlaceCall) -> JSONResponse:
    outcome = await order(desk, caller, wanted, key)
    return JSONResponse(outcome.response, headers=outcome.headers)


def _key(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Give the Idempotency-Key, "" for none; None where something about the headers is unusual."""
    found, typed = [], False
    for name, value in headers:
        if name == b"idempotency-key":
            found.append(value)
        elif name == b"content-type":
            if typed or value != _JSON:
                return None
            typed = True
    if not typed or len(found) > 1:
        return None
    key = found[0].decode("latin-1") if found else ""
    return key if IDEMPOTENCY_KEY.fullmatch(key) else None


def _read(body: bytes) -> PlaceCall | None:
    try:
        said = json.loads(body)
        return PlaceCall.model_validate(said) if isinstance(said, Mapping) else None
    except (ValueError, ValidationError, RecursionError):  # the route says what is wrong with it
        return None
