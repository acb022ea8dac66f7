import pytest

from sipflow.trunks.pauses import Pauses
from sipflow.trunks.settings import RegisterSettings
from tests.trunks.registrar import Play, answered, granted, registration


def pauses(jitter: float = 1.0, settings: RegisterSettings | None = None) -> Pauses:
    return Pauses(settings or RegisterSettings(), lambda: jitter)


@pytest.mark.parametrize(("jitter", "refresh"), [(0.0, 225.0), (0.5, 210.0), (1.0, 195.0)])
def test_a_refresh_comes_between_65_and_75_percent_of_the_expiry(jitter: float, refresh: float) -> None:
    assert pauses(jitter).until_refresh(300.0) == pytest.approx(refresh)


def test_failures_at_start_double_from_half_a_second_to_five_minutes() -> None:
    row = pauses()

    assert [row.after_failure() for _ in range(12)] == [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_failures_after_a_success_double_from_one_second() -> None:
    row = pauses()
    row.after_failure()
    row.until_refresh(300.0)

    assert [row.after_failure() for _ in range(4)] == [1, 2, 4, 8]


def test_jitter_shortens_pauses_by_a_quarter_at_most() -> None:
    row = pauses(0.0)

    assert [row.after_failure() for _ in range(11)] == [0.375, 0.75, 1.5, 3, 6, 12, 24, 48, 96, 192, 225]


def test_a_registrar_that_closes_every_connection_is_asked_ever_more_slowly_until_one_has_held() -> None:
    row = pauses(0.0)

    assert [row.after_loss(1.0) for _ in range(8)] == [0, 0, 0, 30, 60, 120, 240, 300]
    assert [row.after_loss(lasted_s) for lasted_s in (119.0, 120.0, 1.0)] == [300, 0, 0]
    assert pauses(1.0, RegisterSettings(longest_retry_s=10.0)).after_loss(0.0) == 0


def test_a_thousand_failures_overflow_nothing() -> None:
    row = pauses()

    assert {row.after_failure() for _ in range(5000)} == {*[0.5 * 2**power for power in range(10)], 300.0}
    assert {row.after_rejection(bound=False) for _ in range(5000)} == {375.0, 750.0, 1500.0, 3000.0, 4500.0}


def test_a_registrar_that_asks_for_a_pause_gets_it_and_a_little_more() -> None:
    assert pauses(0.0).after_failure(asked_s=60.0) == 60.0
    assert pauses(1.0).after_failure(asked_s=60.0) == pytest.approx(66.0)
    assert pauses(0.0).after_rejection(bound=False, asked_s=7200.0) == 7200.0
    assert pauses(0.0).after_rejection(bound=False, asked_s=60.0) == 300.0


def test_refusals_wait_five_minutes_at_least_and_double_to_an_hour() -> None:
    row = pauses(0.0)

    assert [row.after_rejection(bound=False) for _ in range(6)] == [300, 600, 1200, 2400, 3600, 3600]


def test_a_refusal_while_we_are_registered_gets_one_second_chance() -> None:
    row = pauses(0.0)

    assert [row.after_rejection(bound=True) for _ in range(3)] == [30, 600, 1200]


def test_forgetting_starts_anew() -> None:
    row = pauses()
    for _ in range(5):
        row.after_failure()
        row.after_rejection(bound=False)

    row.forget()

    assert (row.rejections, row.after_failure(), row.after_rejection(bound=False)) == (0, 0.5, 375.0)


def test_pauses_follow_the_settings() -> None:
    settings = RegisterSettings(first_retry_s=2.0, longest_retry_s=5.0, rejected_retry_s=10.0)
    row = pauses(1.0, settings)

    assert [row.after_failure() for _ in range(4)] == [2.0, 4.0, 5.0, 5.0]
    assert [row.after_rejection(bound=False) for _ in range(2)] == [12.5, 25.0]


@pytest.mark.parametrize(
    ("retry_after", "jitter", "next_at"),
    [("60", 0.0, 60.0), ("9999999", 0.0, 86_400.0), ("0", 1.0, 0.5), ("soon", 1.0, 0.5), ("-1", 1.0, 0.5)],
)
def test_retry_after_is_honoured_up_to_a_day(retry_after: str, jitter: float, next_at: float) -> None:
    machine = registration(jitter=jitter)

    Play(machine, lambda plan, now: answered(plan, 503, ("Retry-After", retry_after))).start()

    assert machine.retry_at == next_at


def test_a_connection_that_breaks_after_every_200_leads_to_no_register_without_end() -> None:
    machine = registration(jitter=0.5)
    play = Play(machine, lambda plan, now: granted(plan)).start(until=1.0)
    for _ in range(6):
        registered_at = play.times()[-1]
        play.do(machine.lost(now=registered_at + 1.0, within_s=1.0))
        while play.times()[-1] == registered_at:
            play.run(machine.deadline or 0.0)

    assert play.times() == [0.0, 1.5, 3.0, 4.5, 28.0, 74.0, 165.0]
