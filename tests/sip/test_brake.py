"""The brake alone, and in a simulated time with one server that can do a hundred calls a second and no more."""

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.brake import Brake, OverloadSettings
from sipflow.sip.message import Request, Response
from sipflow.sip.parser import parse_datagram
from sipflow.sip.transaction.overload import Busy, refuse_statelessly
from tests.sip.transaction.playing import request

ASKED = request()
INVITE = bytes(ASKED)
REINVITE = bytes(request(to_tag="bob"))
WHY = "more calls come in than can be handled"

# How long each takes: taking a call until it is answered, its ACK, its BYE, a repetition, refusing, not reading.
TAKE_S, ACK_S, BYE_S, REPEAT_S, REFUSE_S, LEAVE_S = 0.006, 0.001, 0.003, 0.001, 0.001, 0.0001
PATIENCE_S = 4.0


def braking(wait_s: float, *, since: float = 0.0, until: float = 1.0) -> Brake:
    """Give a brake that has seen waits of this length for as long."""
    brake, now = Brake(OverloadSettings()), since
    while now <= until:
        brake.waited(wait_s, now=now)
        now += 0.125
    return brake


def asked(brake: Brake, message: Request | None = None) -> Busy | None:
    return brake.judge(message or request())


def test_a_call_that_waits_while_waiting_is_the_rule_is_told_to_come_back_soon() -> None:
    brake = braking(0.3)

    assert (brake.on(now=1.0), asked(brake), brake.refused) == (True, Busy(2, WHY), 1)


def test_those_who_are_refused_do_not_all_come_back_at_once() -> None:
    brake = braking(0.3)

    answers = [asked(brake, request(call_id=f"call-{number}")) for number in range(30)]

    assert {busy.retry_after_s for busy in answers if busy is not None} == {1, 2, 3}


def test_a_stall_that_is_over_within_a_second_costs_no_call() -> None:
    brake = braking(3.0, until=0.9)

    assert (asked(brake), brake.leaves(INVITE), brake.on(now=0.9)) == (None, False, False)


def test_waits_with_a_pause_between_them_are_two_troubles() -> None:
    brake = braking(0.3, until=0.6)
    brake.waited(0.3, now=1.2)

    assert asked(brake) is None


def test_a_loop_that_comes_late_again_and_again_is_told_apart_from_one_that_stood_still_once() -> None:
    brake = Brake(OverloadSettings())
    brake.late(3.0, now=10.0)
    once = (brake.on(now=10.0), brake.left_s(now=10.0), brake.lag_s)
    for beat in range(1, 5):
        brake.late(0.6, now=10.0 + beat * 0.7)

    assert once == (False, 0.0, 3.0)
    assert (brake.on(now=12.8), round(brake.left_s(now=13.0), 3), brake.worst_s) == (True, 4.8, 3.0)
    assert brake.left_s(now=20.0) == 0.0


def test_a_loop_that_comes_hardly_late_brakes_nothing() -> None:
    brake = Brake(OverloadSettings())
    for beat in range(40):
        brake.late(0.5, now=beat * 0.6)

    assert (brake.left_s(now=24.0), brake.lag_s) == (0.0, 0.5)


def test_a_call_that_was_read_in_time_is_taken_all_the_same() -> None:
    brake = braking(0.3)
    brake.waited(0.2, now=1.1)
    in_time = asked(brake)
    brake.waited(0.3, now=1.2)
    late = asked(brake)
    brake.dry()

    assert (in_time, late, asked(brake)) == (None, Busy(2, WHY), None)


def test_after_five_quiet_seconds_waiting_must_last_anew() -> None:
    brake = braking(0.3)
    brake.waited(0.3, now=5.9)
    again = asked(brake)
    brake.waited(0.3, now=11.0)

    assert (again, asked(brake), brake.on(now=11.0)) == (Busy(2, WHY), None, False)


def test_what_belongs_to_a_call_is_always_taken() -> None:
    brake = braking(30.0)

    assert [asked(brake, request(method)) for method in ("BYE", "CANCEL", "OPTIONS", "MESSAGE")] == [None] * 4
    assert [brake.leaves(bytes(request(method))) for method in ("BYE", "CANCEL", "ACK", "OPTIONS")] == [False] * 4
    assert not brake.leaves(REINVITE)
    assert not brake.leaves(REINVITE.replace(b"\r\nTo:", b"\r\nt :"))
    assert not brake.leaves(b"SIP/2.0 200 OK\r\n\r\n")


def test_a_call_that_its_caller_is_about_to_send_again_is_not_even_read() -> None:
    brake = braking(0.3)
    in_time = brake.leaves(INVITE)
    brake.waited(0.41, now=1.1)

    assert (in_time, brake.leaves(INVITE), brake.unread) == (False, True, 1)


def test_a_call_that_is_too_old_is_not_read_even_when_nothing_else_waits_for_long() -> None:
    brake = Brake(OverloadSettings())
    brake.waited(3.9, now=0.0)
    young = brake.leaves(INVITE)
    brake.waited(4.1, now=0.0)

    assert (young, brake.leaves(INVITE), brake.unread) == (False, True, 1)


def test_the_ack_to_a_refusal_is_not_read_while_there_are_many() -> None:
    answer = parse_datagram(refuse_statelessly(request(), 1))
    assert isinstance(answer, Response)
    ack = bytes(request("ACK", to_tag=answer.to.tag))

    assert (braking(0.3).leaves(ack), Brake(OverloadSettings()).leaves(ack)) == (True, False)


def test_a_clock_that_was_set_is_not_taken_for_waiting() -> None:
    brake = braking(3600.0)

    assert (brake.on(now=1.0), brake.leaves(INVITE), brake.worst_s) == (False, False, 0.0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"wait_s": 0.01}, "wait_s: 0.01 is not in 0.02..30"),
        ({"grace_s": -1.0}, "grace_s: -1 is not in 0..60"),
        ({"stale_s": 0.1}, "stale_s: 0.1 is not between wait_s and 60"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, float], why: str) -> None:
    with pytest.raises(LocalProtocolError, match=f"^{why}$"):
        OverloadSettings(**changes)


@dataclass
class Caller:
    """Somebody who calls, hangs up a second after the answer, and repeats what is not answered."""

    began_at: float
    answered_at: float = float("inf")
    refused_at: float = float("inf")
    ended_at: float = float("inf")

    @property
    def happy(self) -> bool:
        return self.answered_at - self.began_at < PATIENCE_S and self.ended_at < float("inf")


def finished_a_second(offered: int, *, brake: Brake | None, seconds: int = 12) -> float:
    """Play so many new calls a second; gives how many of the second half's came to a good end, a second."""
    callers = [Caller(number / offered) for number in range(offered * seconds)]
    order, free_at = count(), 0.0
    coming: list[tuple[float, int, str, Caller, float]] = []  # when, what, who, and how long until it is said again
    for caller in callers:
        heappush(coming, (caller.began_at, next(order), "INVITE", caller, 0.5))
    while coming:
        now, _, method, caller, again_s = heappop(coming)
        done_at = caller.ended_at if method == "BYE" else min(caller.answered_at, caller.refused_at)
        if method != "ACK":
            if done_at <= now or now - caller.began_at > 32:
                continue
            heappush(coming, (now + again_s, next(order), method, caller, 2 * again_s))  # T1, 2*T1 ...
        start = max(free_at, now)
        if brake is not None:
            brake.waited(start - now, now=start)
        free_at = start + _handle(method, caller, brake, start)
        if method == "INVITE" and caller.answered_at == free_at:
            heappush(coming, (free_at, next(order), "ACK", caller, 0.0))
            heappush(coming, (free_at + 1.0, next(order), "BYE", caller, 0.5))
    second_half = callers[len(callers) // 2 :]
    return offered * sum(caller.happy for caller in second_half) / len(second_half)


def _handle(method: str, caller: Caller, brake: Brake | None, start: float) -> float:
    """Do what one message asks for; gives how long that takes."""
    if method == "ACK":
        return ACK_S
    if method == "BYE":
        first = caller.ended_at == float("inf")
        caller.ended_at = min(caller.ended_at, start + BYE_S)
        return BYE_S if first else REPEAT_S
    if caller.answered_at < float("inf"):
        return REPEAT_S
    if brake is not None and brake.leaves(INVITE):
        return LEAVE_S
    if brake is not None and brake.judge(ASKED) is not None:
        caller.refused_at = start + REFUSE_S
        return REFUSE_S
    caller.answered_at = start + TAKE_S
    return TAKE_S


def test_as_many_calls_are_finished_at_four_times_the_load_as_there_can_be() -> None:
    with_brake = {load: finished_a_second(load, brake=Brake(OverloadSettings())) for load in (50, 150, 400)}

    assert with_brake[50] == 50
    assert with_brake[150] > 85
    assert with_brake[400] > 60
    assert finished_a_second(200, brake=None) < 5
