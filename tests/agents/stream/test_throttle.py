from sipflow.agents.stream.throttle import Throttle


def test_so_much_at_once_is_free_and_then_it_takes_time() -> None:
    throttle = Throttle(10, 5, now=0.0)

    assert [throttle.take(1, 0.0) for _ in range(10)] == [0.0] * 10
    assert [throttle.take(1, 0.0) for _ in range(2)] == [0.2, 0.4]


def test_time_brings_tokens_back_but_never_more_than_at_first() -> None:
    throttle = Throttle(10, 5, now=0.0)
    throttle.take(10, 0.0)

    assert throttle.take(5, 1.0) == 0.0
    assert throttle.take(1, 1.0) == 0.2
    assert throttle.take(10, 100.0) == 0.0
    assert throttle.take(1, 100.0) == 0.2


def test_a_steady_rate_below_the_limit_is_never_held_back() -> None:
    throttle = Throttle(2, 60, now=0.0)

    assert max(throttle.take(1, second / 50) for second in range(1, 1000)) == 0.0
