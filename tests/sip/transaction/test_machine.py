import pytest

from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction import machine
from sipflow.sip.transaction.machine import Machine, State
from tests.sip.transaction.playing import request


class Clockwork(Machine):
    """A machine whose two timers a test sets by hand."""

    __slots__ = ()

    def set(self, resend_at: float, expires_at: float) -> None:
        self._resend_at, self._expires_at = resend_at, expires_at

    def linger(self, seconds: float, *, now: float) -> None:
        self._linger(State.COMPLETED, seconds, now=now)


def clockwork() -> Clockwork:
    return Clockwork(request("OPTIONS"), reliable=False, timers=DEFAULT_TIMERS, state=State.TRYING)


@pytest.mark.plain
def test_the_deadline_is_the_earlier_timer_and_none_when_none_runs() -> None:
    clock = clockwork()
    assert clock.deadline is None

    clock.set(3.0, 7.0)
    assert clock.deadline == 3.0

    clock.set(8.0, 7.0)
    assert clock.deadline == 7.0


@pytest.mark.plain
def test_lingering_stops_the_repetitions_and_ends_by_itself() -> None:
    clock = clockwork()
    clock.set(3.0, 7.0)

    clock.linger(0.25, now=1.0)

    assert (clock.state, clock.deadline) == (State.COMPLETED, 1.25)


@pytest.mark.plain
def test_lingering_for_no_time_ends_at_once() -> None:
    clock = clockwork()
    clock.set(3.0, 7.0)

    clock.linger(0, now=1.0)

    assert (clock.state, clock.deadline) == (State.TERMINATED, None)


@pytest.mark.plain
def test_terminating_stops_both_timers() -> None:
    clock = clockwork()
    clock.set(3.0, 7.0)

    clock.terminate()

    assert (clock.state, clock.deadline) == (State.TERMINATED, None)


def test_each_state_has_its_short_name() -> None:
    assert [getattr(machine, state.name) for state in State] == list(State)
