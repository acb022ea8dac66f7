import random

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.numbers.resting import Health, Outcome, Rate, Rest, RestSettings, outcome_of, pool_rate

ANSWERED, UNANSWERED = Outcome.ANSWERED, Outcome.UNANSWERED
SETTINGS = RestSettings()


def busy_pool(rate: float) -> Rate:
    """A pool's rate after many calls of others."""
    pool = pool_rate()
    for index in range(2000):
        pool.note(answered=int(index * rate) != int((index - 1) * rate))
    return pool


def run(
    health: Health, pool: Rate, outcomes: list[Outcome], settings: RestSettings = SETTINGS
) -> tuple[int, Rest] | None:
    """Judge calls until one leads to a rest: which it was, and the rest."""
    for index, outcome in enumerate(outcomes, 1):
        rest = health.judge(outcome, pool, settings)
        if rest is not None:
            return index, rest
    return None


@pytest.mark.parametrize(
    ("status", "answered", "by_us", "outcome"),
    [
        (200, True, False, Outcome.ANSWERED),
        (486, False, False, Outcome.UNANSWERED),
        (480, False, False, Outcome.UNANSWERED),
        (408, False, False, Outcome.UNANSWERED),
        (603, False, False, Outcome.UNANSWERED),
        (487, False, True, Outcome.NOTHING),
        (607, False, False, Outcome.UNWANTED),
        (608, False, False, Outcome.BLOCKED),
        (404, False, False, Outcome.NOTHING),  # the callee's number is wrong
        (503, False, False, Outcome.NOTHING),  # the trunk is at fault
        (403, False, False, Outcome.NOTHING),
        (0, False, True, Outcome.NOTHING),
    ],
)
def test_what_an_end_says_about_the_number_that_called(
    status: int, answered: bool, by_us: bool, outcome: Outcome
) -> None:
    assert outcome_of(status, answered=answered, by_us=by_us) is outcome


def test_an_answer_rate_that_collapses_is_noticed_and_told_with_figures() -> None:
    pool, health = busy_pool(0.4), Health()
    was_well = run(health, pool, ([ANSWERED] * 2 + [UNANSWERED] * 3) * 20)

    found = run(health, pool, [UNANSWERED] * 100)

    assert was_well is None
    assert found is not None
    assert found == (
        27, Rest(3600.0, "of its last 30 calls 0 were answered, where 35 % of the pool's, or of its own before, were")
    )  # fmt: skip


def test_fewer_calls_than_the_sample_rest_nothing() -> None:
    pool = busy_pool(0.9)

    assert run(Health(), pool, [UNANSWERED] * 29) is None
    found = run(Health(), pool, [UNANSWERED] * 200, RestSettings(after_calls=120))
    assert found is not None
    assert (found[0], found[1].why[:45]) == (120, "of its last 120 calls 0 were answered, where ")


def test_a_number_that_was_never_answered_more_is_compared_with_itself() -> None:
    pool, health = busy_pool(0.5), Health()
    for _ in range(40):  # a night number: one call of ten is answered
        run(health, pool, [ANSWERED] + [UNANSWERED] * 9, RestSettings(enabled=False))

    assert run(health, pool, ([ANSWERED] + [UNANSWERED] * 9) * 30) is None


def test_when_everybody_is_answered_less_it_is_not_the_number() -> None:
    pool, numbers = busy_pool(0.5), [Health() for _ in range(20)]
    chance = random.Random(4)
    rested = [
        health
        for _ in range(200)
        for health in numbers
        if health.judge(ANSWERED if chance.random() < 0.15 else UNANSWERED, pool, SETTINGS) is not None
    ]

    assert len(rested) <= 2  # while the pool's own rate was still falling


def test_numbers_that_are_well_are_almost_never_rested() -> None:
    pool, chance = busy_pool(0.3), random.Random(1)
    rested = 0
    for _ in range(40):
        health = Health()
        calls = [ANSWERED if chance.random() < 0.3 else UNANSWERED for _ in range(500)]
        rested += run(health, pool, calls) is not None

    assert rested <= 1  # of 20,000 calls


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.UNWANTED, "607"), (Outcome.BLOCKED, "608")])
def test_a_607_or_608_rests_the_number_at_once(outcome: Outcome, code: str) -> None:
    rest = Health().judge(outcome, pool_rate(), SETTINGS)

    assert rest is not None
    assert code in rest.why
    assert Health().judge(outcome, pool_rate(), RestSettings(enabled=False)) is None


def test_after_a_rest_one_answered_call_ends_probation() -> None:
    pool, health = busy_pool(0.4), Health()
    health.rest(Rest(60.0, "x"), now=0.0)
    first = health.judge(UNANSWERED, pool, SETTINGS), health.on_probation
    second = health.judge(ANSWERED, pool, SETTINGS), health.on_probation

    assert (first, second) == ((None, True), (None, False))


def test_after_a_rest_too_many_calls_in_vain_rest_it_again_twice_as_long_and_no_longer_than_may_be() -> None:
    pool, health = busy_pool(0.4), Health()
    lengths = []
    for _ in range(7):
        found = run(health, pool, [UNANSWERED] * 200)
        assert found is not None
        lengths.append(found[1].for_s)
        health.rest(found[1], now=0.0)
        pool = busy_pool(0.4)

    assert lengths == [3600.0, 7200.0, 14400.0, 28800.0, 57600.0, 86400.0, 86400.0]
    assert health.why == "none of its 10 calls after a rest was answered"


def test_two_hundred_good_calls_after_a_rest_forget_it() -> None:
    pool, health = busy_pool(0.5), Health()
    health.rest(Rest(60.0, "x"), now=0.0)
    assert run(health, pool, [ANSWERED, UNANSWERED] * 120) is None

    assert health.judge(Outcome.BLOCKED, pool, SETTINGS) == Rest(3600.0, "somebody on the way blocks it as spam (608)")


def test_a_person_can_wake_a_number() -> None:
    health = Health()
    health.rest(Rest(60.0, "x"), now=0.0)
    health.wake()

    assert (health.until, health.on_probation, health.why) == (0.0, False, "x")


def test_what_is_known_of_a_number_survives_a_restart() -> None:
    pool, health = busy_pool(0.4), Health()
    run(health, pool, [ANSWERED, UNANSWERED] * 20)
    health.rest(Rest(60.0, "because"), now=0.0)

    again = Health()
    again.restore(health.state())

    assert again.state() == health.state()
    assert (again.why, again.on_probation, round(again.rate.value, 2)) == ("because", True, round(health.rate.value, 2))


@pytest.mark.parametrize(
    "wrong",
    [{"for_s": 0.0}, {"for_s": 90_000.0}, {"share": 1.5}, {"after_calls": 0}, {"probation_calls": 0}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError):
        RestSettings(**wrong)  # type: ignore[arg-type]
