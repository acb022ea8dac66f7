"""The keys of a store."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, insert, select
from structlog.testing import capture_logs

from sipflow.errors import StoreError
from sipflow.store.database import Database
from sipflow.store.keys import ENCRYPTED
from sipflow.store.settings import Settings
from sipflow.store.tables import metadata, trunks
from tests.store.postgres import KEY
from tests.store.records import STARTED

NEW = "a new key of more than 32 characters"
# Binary columns that hold no secrets.
PLAIN = {("deliveries", "payload")}


async def test_another_key_is_told_at_once(store_settings: Settings, tmp_path: Path) -> None:
    await (await Database.open(store_settings, folder=tmp_path)).close()

    with pytest.raises(StoreError, match="were encrypted with another key than the one that is given") as told:
        await Database.open(replace(store_settings, encryption_keys=(NEW,)), folder=tmp_path)
    assert NEW not in str(told.value)


async def test_with_a_new_key_in_front_everything_is_encrypted_again_and_the_old_one_may_go(
    store_settings: Settings, tmp_path: Path
) -> None:
    first = await Database.open(store_settings, folder=tmp_path)
    secret = first.cipher.encrypt("open sesame", about="trunks.password:pbx")
    async with first.write() as connection:
        values = {"fields": {}, "created_at": STARTED}
        await connection.execute(insert(trunks).values(name="pbx", password=secret, **values))
        await connection.execute(insert(trunks).values(name="free", password=None, **values))
    await first.close()

    with capture_logs() as logs:
        await (await Database.open(replace(store_settings, encryption_keys=(NEW, KEY)), folder=tmp_path)).close()
        last = await Database.open(replace(store_settings, encryption_keys=(NEW,)), folder=tmp_path)
    async with last.read() as connection:
        rows = (await connection.execute(select(trunks.c.name, trunks.c.password))).all()
    found = {row.name: row.password for row in rows}
    assert last.cipher.decrypt(found["pbx"], about="trunks.password:pbx") == "open sesame"
    assert found["free"] is None
    assert [line["secrets"] for line in logs if "the old one may go" in line["event"]] == [2]  # and the check itself
    await last.close()


def test_no_column_with_secrets_is_left_out() -> None:
    binary = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }

    assert {(table.name, column) for table, column, _, _ in ENCRYPTED} | PLAIN == binary
