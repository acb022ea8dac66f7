"""What an operator says about the store."""

from pathlib import Path

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.store.settings import Settings, journal_file, sqlite_file

FOLDER = Path("/etc/sipflow")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("", "/etc/sipflow/sipflow.db"),
        ("sqlite:///calls.db", "/etc/sipflow/calls.db"),
        ("sqlite+aiosqlite:////var/lib/sipflow/sipflow.db", "/var/lib/sipflow/sipflow.db"),
        ("sqlite:////var/lib/sip flow/a%b.db?timeout=3", "/var/lib/sip flow/a%b.db"),
    ],
)
def test_a_path_starts_at_the_folder_of_the_configuration(url: str, file: str) -> None:
    assert sqlite_file(Settings(url=url), folder=FOLDER) == Path(file)
    assert journal_file(Settings(url=url), folder=FOLDER) == Path(file + ".calls")


def test_postgresql_has_its_journal_beside_the_configuration_or_where_it_is_told() -> None:
    url = "postgresql://sipflow:secret@db/sipflow"

    assert sqlite_file(Settings(url=url), folder=FOLDER) is None
    assert journal_file(Settings(url=url), folder=FOLDER) == Path("/etc/sipflow/sipflow.calls")
    assert journal_file(Settings(url=url, journal="/var/lib/sipflow/calls"), folder=FOLDER) == Path(
        "/var/lib/sipflow/calls"
    )


@pytest.mark.parametrize(
    "url", ["sipflow.db", "mysql://db/sipflow", "sqlite:", "postgresql+psycopg2://db/x", "sqlite+pysqlcipher:///x"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(LocalProtocolError, match="url: must be the URL of a database: sqlite:///FILE or postgresql://"):
        Settings(url=url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+aiosqlite:///:memory:?a=b"])
def test_a_database_that_keeps_nothing_is_refused(url: str) -> None:
    with pytest.raises(LocalProtocolError, match="url: a database in memory keeps nothing"):
        Settings(url=url)


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="at least 32 random characters; make one with: openssl rand"):
        Settings(encryption_keys=("k" * 32, "short"))


@pytest.mark.parametrize("days", [0.0, -1.0, float("nan"), float("inf")])
def test_an_age_of_nothing_is_refused(days: float) -> None:
    with pytest.raises(LocalProtocolError, match="keep_records_days: must be more than 0 days"):
        Settings(keep_records_days=days)
    with pytest.raises(LocalProtocolError, match="keep_recordings_days: must be more than 0 days"):
        Settings(keep_recordings_days=days)


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings(url="postgresql://sipflow:secret@db/sipflow", encryption_keys=("s" * 40,)))

    assert "secret" not in shown
    assert "sss" not in shown
