"""Runs test cases where a framework is that is installed apart from sipflow, and says how each fared."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.interop.programs import ROOT

FOLDER = ROOT / "tests" / "integrations"
_LONGEST_S = 160


def cases(file: str) -> list[str]:
    """The names of the cases in a file."""
    return re.findall(r"^async def (test_\w+)\(", (FOLDER / file).read_text(encoding="utf-8"), re.MULTILINE)


def run_cases(file: str, packages: str | Path) -> str:
    """Run the cases of a file in a process of its own, beside these packages; gives everything that pytest said."""
    command = [sys.executable, "-m", "pytest", "-vv", "-W", "default", "-p", "no:xdist", "--timeout", "60"]
    path = os.pathsep.join((str(ROOT), str(packages)))
    env = {**os.environ, "PYTHONPATH": path, "LOGURU_LEVEL": "WARNING"}
    done = subprocess.run(
        [*command, str(FOLDER / file)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=_LONGEST_S
    )
    return done.stdout + done.stderr


def passed(case: str, said: str) -> bool:
    """Whether a case has passed, with each of its parameters."""
    verdicts = re.findall(rf"::{case}(?:\[[^\]]*\])? (\w+)", said)
    return bool(verdicts) and set(verdicts) == {"PASSED"}


def load_snippet(module: str) -> dict[str, object]:
    """Run the snippet of the page that imports this module, and give its names."""
    page = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    (text,) = [each for each in re.findall(r"^```py\n(.*?)^```$", page, re.M | re.S) if f"from {module} import" in each]
    names: dict[str, object] = {}
    exec(compile(text, f"docs/integrations.md: {module}", "exec"), names)
    return names
