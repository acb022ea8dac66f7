import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipflow.store.database import Database
from sipflow.store.settings import Settings
from sipflow.store.tokens import Token, Tokens
from tests.cli.conftest import Sipflow
from tests.store.databases import sqlite_settings, sqlite_template

__all__ = ["sqlite_settings", "sqlite_template"]


@pytest.fixture
def config(sqlite_settings: Settings, tmp_path: Path) -> Path:
    """A configuration beside a store with our tables and nothing in them."""
    file = tmp_path / "sipflow.yaml"
    file.write_text("agents: {echo: {handler: echo}}\ntrunks: {pbx: {password: '${NOT_SET_HERE}'}}\n")
    return file


def kept(folder: Path) -> list[Token]:
    async def read() -> list[Token]:
        database = await Database.open(Settings(), folder=folder, make=False)
        try:
            return await Tokens(database).everything()
        finally:
            await database.close()

    return asyncio.run(read())


def found(folder: Path, text: str) -> Token | None:
    async def read() -> Token | None:
        database = await Database.open(Settings(), folder=folder, make=False)
        try:
            return await Tokens(database).find(text)
        finally:
            await database.close()

    return asyncio.run(read())


def test_create_prints_the_token_alone_and_once(sipflow: Sipflow, config: Path) -> None:
    made = sipflow("token", "create", "--name", "crm", "--scope", "calls:write", "--config", str(config))
    text = made.stdout.strip()
    (token,) = kept(config.parent)
    listed = sipflow("token", "list", "--config", str(config))

    assert (made.exit_code, listed.exit_code) == (0, 0)
    assert re.fullmatch(r"sipflow_[A-Za-z0-9_-]{43}", text)
    assert made.stderr == f"{token.id}, for calls:write; keep the token, it is shown this once\n"
    assert found(config.parent, text) == token
    assert listed.stdout == f"{token.id}  good  never used  crm  calls:write\n"
    assert text.encode() not in (config.parent / "sipflow.db").read_bytes()


def test_without_scope_a_token_is_for_everything_and_days_end_it(sipflow: Sipflow, config: Path) -> None:
    before = datetime.now(UTC)
    sipflow("token", "create", "--days", "2", "--config", str(config))
    (token,) = kept(config.parent)

    assert token.scopes == ("admin",)
    assert token.expires_at is not None
    assert timedelta(days=2) <= token.expires_at - before < timedelta(days=2, minutes=1)


def test_revoke_closes_the_door(sipflow: Sipflow, config: Path) -> None:
    sipflow("token", "create", "--config", str(config))
    (token,) = kept(config.parent)
    done = sipflow("token", "revoke", token.id, "--config", str(config))

    assert (done.exit_code, done.stdout) == (0, f"{token.id} is revoked\n")
    assert kept(config.parent)[0].revoked_at is not None
    assert "  revoked  " in sipflow("token", "list", "--config", str(config)).stdout


def test_what_goes_wrong_is_said_with_an_exit_status_of_its_own(sipflow: Sipflow, config: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "new"
    elsewhere.mkdir()
    (elsewhere / "sipflow.yaml").write_text("{}\n")
    said = [
        sipflow("token", *arguments)
        for arguments in (
            ("revoke", "tok_none", "--config", str(config)),
            ("create", "--scope", "all", "--config", str(config)),
            ("list", "--config", str(tmp_path / "missing.yaml")),
            ("list", "--config", str(elsewhere / "sipflow.yaml")),
        )
    ]

    assert [each.exit_code for each in said] == [1, 2, 78, 69]
    assert said[0].stderr == "sipflow: there is no token 'tok_none'\n"
    assert said[1].stderr.startswith("sipflow: scopes: 'all' is unknown; choose from numbers:read, ")
    assert "there is no store" in said[3].stderr
