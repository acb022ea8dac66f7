"""What a step of the tables begins with."""

from pathlib import Path

import pytest

from sipflow.store.places import Place, place_of
from sipflow.store.settings import Settings
from tests.store.databases import KINDS
from tests.store.postgres import Postgres


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database."""
    if request.param == "sqlite":
        return place_of(Settings(), folder=tmp_path)
    server = request.getfixturevalue("postgres")
    assert isinstance(server, Postgres)
    return place_of(Settings(url=server.database()), folder=tmp_path)
