import pytest

from sipflow.sip.message import Response
from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed
from sipflow.sip.transaction.non_invite_client import NonInviteClient
from tests.sip.transaction.playing import request, response, run_until_silent

OPTIONS = request("OPTIONS")
SENT = Send(bytes(OPTIONS))
TRYING, OK, REFUSED = response(OPTIONS, 100, tag=None), response(OPTIONS, 200), response(OPTIONS, 404)


def client(*responses: Response, reliable: bool = False) -> NonInviteClient:
    """A machine started at 0 that got these responses at 1."""
    machine = NonInviteClient(OPTIONS, reliable=reliable, timers=DEFAULT_TIMERS)
    machine.start(now=0.0)
    for message in responses:
        machine.receive(message, now=1.0)
    return machine


def test_unanswered_over_udp_resends_at_rfc3261_17_1_2_2_intervals() -> None:
    machine = NonInviteClient(OPTIONS, reliable=False, timers=DEFAULT_TIMERS)

    played = run_until_silent(machine, machine.start(now=0.0))

    assert played == [
        *((at, SENT) for at in (0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)),
        (32.0, TimedOut()),
    ]
    assert machine.state is State.TERMINATED


def test_unanswered_over_a_stream_is_sent_once_until_timer_f() -> None:
    machine = NonInviteClient(OPTIONS, reliable=True, timers=DEFAULT_TIMERS)

    assert run_until_silent(machine, machine.start(now=0.0)) == [(0.0, SENT), (32.0, TimedOut())]


def test_a_provisional_response_slows_timer_e_to_t2_and_leaves_timer_f() -> None:
    machine = NonInviteClient(OPTIONS, reliable=False, timers=DEFAULT_TIMERS)
    machine.start(now=0.0)

    assert machine.receive(TRYING, now=0.1) == [Deliver(TRYING)]
    played = run_until_silent(machine)

    assert played == [*((at, SENT) for at in (0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5)), (32.0, TimedOut())]


def test_a_final_response_is_handed_up_once_and_its_repeats_absorbed_for_timer_k() -> None:
    machine = client()

    assert machine.receive(OK, now=1.0) == [Deliver(OK)]
    assert machine.receive(OK, now=1.5) + machine.receive(REFUSED, now=2.0) + machine.receive(TRYING, now=2.0) == []
    assert (machine.state, machine.deadline) == (State.COMPLETED, 6.0)
    assert run_until_silent(machine) == []
    assert machine.state is State.TERMINATED


def test_timer_k_is_zero_over_a_stream() -> None:
    machine = client(reliable=True)

    assert machine.receive(OK, now=1.0) == [Deliver(OK)]
    assert (machine.state, machine.deadline) == (State.TERMINATED, None)


Arrows = dict[int | str, tuple[list[MachineOutput], State]]
ARROWS: dict[State, tuple[tuple[Response, ...], Arrows]] = {
    # state -> the responses that lead there; then input -> (outputs, next state); figure 6
    State.TRYING: ((), {
        100: ([Deliver(TRYING)], State.PROCEEDING),
        200: ([Deliver(OK)], State.COMPLETED),
        404: ([Deliver(REFUSED)], State.COMPLETED),
        "error": ([TransportFailed()], State.TERMINATED),
    }),
    State.PROCEEDING: ((TRYING,), {
        100: ([Deliver(TRYING)], State.PROCEEDING),
        200: ([Deliver(OK)], State.COMPLETED),
        404: ([Deliver(REFUSED)], State.COMPLETED),
        "error": ([TransportFailed()], State.TERMINATED),
    }),
    State.COMPLETED: ((OK,), {
        100: ([], State.COMPLETED),
        200: ([], State.COMPLETED),
        404: ([], State.COMPLETED),
        "error": ([], State.COMPLETED),
    }),
}  # fmt: skip
MESSAGES = {100: TRYING, 200: OK, 404: REFUSED}


@pytest.mark.parametrize("state", ARROWS)
@pytest.mark.parametrize("event", [100, 200, 404, "error"])
def test_every_arrow_of_figure_6(state: State, event: int | str) -> None:
    before, arrows = ARROWS[state]
    machine = client(*before)
    assert machine.state is state

    outputs = machine.receive(MESSAGES[event], now=2.0) if isinstance(event, int) else machine.transport_failed(now=2.0)

    assert (outputs, machine.state) == arrows[event]


def test_a_late_clock_sends_once_and_not_for_every_interval_missed() -> None:
    machine = client()

    assert machine.handle_timer(now=20.0) == [SENT]
    assert machine.deadline == 21.0
    assert machine.handle_timer(now=40.0) == [TimedOut()]


def test_a_terminated_machine_says_nothing_more() -> None:
    machine = client(OK, reliable=True)

    assert machine.receive(OK, now=2.0) + machine.handle_timer(now=99.0) + machine.transport_failed(now=99.0) == []
