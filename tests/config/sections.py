"""Makes a section from YAML text, the way a configuration file does."""

from collections.abc import Mapping
from pathlib import Path

from sipflow.config.problems import Problem, Problems
from sipflow.config.resolve import resolve
from sipflow.config.section import Section
from sipflow.config.tree import read_tree


def section_of(text: str, *, folder: Path = Path(), environ: Mapping[str, str] | None = None) -> Section:
    """Return the whole text as one section."""
    problems = Problems()
    root = read_tree(text, file="", problems=problems)
    return Section(resolve(root, environ=environ or {}, folder=folder, problems=problems), (), 1, folder, problems)


def told(section: Section) -> list[tuple[int, str, str]]:
    """Return (line, key, text) of every problem."""
    return [_as_tuple(problem) for problem in section.problems.found]


def _as_tuple(problem: Problem) -> tuple[int, str, str]:
    return problem.line, problem.key, problem.text
