import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.rtp.source import Arrival, ReceptionReport, Source

TICKS = 160
TICK_S = 0.02


def play(source: Source, numbers: Iterable[int], *, ssrc: int = 7) -> list[Arrival]:
    """Receive packets sent 20 ms apart, each the moment it is sent, however much out of order."""
    return [source.receive(number & 0xFFFF, number * TICKS & 0xFFFFFFFF, number * TICK_S, ssrc) for number in numbers]


def counts(source: Source) -> dict[str, int]:
    return {
        "received": source.received,
        "lost": source.lost,
        "duplicates": source.duplicates,
        "late": source.late,
        "jumps": source.jumps,
        "restarts": source.restarts,
    }


NOTHING = {"received": 0, "lost": 0, "duplicates": 0, "late": 0, "jumps": 0, "restarts": 0}


def test_a_source_is_proven_by_two_packets_in_a_row_and_both_count() -> None:
    source = Source()

    assert play(source, [10, 11]) == [Arrival.PROBATION, Arrival.IN_ORDER]
    assert counts(source) == NOTHING | {"received": 2}


def test_packets_out_of_step_prove_nothing() -> None:
    source = Source()

    assert play(source, [10, 500, 4000, 9]) == [Arrival.PROBATION] * 4
    assert (source.valid, counts(source)) == (False, NOTHING)
    assert source.report(now=1.0) is None


def test_a_source_can_be_trusted_from_its_first_packet() -> None:
    source = Source(min_sequential=1)

    assert play(source, [10]) == [Arrival.IN_ORDER]
    assert counts(source) == NOTHING | {"received": 1}


def test_a_steady_stream_loses_nothing_over_many_wraps() -> None:
    source = Source()
    play(source, range(65000, 65000 + 200_000))

    assert counts(source) == NOTHING | {"received": 200_000}
    assert source.highest_sequence == 65000 + 200_000 - 1
    assert source.jitter_ticks == pytest.approx(0.0, abs=1e-3)


def test_a_gap_is_lost_packets() -> None:
    source = Source()
    play(source, [1, 2, 3, 7, 8])

    assert counts(source) == NOTHING | {"received": 5, "lost": 3}


def test_a_late_packet_is_not_lost_and_a_second_copy_is_a_duplicate() -> None:
    source = Source()

    assert play(source, [1, 2, 4, 3, 3, 4, 5])[2:] == [
        Arrival.IN_ORDER, Arrival.LATE, Arrival.DUPLICATE, Arrival.DUPLICATE, Arrival.IN_ORDER,
    ]  # fmt: skip
    assert counts(source) == NOTHING | {"received": 7, "duplicates": 2, "late": 1}


def test_duplicates_do_not_hide_a_loss() -> None:
    source = Source()
    play(source, [1, 2, 2, 2, 5])

    assert counts(source) == NOTHING | {"received": 5, "lost": 2, "duplicates": 2}


def test_a_packet_older_than_the_first_is_late_and_was_expected() -> None:
    source = Source()
    play(source, [10, 11, 9, 12])

    assert (counts(source), source.expected) == (NOTHING | {"received": 4, "late": 1}, 4)


def test_a_packet_two_seconds_old_is_still_late_and_older_is_a_jump() -> None:
    source = Source()
    play(source, [*range(1000), 1100])

    assert source.receive(1100 - 99, 0, 30.0, 7) is Arrival.LATE
    assert source.receive(1100 - 101, 0, 30.0, 7) is Arrival.JUMP


def test_one_packet_far_out_of_sequence_is_counted_as_a_jump_only() -> None:
    source = Source()

    assert play(source, [1, 2, 30000, 3])[2:] == [Arrival.JUMP, Arrival.IN_ORDER]
    assert counts(source) == NOTHING | {"received": 3, "jumps": 1}


def test_two_in_a_row_far_out_of_sequence_are_a_restart_and_totals_go_on() -> None:
    source = Source()

    assert play(source, [1, 2, 4, 30000, 30001, 30003])[3:] == [Arrival.JUMP, Arrival.IN_ORDER, Arrival.IN_ORDER]
    assert counts(source) == NOTHING | {"received": 5, "lost": 2, "jumps": 1, "restarts": 1}


def test_a_gap_of_less_than_a_minute_is_loss_and_no_restart() -> None:
    source = Source()

    assert play(source, [1, 2, 2 + 2999])[-1] is Arrival.IN_ORDER
    assert counts(source) == NOTHING | {"received": 3, "lost": 2998}


@pytest.mark.parametrize("goes_on_at", [5, 400, 2999, 40_000, 65_400])
def test_what_was_sent_while_nobody_looked_is_no_loss_and_what_is_lost_before_and_after_is(goes_on_at: int) -> None:
    source = Source()
    play(source, [1, 2, 4])
    source.look_away()

    assert play(source, [goes_on_at, goes_on_at + 2]) == [Arrival.IN_ORDER, Arrival.IN_ORDER]
    assert counts(source) == NOTHING | {"received": 5, "lost": 2}
    assert source.report(now=1.0) == ReceptionReport(7, (2 << 8) // 7, 2, goes_on_at + 2 & 0xFFFF, 0)


def test_another_source_that_speaks_when_somebody_looks_again_is_proven_as_ever() -> None:
    source = Source()
    play(source, [1, 2])
    source.look_away()

    assert play(source, [900, 901, 903], ssrc=8) == [Arrival.PROBATION, Arrival.IN_ORDER, Arrival.IN_ORDER]
    assert counts(source) == NOTHING | {"received": 5, "lost": 1, "restarts": 1}


def test_a_stray_packet_of_another_source_changes_nothing() -> None:
    source = Source()
    play(source, [1, 2, 3])

    assert source.receive(50, 0, 0.06, 666) is Arrival.PROBATION
    assert play(source, [4, 5]) == [Arrival.IN_ORDER, Arrival.IN_ORDER]
    assert (source.ssrc, counts(source)) == (7, NOTHING | {"received": 5})


def test_a_new_source_takes_over_when_proven_and_totals_go_on() -> None:
    source = Source()
    play(source, [1, 2, 4])

    assert play(source, [900, 901, 902], ssrc=8) == [
        Arrival.PROBATION, Arrival.IN_ORDER, Arrival.IN_ORDER,
    ]  # fmt: skip
    assert (source.ssrc, counts(source)) == (8, NOTHING | {"received": 6, "lost": 1, "restarts": 1})


def test_jitter_follows_rfc3550_a_8() -> None:
    source = Source(min_sequential=1)
    late_s = [0.0, 0.005, 0.0, 0.010, 0.002]
    for number, late in enumerate(late_s):
        source.receive(number, number * TICKS, number * TICK_S + late)

    expected = 0.0
    for before, after in pairwise(late_s):
        expected += (abs(after - before) * 8000 - expected) / 16
    assert source.jitter_ticks == pytest.approx(expected)
    assert source.jitter_ms == pytest.approx(expected / 8)


def test_packets_in_order_count_the_same_one_by_one_and_together() -> None:
    draw = random.Random(1)
    arrivals = [number * TICK_S + draw.random() / 50 + (5.0 if number > 30 else 0.0) for number in range(60)]
    single, together = Source(min_sequential=1), Source(min_sequential=1)
    for number, at in enumerate(arrivals):
        single.receive(number, number * TICKS, at)
    together.receive(0, 0, arrivals[0])
    for start in (1, 20, 40):
        some = range(start, {1: 20, 20: 40, 40: 60}[start])
        transits = [arrivals[number] * 8000 - number * TICKS for number in some]
        together.receive_in_order(transits, some[-1] * TICKS, arrivals[some[-1]])

    assert together.jitter_ticks == pytest.approx(single.jitter_ticks)
    assert counts(together) == counts(single) == NOTHING | {"received": 60}
    assert together.report(now=9.0) == single.report(now=9.0)
    again = [each.receive(60, 60 * TICKS, arrivals[59] + 0.01, 0) for each in (single, together)]
    assert again == [Arrival.IN_ORDER] * 2
    assert together.jitter_ticks == pytest.approx(single.jitter_ticks)


def test_packets_of_one_event_and_pauses_are_no_jitter() -> None:
    source = Source(min_sequential=1)
    for place, timestamp in enumerate([0, 160, 320, 320, 320, 320, 960]):
        source.receive(place, timestamp, place * TICK_S)
    source.receive(7, 1120, 60.0)  # held for a minute, with timestamps that stood still

    assert source.jitter_ticks == pytest.approx(0.0, abs=1e-6)


def test_timestamps_that_wrap_are_no_jitter() -> None:
    source = Source(min_sequential=1)
    for place in range(4):
        source.receive(place, (2**32 - 320 + place * TICKS) & 0xFFFFFFFF, place * TICK_S)

    assert source.jitter_ticks == pytest.approx(0.0, abs=1e-6)


def test_a_report_covers_the_time_since_the_last_one() -> None:
    source = Source()
    play(source, [1, 2, 4, 5, 7, 8, 9, 10])
    first = source.report(now=1.0)
    play(source, [11, 12])

    assert first == ReceptionReport(
        ssrc=7, fraction_lost=2 * 256 // 10, cumulative_lost=2, highest_sequence=10, jitter_ticks=0
    )
    assert source.report(now=2.0) == ReceptionReport(7, 0, 2, 12, 0)


def test_a_report_says_how_long_ago_the_senders_report_came() -> None:
    source = Source()
    play(source, [1, 2])
    source.note_sender_report(0x11112222_33334444, 5.0)

    assert source.report(now=5.5) == ReceptionReport(7, 0, 0, 2, 0, 0x22223333, 0x8000)


def test_more_duplicates_than_losses_make_the_cumulative_loss_negative() -> None:
    source = Source()
    play(source, [1, 2, 2, 2])

    assert source.report(now=1.0) == ReceptionReport(7, 0, -2, 2, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535), st.integers(0, 2**32 - 1), st.floats(0, 1e9, allow_nan=False), st.integers(0, 2)
        ),
        max_size=60,
    )
)
@settings(deadline=None)
def test_no_order_of_packets_breaks_the_counting(packets: list[tuple[int, int, float, int]]) -> None:
    source = Source()
    for sequence, timestamp, arrival_s, ssrc in packets:
        source.receive(sequence, timestamp, arrival_s, ssrc)
    report = source.report(now=0.0)

    assert source.received <= len(packets)
    assert 0 <= source.lost <= source.expected
    assert report is None or 0 <= report.fraction_lost <= 255


@given(st.permutations(range(40)), st.integers(0, 65535))
@settings(deadline=None)
def test_packets_in_any_order_within_the_window_are_all_counted_once(order: list[int], first: int) -> None:
    source = Source(min_sequential=1)
    play(source, [first + 100 + number for number in [*order, *order]])

    assert counts(source) == NOTHING | {"received": 80, "duplicates": 40, "late": source.late}


def test_jitter_is_read_at_the_rate_of_the_codec_that_was_changed_to() -> None:
    source = Source(8000, min_sequential=1)
    source.receive(1, 0, 0.0)
    source.retime(48000)
    for n in range(2, 40):
        source.receive(n, 960 * (n - 1), 0.02 * (n - 1))
    assert source.jitter_ms == pytest.approx(0.0, abs=1e-9)

    source.receive(40, 960 * 39, 0.02 * 39 + 0.016)
    assert round(source.jitter_ms, 3) == 1.0
