"""A PostgreSQL server of our own: started when a test asks for it, one for all tests of a process, gone with them."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest

from sipflow.store.migrations.upgrade import upgrade
from sipflow.store.places import place_of
from sipflow.store.settings import Settings
from sipflow.store.tables import metadata
from tests.interop.free_ports import free_sip_port
from tests.interop.programs import end_with_parent, missing
from tests.interop.waiting import wait_until

KEY = "a key for the tests, of many characters"
_OWNERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root
_PATIENCE_S = 20.0


def programs() -> Path:
    """Return the folder of `initdb` and `postgres`; without them the test is skipped, or has failed where CI=true."""
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    if not folders:
        missing("PostgreSQL is not installed (Debian package postgresql)")
    return folders[-1]


class Postgres:
    """One server with a folder of its own.

    Attributes:
        port: on 127.0.0.1.
    """

    def __init__(self) -> None:
        self._programs = programs()
        self._owner = _owner()
        self.port = free_sip_port()
        self._folder = Path(tempfile.mkdtemp(prefix="sipflow-postgres-"))
        self._server: subprocess.Popen[bytes] | None = None
        if self._owner is not None:
            os.chown(self._folder, self._owner, -1)
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-A", "trust", "-U", "sipflow", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers. It ends with the thread that starts it."""
        options = {
            "port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "shared_buffers": "16MB", "max_connections": "60", "logging_collector": "off",
        }  # fmt: skip
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", user=self._owner,
                extra_groups=None if self._owner is None else [], preexec_fn=end_with_parent,
            )  # fmt: skip
        wait_until(self._answers, "an answer from PostgreSQL", timeout_s=_PATIENCE_S, evidence=self._said)

    def stop(self, *, at_once: bool = True) -> None:
        """Stop it, as an operator does who restarts it; `start` starts it again."""
        if self._server is not None:
            with suppress(ProcessLookupError):
                self._server.send_signal(2 if at_once else 15)  # SIGINT ends sessions, SIGTERM waits for them
            self._server.wait(_PATIENCE_S)
            self._server = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Stop it and its sessions where they are: it takes connections and says nothing."""
        assert self._server is not None
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        everybody = [self._server.pid, *map(int, children)]
        try:
            for process in everybody:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in everybody:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and remove everything."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(_PATIENCE_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, as an operator writes it."""
        return f"postgresql://sipflow:none@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"t{uuid4().hex}"
        self._run("createdb", "-T", "template0", *self._where(), name)
        return self.url(name)

    def say(self, url: str, statement: str) -> None:
        """Run a statement in a database."""
        self._run("psql", "-q", "-d", url.rpartition("/")[2], "-c", statement, *self._where())

    def _where(self) -> tuple[str, ...]:
        return "-h", "127.0.0.1", "-p", str(self.port), "-U", "sipflow"

    def _answers(self) -> bool:
        if self._server is None or self._server.poll() is not None:
            raise AssertionError(f"PostgreSQL has ended\n{self._said()}")
        return subprocess.run([self._programs / "pg_isready", "-q", *self._where()], check=False).returncode == 0

    def _said(self) -> str:
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments], check=False, capture_output=True, text=True, cwd="/",
            user=self._owner, extra_groups=None if self._owner is None else [],
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stderr}"


def _owner() -> int | None:
    """Return the user to run it as; None for whoever runs the tests."""
    if os.getuid() != 0:
        return None
    for name in _OWNERS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise AssertionError(f"none of the users {_OWNERS} exists to run PostgreSQL as")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server. A test that stops it starts it again."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """A database with our tables."""
    url = postgres.database()
    upgrade(place_of(Settings(url=url), folder=Path()))
    return url


@pytest.fixture
def postgres_url(postgres: Postgres, template: str) -> str:
    """A database with our tables and nothing in them: the same for every test, emptied; a new one takes long."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_empty(template))
    finally:
        loop.close()
    return template


async def _empty(url: str) -> None:
    """To delete the few rows of a test costs PostgreSQL a third of what new files for TRUNCATE do."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)))
    finally:
        await connection.close()
