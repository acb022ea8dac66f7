"""Orders, and that the port for numbers is what the rooms around it implement."""

from sipflow.calls.admission import Admission
from sipflow.calls.limits import Limits
from sipflow.calls.order import CallOrder, Choice, Numbers
from sipflow.numbers.pools import Pools


def test_an_order_needs_a_callee_and_an_agent_and_leaves_the_rest_to_the_configuration() -> None:
    order = CallOrder("+12065550123", "front")

    assert (order.from_number, order.ring_s, order.privacy, order.queue_s) == ("", None, False, 0.0)
    assert (dict(order.variables), dict(order.headers), dict(order.extra)) == ({}, {}, {})


def test_a_choice_says_why() -> None:
    assert Choice("+12065550100", "pbx").why == ()


def test_admission_is_a_port_for_numbers() -> None:
    numbers: Numbers = Admission(Pools(), Limits(clock=lambda: 0.0))

    assert numbers is not None
