"""sipflow as a process of its own without the time that Python needs to load it: forked from one that has loaded it.

Hundreds of tests start the whole program, and half of what a short one costs would be imports. What is forked is a
process like any other: number, group, signals, files and environment are its own, and it begins at its command line.
The session is that of the tests: Linux hands out time by session, and small ones waited for seconds beside a busy one.
Run as a program, this file is what forks.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

COMMAND = str(Path(sys.executable).with_name("sipflow"))
_PLAIN = ("LD_", "PYTHON", "MALLOC_")  # variables that a process obeys only from its beginning
_NUMBER = struct.Struct("!i")
_ORDER_BYTES = 1 << 17
_MOST_FILES = 4096
_PR_SET_PDEATHSIG = 1  # prctl(2)


def can_be_forked(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether it is our command, and these changes of the environment mean the same to a process that has begun."""
    plain = any(name.startswith(_PLAIN) for name in environment)
    return sys.platform == "linux" and command[0] == COMMAND and not plain


class Forked:
    """`sipflow ARGUMENTS` in a process group of its own, with what a `subprocess.Popen` has that the tests use.

    Attributes:
        pid: its number.
        returncode: as of `Popen`: None until somebody asked and it had ended.
    """

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]
    ) -> None:
        """Start it; `environment` is what is different from ours."""
        self.returncode: int | None = None
        self._asking = threading.Lock()
        self._told, telling = os.pipe()
        weakref.finalize(self, os.close, self._told)
        order = {"arguments": list(arguments), "cwd": str(cwd), "environment": {**os.environ, **environment}}
        try:
            socket.send_fds(_loaded(), [json.dumps(order).encode()], [out.fileno(), err.fileno(), telling])
        finally:
            os.close(telling)
        self.pid = self._number()

    def poll(self) -> int | None:
        """How it ended, if it has."""
        with self._asking:
            if self.returncode is None and select.select([self._told], [], [], 0)[0]:
                self.returncode = self._number()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended in `timeout` seconds.
        """
        if self.returncode is None:
            select.select([self._told], [], [], timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("sipflow", timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        data = os.read(self._told, _NUMBER.size)
        assert data, "what forks has ended"
        return int(_NUMBER.unpack(data)[0])


def run(*arguments: str, cwd: Path | None = None, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run `sipflow ARGUMENTS` to its end, and keep what it says."""
    where = cwd or Path.cwd()
    if not can_be_forked([COMMAND], {}):
        return subprocess.run([COMMAND, *arguments], cwd=where, capture_output=True, text=True, timeout=timeout_s)
    with TemporaryFile() as out, TemporaryFile() as err:
        forked = Forked(arguments, cwd=where, environment={}, out=out, err=err)
        try:
            forked.wait(timeout_s)
        finally:
            forked.kill()
        out.seek(0)
        err.seek(0)
        said = [file.read().decode("utf-8", "replace") for file in (out, err)]
    return subprocess.CompletedProcess([COMMAND, *arguments], forked.wait(), *said)


_first = threading.Lock()
_orders: list[socket.socket] = []


def _loaded() -> socket.socket:
    """Where the process takes orders that has loaded everything; the first who asks starts it."""
    with _first:
        if not _orders:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                command = [sys.executable, __file__, str(theirs.fileno())]
                process = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, process_group=0
                )
            _orders.append(ours)
            atexit.register(_let_go, ours, process)
    return _orders[0]


def _let_go(orders: socket.socket, process: subprocess.Popen[bytes]) -> None:
    orders.close()
    process.wait()


# What follows is of the other process.


def _load() -> None:
    """Import all that any command may need."""
    import sipflow

    for module in pkgutil.walk_packages(sipflow.__path__, "sipflow."):
        if not module.name.startswith("sipflow.integrations.") and not module.name.endswith(".migrations.env"):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def _fork_for(orders: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for every order until there are no more, and tell of each child's end; returns in the children only."""
    children: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([orders.fileno(), *children], [], [])[0]:
            if ready in children:
                pid, telling = children.pop(ready)
                _, status = os.waitpid(pid, 0)
                _tell(telling, os.waitstatus_to_exitcode(status))
                _close(ready, telling)
                continue
            data, files, _, _ = socket.recv_fds(orders, _ORDER_BYTES, 3)
            if not data:
                os._exit(0)  # the kernel ends the children
            pid = os.fork()
            if pid == 0:
                return json.loads(data), files
            children[os.pidfd_open(pid)] = (pid, files[2])
            _close(*files[:2])


def _become(order: dict[str, Any], files: list[int]) -> None:
    """Be what a process for this command is at its beginning, and say which one that is."""
    out, err, telling = files
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _tell(telling, os.getpid())
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, _MOST_FILES)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.argv = [COMMAND, *order["arguments"]]


def _tell(telling: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(telling, _NUMBER.pack(number))


def _close(*files: int) -> None:
    for file in files:
        os.close(file)


if __name__ == "__main__":
    taken = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = str(Path(COMMAND).parent)  # as it is for the command
    _load()
    ordered = _fork_for(taken)
    taken.detach()
    _become(*ordered)
    from sipflow.cli import main

    sys.exit(main())  # type: ignore[func-returns-value]
