"""Whatever the OpenAPI document allows, and much that it does not, is sent to a whole daemon: it never fails.

In a process of its own: to collect these cases takes longer than some of the others take to run.
"""

import re
import subprocess
import sys

import pytest

from tests.interop.programs import ROOT

FILE = ROOT / "tests" / "api" / "openapi_cases.py"
CASES = re.findall(r"^def (test_\w+)\(", FILE.read_text(encoding="utf-8"), re.MULTILINE)
_LONGEST_S = 170


@pytest.fixture(scope="module")
def said() -> str:
    """Everything that pytest said of the cases."""
    plain = ["-p", "no:xdist", "-p", "schemathesis.pytest.plugin", "-vv", "--timeout", "120"]
    command = [sys.executable, "-m", "pytest", *plain, str(FILE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_LONGEST_S)
    return done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_case(case: str, said: str) -> None:
    verdicts = re.findall(rf"::{case}(?:\[.*\])? (PASSED|FAILED|ERROR|SKIPPED)", said)

    assert set(verdicts) == {"PASSED"}, said
