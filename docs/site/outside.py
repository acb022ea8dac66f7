"""Links that lead out of docs/, or to a file that is no page, lead to a page of the site that shows the file.

On a Git host a link to `../config/sipflow.yaml` opens the file; a site has only its pages. So each such file gets a
page below `source/`, and the link goes there. Pages themselves stay as they are written.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
LANGUAGES = {"py": "python", "yml": "yaml", "yaml": "yaml", "json": "json", "xml": "xml", "conf": "ini", "jail": "ini"}
ALWAYS = ("CHANGELOG.md", "config/sipflow.yaml")  # these stand in the nav


def target(link: str, page: str) -> Path | None:
    """Return the file that a link leads to if the page is not one of the site's; `page` is relative to the root."""
    if "://" in link or link.startswith(("/", "mailto:")):
        return None
    path = Path(posixpath.normpath(posixpath.join(posixpath.dirname(page), link)))
    if (ROOT / path).is_dir():
        path = path / "README.md"
    if path.parts[0] == ".." or not (ROOT / path).is_file() or (path.parts[0] == "docs" and path.suffix == ".md"):
        return None
    return path


def shown(path: Path) -> str:
    """Return the text of the page that shows a file; a page of ours keeps its links if they lead into the site."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix != ".md":
        return f"# {path.as_posix()}\n\n~~~~~~{LANGUAGES.get(path.suffix[1:], 'text')}\n{text.rstrip()}\n~~~~~~\n"

    def inward(match: re.Match[str]) -> str:
        label, link, anchor = match[1], match[2], match[3] or ""
        if "://" in link:
            return match[0]
        path_of_link = posixpath.normpath(posixpath.join(path.parent.as_posix(), link))
        if not path_of_link.startswith("docs/") or not path_of_link.endswith(".md"):
            return label
        up = "../" * len(path.parts)
        return f"[{label}]({up}{path_of_link.removeprefix('docs/')}{anchor})"

    return LINK.sub(inward, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file that some page links to."""
    wanted = {Path(name) for name in ALWAYS}
    for file in files.documentation_pages():
        page = f"docs/{file.src_uri}"
        wanted |= {path for match in LINK.finditer(file.content_string) if (path := target(match[2], page))}
    for path in sorted(wanted):
        uri = f"source/{path.as_posix()}" if path.suffix == ".md" else f"source/{path.as_posix()}.md"
        files.append(File.generated(config, uri, content=shown(path), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Send the links to files to the pages that show them."""
    if page.file.generated_by is not None:
        return markdown

    def to_source(match: re.Match[str]) -> str:
        path = target(match[2], f"docs/{page.file.src_uri}")
        if path is None:
            return match[0]
        end = "" if path.suffix == ".md" else ".md"
        up = "../" * (len(Path(page.file.src_uri).parts) - 1)
        return f"[{match[1]}]({up}source/{path.as_posix()}{end}{match[3] or ''})"

    return LINK.sub(to_source, markdown)
