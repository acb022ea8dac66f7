from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.rtp.sequence import extend_sequence, sequence_delta, timestamp_delta


def test_the_number_after_the_last_one_is_zero() -> None:
    assert [sequence_delta(0, 65535), sequence_delta(65535, 0), sequence_delta(5, 5)] == [1, -1, 0]


def test_timestamps_wrap_at_32_bits() -> None:
    assert [timestamp_delta(100, 2**32 - 60), timestamp_delta(2**32 - 60, 100)] == [160, -160]


def test_half_way_round_counts_as_older() -> None:
    assert [sequence_delta(0x8000, 0), timestamp_delta(0x80000000, 0)] == [-0x8000, -0x80000000]


def test_an_extended_number_keeps_its_cycles() -> None:
    assert [extend_sequence(2, 0x1FFFF), extend_sequence(0xFFFF, 0x20001), extend_sequence(7, 7)] == [
        0x20002,
        0x1FFFF,
        7,
    ]


@given(st.integers(0, 2**40), st.integers(-0x8000, 0x7FFF))
@settings(deadline=None)
def test_any_number_near_enough_extends_to_itself(near: int, distance: int) -> None:
    assert extend_sequence((near + distance) & 0xFFFF, near) == near + distance
