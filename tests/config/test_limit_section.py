import pytest

from sipflow.calls.limits import Limit, LimitSettings
from sipflow.config.limit_section import limit_settings
from sipflow.numbers.use import Caps
from tests.config.sections import section_of, told


def read(text: str) -> tuple[LimitSettings | None, list[tuple[int, str, str]]]:
    section = section_of(text)
    own = {"pbx": Limit(5)}, {"desk": Limit(2)}, {"200": Caps(max_calls=1)}
    return limit_settings(section, trunks=own[0], agents=own[1], numbers=own[2]), told(section)


def test_every_limit_can_be_said() -> None:
    settings, problems = read(
        "max_calls: 500\ncalls_per_second: 20\neach_trunk: {max_calls: 30, calls_per_second: 2.5}\n"
        "each_agent: {max_calls: 50}\neach_number: {max_calls: 1, calls_per_second: 0.1, calls_per_day: 150}\n"
        "each_token: {calls_per_second: 5}\nqueue: {calls: 10, wait_s: 60}\ntime_zone: America/New_York\n"
    )

    assert problems == []
    assert settings == LimitSettings(
        whole=Limit(500, 20.0),
        token_calls_per_second=5.0,
        each_trunk=Limit(30, 2.5),
        each_agent=Limit(50),
        each_number=Caps(1, 0.1, 150),
        trunks={"pbx": Limit(5)},
        agents={"desk": Limit(2)},
        numbers={"200": Caps(max_calls=1)},
        queue_calls=10,
        queue_s=60.0,
        time_zone="America/New_York",
    )


def test_without_the_section_nothing_is_limited() -> None:
    settings, problems = read("# nothing\n{}")

    assert problems == []
    assert settings is not None
    assert (settings.whole, settings.each_trunk, settings.each_number, settings.queue_calls) == (
        Limit(), Limit(), Caps(), 1000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("max_calls: 0", (1, "max_calls", "must be greater than or equal to 1, not '0'")),
        ("calls_per_second: 0", (1, "calls_per_second", "must be greater than 0, not '0'")),
        ("calls_per_secnd: 1", (1, "calls_per_secnd", "unknown key; did you mean calls_per_second?")),
        ("each_number: {calls_per_day: many}", (1, "each_number.calls_per_day", "must be a whole number, not 'many'")),
        ("queue: {wait_s: 0}", (1, "queue.wait_s", "must be greater than 0, not '0'")),
        ("time_zone: Mars", (1, "time_zone", "'Mars' is no time zone: write one such as Europe/Berlin")),
    ],
)
def test_what_is_no_limit_is_told_with_its_line_and_key(text: str, problem: tuple[int, str, str]) -> None:
    assert read(text)[1] == [problem]
