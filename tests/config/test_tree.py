from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sipflow.config import tree
from sipflow.config.problems import Problem, Problems
from sipflow.config.tree import Branch, Entry, Items, Leaf, read_tree
from sipflow.errors import ConfigError


@pytest.fixture(autouse=True, params=["CSafeLoader", "SafeLoader"])
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove everything with the C parser and with the one for machines that lack it."""
    monkeypatch.setattr(tree, "LOADER", getattr(yaml, request.param))


COLON = "a ':' where YAML expects none: put the value in quotes, or line the key up with the ones above"
NO_BREAK = "a no-break space indents this line; YAML takes plain spaces only"
SECRETS = [
    "'hunter2",
    "*hunter2",
    "!hunter2 x",
    "@hunter2",
    "a: hunter2",
    "&hunter2",
    '"\\hunter2"',
    "[hunter2",
]


def read(text: str) -> Branch:
    problems = Problems()
    root = read_tree(text, file="a.yaml", problems=problems)
    assert problems.found == []
    return root


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def test_keys_and_values_know_their_lines() -> None:
    assert read("sip:\n  listen:\n    - udp\n    - 'tcp'\n") == Branch(
        {
            "sip": Entry(
                1,
                Branch(
                    {
                        "listen": Entry(
                            2,
                            Items((Leaf("udp", 3, text="udp"), Leaf("tcp", 4, plain=False, text="tcp")), 3),
                        )
                    },
                    2,
                ),
            )
        },
        1,
    )


@pytest.mark.parametrize(
    "written", ["+12065550100", "0123", "0x10", "1:30", "no", "ON", "1e3", "1_000", "2024-01-01", "="]
)
def test_what_yaml_would_make_a_number_or_a_truth_value_stays_as_written(written: str) -> None:
    root = read(f"{written}: {written}")

    assert root.entries == {written: Entry(1, Leaf(written, 1, text=written))}


@pytest.mark.parametrize("written", ["", "~", "null"])
def test_nothing_is_nothing(written: str) -> None:
    assert read(f"a: {written}").entries["a"].node == Leaf(None, 1)


def test_null_in_quotes_is_text() -> None:
    assert read("a: 'null'").entries["a"].node == Leaf("null", 1, plain=False, text="null")
    assert read("a: !!str 12").entries["a"].node == Leaf("12", 1, plain=False, text="12")


def test_a_key_that_is_there_twice_is_a_problem_with_both_lines() -> None:
    problems = Problems()
    root = read_tree("numbers:\n  +1206: {a: 1}\n  '+1206': {b: 2}\nsip: {a: 1, a: 2}\n", file="", problems=problems)

    assert problems.found == [
        Problem(3, "numbers.+1206", "this key is already on line 2; one of the two must go"),
        Problem(4, "sip.a", "this key is already on line 4; one of the two must go"),
    ]
    assert list(root.entries) == ["numbers", "sip"]


def test_aliases_and_merges_copy_and_the_nearer_key_wins() -> None:
    root = read("base: &base {a: 1, b: 2}\none: {<<: *base, b: 3}\ntwo: *base\nthree: {<<: [{a: 9}, *base]}\n")

    def texts(key: str) -> dict[str, str | None]:
        branch = root.entries[key].node
        assert isinstance(branch, Branch)
        return {name: entry.node.text for name, entry in branch.entries.items() if isinstance(entry.node, Leaf)}

    assert texts("one") == {"a": "1", "b": "3"}
    assert texts("two") == {"a": "1", "b": "2"}
    assert texts("three") == {"a": "9", "b": "2"}


def test_a_bomb_of_aliases_ends_at_the_limit() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))

    assert refusal(bomb) == "a.yaml:6: more than 200000 values, aliases counted in full"


@pytest.mark.parametrize("text", ["a: " + "[" * 30 + "]" * 30, "a: " + "[" * 100_000, "a: " + "{a: " * 5000])
def test_deep_nesting_ends_at_the_limit(text: str) -> None:
    assert refusal(text) == "a.yaml:1: nested deeper than 20 levels"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ": the file is empty"),
        ("# nothing\n\n", ": the file is empty"),
        ("---\n", ": the file is empty"),
        ("- a\n", ":1: must begin with keys such as sip:, trunks:, numbers:, agents:"),
        ("hello", ":1: must begin with keys such as sip:, trunks:, numbers:, agents:"),
        ("a: b\n---\nc: d\n", ":2: a second document begins here (---): a configuration is one"),
        ("a: [1]\n? [b]\n: c\n", ":2: a key must be a word or a number before a ':'"),
        ("a:\n  ? ~\n  : b\n", ":2: a key must be a word or a number before a ':'"),
        ("a: &x [*x]", ":1: a value that begins with * must be in quotes (or: no such alias before this line)"),
        ("a: !secret b", ":1: a value that begins with ! must be in quotes"),
        ("a: !!python/object:os.system []", ":1: a value that begins with ! must be in quotes"),
        ("a: !x {b: c}", ":1: a value that begins with ! must be in quotes"),
        ("a: {<<: b}", ":1: <<: takes the mapping of an alias, such as <<: *defaults"),
        ("a:\n\tb: c\n", ":2: a tab indents this line; YAML takes spaces only"),
        ("a: b: c\n", f":1: {COLON}"),
        ("a: b\n c: d\n", f":2: {COLON}"),
        ("a: - b\n", ":1: a '-' where YAML expects none: put a list on lines of its own"),
        ("a: {password: ${PW}}", ':1: inside { } and [ ] put "${NAME}" in quotes'),
        ("a: [tls:[::1]:5061]", ":1: an address with [ ] must be in quotes inside a list"),
        ("a: %x\n", ":1: a value that begins with % must be in quotes"),
        ("a: @x\n", ":1: a value that begins with @ must be in quotes"),
        ("a: [`x]\n", ":1: not YAML from here: look for a missing quote, comma or bracket, or wrong indentation"),
        ("a: [b\nc: d\n", ":2: not YAML from here: look for a missing quote, comma or bracket, or wrong indentation"),
        ('a: 1\nb:"2"\nc: 3\n', ":2: a ':' without a space behind it: write key: value"),
        ("a:\n  b: c\n\u00a0 d: e\n  f: g\n", f":3: {NO_BREAK}"),
        ("a: b\nc: \u201cd\u201d\n", ":2: curly quotes are no quotes to YAML; write ' or \""),
        ('a: "\\q"\n', ":1: a \\ in double quotes begins an escape: write \\\\ or use single quotes"),
    ],
)  # fmt: skip
def test_what_is_not_a_configuration_is_refused_in_plain_words(text: str, why: str) -> None:
    assert refusal(text) == "a.yaml" + why


@pytest.mark.parametrize("secret", SECRETS)
def test_no_refusal_quotes_what_is_written(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"password: {secret}\n: [")

    assert "hunter" not in str(caught.value)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(ConfigError):
        read_tree(text, file="a.yaml", problems=Problems())


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?\n \t<$0", max_size=60))
def test_no_near_yaml_breaks_it(text: str) -> None:
    with suppress(ConfigError):
        read_tree(text, file="a.yaml", problems=Problems())
