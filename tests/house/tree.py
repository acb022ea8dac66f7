"""What the house rules look at: our files, and our Python as syntax trees.

To read every file into a tree takes seconds of a core. So a tree is made when it is asked for, and a rule asks only for
those whose text can break it.
"""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file.

    Attributes:
        path: relative to the root of the project, with forward slashes.
        text: the whole source.
    """

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Everything in it, in no particular order."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones too."""
        rest: list[ast.AST] = [self.tree]
        while rest:
            for node in _statements(rest.pop()):
                if isinstance(node, Function):
                    yield node
                rest.append(node)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements below a statement, and what has statements: no function stands inside an expression."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        below = getattr(node, name, None)
        if isinstance(below, list):
            yield from below


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Return every Python file below `folders` ("sipflow", "tests"), in the order of their paths."""
    if len(folders) > 1:
        return tuple(module for folder in folders for module in modules(folder))
    found = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "__pycache__" not in path.parts:
                text = path.read_text(encoding="utf-8")
                found.append(Module(path.relative_to(ROOT).as_posix(), text))
    return tuple(found)


@cache
def text_files() -> tuple[tuple[str, str], ...]:
    """Return (path, text) of every file that belongs to the project and is text: what git tracks or would."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    found = []
    for name in filter(None, listed):
        try:
            found.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # sound, torture messages and other bytes; deleted but still tracked; a submodule
    return tuple(found)
