"""An API to talk to over real HTTP messages: the application on a real store, a client, and what tests look into."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from sipflow.api.app import create_app
from sipflow.api.auth import Door
from sipflow.api.context import Context
from sipflow.api.settings import Settings
from sipflow.calls.inbound import InboundCall
from sipflow.daemon.created import HandlerCheck
from sipflow.numbers.inventory import Number
from sipflow.store.database import Database
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings as StoreSettings
from sipflow.store.tokens import Tokens
from sipflow.trunks.fields import TrunkFields, trunk_from_fields
from sipflow.trunks.snapshot import OFF, RegistrationSnapshot
from sipflow.trunks.trunk import Trunk

ADMIN = "a token that opens everything"
DECLARED_NUMBER, DECLARED_AGENT, DECLARED_TRUNK = "+12065550100", "front-desk", "pbx"


async def desk(call: InboundCall) -> None:
    """An agent of the user's own."""
    await call.answer()


@dataclass
class Stage:
    """One API.

    Attributes:
        client: sends requests with the token `ADMIN`.
        registrations: what the trunks' registrations are said to be; whoever is not in there does not register.
    """

    app: FastAPI
    client: httpx.AsyncClient
    context: Context
    database: Database
    directory: Directory
    registrations: dict[str, RegistrationSnapshot] = field(default_factory=dict)

    async def token(self, *scopes: str) -> str:
        """Make a token with these scopes; returns its text."""
        return (await Tokens(self.database).create("test", scopes))[1]

    async def get(self, path: str, *, status: int = 200, **arguments: Any) -> Any:
        return await self.ask("GET", path, status=status, **arguments)

    async def post(self, path: str, body: object = None, *, status: int = 200, **arguments: Any) -> Any:
        return await self.ask("POST", path, status=status, json=body, **arguments)

    async def put(self, path: str, body: object = None, *, status: int = 200, **arguments: Any) -> Any:
        return await self.ask("PUT", path, status=status, json=body, **arguments)

    async def patch(self, path: str, body: object = None, *, status: int = 200, **arguments: Any) -> Any:
        return await self.ask("PATCH", path, status=status, json=body, **arguments)

    async def delete(self, path: str, *, status: int = 200, **arguments: Any) -> Any:
        return await self.ask("DELETE", path, status=status, **arguments)

    async def ask(self, method: str, path: str, *, status: int = 200, **arguments: Any) -> Any:
        """Send a request; return the body of the answer, whose status must be this."""
        answer = await self.client.request(method, path, **arguments)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def refused(self, method: str, path: str, *, status: int, **arguments: Any) -> str:
        """Send a request that is refused with this status; return the sentence."""
        body = await self.ask(method, path, status=status, **arguments)
        assert set(body) == {"detail"}
        assert set(body["detail"]) == {"status", "description", "request_id", "category"}
        return str(body["detail"]["description"])


@asynccontextmanager
async def stage(
    store: StoreSettings,
    folder: Path,
    *,
    settings: Settings | None = None,
    tokens: Iterable[str] = (ADMIN,),
    raising: bool = True,
) -> AsyncIterator[Stage]:
    """Give an API with a declared number, agent and trunk.

    Args:
        raising: whether an exception that leaves the application is the client's, as it must never be.
    """
    database = await Database.open(store, folder=folder)
    registrations: dict[str, RegistrationSnapshot] = {}
    directory = Directory(check=HandlerCheck(folder))
    directory.declare(trunks={DECLARED_TRUNK: declared_trunk()}, numbers=[declared_number()], agents=[declared_agent()])
    await directory.load(database)
    context = Context(
        directory=directory,
        database=database,
        registration=lambda trunk: registrations.get(trunk, OFF),
        origination_uri="sip:203.0.113.5:5060",
        settings=settings or Settings(),
    )
    app = create_app(context, Door(Tokens(database), tokens))
    transport = httpx.ASGITransport(app, raise_app_exceptions=raising)
    headers = {"Authorization": f"Bearer {ADMIN}"}
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://sipflow.test", headers=headers) as client:
            yield Stage(app, client, context, database, directory, registrations)
    finally:
        await database.close()


def declared_trunk() -> Trunk:
    fields = TrunkFields(sip_domain="pbx.example.com", username="2001", password="never shown", uac_enabled=True)
    trunk = trunk_from_fields(DECLARED_TRUNK, fields)
    assert trunk is not None
    return trunk


def declared_number() -> Number:
    return Number(DECLARED_NUMBER, friendly_name="Front desk", trunk=DECLARED_TRUNK, inbound_agent=DECLARED_AGENT)


def declared_agent() -> tuple[str, str, dict[str, object]]:
    return (
        DECLARED_AGENT,
        "stream",
        {"url": "wss://bot.example.com/media", "dialect": "twilio", "sign_secret": "never shown to anybody"},
    )
