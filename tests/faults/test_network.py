"""The network itself changes while we run: another address, no route, the old route again."""

import ctypes
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.registrar import Registrar
from tests.interop.daemon import Daemon
from tests.interop.programs import require
from tests.interop.waiting import wait_until

_CLONE_NEWNET = 0x40000000
_FAR, _FIRST, _SECOND = "10.77.0.1", "10.77.0.2", "10.77.0.3"
_PONG = b"\r\n"


class Line:
    """Two network namespaces joined by a cable: `near` for the daemon, `far` for a registrar."""

    def __init__(self) -> None:
        self._ip = require("ip", "iproute2")
        self.near, self.far = (f"sipflow-{side}-{os.getpid()}" for side in ("near", "far"))

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words before a command that is to run at the near end."""
        return (self._ip, "netns", "exec", self.near)

    def ip(self, *words: str) -> None:
        """Run `ip`; the test is skipped where the kernel or its container forbids it."""
        done = subprocess.run([self._ip, *words], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no namespaces can be joined here: ip {' '.join(words)}: {done.stderr.strip()}")

    def lay(self) -> None:
        """Make both ends and the cable."""
        for name in (self.near, self.far):
            self.ip("netns", "add", name)
            self.ip("-n", name, "link", "set", "lo", "up")
        cable = ("cable0", "netns", self.near, "type", "veth", "peer", "name", "cable1", "netns", self.far)
        self.ip("link", "add", *cable)
        for name, device, address in ((self.near, "cable0", _FIRST), (self.far, "cable1", _FAR)):
            self.ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            self.ip("-n", name, "link", "set", device, "up")

    def near_address(self, *words: str) -> None:
        self.ip("-n", self.near, "addr", *words, "dev", "cable0")

    def near_link(self, state: str) -> None:
        self.ip("-n", self.near, "link", "set", "cable0", state)

    def remove(self) -> None:
        for name in (self.near, self.far):
            subprocess.run([self._ip, "netns", "delete", name], capture_output=True)

    @contextmanager
    def at_the_far_end(self) -> Iterator[None]:
        """Sockets that this thread opens meanwhile are the far end's."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as own, open(f"/var/run/netns/{self.far}") as other:
            if libc.setns(other.fileno(), _CLONE_NEWNET):
                pytest.skip(f"no namespace can be entered here: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                libc.setns(own.fileno(), _CLONE_NEWNET)


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    try:
        line.lay()
        yield line
    finally:
        line.remove()


def contacts(registrar: Registrar) -> list[str]:
    """The hosts that were registered, each once where they follow each other."""
    hosts = re.findall(r"^Contact: <sip:2001@([0-9.]+)", "\n".join(registrar.heard), re.MULTILINE)
    return [host for host, before in zip(hosts, ["", *hosts], strict=False) if host != before]


def test_another_address_is_registered_at_once_and_so_is_a_route_that_comes_back(line: Line, tmp_path: Path) -> None:
    with line.at_the_far_end():
        registrar, phone = Registrar(host=_FAR), socket.socket()
    with registrar, phone:
        trunk = {"sip_domain": f"{_FAR}:{registrar.port}", "username": "2001", "password": "x"}
        daemon = Daemon(tmp_path, prefix=line.prefix, trunks={"pbx": trunk}, numbers={})
        listen = [f"udp:0.0.0.0:{daemon.port}", f"tcp:0.0.0.0:{daemon.port}", f"tcp:{_FIRST}:{daemon.tls_port}"]
        daemon.configuration |= {"sip": {"listen": listen}, "media": {"bind": "0.0.0.0"}}
        with daemon:
            daemon.wait_said("^trunk pbx: registered")
            phone.connect((_FIRST, daemon.port))
            phone.sendall(b"\r\n\r\n")
            answered = phone.recv(2)
            line.near_address("add", f"{_SECOND}/24")
            line.near_address("del", f"{_FIRST}/24")
            line.near_address("replace", f"{_SECOND}/24")  # it went with the first where the kernel wants it so
            moved = daemon.wait_said("^our address towards .* now, and was|there is a route to .* again")
            wait_until(
                lambda: contacts(registrar) == [_FIRST, _SECOND], "the new Contact", evidence=daemon.program.tail
            )
            wait_until(lambda: ", 0 connections" in daemon.state(), "the end of a connection from nowhere")
            line.near_address("add", f"{_FIRST}/24")
            daemon.wait_said(f"^this machine has the address {_FIRST} again")
            before = len(registrar.heard)
            line.near_link("down")
            daemon.wait_said("^this machine has no route to 10.77.0.1 any more")
            line.near_link("up")
            daemon.wait_said("^there is a route to 10.77.0.1 again", count=1 + moved[-1]["event"].startswith("there"))
            wait_until(lambda: len(registrar.heard) > before, "a REGISTER", evidence=daemon.program.tail)

    assert answered == _PONG
