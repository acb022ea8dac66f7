import pytest

from sipflow.media.lateness import Lateness


def test_percentiles_are_exact_to_a_tenth_of_a_millisecond() -> None:
    lateness = Lateness()
    for tenth in range(1000):
        lateness.add(tenth / 10_000 + 0.00001)

    assert lateness.percentile(50) == pytest.approx(50.0)
    assert lateness.percentile(99.9) == pytest.approx(99.9)
    assert lateness.percentile(100) == pytest.approx(99.91)
    assert lateness.worst_ms == pytest.approx(99.91)


def test_events_are_counted_with_their_weight() -> None:
    lateness = Lateness()
    lateness.add(0.0005, 999)
    lateness.add(0.050, 1)

    assert lateness.count == 1000
    assert lateness.percentile(99.9) == pytest.approx(0.6)
    assert lateness.percentile(99.95) == pytest.approx(50.0)
    assert lateness.within(5.0) == pytest.approx(0.999)


def test_what_is_early_is_on_time_and_what_is_very_late_is_the_worst() -> None:
    lateness = Lateness()
    lateness.add(-0.001)
    lateness.add(12.5)

    assert lateness.percentile(50) == pytest.approx(0.1)
    assert lateness.percentile(100) == pytest.approx(12_500)


def test_nothing_counted_is_nothing_late() -> None:
    lateness = Lateness()
    assert (lateness.percentile(99.9), lateness.within(5.0), lateness.count) == (0.0, 1.0, 0)

    lateness.add(0.1)
    lateness.reset()

    assert (lateness.percentile(99.9), lateness.worst_ms, lateness.count) == (0.0, 0.0, 0)
