"""A small machine inside this one, with systemd as its first process: for what only systemd itself can show.

It sees this machine's files, and what it changes is forgotten with it; its processes, mounts, host name and network
are its own, and it ends with the test.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.interop.programs import ROOT, Program, require
from tests.interop.waiting import wait_until

_BOOT = Path(__file__).with_name("machine.sh")
_SYSTEMD = Path("/lib/systemd/systemd")
_GROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
_BOOT_S = 60.0


def needed() -> list[Path]:
    """What must be found in it where it is here: these sources, this Python and what is installed for it."""
    return list(dict.fromkeys([ROOT, Path(sys.prefix), Path(sys.base_prefix)]))


class Machine:
    """A context manager; the test is skipped where such a machine cannot be made.

    Attributes:
        prefix: words before a command that is to run in it.
    """

    def __init__(self, folder: Path) -> None:
        self.prefix: tuple[str, ...] = ()
        self._folder = folder
        self._group = Path()
        self._program: Program | None = None

    def __enter__(self) -> Self:
        unshare, nsenter = require("unshare", "util-linux"), require("nsenter", "util-linux")
        groups = next((each for each in _GROUPS if (each / "cgroup.procs").exists()), None)
        if os.geteuid() != 0 or not _SYSTEMD.exists() or groups is None:
            pytest.skip("only root can start a systemd, where there is one and control groups of version 2")
        self._group = groups / f"sipflow-tests-{os.getpid()}"
        empty = self._folder / "machine"
        empty.mkdir()
        inside = f'echo $$ > "{self._group}/cgroup.procs" && exec "$@"'
        command = [
            "sh",
            "-c",
            inside,
            "sh",
            unshare,
            *_NAMESPACES,
            "--fork",
            "--kill-child=KILL",
            str(_BOOT),
            str(empty),
        ]
        try:
            self._group.mkdir()
        except OSError as error:
            pytest.skip(f"no control group can be made: {error}")
        self._program = Program("systemd", [*command, *map(str, needed())], self._folder / "machine.log")
        try:
            first = self._first_process()
            flags = ("-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w")
            self.prefix = (nsenter, "-t", first, *flags, "env", "-i", _PATH, "LANG=C.UTF-8")
            self._wait_until_up(self._program)
        except BaseException:  # a skipped test, too: nothing of it may stay
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._program is not None:
            self._program.kill()
        wait_until(self._group_is_gone, "the end of the machine's processes")

    def run(self, *command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in it to its end."""
        return subprocess.run([*self.prefix, *command], input=text, capture_output=True, text=True, timeout=_BOOT_S)

    def do(self, *command: str) -> str:
        """Run a command that must succeed; give what it says."""
        done = self.run(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    def write(self, file: str, text: str, mode: str = "0644", owner: str = "root:root") -> None:
        """Write a file in it."""
        done = self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", file, text=text)
        assert done.returncode == 0, done.stderr
        self.do("chmod", mode, file)
        self.do("chown", owner, file)

    def _first_process(self) -> str:
        """Wait for systemd, by its number here; skip where the kernel or its container forbids one of the steps."""
        program = self._program
        assert program is not None
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children")

        def begun() -> str:
            if not program.running:
                pytest.skip(f"no systemd can be started here: {program.output.strip()[-300:]}")
            for child in _words(children):
                with suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        return child
            return ""

        return wait_until(begun, "systemd", timeout_s=_BOOT_S, evidence=program.tail)

    def _group_is_gone(self) -> bool:
        """Remove the control groups; processes that were killed a moment ago still hold theirs."""
        for group in sorted(self._group.glob("**/"), reverse=True):
            with suppress(OSError):
                group.rmdir()
        return not self._group.exists()

    def _wait_until_up(self, program: Program) -> None:
        """Skip where it is begun and does not come up: what a container forbids of it shows in many ways."""
        try:
            wait_until(self._up, "systemd", timeout_s=_BOOT_S, evidence=program.tail)
        except AssertionError as error:
            pytest.skip(f"systemd does not come up here: {str(error)[-300:]}")

    def _up(self) -> bool:
        return self.run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}


def _words(file: Path) -> Sequence[str]:
    try:
        return file.read_text().split()
    except OSError:
        return ()
