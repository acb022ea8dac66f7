"""The steps and the tables that the code uses are the same."""

from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from sipflow.store.migrations.upgrade import upgrade
from sipflow.store.migrations.versions import first, fourth, second, third
from sipflow.store.places import Place, place_of
from sipflow.store.settings import Settings
from sipflow.store.tables import metadata
from tests.store.migrations.versions.asking import ask


def difference(connection: Connection) -> str:
    """Return what a new step would have to do."""
    defaults = connection.dialect.name == "postgresql"  # Alembic cannot compare those of SQLite
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": defaults})
    operations = produce_migrations(context, metadata).upgrade_ops
    assert operations is not None
    return "" if operations.is_empty() else render_python_code(operations)


def test_the_steps_make_the_tables_that_the_code_uses(place: Place) -> None:
    """When this fails, the message shows what the new step must do."""
    upgrade(place)

    assert ask(place, difference) == ""


def test_the_way_back_leaves_no_table(place: Place) -> None:
    upgrade(place)

    def back(connection: Connection) -> list[str]:
        from alembic.operations import Operations

        with Operations.context(MigrationContext.configure(connection)):
            for step in (fourth, third, second, first):
                step.downgrade()
        return [name for name in inspect(connection).get_table_names() if name != "alembic_version"]

    assert ask(place, back) == []


def test_the_steps_make_them_in_the_same_words(tmp_path: Path) -> None:
    """With conditions of indexes, too, which Alembic does not compare."""
    place = place_of(Settings(), folder=tmp_path)
    upgrade(place)
    wanted = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version' ORDER BY name"

    def by_hand(connection: Connection) -> None:
        metadata.create_all(connection)

    def said(connection: Connection) -> list[str]:
        return list(connection.exec_driver_sql(wanted).scalars())

    other = place_of(Settings(url="sqlite:///other.db"), folder=tmp_path)
    ask(other, by_hand)
    assert ask(place, said) == ask(other, said)
