"""What the scenarios need of the machine, and what is done where it is missing."""

import os
import shutil
import socket
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"sipp": "sip-tester"}


def needs(program: str) -> None:
    """Skip the test where `program` is not installed; with CI=true that is a failure."""
    if shutil.which(program) is None:
        package = PACKAGES.get(program, program)
        _cannot(f"{program} is not installed (Debian: sudo apt-get install {package})")


def needs_ipv6() -> None:
    """Skip the test where the machine has no IPv6; with CI=true that is a failure."""
    if not has_ipv6():
        _cannot("this machine has no IPv6 loopback address")


@cache
def has_ipv6() -> bool:
    """Whether something can listen on ::1."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _cannot(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}; with CI=true that is a failure")
    pytest.skip(why)


def sipflow(*arguments: str) -> list[str]:
    """The command line of the sipflow that belongs to this Python."""
    return [str(Path(sys.executable).with_name("sipflow")), *arguments]
