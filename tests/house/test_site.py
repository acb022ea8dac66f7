"""The documentation builds into a site without a warning; links out of docs/ lead to pages that show the files."""

import html
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.site_hooks import hook
from tests.house.tree import ROOT

SETTINGS = ROOT / "docs" / "site" / "mkdocs.yml"
QUIET = {"NO_MKDOCS_2_WARNING": "1"}  # a notice about the future of MkDocs, that no page of ours can mend


def pages() -> list[str]:
    """What the site makes pages of, relative to docs/."""
    found = [page for page in (ROOT / "docs").rglob("*.md") if SETTINGS.parent not in page.parents]
    return sorted(page.relative_to(ROOT / "docs").as_posix() for page in found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("material") is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("mkdocs-material is not installed, and CI=true")
        pytest.skip("mkdocs-material is not installed: the site is not built")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(SETTINGS), "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **QUIET}, check=False)

    assert (done.returncode, re.findall("^WARNING.*|^ERROR.*", done.stderr, re.MULTILINE)) == (0, [])
    return folder


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_page_stands_in_the_nav() -> None:
    nav = SETTINGS.read_text(encoding="utf-8").partition("\nnav:\n")[2].partition("\n\n")[0]
    named = re.findall(r"(\S+\.md)$", nav, re.MULTILINE)

    assert sorted(name for name in named if not name.startswith(("source/", "reference/"))) == pages()


def test_the_site_has_every_page(site: Path) -> None:
    made = [page.replace("README.md", "index.md").removesuffix(".md") + ".html" for page in pages()]

    assert [name for name in made if not (site / name).is_file()] == []


@pytest.mark.parametrize("file", ["config/sipflow.yaml", "config/fail2ban/sipflow.conf", "docs/examples/menu.py"])
def test_a_file_that_pages_link_to_has_a_page_that_shows_it(site: Path, file: str) -> None:
    shown = text_of(site / "source" / f"{file}.html")

    assert (ROOT / file).read_text(encoding="utf-8").strip() in shown


def test_a_link_that_leaves_the_docs_leads_to_the_page_of_its_file(site: Path) -> None:
    text = (site / "configuration.html").read_text(encoding="utf-8")

    assert 'href="source/config/sipflow.yaml.html"' in text


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("configuration", "trunks.<name>.register.expires"),
        ("api", "POST /v2/calls"),
        ("shapes", "PlaceCall"),
        ("call", "call.read_digit"),
    ],
)
def test_the_references_are_made(site: Path, page: str, says: str) -> None:
    assert says in text_of(site / "reference" / f"{page}.html")


def test_no_page_of_the_site_links_to_a_file_that_is_not_there(site: Path) -> None:
    missing = []
    for page in site.rglob("*.html"):
        if page.name != "404.html":  # its links begin at the root of a server
            links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8"))]
            for link in [re.split(r"[#?]", link)[0] for link in links if ":" not in link]:
                if not (page.parent / link).exists():
                    missing.append(f"{page.relative_to(site)}: {link}")

    assert missing == []


def test_drawings_are_drawn_when_the_site_is_built(site: Path) -> None:
    page = (site / "concepts.html").read_text(encoding="utf-8")

    assert page.count('<svg role="img"') == (ROOT / "docs" / "concepts.md").read_text("utf-8").count("```mermaid") > 0
    assert "mermaid" not in page


def test_what_cannot_be_drawn_is_an_error_with_its_line() -> None:
    drawings = hook("drawings")
    for source in ("pie", "flowchart LR\nA --> B\nA ==> B", "sequenceDiagram\nparticipant A as a\nloop x"):
        with pytest.raises(ValueError, match=r"pie|A ==> B|loop x"):
            drawings.draw(source)
    with pytest.raises(ValueError, match="B is no participant"):
        drawings.draw("sequenceDiagram\nparticipant A as a\nA->>B: hello")


def test_a_text_of_a_drawing_is_text() -> None:
    drawn = hook("drawings").draw('flowchart LR\nA["<script>"] -- "a & b" --> B')

    assert ("&lt;script&gt;" in drawn, "a &amp; b" in drawn, "<script" in drawn) == (True, True, False)


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r"""(?:\ssrc=|<link[^>]*\shref=|url\(|@import )["']?((?:https?:)?//[^"')\s]+)""")
    asked = re.compile(r"https?://[^\"'`]*(?:unpkg|cdn|jsdelivr|googleapis|gstatic)[^\"'`]*")
    found = set()
    for file in site.rglob("*"):
        if file.suffix in (".html", ".css", ".js"):
            text = file.read_text(encoding="utf-8")
            found |= {(file.name, each) for each in asked.findall(text) if file.suffix == ".js"}
            found |= {(file.name, each) for each in loaded.findall(text) if file.suffix != ".js"}

    assert found == set()
