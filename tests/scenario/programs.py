"""The programs that the scenarios need, and what is done where one is missing."""

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"sipp": "sip-tester"}


def needs(program: str) -> None:
    """Skip the test where `program` is not installed; with CI=true that is a failure."""
    if shutil.which(program) is not None:
        return
    package = PACKAGES.get(program, program)
    why = f"{program} is not installed (Debian: sudo apt-get install {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{why}; with CI=true that is a failure")
    pytest.skip(why)


def sipflow(*arguments: str) -> list[str]:
    """The command line of the sipflow that belongs to this Python."""
    return [str(Path(sys.executable).with_name("sipflow")), *arguments]
