"""Other people's programs as subprocesses: found or skipped, started, watched through their output, always killed."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.interop.waiting import PATIENCE_S, wait_until
from tests.interop.warm import Forked, can_be_forked

ROOT = Path(__file__).resolve().parents[2]
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
_SHOWN_BYTES = 6000
_PR_SET_PDEATHSIG = 1  # prctl(2)


def require(program: str, package: str) -> str:
    """Find a program; without it the test is skipped, or has failed where CI=true promises that everything is there."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_FOLDERS}")
    if path is None:
        missing(f"{program} is not installed (Debian package {package})")
    return str(path)


def require_file(file: Path, package: str) -> Path:
    """The same for a file of a package."""
    if not file.exists():
        missing(f"{file.name} is not installed (Debian package {package})")
    return file


def end_with_parent() -> None:
    """Have the kernel end this process with SIGTERM when the tests are killed themselves (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def missing(why: str) -> None:
    """Skip the test, or fail it where CI=true."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"{why}, and CI=true")
    pytest.skip(why)


class Program:
    """One running program with all its children. A context manager that leaves nothing running.

    Attributes:
        name: for messages.
        log: the file that has everything the program writes.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | Forked
        with log.open("ab") as out:
            if can_be_forked(command, env or {}):
                self._process = Forked(command[1:], cwd=cwd, environment=env or {}, out=out, err=out)
                return
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                process_group=0,  # so that its children can be killed with it
                preexec_fn=end_with_parent,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def tail(self) -> str:
        """The end of the output, for the message of a failed test."""
        return f"--- {self.name} (exit status {self._process.poll()}) wrote:\n{self.output[-_SHOWN_BYTES:]}"

    def wait_for(self, pattern: str, *, after: int = 0, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """Wait until the output matches.

        Args:
            pattern: a regular expression, `^` and `$` are of lines.
            after: only what is written behind this place of the output, see `mark`.
            timeout_s: seconds until the test has failed.
        """
        wanted = re.compile(pattern, re.MULTILINE)

        def found() -> re.Match[str] | None:
            over = not self.running
            match = wanted.search(self.output, after)
            if match is None and over:
                raise AssertionError(f"{self.name} ended before it wrote {pattern!r}\n{self.tail()}")
            return match

        match = wait_until(found, f"{pattern!r} from {self.name}", timeout_s=timeout_s, evidence=self.tail)
        assert match is not None
        return match

    @property
    def mark(self) -> int:
        """How much has been written so far; for `wait_for(after=...)`."""
        return len(self.output)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for the end; return the exit status."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end in {timeout_s:.0f} s\n{self.tail()}") from None

    def terminate(self, timeout_s: float = PATIENCE_S) -> int:
        """Ask it to end with SIGTERM, and wait; return the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """Ask it to end, and kill what has not ended after `timeout_s`."""
        if self.running:
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """Kill it and all its children at once. May be called twice."""
        with suppress(ProcessLookupError):  # all of them are gone
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Server:
    """Somebody's server. A context manager: started on entry, killed on exit.

    Attributes:
        program: what runs, or ran last; None before.
    """

    def __init__(self) -> None:
        self.program: Program | None = None

    def start(self) -> None:
        """Start it, again if need be, and wait until it is ready."""
        raise NotImplementedError

    def kill(self) -> None:
        """Kill it with SIGKILL: no goodbye, every registration forgotten."""
        if self.program is not None:
            self.program.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
