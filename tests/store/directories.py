"""Directories to test with, and what is put into them."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType

import pytest_asyncio

from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Number
from sipflow.store.database import Database
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings
from sipflow.trunks.fields import TrunkFields
from sipflow.trunks.trunk import Trunk

DECLARED, OURS, OTHER = "+12065550100", "+12065550111", "+442079460000"
PASSWORD, OPTION = "open-sesame-92", "key-of-the-agent-17"
LOCAL = Trunk(name="local", accept_from=Networks(["127.0.0.0/8"]), username="desk", password="declared-word-3")
PBX = TrunkFields(
    sip_domain="pbx.example.com",
    username="2001",
    password=PASSWORD,
    outbound_proxy="sip:10.0.0.5:5065;transport=tcp",
    auth_username="2001-auth",
    uac_enabled=True,
    uac_register_expires=600,
)
UNUSED = TrunkFields(sip_domain="sip.example.net")


def declare(directory: Directory) -> None:
    """Declare one trunk, two numbers and two agents, as a configuration does."""
    numbers = [
        Number(DECLARED, friendly_name="Echo", trunk="local", inbound_agent="echo"),
        Number("200", outbound_agents=("caller",)),
    ]
    agents = [("echo", "echo", MappingProxyType({})), ("caller", "echo", MappingProxyType({"api_key": OPTION}))]
    directory.declare(trunks={"local": LOCAL}, numbers=numbers, agents=agents, where="sipflow.yaml")


async def opened(database: Database) -> Directory:
    """Open a directory with what `declare` declares."""
    directory = Directory()
    declare(directory)
    await directory.load(database)
    return directory


@pytest_asyncio.fixture
async def sqlite_database(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[Database]:
    """An open SQLite store."""
    database = await Database.open(sqlite_settings, folder=tmp_path)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def directory(sqlite_database: Database) -> Directory:
    """A directory with what `declare` declares, in a new SQLite store."""
    return await opened(sqlite_database)
