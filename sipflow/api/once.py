"""Requests that make a call are carried out once, however often they are sent under one Idempotency-Key."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sipflow.calls.record import record_id
from sipflow.errors import ApiError
from sipflow.store.idempotency import IdempotencyKeys

_RANDOM_BYTES = 12
_CUT_OFF = timedelta(seconds=60)  # another process that has not answered by then is gone
_RETRY_S = 2

_FIRST: Mapping[str, str] = {}
_REPLAYED: Mapping[str, str] = {"Idempotency-Replayed": "true"}

Answer = Mapping[str, object]


class Outcome(NamedTuple):
    """What was answered.

    Attributes:
        response: the body.
        replayed: whether it is what was answered before.
    """

    response: Answer
    replayed: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer's headers say of it."""
        return _REPLAYED if self.replayed else _FIRST


class Once:
    """Carries out what has a key once.

    Args:
        keys: remember for a day, over restarts.
        happened: whether there is a call with this id.
        wall: UTC wall clock.
    """

    def __init__(
        self,
        keys: IdempotencyKeys,
        *,
        happened: Callable[[str], Awaitable[bool]],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = keys
        self._happened = happened
        self._wall = wall
        self._at_work: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def run(
        self,
        token_id: str,
        key: str,
        request: object,
        make: Callable[[str], Awaitable[Answer]],
        again: Callable[[str], Answer],
    ) -> Outcome:
        """Carry out a request, or return what it was answered before.

        Args:
            token_id: whose request it is; keys of others are others.
            key: the client's; "" carries it out every time.
            request: what it says, JSON values; another under the same key is refused.
            make: carries it out, for a call with the id it is given. What it raises is not kept.
            again: the answer for a call that was made by a process that died before it could keep its answer.

        Raises:
            ApiError: the key came with another request (422), or that is still at work elsewhere (409).
            StoreError: nothing can be remembered, so nothing was done.
        """
        if not key:
            return Outcome(await make(new_call_id()), False)
        slot = (token_id, key)
        while (other := self._at_work.get(slot)) is not None:
            await asyncio.wait([other])
        self._at_work[slot] = asyncio.get_running_loop().create_future()
        try:
            return await self._run_alone(token_id, key, _hash(request), make, again)
        finally:
            self._at_work.pop(slot).set_result(None)

    async def _run_alone(
        self,
        token_id: str,
        key: str,
        wanted: str,
        make: Callable[[str], Awaitable[Answer]],
        again: Callable[[str], Answer],
    ) -> Outcome:
        while True:
            call_id, now = new_call_id(), self._wall()
            known = await self._keys.claim(token_id, key, wanted, call_id=call_id, now=now)
            if known is None:
                return Outcome(await self._make(token_id, key, call_id, make), False)
            if known.request_hash != wanted:
                raise ApiError(
                    422,
                    "Idempotency-Key: this key came with another request before; a new request needs a new key",
                    "idempotency_key_reused",
                )
            if known.status is not None and known.response is not None:
                return Outcome(known.response, True)
            if await self._happened(known.call_id):
                return Outcome(again(known.call_id), True)
            if now - known.created_at < _CUT_OFF:
                raise ApiError(
                    409,
                    "Idempotency-Key: the first request with this key is still at work; ask again in a moment",
                    "idempotency_key_in_use",
                    headers={"Retry-After": str(_RETRY_S)},
                )
            await self._keys.release(token_id, key)  # its process died before there was a call

    async def _make(self, token_id: str, key: str, call_id: str, make: Callable[[str], Awaitable[Answer]]) -> Answer:
        try:
            answer = await make(call_id)
        except BaseException:  # whatever it was, and cancelled too: nothing was made, so the key is free
            await self._keys.release(token_id, key)
            raise
        self._keys.settle(token_id, key, status=200, response=answer)
        return answer

    async def close(self) -> None:
        """Keep what was answered; there must be no more requests."""
        await self._keys.close()


def new_call_id() -> str:
    """Make an id for a call that nobody can guess."""
    return record_id(secrets.token_hex(_RANDOM_BYTES))


def _hash(request: object) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
