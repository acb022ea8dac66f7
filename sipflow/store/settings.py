"""Where records and what the API creates are kept, and for how long."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from sipflow.errors import LocalProtocolError

SHORTEST_KEY = 32  # characters; 24 random bytes in base64 are that long
_FILE = "sipflow.db"  # in the folder of the configuration
_JOURNAL = ".calls"  # behind the name of the SQLite file
_LONGEST_DAYS = 36_500.0
_URL = re.compile(r"sqlite(?:\+aiosqlite)?:///?.*|postgres(?:ql)?(?:\+asyncpg)?://.+", re.DOTALL)
_MEMORY = re.compile(r"sqlite(?:\+aiosqlite)?://(?:/(?::memory:)?)?(?:\?.*)?")
_SQLITE = re.compile(r"sqlite(?:\+aiosqlite)?:///([^?]+)(?:\?.*)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may say about the store.

    Attributes:
        enabled: False keeps nothing at all: calls leave their log lines and no more.
        url: of the database: `sqlite:///FILE`, a path starting at the folder of the configuration, or
            `postgresql://user:password@host/name`; "" is `sipflow.db` in that folder.
        encryption_keys: what passwords and tokens are encrypted with at rest; the first encrypts, all of them decrypt.
            None with SQLite: one is made and kept beside the file.
        journal: file that finished calls are written to before the database has them; "" is `sipflow.db.calls` beside
            SQLite's file, and `sipflow.calls` in the folder of the configuration with PostgreSQL.
        keep_records_days: how long records of calls are kept; None is for ever.
        keep_recordings_days: the same for recordings.
    """

    enabled: bool = True
    url: str = field(default="", repr=False)  # may hold a password
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    journal: str = ""
    keep_records_days: float | None = None
    keep_recordings_days: float | None = None

    def __post_init__(self) -> None:
        if self.url and _URL.fullmatch(self.url) is None:
            raise LocalProtocolError(
                "url: must be the URL of a database: sqlite:///FILE or postgresql://user:password@host/name"
            )
        if _MEMORY.fullmatch(self.url):
            raise LocalProtocolError("url: a database in memory keeps nothing; name a file, as in sqlite:///sipflow.db")
        for name in ("keep_records_days", "keep_recordings_days"):
            days = getattr(self, name)
            if days is not None and not 0 < days <= _LONGEST_DAYS:
                raise LocalProtocolError(f"{name}: must be more than 0 days; leave it out to keep everything")
        for key in self.encryption_keys:
            if len(key) < SHORTEST_KEY:
                raise LocalProtocolError(
                    f"encryption_key: must have at least {SHORTEST_KEY} random characters; "
                    "make one with: openssl rand -base64 32"
                )


def sqlite_file(settings: Settings, *, folder: Path) -> Path | None:
    """Return the file of the database; None where it is not SQLite's, or in no file."""
    found = _SQLITE.fullmatch(settings.url or f"sqlite:///{_FILE}")
    return None if found is None else (folder / found[1]).absolute()


def journal_file(settings: Settings, *, folder: Path) -> Path:
    """Return the file that finished calls are written to before the database has them."""
    if settings.journal:
        return (folder / settings.journal).absolute()
    file = sqlite_file(settings, folder=folder)
    return (folder / _FILE).absolute().with_suffix(_JOURNAL) if file is None else file.with_name(file.name + _JOURNAL)
