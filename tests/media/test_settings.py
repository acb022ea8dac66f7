import pytest

from sipflow.errors import ConfigError
from sipflow.media.settings import Settings


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"port_low": 0}, "media.ports"),
        ({"port_high": 65536}, "media.ports"),
        ({"port_low": 20000, "port_high": 10000}, "media.ports"),
        ({"port_low": 10001, "port_high": 10002}, "media.ports"),
        ({"ptime_ms": 5}, "media.ptime_ms"),
        ({"ptime_ms": 61}, "media.ptime_ms"),
        ({"dscp": 64}, "media.dscp"),
        ({"drain_s": -1.0}, "media.drain_s"),
        ({"idle_pairs": -1}, "media.idle_pairs"),
        ({"rtp_timeout_s": -0.1}, "media.rtp_timeout_s"),
        ({"latch_silent_s": -2.0}, "media.latch_silent_s"),
        ({"latch_packets": 0}, "media.latch_packets"),
        ({"queue_frames": 0}, "media.queue_frames"),
        ({"play_queue_s": 0.5}, "media.play_queue_s"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_its_key(values: dict[str, int], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**values)  # type: ignore[arg-type]

    assert refused.value.key == key


@pytest.mark.parametrize(
    ("low", "high", "pairs"), [(10000, 20000, 5000), (10000, 10001, 1), (10001, 10003, 1), (10001, 10004, 1)]
)
def test_a_range_carries_an_even_port_and_the_next_for_each_stream(low: int, high: int, pairs: int) -> None:
    settings = Settings(port_low=low, port_high=high)

    assert (settings.pairs, settings.files_needed) == (pairs, 2 * pairs)
