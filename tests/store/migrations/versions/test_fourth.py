"""Stores that earlier versions have made, with something in every table."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
)
from sqlalchemy.types import TypeEngine

from sipflow.store.migrations import REVISIONS
from sipflow.store.migrations.upgrade import upgrade
from sipflow.store.places import Place
from sipflow.store.tables import Utc, metadata
from tests.store.migrations.versions.asking import ask

VALUES: dict[type[TypeEngine[Any]], object] = {
    String: "x", Integer: 7, Float: 1.5, Boolean: True, LargeBinary: b"x", JSON: {"a": ["b", None]},
    Utc: datetime(2026, 11, 21, 12, 0, 0, 5, UTC),
}  # fmt: skip


def there(connection: Connection) -> list[Table]:
    """Return the tables of a database, with the columns and types that ours have."""
    found = inspect(connection)
    names = set(found.get_table_names())
    tables = []
    for table in (each for each in metadata.sorted_tables if each.name in names):
        columns = {column["name"] for column in found.get_columns(table.name)}
        its = [Column(column.name, column.type) for column in table.columns if column.name in columns]
        tables.append(Table(table.name, MetaData(), *its))
    return tables


def value_of(column: Column[Any]) -> object:
    return next(value for kind, value in VALUES.items() if isinstance(column.type, kind))


def fill(connection: Connection) -> None:
    for table in there(connection):
        connection.execute(insert(table).values({column.name: value_of(column) for column in table.columns}))


def rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    return {
        table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in there(connection)
    }


@pytest.mark.parametrize("version", REVISIONS[:-1])
def test_a_store_of_any_earlier_version_keeps_every_row(place: Place, version: str) -> None:
    upgrade(place, version)
    ask(place, fill)
    before = ask(place, rows)
    upgrade(place)
    after = ask(place, rows)

    assert len(before) >= 15
    assert all(len(its) == 1 for its in before.values())
    assert {name: its for name, its in after.items() if name in before} == before
    assert not any(its for name, its in after.items() if name not in before)


def test_calls_are_no_more_indexed_by_their_sip_call_id(place: Place) -> None:
    upgrade(place)

    indexes = ask(place, lambda connection: inspect(connection).get_indexes("calls"))
    assert {each["name"] for each in indexes} == {
        "ix_calls_agent_started_at", "ix_calls_lead_number_started_at", "ix_calls_started_at"
    }  # fmt: skip
