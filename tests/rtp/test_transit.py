from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.rtp.transit import Transit

RATE_HZ = 8000
MS = RATE_HZ / 1000


def fed(transits_ms: list[float], transit: Transit | None = None) -> Transit:
    transit = transit or Transit(RATE_HZ, longest_ms=200)
    for each in transits_ms:
        transit.add(each * MS)
    return transit


def test_an_even_network_needs_no_wait() -> None:
    transit = fed([7.0] * 1000)

    assert (transit.base, transit.need, transit.rising) == (7.0 * MS, 0.0, False)


@pytest.mark.parametrize("longest_ms", [10, 20, 40, 80, 160])
def test_need_covers_an_evenly_spread_delay(longest_ms: int) -> None:
    random = Random(1)
    transit = fed([random.uniform(0, longest_ms) for _ in range(2000)])

    assert longest_ms * 0.95 <= transit.need / MS <= longest_ms + 5


def test_need_rises_at_once_and_falls_within_a_minute() -> None:
    transit = fed([0.0] * 1000)
    fed([30.0] * 10, transit)
    assert transit.need / MS == pytest.approx(32.5)

    fed([0.0] * 50 * 60, transit)
    assert transit.need == 0.0


def test_one_packet_held_up_among_hundreds_changes_nothing() -> None:
    transit = fed([0.0] * 1000 + [150.0] + [0.0] * 100)

    assert transit.need == 0.0


def test_base_falls_at_once_and_rises_within_five_seconds() -> None:
    transit = fed([50.0] * 500)
    fed([20.0], transit)
    assert transit.base == 20.0 * MS

    fed([50.0] * 250, transit)
    assert transit.base == 50.0 * MS


def test_a_longer_way_is_no_wider_spread_once_it_is_known() -> None:
    transit = fed([0.0] * 500 + [60.0] * 300)

    assert (transit.base, transit.need) == (60.0 * MS, 0.0)


def test_a_slower_clock_is_seen_to_rise_and_makes_no_spread() -> None:
    transit = fed([0.01 * packet for packet in range(5000)])  # 500 ppm at 20 ms

    assert transit.rising
    assert transit.need / MS <= 5
    assert 0 <= 50.0 - transit.base / MS <= 2.6


def test_a_new_time_line_keeps_the_spread() -> None:
    random = Random(1)
    transit = fed([random.uniform(0, 40) for _ in range(1000)])
    need = transit.need
    transit.rebase(1e9)

    assert (transit.base, transit.need) == (1e9, need)


def test_delays_beyond_the_longest_count_as_the_longest() -> None:
    transit = fed([0.0] * 100 + [5000.0] * 20)

    assert transit.need / MS == 200


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.sampled_from([8000, 48000]))
def test_need_stays_within_bounds_whatever_comes(transits: list[float], rate_hz: int) -> None:
    transit = Transit(rate_hz, longest_ms=200)
    for each in transits:
        transit.add(each)

    assert 0 <= transit.need <= 0.2 * rate_hz
    assert 0 <= transit.base - min(transits) <= 0.0001 * rate_hz
