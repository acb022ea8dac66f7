"""Where databases are, and what went wrong there."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError

from sipflow.errors import StoreError
from sipflow.store.places import blames_values, place_of, sentence
from sipflow.store.settings import Settings

FOLDER = Path("/etc/sipflow")
POSTGRESQL = "postgresql://sipflow:open%2Fsesame@db.example.com:5433/calls"


class Said(Exception):  # noqa: N818
    """What PostgreSQL's driver says."""

    def __init__(self, text: str, state: str) -> None:
        super().__init__(text)
        self.sqlstate = state


def test_sqlite_is_a_file() -> None:
    place = place_of(Settings(url="sqlite:///a b%20c.db"), folder=FOLDER)

    assert (place.sqlite, place.file, str(place)) == (True, FOLDER / "a b%20c.db", "/etc/sipflow/a b%20c.db")
    assert place.url.drivername == "sqlite+aiosqlite"


@pytest.mark.parametrize("kind", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_postgresql_is_shown_without_its_password(kind: str) -> None:
    place = place_of(Settings(url=POSTGRESQL.replace("postgresql", kind)), folder=FOLDER)

    assert (place.sqlite, place.file, place.url.password) == (False, None, "open/sesame")
    assert str(place) == "postgresql+asyncpg://sipflow:***@db.example.com:5433/calls"


def test_a_url_that_cannot_be_read_is_told_without_it() -> None:
    with pytest.raises(StoreError) as told:
        place_of(Settings(url="postgresql://sipflow:open:sesame@db:port/calls"), folder=FOLDER)

    assert "sesame" not in str(told.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError("SELECT 'secret'", {}, sqlite3.OperationalError("database is locked")), "has locked it"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (sqlite3.DatabaseError("file is not a database"), "the file is no SQLite database"),
        (Said("password authentication failed for user", "28P01"), "the user or the password is not right"),
        (Said("sorry, too many clients already", "53300"), "out of room or of connections"),
        (TimeoutError(), "it does not answer in time"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 5432)"), "Connect call failed"),
        (ValueError(), "ValueError"),
    ],
)  # fmt: skip
def test_what_a_database_says_becomes_a_sentence(error: Exception, words: str) -> None:
    text = sentence(place_of(Settings(url=POSTGRESQL), folder=FOLDER), error)

    assert text.startswith("the store postgresql+asyncpg://sipflow:***@db.example.com:5433/calls cannot be used: ")
    assert words in text
    assert "secret" not in text
    assert "sesame" not in text


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (None, False),
        (OperationalError("", {}, sqlite3.OperationalError("database is locked")), False),
        (IntegrityError("", {}, sqlite3.IntegrityError("NOT NULL constraint failed")), True),
        (DataError("", {}, Said("value too long", "22001")), True),
        (ProgrammingError("", {}, sqlite3.ProgrammingError("Error binding parameter 3")), True),
        (ProgrammingError("", {}, Said("relation does not exist", "42P01")), False),
        (OperationalError("", {}, Said("invalid byte sequence", "22021")), True),
        (OperationalError("", {}, Said("disk full", "53100")), False),
    ],
)
def test_only_what_other_values_would_cure_is_blamed_on_the_values(error: Exception | None, blamed: bool) -> None:
    assert blames_values(error) is blamed
