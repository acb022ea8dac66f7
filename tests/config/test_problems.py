import pytest

from sipflow.config.problems import Problem, Problems, dotted, nearest, shown, suggestion
from sipflow.errors import ConfigError


def test_all_problems_are_told_at_once_by_line_and_each_once() -> None:
    problems = Problems()
    problems.add("must be a number", line=7, path=("media", "drain_s"))
    problems.add("unknown key", line=3, path=["sip", "lisen"])
    problems.add("must be a number", line=7, path=("media", "drain_s"))

    with pytest.raises(ConfigError) as caught:
        problems.raise_all("a.yaml")

    assert str(caught.value) == "a.yaml:3: sip.lisen: unknown key\na.yaml:7: media.drain_s: must be a number"
    assert (caught.value.file, caught.value.line, caught.value.key) == ("a.yaml", 3, "sip.lisen")


def test_without_a_problem_nothing_is_raised() -> None:
    Problems().raise_all("a.yaml")


def test_problems_are_counted_and_kept_in_the_order_they_are_found() -> None:
    problems = Problems()
    problems.add("b", line=2)
    problems.add("a", line=1)

    assert len(problems) == 2
    assert problems.found == [Problem(2, "", "b"), Problem(1, "", "a")]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [("eco", "; did you mean echo?"), ("ECHO", "; did you mean echo?"), ("x", "; valid: Desk, announce, echo"),
     ("desk", "; did you mean Desk?")],
)  # fmt: skip
def test_the_nearest_name_is_suggested_or_else_all_of_them(wrong: str, expected: str) -> None:
    assert suggestion(wrong, ["echo", "announce", "Desk"]) == expected


def test_a_long_list_of_names_is_not_shown() -> None:
    assert suggestion("x", [f"trunk{index}" for index in range(100)]) == ""
    assert suggestion("x", []) == ""


def test_nothing_near_is_nothing() -> None:
    assert nearest("zzz", ["echo"]) is None


def test_keys_are_shown_printable_and_short() -> None:
    assert shown("a\x1b[31m\nb") == "a?[31m?b"
    assert shown("x" * 100) == "x" * 60 + "..."
    assert dotted(("trunks", "a\nb", "password")) == "trunks.a?b.password"
