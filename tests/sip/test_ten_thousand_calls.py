"""Two user agents, and a network that loses 30 %, repeats and reorders: no call is stuck, leaked or answered twice."""

from collections import Counter

from sipflow.sip.outputs import Confirmed
from tests.support.calls import Callee, plan_to
from tests.support.wire import Node, Weather, Wire

CALLS = 10_000
STORM = Weather(loss=0.3, duplication=0.1, delay=0.02, jitter=0.2)


def caller_hangs_up(node: Node, event: Confirmed) -> None:
    node.wire.at(node.wire.now + 1.0, lambda: node.perform(event.usage.bye(now=node.wire.now)))


def play_calls(
    count: int, *, cancel_every: int = 0, callee_hangs_up: bool = False
) -> tuple[Callee, Callee, Node, Node]:
    wire = Wire(seed=7, weather=STORM)
    wire.keep_sent = False
    caller, callee = Callee(), Callee()
    (callee if callee_hangs_up else caller).on_confirmed = caller_hangs_up
    alice, bob = wire.node("192.0.2.1", caller), wire.node("192.0.2.2", callee)

    def place(number: int) -> None:
        usage, outputs = alice.ua.invite(plan_to(bob.host, call_id=f"call-{number}"), now=wire.now)
        alice.perform(outputs)
        if cancel_every and number % cancel_every == 0:
            # From well before the ringing to well after the answer: every race of CANCEL is in here.
            wire.at(wire.now + (number % 97) / 60, lambda: alice.perform(usage.cancel(now=wire.now)))

    for number in range(count):
        wire.at(number * 0.01, lambda number=number: place(number))  # type: ignore[misc]
    wire.run()
    return caller, callee, alice, bob


def assert_nothing_is_left(*nodes: Node) -> None:
    for node in nodes:
        assert node.ua.counts == {"transactions": 0, "dialogs": 0}
        assert node.ua.deadline is None


def test_ten_thousand_calls_in_a_storm_all_end_and_none_is_answered_twice() -> None:
    caller, callee, alice, bob = play_calls(CALLS)

    assert len(caller.ended) == CALLS
    assert max(Counter(call for call, _, _ in caller.ended).values()) == 1
    assert len(callee.received) == len(set(callee.received))
    assert len(caller.confirmed) == len(set(caller.confirmed))
    assert len(callee.confirmed) == len(set(callee.confirmed))
    # All that reached the callee ended there too; a caller gives up only if 7 INVITEs or their answers were lost.
    assert sorted(call for call, _, _ in callee.ended) == sorted(callee.received)
    assert Counter(status for _, _, status in caller.ended)[200] > 0.99 * CALLS
    assert_nothing_is_left(alice, bob)


def test_cancel_at_any_moment_ends_the_call_on_both_sides() -> None:
    caller, callee, alice, bob = play_calls(1000, cancel_every=1)

    assert len(caller.ended) == 1000
    assert max(Counter(call for call, _, _ in caller.ended).values()) == 1
    assert sorted(call for call, _, _ in callee.ended) == sorted(callee.received)
    assert {status for _, _, status in caller.ended} >= {200, 487}
    assert_nothing_is_left(alice, bob)


def test_a_callee_that_hangs_up_as_soon_as_it_may_leaves_nothing_behind() -> None:
    caller, callee, alice, bob = play_calls(1000, callee_hangs_up=True)

    assert sorted(call for call, _, _ in callee.ended) == sorted(callee.received)
    assert len(caller.ended) == 1000
    assert_nothing_is_left(alice, bob)
