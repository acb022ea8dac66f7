from sipflow.rtp.sequence import sequence_delta, timestamp_delta


def test_the_number_after_the_last_one_is_zero() -> None:
    assert [sequence_delta(0, 65535), sequence_delta(65535, 0), sequence_delta(5, 5)] == [1, -1, 0]


def test_timestamps_wrap_at_32_bits() -> None:
    assert [timestamp_delta(100, 2**32 - 60), timestamp_delta(2**32 - 60, 100)] == [160, -160]


def test_half_way_round_counts_as_older() -> None:
    assert [sequence_delta(0x8000, 0), timestamp_delta(0x80000000, 0)] == [-0x8000, -0x80000000]
