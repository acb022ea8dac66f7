"""README and docs/ as they are read: pages, fenced blocks, commands."""

import re
from functools import cache
from typing import NamedTuple

from tests.house.tree import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^ *(```+|~~~+)([^\n`]*)\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
DEFAULT = ROOT / "config" / "sipflow.yaml"


class Snippet(NamedTuple):
    """A fenced block: file:line, its language, its text."""

    place: str
    language: str
    text: str

    @property
    def page(self) -> str:
        """The page it stands on, relative to the root."""
        return self.place.partition(":")[0]


@cache
def blocks() -> tuple[Snippet, ...]:
    """Every fenced block of every page."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Snippet(f"{page.relative_to(ROOT)}:{line}", match[2].strip(), match[3]))
    return tuple(found)


def snippets(language: str) -> list[Snippet]:
    return [block for block in blocks() if block.language == language]


def commands(beginning: str) -> list[str]:
    """The different commands of all pages that begin so."""
    lines = [line.strip() for snippet in snippets("sh") for line in snippet.text.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith(beginning)))
