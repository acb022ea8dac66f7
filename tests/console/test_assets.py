import re
from pathlib import PurePosixPath

from sipflow.console.assets import FIRST, read_assets

ASSETS = read_assets()
# What makes elements or code out of text.
DANGEROUS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|javascript:"
    r"|localStorage|sessionStorage|document\.cookie|createContextualFragment"
)
ELSEWHERE = re.compile(r"https?://(?!www\.w3\.org/(?:2000/svg|1999/xhtml))")
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)")


def texts(*endings: str) -> dict[str, str]:
    return {name: each.content.decode() for name, each in ASSETS.items() if PurePosixPath(name).suffix in endings}


def test_every_file_has_a_type_and_a_tag_of_its_own() -> None:
    assert ASSETS[FIRST].media_type == "text/html; charset=utf-8"
    assert {each.media_type for name, each in ASSETS.items() if name.endswith(".js")} == {
        "text/javascript; charset=utf-8"
    }
    assert len({each.etag for each in ASSETS.values()}) == len(ASSETS)


def test_no_script_makes_elements_of_text_or_keeps_anything() -> None:
    assert {
        name: DANGEROUS.findall(text) for name, text in texts(".js", ".html").items() if DANGEROUS.search(text)
    } == {}


def test_nothing_is_loaded_from_elsewhere_and_nothing_stands_inline() -> None:
    whole = texts(".js", ".html", ".css", ".svg")

    assert {name for name, text in whole.items() if ELSEWHERE.search(text)} == set()
    assert [found[0] for found in INLINE.finditer(whole[FIRST])] == []


def test_what_the_pages_name_is_there() -> None:
    named = set(re.findall(r'/console/([a-z_]+\.(?:js|css|svg))"', "".join(texts(".html", ".js").values())))
    named |= set(re.findall(r'from "\./([a-z_]+\.js)"', "".join(texts(".js").values())))

    assert named - ASSETS.keys() == set()
    assert ASSETS.keys() - named - {FIRST} == set()


def colours(block: str) -> dict[str, tuple[float, float, float]]:
    return {
        name: (int(value[0:2], 16) / 255, int(value[2:4], 16) / 255, int(value[4:6], 16) / 255)
        for name, value in re.findall(r"--([a-z-]+): #([0-9a-f]{6});", block)
    }


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """As WCAG 2.2 has it: 1 to 21."""

    def light(colour: tuple[float, float, float]) -> float:
        red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((light(one), light(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_every_text_can_be_read_on_what_is_behind_it_in_light_and_in_dark() -> None:
    first, second = re.findall(r":root \{(.*?)\n *\}", ASSETS["style.css"].content.decode(), re.DOTALL)
    pairs = [
        *((text, behind) for text in ("ink", "muted", "accent") for behind in ("paper", "card", "soft")),
        *((kind, behind) for kind in ("good", "warn", "bad") for behind in ("card", "paper", f"{kind}-soft")),
        ("on-accent", "accent"), ("card", "bad"), ("paper", "ink"),
    ]  # fmt: skip
    found = {
        (theme, text, behind): contrast(its[text], its[behind])
        for theme, its in (("light", colours(first)), ("dark", colours(second)))
        for text, behind in pairs
    }

    assert len(found) == 2 * len(pairs)
    assert {pair: round(value, 2) for pair, value in found.items() if value < 4.5} == {}
