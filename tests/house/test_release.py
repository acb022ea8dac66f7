import re
import tomllib

import sipflow
from tests.house.tree import ROOT

VERSION = re.compile(r"\b[0-9]+\.[0-9]+\.[0-9]+(?:[a-z0-9.]+)?\b")


def project_version() -> str:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert isinstance(version, str)
    return version


def test_the_package_and_the_project_have_one_version() -> None:
    assert sipflow.__version__ == project_version()


def test_the_first_heading_of_the_changelog_is_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = [line for line in changelog.splitlines() if line.startswith("## ") and VERSION.search(line)]

    assert headings
    assert VERSION.findall(headings[0])[0] == project_version()


def test_every_version_of_sipflow_that_the_readme_names_is_this_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert set(re.findall(r"sipflow[ =@v]+([0-9]+\.[0-9]+\.[0-9]+)", readme)) <= {project_version()}


def test_the_readme_names_every_word_of_the_makefile_that_a_newcomer_needs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [word for word in ("make run", "make test", "make check", "make bench") if word not in readme] == []
