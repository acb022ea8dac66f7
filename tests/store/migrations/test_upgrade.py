"""Databases brought up to date."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from sipflow.errors import StoreError
from sipflow.store.migrations import REVISIONS
from sipflow.store.migrations.upgrade import configuration, upgrade
from sipflow.store.places import Place, place_of
from sipflow.store.settings import Settings


def place(folder: Path, name: str = "sipflow.db") -> Place:
    return place_of(Settings(url=f"sqlite:///{name}"), folder=folder)


def tables(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "sipflow.db")) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_the_steps_are_those_that_the_package_names() -> None:
    steps = [each.revision for each in ScriptDirectory.from_config(configuration()).walk_revisions()]

    assert tuple(reversed(steps)) == REVISIONS


def test_once_more_changes_nothing(tmp_path: Path) -> None:
    upgrade(place(tmp_path))
    before = tables(tmp_path)
    upgrade(place(tmp_path))

    assert tables(tmp_path) == before


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "sipflow.db")) as connection:
        connection.execute("CREATE TABLE deliveries (mine)")

    with pytest.raises(StoreError, match="table deliveries already exists"):
        upgrade(place(tmp_path))
    assert tables(tmp_path) == {"deliveries"}


def test_a_step_that_nobody_knows_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used: Can't locate revision identified by '9999'"):
        upgrade(place(tmp_path), "9999")
