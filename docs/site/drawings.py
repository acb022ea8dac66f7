"""Drawings become SVG in their pages: a reader without a network sees them, and no script of others is loaded.

Git hosts draw ```mermaid blocks themselves. The site would fetch a program from elsewhere for it; so what our pages use
of that language is drawn here: sequence diagrams of participants, messages and notes, and flowcharts of boxes and
lines. Anything else is an error of the build, with its line.
"""

import html
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = re.compile(r'https://unpkg\.com/[^"]*')  # programs that the theme fetches from others if it misses them

CHARACTER, LINE, MARGIN = 7.2, 18, 10  # of text at 14 px
ROW, GAP, HEAD = 44, 60, 34
INK, PAPER = "currentColor", "var(--md-default-bg-color)"

_PARTICIPANT = re.compile(r"participant (\w+) as (.+)")
_MESSAGE = re.compile(r"(\w+)(--?>>)(\w+): (.+)")
_NOTE = re.compile(r"Note over (\w+),(\w+): (.+)")
_BOX = r"""(\w+)(?:(\[|\(\[)"([^"]+)"(?:\]\)|\]))?"""
_EDGE = re.compile(rf"""{_BOX} (<?)(--|-\.)(?: "([^"]+)" (?:--|\.-)|)(>?) {_BOX}""")


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Put drawings in the place of their source."""

    def drawn(match: re.Match[str]) -> str:
        try:
            return f'<figure class="drawing">{draw(match[1])}</figure>'
        except ValueError as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from None

    return FENCE.sub(drawn, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Take the addresses of others out of the theme's program: what it would fetch there, none of our pages needs."""
    for file in Path(config.site_dir, "assets", "javascripts").glob("bundle.*.js"):
        file.write_text(ELSEWHERE.sub("data:text/javascript,", file.read_text(encoding="utf-8")), encoding="utf-8")


def draw(source: str) -> str:
    """Return an SVG of one drawing.

    Raises:
        ValueError: a line is none that can be drawn.
    """
    kind, *lines = [line.strip() for line in source.splitlines() if line.strip()]
    if kind == "sequenceDiagram":
        return _sequence(lines)
    if kind in ("flowchart TB", "flowchart LR"):
        return _flowchart(lines, down=kind.endswith("TB"))
    raise ValueError(f"no drawing begins with {kind!r}")


def _width(text: str) -> float:
    return len(text) * CHARACTER


def _svg(width: float, height: float, label: str, parts: list[str]) -> str:
    return (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" style="max-width:100%;height:auto" font-size="14">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, *, paper: bool = False) -> str:
    wide = _width(text) + 8
    behind = (
        f'<rect x="{x - wide / 2:.1f}" y="{y - LINE / 2:.1f}" width="{wide:.1f}" height="{LINE}" style="fill:{PAPER}"/>'
    )
    words = f'<text x="{x:.1f}" y="{y + 5:.1f}" text-anchor="middle" fill="{INK}">{html.escape(text)}</text>'
    return (behind if paper else "") + words


def _box(x: float, y: float, width: float, height: float, *, round_: bool = False, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    corner = height / 2 if round_ else 4
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{corner:.0f}" '
        f'stroke="{INK}"{dashes} style="fill:var(--md-code-bg-color)"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False, heads: tuple[bool, bool]) -> str:
    """A line with arrow heads at its beginning and at its end, or without."""
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    drawn = [f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{INK}"{dashes} fill="none"/>']
    angle = math.atan2(y2 - y1, x2 - x1)
    for there, x, y, towards in ((heads[0], x1, y1, angle + math.pi), (heads[1], x2, y2, angle)):
        if there:
            wings = [(x - 9 * math.cos(towards + turn), y - 9 * math.sin(towards + turn)) for turn in (-0.4, 0.4)]
            points = " ".join(f"{px:.1f},{py:.1f}" for px, py in [(x, y), *wings])
            drawn.append(f'<polygon points="{points}" fill="{INK}"/>')
    return "".join(drawn)


def _sequence(lines: list[str]) -> str:
    names: dict[str, str] = {}
    steps: list[tuple[str, str, str, str]] = []  # kind of line, from, to, text
    for line in lines:
        if match := _PARTICIPANT.fullmatch(line):
            names[match[1]] = match[2]
        elif match := _MESSAGE.fullmatch(line):
            steps.append((match[2], match[1], match[3], match[4]))
        elif match := _NOTE.fullmatch(line):
            steps.append(("note", match[1], match[2], match[3]))
        else:
            raise ValueError(f"this line of a sequence diagram cannot be drawn: {line!r}")
    order = list(names)
    for _, first, last, _text_of in steps:
        if first not in names or last not in names:
            raise ValueError(f"{first} or {last} is no participant")
    xs = _columns(order, names, steps)
    width = xs[order[-1]] + _width(names[order[-1]]) / 2 + 2 * MARGIN
    height = HEAD + ROW * (len(steps) + 0.5)
    parts = [_line(x, HEAD, x, height, dashed=True, heads=(False, False)) for x in xs.values()]
    for name, x in xs.items():
        wide = _width(names[name]) + 2 * MARGIN
        parts += [_box(x - wide / 2, 1, wide, HEAD - 2), _text(x, HEAD / 2, names[name])]
    for at, (kind, first, last, text) in enumerate(steps):
        y, x1, x2 = HEAD + ROW * (at + 0.75), xs[first], xs[last]
        if kind == "note":
            parts += [_box(x1 - 12, y - 15, x2 - x1 + 24, 28, dashed=True), _text((x1 + x2) / 2, y, text)]
        else:
            parts.append(_line(x1, y, x2, y, dashed=kind == "-->>", heads=(False, True)))
            parts.append(_text((x1 + x2) / 2, y - 13, text, paper=True))
    told = "; ".join(f"{names[first]} to {names[last]}: {text}" for _, first, last, text in steps)
    return _svg(width, height, told, parts)


def _columns(order: list[str], names: dict[str, str], steps: list[tuple[str, str, str, str]]) -> dict[str, float]:
    """Place participants so far apart that every text finds room between its two."""
    xs = {order[0]: _width(names[order[0]]) / 2 + 2 * MARGIN}
    for at, name in enumerate(order[1:], 1):
        before = order[at - 1]
        x = xs[before] + (_width(names[before]) + _width(names[name])) / 2 + 3 * MARGIN
        for _, first, last, text in steps:
            left = min(order.index(first), order.index(last))
            if max(order.index(first), order.index(last)) == at:
                x = max(x, xs[order[left]] + _width(text) + 3 * MARGIN)
        xs[name] = x
    return xs


@dataclass(slots=True)
class _Node:
    text: str
    round_: bool = False
    rank: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def half(self) -> float:
        return _width(self.text) / 2 + 2 * MARGIN


@dataclass(slots=True)
class _Chart:
    nodes: dict[str, _Node] = field(default_factory=dict)
    edges: list[tuple[str, str, str, bool, tuple[bool, bool]]] = field(default_factory=list)  # text, dashed, heads

    def add(self, name: str, bracket: str | None, text: str | None) -> str:
        if name not in self.nodes:
            self.nodes[name] = _Node(text or name, round_=bracket == "([")
        return name


def _flowchart(lines: list[str], *, down: bool) -> str:
    chart = _Chart()
    for line in lines:
        match = _EDGE.fullmatch(line)
        if match is None:
            raise ValueError(f"this line of a flowchart cannot be drawn: {line!r}")
        first, last = chart.add(match[1], match[2], match[3]), chart.add(match[8], match[9], match[10])
        chart.edges.append((first, last, match[6] or "", match[5] == "-.", (bool(match[4]), bool(match[7]))))
    nodes = chart.nodes
    for _ in nodes:
        for first, last, *_rest in chart.edges:
            nodes[last].rank = max(nodes[last].rank, min(nodes[first].rank + 1, len(nodes) - 1))
    width, height = _place_down(nodes) if down else _place_across(chart)
    parts = []
    for first, last, text, dashed, heads in chart.edges:
        (x1, y1), (x2, y2) = _between(nodes[first], nodes[last], down=down)
        parts.append(_line(x1, y1, x2, y2, dashed=dashed, heads=heads))
        if text:
            parts.append(_text((x1 + x2) / 2, (y1 + y2) / 2 - (0 if down or y1 != y2 else 12), text, paper=True))
    for node in nodes.values():
        parts.append(_box(node.x - node.half, node.y - HEAD / 2, 2 * node.half, HEAD, round_=node.round_))
        parts.append(_text(node.x, node.y, node.text))
    told = "; ".join(
        f"{nodes[first].text} to {nodes[last].text}{': ' if text else ''}{text}"
        for first, last, text, *_ in chart.edges
    )
    return _svg(width, height, told, parts)


def _ranks(nodes: dict[str, _Node]) -> list[list[_Node]]:
    return [
        [node for node in nodes.values() if node.rank == rank]
        for rank in sorted({node.rank for node in nodes.values()})
    ]


def _place_down(nodes: dict[str, _Node]) -> tuple[float, float]:
    ranks = _ranks(nodes)
    width = max(sum(2 * node.half + 2 * MARGIN for node in rank) for rank in ranks)
    for at, rank in enumerate(ranks):
        x = (width - sum(2 * node.half + 2 * MARGIN for node in rank)) / 2
        for node in rank:
            node.x, node.y = x + node.half + MARGIN, HEAD / 2 + 1 + at * (HEAD + GAP * 0.8)
            x += 2 * node.half + 2 * MARGIN
    return width, HEAD + 2 + (len(ranks) - 1) * (HEAD + GAP * 0.8)


def _place_across(chart: _Chart) -> tuple[float, float]:
    ranks = _ranks(chart.nodes)
    height = max(len(rank) for rank in ranks) * (HEAD + GAP)
    x = 1.0
    for rank in ranks:
        half = max(node.half for node in rank)
        for at, node in enumerate(rank):
            node.x, node.y = x + half, height * (at + 0.5) / len(rank)
        told = [_width(text) for first, _last, text, *_ in chart.edges if chart.nodes[first] in rank]
        x += 2 * half + max([GAP, *[each + 2 * MARGIN for each in told]])
    return max(node.x + node.half for node in chart.nodes.values()) + 1, height


def _between(first: _Node, last: _Node, *, down: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    if down:
        way = 1 if last.y > first.y else -1
        return (first.x, first.y + way * HEAD / 2), (last.x, last.y - way * HEAD / 2)
    way = 1 if last.x > first.x else -1
    return (first.x + way * first.half, first.y), (last.x - way * last.half, last.y)
