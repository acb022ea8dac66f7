"""What `make fast` compiles: the list, and, where somebody has compiled it, that it does what the plain modules do."""

import subprocess
import tomllib
from pathlib import Path

import pytest

import sipflow
from tests.house.tree import ROOT

COMPILED = ".venv/fast/.compiled"
PATTERNS: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["sipflow"]["compiled"]


def is_new() -> bool:
    """Whether what is compiled is there, and no source is newer."""
    if not (ROOT / COMPILED).exists():
        return False
    return subprocess.run(["make", "-q", COMPILED], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_every_pattern_of_what_is_compiled_names_modules() -> None:
    assert [pattern for pattern in PATTERNS if not any(ROOT.glob(pattern))] == []


def test_a_checkout_does_not_say_that_it_is_compiled() -> None:
    assert sipflow.full_version() == sipflow.__version__


@pytest.mark.timeout(600)
@pytest.mark.skipif(not is_new(), reason="nothing is compiled: make fast")
def test_what_is_compiled_passes_the_tests_of_its_rooms_and_says_what_it_is() -> None:
    asked = [str(Path(COMPILED).parent / "bin" / "sipflow"), "--version"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    done = subprocess.run(["make", "fast-test"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert said.stdout == f"sipflow {sipflow.__version__}+compiled\n"
    assert done.returncode == 0, done.stdout[-4000:]
