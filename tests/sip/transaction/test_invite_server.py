import pytest

from sipflow.sip.message import Response
from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction.invite_server import InviteServer
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed
from tests.sip.transaction.playing import request, response, run_until_silent

INVITE = request("INVITE")
ACK = request("ACK", to_tag="bob")
TRYING, RINGING, OK = response(INVITE, 100, tag=None), response(INVITE, 180), response(INVITE, 200)
BUSY, DECLINE = response(INVITE, 486), response(INVITE, 603)


def server(*responses: Response, reliable: bool = False, acknowledged: bool = False) -> InviteServer:
    """A machine that began at 0, sent these responses at 1 and, if so, got an ACK at 1."""
    machine = InviteServer(INVITE, reliable=reliable, timers=DEFAULT_TIMERS)
    machine.start(now=0.0)
    for message in responses:
        machine.respond(message, now=1.0)
    if acknowledged:
        machine.receive(ACK, now=1.0)
    return machine


def test_an_invite_is_handed_up_and_then_waits_for_its_user_without_a_timer() -> None:
    machine = InviteServer(INVITE, reliable=False, timers=DEFAULT_TIMERS)

    assert machine.start(now=0.0) == [Deliver(INVITE)]
    assert (machine.state, machine.deadline) == (State.PROCEEDING, None)


def test_a_repeated_invite_before_any_response_does_nothing() -> None:
    assert server().receive(INVITE, now=0.5) == []


def test_a_repeated_invite_gets_the_last_provisional_again() -> None:
    machine = server(TRYING)
    assert machine.receive(INVITE, now=0.5) == [Send(bytes(TRYING))]

    machine.respond(RINGING, now=1.0)

    assert machine.receive(INVITE, now=1.5) == [Send(bytes(RINGING))]


@pytest.mark.parametrize("reliable", [False, True])
def test_after_a_2xx_repeated_invites_are_absorbed_and_2xx_pass_until_timer_l(reliable: bool) -> None:
    machine = server(RINGING, reliable=reliable)

    assert machine.respond(OK, now=2.0) == [Send(bytes(OK))]
    assert machine.receive(INVITE, now=2.5) == []
    assert machine.respond(OK, now=3.0) == [Send(bytes(OK))]
    assert machine.receive(ACK, now=3.1) == [Deliver(ACK)]
    assert (machine.state, machine.deadline) == (State.ACCEPTED, 34.0)
    assert run_until_silent(machine) == []
    assert machine.state is State.TERMINATED


def test_an_unacknowledged_refusal_over_udp_is_repeated_by_timer_g_until_timer_h() -> None:
    machine = server()

    played = run_until_silent(machine, machine.respond(BUSY, now=0.0))

    assert played == [
        *((at, Send(bytes(BUSY))) for at in (0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)),
        (32.0, TimedOut()),
    ]


def test_an_unacknowledged_refusal_over_a_stream_is_sent_once_until_timer_h() -> None:
    machine = server(reliable=True)

    assert run_until_silent(machine, machine.respond(BUSY, now=0.0)) == [(0.0, Send(bytes(BUSY))), (32.0, TimedOut())]


def test_an_ack_stops_the_repetitions_and_is_absorbed_for_timer_i() -> None:
    machine = server(BUSY)

    assert machine.handle_timer(now=1.5) == [Send(bytes(BUSY))]
    assert machine.receive(ACK, now=2.0) == []
    assert (machine.state, machine.deadline) == (State.CONFIRMED, 7.0)
    assert machine.receive(ACK, now=2.5) + machine.receive(INVITE, now=2.5) == []
    assert run_until_silent(machine) == []
    assert machine.state is State.TERMINATED


def test_timer_i_is_zero_over_a_stream() -> None:
    machine = server(BUSY, reliable=True)

    assert machine.receive(ACK, now=2.0) == []
    assert (machine.state, machine.deadline) == (State.TERMINATED, None)


# state -> the machine in it; then input -> (outputs, next state); figure 7 and RFC 6026 §7.1
SENT = {status: Send(bytes(message)) for status, message in ((180, RINGING), (200, OK), (486, BUSY), (603, DECLINE))}
ARROWS: dict[State, dict[int | str, tuple[list[MachineOutput], State]]] = {
    State.PROCEEDING: {
        "INVITE": ([Send(bytes(TRYING))], State.PROCEEDING),
        "ACK": ([], State.PROCEEDING),
        180: ([SENT[180]], State.PROCEEDING),
        200: ([SENT[200]], State.ACCEPTED),
        486: ([SENT[486]], State.COMPLETED),
        603: ([SENT[603]], State.COMPLETED),
        "error": ([TransportFailed()], State.PROCEEDING),
    },
    State.ACCEPTED: {
        "INVITE": ([], State.ACCEPTED),
        "ACK": ([Deliver(ACK)], State.ACCEPTED),
        180: ([], State.ACCEPTED),
        200: ([SENT[200]], State.ACCEPTED),
        486: ([], State.ACCEPTED),
        603: ([], State.ACCEPTED),
        "error": ([TransportFailed()], State.ACCEPTED),
    },
    State.COMPLETED: {
        "INVITE": ([SENT[486]], State.COMPLETED),
        "ACK": ([], State.CONFIRMED),
        180: ([], State.COMPLETED),
        200: ([], State.COMPLETED),
        486: ([], State.COMPLETED),
        603: ([], State.COMPLETED),
        "error": ([TransportFailed()], State.COMPLETED),
    },
    State.CONFIRMED: {
        "INVITE": ([], State.CONFIRMED),
        "ACK": ([], State.CONFIRMED),
        180: ([], State.CONFIRMED),
        200: ([], State.CONFIRMED),
        486: ([], State.CONFIRMED),
        603: ([], State.CONFIRMED),
        "error": ([], State.CONFIRMED),
    },
}
RESPONSES = {180: RINGING, 200: OK, 486: BUSY, 603: DECLINE}


def in_state(state: State) -> InviteServer:
    match state:
        case State.PROCEEDING:
            return server(TRYING)
        case State.ACCEPTED:
            return server(TRYING, OK)
        case State.COMPLETED:
            return server(TRYING, BUSY)
        case _:
            return server(TRYING, BUSY, acknowledged=True)


@pytest.mark.parametrize("state", ARROWS)
@pytest.mark.parametrize("event", ["INVITE", "ACK", 180, 200, 486, 603, "error"])
def test_every_arrow_of_figure_7_with_rfc6026(state: State, event: int | str) -> None:
    machine = in_state(state)
    assert machine.state is state

    if isinstance(event, int):
        outputs = machine.respond(RESPONSES[event], now=2.0)
    elif event == "error":
        outputs = machine.transport_failed(now=2.0)
    else:
        outputs = machine.receive(INVITE if event == "INVITE" else ACK, now=2.0)

    assert (outputs, machine.state) == ARROWS[state][event]


def test_the_last_response_is_what_was_sent_and_not_what_was_dropped() -> None:
    machine = server()
    assert machine.last_response == b""

    machine.respond(BUSY, now=1.0)
    machine.respond(OK, now=1.0)

    assert machine.last_response == bytes(BUSY)


def test_299_is_the_last_success_and_300_the_first_refusal() -> None:
    success, refusal = response(INVITE, 299), response(INVITE, 300)

    assert (server(success).state, server(refusal).state) == (State.ACCEPTED, State.COMPLETED)
    assert server(OK).respond(success, now=2.0) == [Send(bytes(success))]
    assert server(OK).respond(refusal, now=2.0) == []


def test_a_2xx_that_replaces_another_is_the_last_response() -> None:
    machine = server(OK)
    other = response(INVITE, 202)

    machine.respond(other, now=2.0)

    assert machine.last_response == bytes(other)


def test_a_terminated_machine_says_nothing_more() -> None:
    machine = server(BUSY, reliable=True, acknowledged=True)

    assert machine.receive(INVITE, now=2.0) + machine.receive(ACK, now=2.0) + machine.respond(OK, now=2.0) == []
    assert machine.handle_timer(now=99.0) + machine.transport_failed(now=99.0) == []
