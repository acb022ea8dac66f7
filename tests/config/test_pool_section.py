import pytest

from sipflow.config.pool_section import pool_settings
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import RestSettings
from sipflow.numbers.use import Caps
from tests.config.sections import section_of, told

KNOWN = ["+12065550100", "+12065550101", "200"]


def read(text: str) -> tuple[PoolSettings | None, list[tuple[int, str, str]]]:
    section = section_of(text)
    return pool_settings(section, "sales", KNOWN), told(section)


def test_numbers_may_be_a_list() -> None:
    assert read("numbers: [+1 206 555 0100, 200, +1206*]\n") == (
        PoolSettings("sales", members=(Member("+12065550100"), Member("200"), Member("+1206*"))),
        [],
    )
    assert read("numbers: +12065550100\n")[0] == PoolSettings("sales", members=(Member("+12065550100"),))


def test_numbers_may_be_a_mapping_that_says_more_of_each() -> None:
    settings, problems = read(
        "strategy: [sticky, same_area, weighted]\nmax_calls: 1\ncalls_per_day: 150\nremember: 500\n"
        "rest: {for_s: 600, share: 0.2}\nnumbers:\n  +12065550100: {weight: 3, max_calls: 2}\n  +12065550101:\n"
    )

    assert problems == []
    assert settings == PoolSettings(
        "sales",
        ("sticky", "same_area", "weighted"),
        (Member("+12065550100", 3.0, Caps(max_calls=2)), Member("+12065550101")),
        Caps(max_calls=1, calls_per_day=150),
        RestSettings(for_s=600.0, share=0.2),
        500,
    )


def test_resting_can_be_switched_off_in_one_word() -> None:
    settings, problems = read("numbers: [200]\nrest: no\nstrategy: same_area\n")

    assert problems == []
    assert settings == PoolSettings(
        "sales", ("same_area", "same_country", "round_robin"), (Member("200"),), rest=RestSettings(enabled=False)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("strategy: weighted", (1, "numbers", "has no numbers")),
        ("numbers: [200]\nstrategy: fair", (2, "strategy", "'fair' is none of sticky, same_area, same_country, "
         "round_robin, least_recently_used, weighted")),
        ("numbers: {+12065550199: }", (1, "numbers.+12065550199", "there is no number '+12065550199'; "
         "did you mean +12065550101?")),
        ("numbers: [12065550100]", (1, "numbers.12065550100", "is not E.164; write it with + and country code: "
         "'+12065550100'")),
        ("numbers: {200: {weight: 0}}", (1, "numbers.200.weight", "must be greater than 0, not '0'")),
        ("numbers: {200: {wieght: 1}}", (1, "numbers.200.wieght", "unknown key")),
        ("numbers: [[200]]", (1, "numbers", "must be a list of numbers, or a mapping of numbers to what is to be "
         "said of each")),
        ("numbers: [200]\nrest: {for_s: 90000}", (2, "rest.for_s", "must be more than 0 and at most at_most_s, "
         "not 90000")),
        ("numbers: [200]\nmax_call: 3", (2, "max_call", "unknown key; did you mean max_calls?")),
    ],
)  # fmt: skip
def test_what_is_no_pool_is_told_with_its_line_and_key(text: str, problem: tuple[int, str, str]) -> None:
    assert problem in read(text)[1]
    assert len(read(text)[1]) == 1
