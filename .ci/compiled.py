"""What pyproject.toml cannot say: how the modules that it lists are compiled. `make fast` runs it, as a `setup.py`."""

import sys
import tomllib
from pathlib import Path

from setuptools import setup


def modules() -> list[str]:
    """Paths of the modules that `compiled` in pyproject.toml names."""
    patterns = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["sipflow"]["compiled"]
    found = {str(path) for pattern in patterns for path in Path().glob(pattern)}
    return sorted(path for path in found if not path.endswith("__init__.py"))


if "bdist_wheel" in sys.argv:
    from mypyc.build import mypycify

    # What the extras bring need not be installed. A C file for each module: in one file they take five times as long.
    asked = ["--ignore-missing-imports", "--no-warn-unused-ignores", *modules()]
    setup(ext_modules=mypycify(asked, opt_level="3", debug_level="0", multi_file=True, target_dir="c"))
else:
    setup()
