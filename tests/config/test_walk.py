from pathlib import Path

import pytest

from sipflow.config.problems import Problems
from sipflow.config.resolve import resolve
from sipflow.config.tree import Branch, Items, Leaf, read_tree
from sipflow.config.walk import locate, masked, plain, pruned, typed, written


def read(text: str) -> Branch:
    problems = Problems()
    root = read_tree(text, file="", problems=problems)
    return resolve(root, environ={"X": "hunter2"}, folder=Path(), problems=problems)


def test_a_path_is_followed_as_far_as_it_exists() -> None:
    root = read("a:\n  b:\n    - c\n    - d: e\n")

    assert locate(root, ("a", "b", "0"), 9) == (3, 3, Leaf("c", 3, text="c"))
    assert locate(root, ("a", "b", "1", "d"), 9) == (4, 4, Leaf("e", 4, text="e"))
    found, line, node = locate(root, ("a", "b", "7", "d"), 9)
    assert (found, line, type(node)) == (2, 2, Items)
    assert locate(root, ("x", "y"), 9) == (0, 9, root)
    assert locate(root, ("a", "b", "\u0663"), 9)[0] == 2


def test_plain_values_are_all_text() -> None:
    assert plain(read("a: 12\nb: [true, ~, '1']\nc: {d: 0.5}")) == {
        "a": "12",
        "b": ["true", None, "1"],
        "c": {"d": "0.5"},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("0.5", 0.5),
        ("-1.25", -1.25),
        ("true", True),
        ("False", False),
        ("~", None),
        ("yes", "yes"),
        ("no", "no"),
        ("'12'", "12"),
        ("+12065550100", "+12065550100"),
        ("0123", "0123"),
        ("1e3", "1e3"),
        ("1_000", "1_000"),
        ("\u0661\u0662", "\u0661\u0662"),
        ("9" * 5000, "9" * 5000),
        ("${X}", "hunter2"),
        ("[1, a]", [1, "a"]),
        ("{b: 2}", {"b": 2}),
    ],
)
def test_typed_values_are_numbers_and_truth_only_where_nobody_could_mean_text(text: str, expected: object) -> None:
    if text == "${X}":
        text = "'${X}'"

    assert typed(read(f"a: {text}")) == {"a": expected}


def test_a_secret_of_digits_stays_text() -> None:
    assert typed(read("token: 1234")) == {"token": "1234"}


def test_what_may_be_shown_is_what_was_written_and_no_secret() -> None:
    root = read("a: ${X}\npassword: b\nc: {d: e}\nf:\n")

    assert [written(entry.node) for entry in root.entries.values()] == ["${X}", "", "", ""]


def test_a_sentence_is_masked() -> None:
    root = read("a: sip:${X}\nb: [{password: geheim}]\nc: plain\n")

    assert masked("'sip:hunter2', geheim and plain", root) == "'sip:${X}', *** and plain"


def test_a_sentence_is_masked_where_it_quotes_in_capitals_or_cuts_short() -> None:
    root = read("a: ${X}\ntoken: abcdefghijklmnop\n")

    assert masked("'HUNTER2' and 'abcdefghij...'", root) == "'${X}' and '***...'"


def test_a_value_too_short_to_be_a_secret_hides_nothing() -> None:
    assert masked("7 is not in 10..20", read("password: 10")) == "7 is not in 10..20"


def test_pruning_leaves_out_values_and_whole_lists() -> None:
    root = read("a: {b: 1, c: 2}\nd: [1, 2]\ne: 3\n")

    assert plain(pruned(root, [("a", "b"), ("d", "1"), ("x", "y"), ()])) == {"a": {"c": "2"}, "e": "3"}
