"""The pages about providers: each tells all that its profile knows, and the two sides of a page agree."""

import re
from configparser import ConfigParser

import pytest
import yaml

from sipflow.config.configuration import Configuration
from sipflow.config.load import parse
from sipflow.daemon.greeting import describe
from sipflow.numbers.inventory import Number
from sipflow.sdp.codecs import CODECS
from sipflow.trunks.profiles.catalogue import PROFILES
from sipflow.trunks.profiles.profile import Fact, Profile
from tests.house.tree import ROOT

FOLDER = ROOT / "docs" / "providers"
FENCE = re.compile(r"^```([a-z]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ASTERISK_CODECS = {"ulaw": "PCMU", "alaw": "PCMA"}
TOKEN = "0875704225"


def page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall(page(name)) if kind == language]


def load(text: str) -> Configuration:
    names = re.findall(r"\$\{([A-Z_]+)\}", text)
    return parse(text, environ=dict.fromkeys(names, "a secret"))


def written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def row(fact: Fact) -> str:
    sets = ", ".join(f"`{key}: {written(value)}`" for key, value in fact.sets.items())
    source = f"<{fact.source}>" if fact.source.startswith("https://") and " " not in fact.source else fact.source
    return f"| {fact.aspect} | {fact.says} | {sets} | {source} |"


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_a_page_tells_all_that_its_profile_knows_and_nothing_else(profile: Profile) -> None:
    table = page(profile.name).partition("## What the profile knows\n")[2]

    assert [line for line in table.splitlines() if line.startswith("| ")][2:] == [row(fact) for fact in profile.facts]


@pytest.mark.parametrize("name", PROFILES)
def test_every_trunk_of_a_page_has_its_profile(name: str) -> None:
    for text in blocks(name, "yaml"):
        assert {trunk.profile for trunk in load(text).trunks.values()} == {name}


def test_every_page_is_in_the_index_with_its_profile() -> None:
    rows = re.findall(r"^\| \[[^]]+\]\(([^)]+)\.md\) \| `([^`]+)`", page("README"), re.MULTILINE)
    pages = {file.stem for file in FOLDER.glob("*.md")} - {"README"}

    assert {name for name, _ in rows} == pages
    assert dict(rows) == {name: name if name in PROFILES else "generic" for name in pages}


def test_every_page_says_what_of_it_was_run() -> None:
    pages = {file.stem: " ".join(file.read_text(encoding="utf-8").split()) for file in FOLDER.glob("*.md")}
    words = ("Nothing on this page was run", "run by our tests")

    assert [name for name, text in pages.items() if not any(word in text for word in words)] == []


def test_the_index_says_of_refer_what_the_profiles_say() -> None:
    rows = re.findall(r"^\| \[.*\]\(([^)]+)\.md\) \| .* \| ([^|]+) \|$", page("README"), re.MULTILINE)
    never = {name for name, profile in PROFILES.items() if profile.settings.get("refer.send") == "never"}

    assert {name for name, refer in rows if refer.startswith("never")} == never


def test_the_index_shows_what_sipflow_check_says() -> None:
    (text,) = blocks("README", "yaml")

    assert "\n".join(describe(load(text))[1:-1]) == blocks("README", "text")[0].rstrip("\n")


def asterisk(text: str, kind: str = "") -> dict[str, str]:
    """One section of a file of Asterisk's: the one of this type where several have the same name."""
    sections = [part for part in re.split(r"^(?=\[)", text, flags=re.MULTILINE) if f"type={kind}\n" in part]
    parser = ConfigParser(delimiters=("=",), comment_prefixes=(";",), interpolation=None)
    parser.read_string(sections[-1])
    return dict(parser[parser.sections()[0]])


def test_asterisk_and_the_yaml_beside_it_agree_on_account_codecs_and_times() -> None:
    pjsip, _ = blocks("asterisk", "ini")
    (text,) = blocks("asterisk", "yaml")
    trunk = yaml.safe_load(text)["trunks"]["pbx"]
    endpoint, auth, aor = (asterisk(pjsip, kind) for kind in ("endpoint", "auth", "aor"))

    assert (auth["username"], endpoint["auth"], endpoint["aors"]) == (trunk["username"],) * 3
    assert re.search(rf"above: {auth['password']}$", text, re.MULTILINE)
    assert [ASTERISK_CODECS[name] for name in endpoint["allow"].split(",")] == trunk["codecs"]
    assert set(trunk["codecs"]) <= set(CODECS)
    assert int(aor["minimum_expiration"]) <= trunk["register"]["expires"] <= int(aor["maximum_expiration"])
    assert asterisk(pjsip, "transport")["protocol"] == trunk["transport"]
    assert endpoint["transport"] == re.findall(r"^\[(.*)\]\ntype=transport$", pjsip, re.MULTILINE)[0]
    assert (endpoint["trust_id_inbound"], trunk["outbound"]["identity"]) == ("yes", "asserted")
    assert endpoint["dtmf_mode"] == "rfc4733"


def test_asterisk_dials_the_numbers_of_the_yaml_and_takes_back_what_sipflow_refers() -> None:
    pjsip, extensions = blocks("asterisk", "ini")
    (number,) = load(blocks("asterisk", "yaml")[0]).numbers
    contexts = dict(re.findall(r"^\[([a-z-]+)\]\n(.*?)(?=^\[|\Z)", extensions, re.MULTILINE | re.DOTALL))
    dialled = {
        context: re.findall(r"^exten => ([^,]+),1,(.*)$", text, re.MULTILINE) for context, text in contexts.items()
    }
    name = asterisk(pjsip, "endpoint")["aors"]

    assert number == Number("+12065550100", trunk="pbx", inbound_agent="desk")
    assert dialled["from-outside"] == [(number.number, f"Dial(PJSIP/${{EXTEN}}@{name},30)")]
    assert (f"_{TOKEN}.", f"Dial(PJSIP/${{EXTEN}}@{name},30)") in dialled[asterisk(pjsip, "endpoint")["context"]]
    assert asterisk(pjsip, "endpoint")["allow_transfer"] == "yes"
    for goto in re.findall(r"Goto\(([a-z-]+),", extensions):
        assert goto in contexts
