"""`sipflow.integrations.pipecat` with the real Pipecat, which is installed apart from sipflow: see pipecat_cases.py."""

import os
import re
import subprocess
import sys

import pytest

from tests.interop.programs import ROOT
from tests.interop.test_pipecat_native import pipecat_packages

CASES = ROOT / "tests" / "integrations" / "pipecat_cases.py"
_LONGEST_S = 150


@pytest.fixture(scope="module")
def run_of_the_cases() -> str:
    """Everything that pytest said about the cases, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-v", "-W", "default", "-p", "no:xdist", "--timeout", "60", str(CASES)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{pipecat_packages()}", "LOGURU_LEVEL": "WARNING"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=_LONGEST_S)
    return done.stdout + done.stderr


def names() -> list[str]:
    return re.findall(r"^async def (test_\w+)\(", CASES.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("case", names())
def test_with_pipecat(case: str, run_of_the_cases: str) -> None:
    assert re.search(rf"::{case} PASSED", run_of_the_cases), run_of_the_cases
