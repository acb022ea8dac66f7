"""Where a database is: what an operator's URL means, and what went wrong there in words."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, ProgrammingError

from sipflow.errors import StoreError
from sipflow.store.settings import Settings, sqlite_file

_SQLITE_DRIVER, _POSTGRESQL_DRIVER = "sqlite+aiosqlite", "postgresql+asyncpg"

# What SQLite says -> what that means to whoever runs it.
_SQLITE = {
    "unable to open database file": "its folder does not exist, or sipflow may not write there",
    "database is locked": "another program has locked it for too long; see what holds it (a backup, a shell)",
    "attempt to write a readonly database": "sipflow may not write to it; it needs rights to the file and its folder",
    "readonly database": "sipflow may not write to it; it needs rights to the file and its folder",
    "disk is full": "the disk is full",
    "disk I/O error": "the disk fails to read or write",
    "not a database": "the file is no SQLite database",
    "malformed": "the file is damaged; put the last backup in its place",
    "QueuePool limit": "too many ask it at once",
}
# The same for PostgreSQL, by SQLSTATE; two characters are a class of them.
_POSTGRESQL = {
    "28": "the user or the password is not right",
    "3D000": "there is no database of this name; make it with createdb",
    "42501": "the user may not do this in the database",
    "53": "the server is out of room or of connections",
    "57P03": "the server is starting or stopping",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A database.

    Attributes:
        url: with the driver we use.
        file: of SQLite, None elsewhere.
    """

    url: URL
    file: Path | None

    @property
    def sqlite(self) -> bool:
        return self.file is not None

    def __str__(self) -> str:
        return str(self.file) if self.file is not None else self.url.render_as_string(hide_password=True)


def place_of(settings: Settings, *, folder: Path) -> Place:
    """Say where the database is.

    Args:
        settings: of the store.
        folder: of the configuration, where relative paths start.

    Raises:
        StoreError: the URL is none.
    """
    file = sqlite_file(settings, folder=folder)
    if file is not None:
        return Place(URL.create(_SQLITE_DRIVER, database=str(file)), file)
    try:
        url = make_url(settings.url)
    except (ArgumentError, ValueError):
        raise StoreError(
            "store.url is not the URL of a database: is every / : @ in the password written %2F %3A %40?"
        ) from None
    return Place(url.set(drivername=_POSTGRESQL_DRIVER), None)


def sentence(place: Place, error: BaseException) -> str:
    """Say what went wrong with a database, without the statement and its values."""
    original = (error.orig or error) if isinstance(error, DBAPIError) else error
    return f"the store {place} cannot be used: {_cause(original)}"


def blames_values(error: BaseException | None) -> bool:
    """Whether a database refused what it was given, and would take something else."""
    if isinstance(error, DataError | IntegrityError | ProgrammingError):
        return not str(_state(error)).startswith("42")  # a table is missing or the user has no rights to it
    return _state(error).startswith(("22", "23"))


def _state(error: BaseException | None) -> str:
    """Return PostgreSQL's SQLSTATE, "" where there is none."""
    original = getattr(error, "orig", None) or error
    for each in (original, getattr(original, "__cause__", None)):
        if found := getattr(each, "sqlstate", None):
            return str(found)
    return ""


def _cause(error: BaseException) -> str:
    text = str(error).strip()
    for words, meaning in _SQLITE.items():
        if words in text:
            return meaning
    state = _state(error)
    known = _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    if known:
        return known
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return text.splitlines()[0].rpartition(">: ")[2][:300] if text else type(error).__name__
