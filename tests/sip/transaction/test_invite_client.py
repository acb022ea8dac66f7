import pytest

from sipflow.sip.message import Response, make_ack
from sipflow.sip.timers import DEFAULT_TIMERS, Timers
from sipflow.sip.transaction.invite_client import InviteClient
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut, TransportFailed
from tests.sip.transaction.playing import Played, request, response, run_until_silent

INVITE = request("INVITE", more="Route: <sip:proxy.example.com;lr>\r\nSubject: lunch\r\n")
SENT = Send(bytes(INVITE))
TRYING, RINGING, OK = response(INVITE, 100, tag=None), response(INVITE, 180), response(INVITE, 200)
FORKED_OK = response(INVITE, 200, tag="carol")
BUSY = response(INVITE, 486)
ACK = Send(bytes(make_ack(INVITE, BUSY)))


def client(*responses: Response, reliable: bool = False, timers: Timers = DEFAULT_TIMERS) -> InviteClient:
    """A machine started at 0 that got these responses at 1."""
    machine = InviteClient(INVITE, reliable=reliable, timers=timers)
    machine.start(now=0.0)
    for message in responses:
        machine.receive(message, now=1.0)
    return machine


def test_an_unanswered_invite_over_udp_doubles_timer_a_until_timer_b() -> None:
    machine = InviteClient(INVITE, reliable=False, timers=DEFAULT_TIMERS)

    played = run_until_silent(machine, machine.start(now=0.0))

    assert played == [*((at, SENT) for at in (0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5)), (32.0, TimedOut())]
    assert machine.state is State.TERMINATED


def test_an_unanswered_invite_over_a_stream_is_sent_once_until_timer_b() -> None:
    machine = InviteClient(INVITE, reliable=True, timers=DEFAULT_TIMERS)

    assert run_until_silent(machine, machine.start(now=0.0)) == [(0.0, SENT), (32.0, TimedOut())]


def test_timers_come_from_the_value_that_is_passed_in() -> None:
    machine = InviteClient(INVITE, reliable=False, timers=Timers(t1=1.0, t2=4.0, t4=5.0, timer_d=40.0))

    played = run_until_silent(machine, machine.start(now=10.0), now=10.0)

    assert played == [*((at, SENT) for at in (10.0, 11.0, 13.0, 17.0, 25.0, 41.0, 73.0)), (74.0, TimedOut())]


def test_a_provisional_response_stops_all_timers_and_is_handed_up_each_time() -> None:
    machine = client()

    assert machine.receive(TRYING, now=0.2) == [Deliver(TRYING)]
    assert machine.receive(RINGING, now=0.3) == [Deliver(RINGING)]
    assert machine.receive(RINGING, now=3.0) == [Deliver(RINGING)]
    assert (machine.state, machine.deadline) == (State.PROCEEDING, None)
    assert machine.handle_timer(now=1000.0) == []


@pytest.mark.parametrize("reliable", [False, True])
def test_every_2xx_is_handed_up_until_timer_m_on_any_transport(reliable: bool) -> None:
    machine = client(RINGING, reliable=reliable)

    assert machine.receive(OK, now=2.0) == [Deliver(OK)]
    assert machine.receive(OK, now=2.5) == [Deliver(OK)]
    assert machine.receive(FORKED_OK, now=33.9) == [Deliver(FORKED_OK)]
    assert (machine.state, machine.deadline) == (State.ACCEPTED, 34.0)
    assert run_until_silent(machine) == []
    assert machine.state is State.TERMINATED


def test_what_is_no_2xx_is_dropped_once_a_2xx_came() -> None:
    machine = client(OK)

    assert machine.receive(RINGING, now=2.0) + machine.receive(BUSY, now=2.0) == []
    assert machine.state is State.ACCEPTED


def test_a_refusal_is_acknowledged_handed_up_once_and_acknowledged_at_each_repeat() -> None:
    machine = client(TRYING)
    played: Played = []

    for at in (1.0, 1.5, 2.5, 32.9):
        played += [(at, output) for output in machine.receive(BUSY, now=at)]
    played += run_until_silent(machine)

    assert played == [(1.0, ACK), (1.0, Deliver(BUSY)), (1.5, ACK), (2.5, ACK), (32.9, ACK)]
    assert machine.state is State.TERMINATED


def test_the_ack_to_a_refusal_is_made_as_17_1_1_3_says() -> None:
    ack = client().receive(response(INVITE, 603, tag="dave"), now=1.0)[0]

    assert isinstance(ack, Send)
    first, *lines = ack.data.split(b"\r\n")
    assert (first, sorted(lines)) == (
        b"ACK sip:bob@192.0.2.99 SIP/2.0",
        [
            b"",
            b"",
            b"CSeq: 1 ACK",
            b"Call-ID: call-1",
            b"Content-Length: 0",
            b"From: <sip:alice@192.0.2.1>;tag=alice",
            b"Max-Forwards: 70",
            b"Route: <sip:proxy.example.com;lr>",
            b"To: <sip:bob@192.0.2.99>;tag=dave",
            b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-1",
        ],
    )


def test_timer_d_keeps_a_refused_invite_for_32_s_over_udp() -> None:
    machine = client(BUSY)

    assert (machine.state, machine.deadline) == (State.COMPLETED, 33.0)
    assert run_until_silent(machine) == []
    assert machine.state is State.TERMINATED


def test_timer_d_is_zero_over_a_stream() -> None:
    machine = client(RINGING, reliable=True)

    assert machine.receive(BUSY, now=1.0) == [ACK, Deliver(BUSY)]
    assert (machine.state, machine.deadline) == (State.TERMINATED, None)


Arrows = dict[int | str, tuple[list[MachineOutput], State]]
ARROWS: dict[State, tuple[tuple[Response, ...], Arrows]] = {
    # state -> the responses that lead there; then input -> (outputs, next state); figure 5 and RFC 6026 §7.2
    State.CALLING: ((), {
        100: ([Deliver(TRYING)], State.PROCEEDING),
        180: ([Deliver(RINGING)], State.PROCEEDING),
        200: ([Deliver(OK)], State.ACCEPTED),
        486: ([ACK, Deliver(BUSY)], State.COMPLETED),
        "error": ([TransportFailed()], State.TERMINATED),
    }),
    State.PROCEEDING: ((RINGING,), {
        100: ([Deliver(TRYING)], State.PROCEEDING),
        180: ([Deliver(RINGING)], State.PROCEEDING),
        200: ([Deliver(OK)], State.ACCEPTED),
        486: ([ACK, Deliver(BUSY)], State.COMPLETED),
        "error": ([], State.PROCEEDING),
    }),
    State.ACCEPTED: ((OK,), {
        100: ([], State.ACCEPTED),
        180: ([], State.ACCEPTED),
        200: ([Deliver(OK)], State.ACCEPTED),
        486: ([], State.ACCEPTED),
        "error": ([], State.ACCEPTED),
    }),
    State.COMPLETED: ((BUSY,), {
        100: ([], State.COMPLETED),
        180: ([], State.COMPLETED),
        200: ([], State.COMPLETED),
        486: ([ACK], State.COMPLETED),
        "error": ([TransportFailed()], State.TERMINATED),
    }),
}  # fmt: skip
MESSAGES = {100: TRYING, 180: RINGING, 200: OK, 486: BUSY}


@pytest.mark.parametrize("state", ARROWS)
@pytest.mark.parametrize("event", [100, 180, 200, 486, "error"])
def test_every_arrow_of_figure_5_with_rfc6026(state: State, event: int | str) -> None:
    before, arrows = ARROWS[state]
    machine = client(*before)
    assert machine.state is state

    outputs = machine.receive(MESSAGES[event], now=2.0) if isinstance(event, int) else machine.transport_failed(now=2.0)

    assert (outputs, machine.state) == arrows[event]


def test_299_is_the_last_success_and_300_the_first_refusal() -> None:
    success, refusal = response(INVITE, 299), response(INVITE, 300)
    refused = client(refusal)

    assert client(success).state is State.ACCEPTED
    assert client(OK).receive(success, now=2.0) == [Deliver(success)]
    assert client(OK).receive(refusal, now=2.0) == []
    assert (refused.state, refused.receive(refusal, now=2.0)) == (
        State.COMPLETED,
        [Send(bytes(make_ack(INVITE, refusal)))],
    )


def test_a_terminated_machine_says_nothing_more() -> None:
    machine = client(BUSY, reliable=True)

    assert machine.receive(BUSY, now=2.0) + machine.receive(OK, now=2.0) == []
    assert machine.handle_timer(now=99.0) + machine.transport_failed(now=99.0) == []
