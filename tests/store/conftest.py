"""The databases that the tests of this folder ask for; tests/store/databases.py has them."""

from tests.store.databases import database, sqlite_settings, sqlite_template, store_settings
from tests.store.postgres import postgres, postgres_url, template

__all__ = [
    "database",
    "postgres",
    "postgres_url",
    "sqlite_settings",
    "sqlite_template",
    "store_settings",
    "template",
]
