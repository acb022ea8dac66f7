"""What is measured: programs of their own on a core of their own, and what they have cost so far."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.interop.programs import end_with_parent

ROOT = Path(__file__).resolve().parents[2]
_CORES = sorted(os.sched_getaffinity(0))
MEASURED, DRIVING = _CORES[0], _CORES[-1]  # the core of what is measured, and that of everything which loads it
_SEARCHED = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")
_STEP_S = 0.02
_GOODBYE_S = 15.0


class MissingProgram(Exception):  # noqa: N818  (it says what is the matter)
    """A program to compare with is not installed; the figure beside it is left out."""


def find(program: str, *, beside: Path | None = None) -> str:
    """Find a program, first in the folder `beside`.

    Raises:
        MissingProgram: it is not installed.
    """
    path = shutil.which(program, path=f"{beside}:{_SEARCHED}" if beside is not None else _SEARCHED)
    if path is None:
        raise MissingProgram(f"{program} is not installed")
    return path


def _prepare(core: int) -> None:
    os.sched_setaffinity(0, {core})
    end_with_parent()  # a bench that is killed would leave calls behind that go on for ever


class Program:
    """One running program and its children. A context manager that leaves nothing running.

    Attributes:
        name: for messages.
        log: file that has everything it writes to standard error, and to standard output where that is not read.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        core: int,
        talks: bool = False,
        cwd: Path = ROOT,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start it.

        Args:
            name: names the log file, too.
            command: program and arguments.
            folder: where the log goes.
            core: the only core it may use.
            talks: whether standard input and output are ours.
            cwd: its working directory.
            env: added to its environment.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else out,
                stderr=out,
                text=True,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                preexec_fn=partial(_prepare, core),
            )

    def ask(self, line: str) -> str:
        """Write a line and read one; for programs that talk.

        Raises:
            RuntimeError: it has ended.
        """
        self.say(line)
        return self.read()

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def read(self) -> str:
        """Read a line of its standard output.

        Raises:
            RuntimeError: it has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended:\n{self.tail()}")
        return line.rstrip("\n")

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU time, user and system, that it and its children have used."""
        return sum(_cpu_s(pid) for pid in self._tree())

    @property
    def rss_bytes(self) -> int:
        """Memory of the process alone."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def tail(self) -> str:
        """The end of what it wrote, for error messages."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and give the exit status.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """End it with SIGTERM, and with SIGKILL if that is not enough; its children too."""
        if self.running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GOODBYE_S)
        with suppress(ProcessLookupError):  # all of them are gone
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _tree(self) -> list[int]:
        """The process, and those of its session that it started."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    session = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[3])
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it has just ended
                if session == self._process.pid:
                    found.append(int(entry.name))
        return found


def wait_for_port(program: Program, port: int, *, timeout_s: float = 15.0) -> None:
    """Wait until somebody has bound a UDP port.

    Raises:
        RuntimeError: the program ended, or the time is over.
    """
    wanted = f":{port:04X} "
    until = time.monotonic() + timeout_s
    while wanted not in Path("/proc/net/udp").read_text(encoding="ascii"):
        if not program.running or time.monotonic() > until:
            raise RuntimeError(f"{program.name} did not open UDP port {port}:\n{program.tail()}")
        time.sleep(_STEP_S)


def _cpu_s(pid: int) -> float:
    """CPU time of a process in nanoseconds' resolution: its CPU clock, as clock_getcpuclockid(3) names it."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0  # it has just ended
