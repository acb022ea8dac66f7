"""Questions to a database that no engine of ours has open."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from sipflow.store.places import Place

_T = TypeVar("_T")


def ask(place: Place, question: Callable[[Connection], _T]) -> _T:
    """Run `question` in a transaction of its own; give what it gives."""

    async def run() -> _T:
        engine = create_async_engine(place.url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(question)
        finally:
            await engine.dispose()

    return asyncio.run(run())
