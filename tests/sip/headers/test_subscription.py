"""Event and Subscription-State (RFC 6665 §8.2.1, §8.2.3)."""

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.subscription import EventType, SubscriptionState


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("refer", EventType("refer")),
        ("Refer;id=93809824", EventType("refer", "93809824")),
        ("a.b ; x", EventType("a.b")),
    ],
)
def test_an_event_is_read(value: str, expected: EventType) -> None:
    assert EventType.parse(value) == expected


def test_an_event_is_written() -> None:
    assert [str(EventType("refer")), str(EventType("refer", "7"))] == ["refer", "refer;id=7"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("active;expires=60", SubscriptionState("active", 60)),
        ("Terminated;reason=NoResource", SubscriptionState("terminated", None, "noresource")),
        ("pending;expires=x", SubscriptionState("pending")),
        ("waiting", SubscriptionState("waiting")),
    ],
)
def test_a_state_is_read(value: str, expected: SubscriptionState) -> None:
    assert SubscriptionState.parse(value) == expected
    assert expected.terminated is (expected.state == "terminated")


def test_a_state_is_written() -> None:
    states = [SubscriptionState("active", 60), SubscriptionState("terminated", None, "timeout")]
    assert [str(state) for state in states] == ["active;expires=60", "terminated;reason=timeout"]


@pytest.mark.parametrize("value", ["", ";", "a b", "refer;;", '"refer"', "refer;id=1;id=2"])
def test_what_is_broken_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        EventType.parse(value)
    with pytest.raises(RemoteProtocolError):
        SubscriptionState.parse(value)
