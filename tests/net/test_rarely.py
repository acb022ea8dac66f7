import structlog

from sipflow.net.rarely import Rarely


def fail_here() -> None:
    raise ValueError("here")


def fail_there() -> None:
    raise ValueError("there")


def caught(failing: object) -> Exception:
    try:
        failing()  # type: ignore[operator]
    except ValueError as error:
        return error
    raise AssertionError


def test_a_warning_is_said_once_a_minute_and_then_with_the_number_of_repetitions() -> None:
    now = [0.0]
    rarely = Rarely(lambda: now[0])

    with structlog.testing.capture_logs() as lines:
        for now[0] in (0.0, 1.0, 59.9, 60.0, 61.0, 200.0):
            rarely.say("peer unreachable", key="udp:192.0.2.1:5060", why="Connection refused")

    line = {"event": "peer unreachable", "log_level": "warning", "why": "Connection refused"}
    assert lines == [line, {**line, "repeated": 2}, {**line, "repeated": 1}]


def test_different_peers_have_different_lines() -> None:
    rarely = Rarely(lambda: 0.0)

    with structlog.testing.capture_logs() as lines:
        for key in ("a", "b", "a"):
            rarely.say("peer unreachable", key=key, hop=key)

    assert [line["hop"] for line in lines] == ["a", "b"]


def test_an_exception_is_logged_once_for_each_place_that_raises_it_and_always_counted() -> None:
    rarely = Rarely(lambda: 0.0)

    with structlog.testing.capture_logs() as lines:
        for failing in (fail_here, fail_there, fail_here):
            rarely.failed("fault in the core", caught(failing))
        rarely.failed("fault in the core", ValueError("never raised"))

    assert [str(line["exc_info"]) for line in lines] == ["here", "there", "never raised"]
    assert rarely.errors == 4


def test_a_flood_of_peers_does_not_fill_the_memory() -> None:
    rarely = Rarely(lambda: 0.0)

    with structlog.testing.capture_logs():
        for number in range(2000):
            rarely.say("peer unreachable", key=number)

    assert len(rarely._said) == 512
