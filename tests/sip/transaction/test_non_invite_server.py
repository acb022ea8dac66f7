import pytest

from sipflow.sip.message import Response
from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed
from sipflow.sip.transaction.non_invite_server import NonInviteServer
from tests.sip.transaction.playing import request, response, run_until_silent

OPTIONS = request("OPTIONS")
PROGRESS, OK, REFUSED = response(OPTIONS, 183), response(OPTIONS, 200), response(OPTIONS, 404)
SENT = {183: Send(bytes(PROGRESS)), 200: Send(bytes(OK)), 404: Send(bytes(REFUSED))}
RESPONSES = {183: PROGRESS, 200: OK, 404: REFUSED}


def server(*responses: Response, reliable: bool = False) -> NonInviteServer:
    """A machine that began at 0 and sent these responses at 1."""
    machine = NonInviteServer(OPTIONS, reliable=reliable, timers=DEFAULT_TIMERS)
    machine.start(now=0.0)
    for message in responses:
        machine.respond(message, now=1.0)
    return machine


def test_a_request_is_handed_up() -> None:
    machine = NonInviteServer(OPTIONS, reliable=False, timers=DEFAULT_TIMERS)

    assert machine.start(now=0.0) == [Deliver(OPTIONS)]
    assert machine.state is State.TRYING


@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("before", [(), (PROGRESS,)])
def test_a_request_that_nobody_answers_ends_when_the_peer_stops_waiting(
    before: tuple[Response, ...], reliable: bool
) -> None:
    assert run_until_silent(server(*before, reliable=reliable)) == [(32.0, TimedOut())]


def test_a_repeated_request_gets_the_final_response_again_until_timer_j() -> None:
    machine = server(OK)

    assert machine.receive(OPTIONS, now=2.0) == [SENT[200]]
    assert machine.deadline == 33.0
    assert run_until_silent(machine) == []
    assert machine.state is State.TERMINATED


def test_timer_j_is_zero_over_a_stream() -> None:
    machine = server(reliable=True)

    assert machine.respond(OK, now=1.0) == [SENT[200]]
    assert (machine.state, machine.deadline) == (State.TERMINATED, None)


Arrows = dict[int | str, tuple[list[MachineOutput], State]]
ARROWS: dict[State, tuple[tuple[Response, ...], Arrows]] = {
    # state -> the responses that lead there; then input -> (outputs, next state); figure 8
    State.TRYING: ((), {
        "OPTIONS": ([], State.TRYING),
        183: ([SENT[183]], State.PROCEEDING),
        200: ([SENT[200]], State.COMPLETED),
        404: ([SENT[404]], State.COMPLETED),
        "error": ([], State.TRYING),
    }),
    State.PROCEEDING: ((PROGRESS,), {
        "OPTIONS": ([SENT[183]], State.PROCEEDING),
        183: ([SENT[183]], State.PROCEEDING),
        200: ([SENT[200]], State.COMPLETED),
        404: ([SENT[404]], State.COMPLETED),
        "error": ([TransportFailed()], State.TERMINATED),
    }),
    State.COMPLETED: ((OK,), {
        "OPTIONS": ([SENT[200]], State.COMPLETED),
        183: ([], State.COMPLETED),
        200: ([], State.COMPLETED),
        404: ([], State.COMPLETED),
        "error": ([TransportFailed()], State.TERMINATED),
    }),
}  # fmt: skip


@pytest.mark.parametrize("state", ARROWS)
@pytest.mark.parametrize("event", ["OPTIONS", 183, 200, 404, "error"])
def test_every_arrow_of_figure_8(state: State, event: int | str) -> None:
    before, arrows = ARROWS[state]
    machine = server(*before)
    assert machine.state is state

    if isinstance(event, int):
        outputs = machine.respond(RESPONSES[event], now=2.0)
    elif event == "error":
        outputs = machine.transport_failed(now=2.0)
    else:
        outputs = machine.receive(OPTIONS, now=2.0)

    assert (outputs, machine.state) == arrows[event]


def test_a_terminated_machine_says_nothing_more() -> None:
    machine = server(OK, reliable=True)

    assert machine.last_response == bytes(OK)  # another connection may still carry it
    assert machine.receive(OPTIONS, now=2.0) + machine.respond(OK, now=2.0) + machine.handle_timer(now=99.0) == []
    assert machine.transport_failed(now=99.0) == []
