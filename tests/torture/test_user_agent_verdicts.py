"""Every RFC 4475 message against the whole user agent: what it answers, and that it lives on."""

import csv
import re
from pathlib import Path

import pytest

from sipflow.sip.outputs import Event, InviteReceived, RequestReceived
from tests.support.calls import Callee, plan_to
from tests.support.wire import Node, Wire

DATA = Path(__file__).parent / "data"
with (DATA / "index.csv").open(newline="", encoding="utf-8") as index:
    MESSAGES = {row["name"]: row for row in csv.DictReader(index)}


def refuse_everything(node: Node, event: Event) -> None:
    """An app without numbers: 404 for every call that gets through to it."""
    match event:
        case InviteReceived(usage, _, _):
            node.perform(usage.reject(404, now=node.wire.now))
        case RequestReceived(transaction, _, _):
            node.perform(node.ua.respond(transaction, 405, now=node.wire.now))
        case _:
            pass


def final_statuses(wire: Wire) -> list[int]:
    statuses = [int(data.split(b" ", 2)[1]) for _, _, data in wire.sent if data.startswith(b"SIP/2.0 ")]
    return [status for status in statuses if status >= 200]


def permits(allowed: str, statuses: list[int]) -> bool:
    """Read `405|200|drop|not-400|liberal ...` of the index: whether these final answers are among the allowed."""
    if allowed.startswith("(response)") or not statuses:
        return allowed.startswith("(response)") or "drop" in allowed
    status = statuses[0]
    for word in allowed.split("|"):
        number = re.match(r"(\d{3})(?!-)", word)
        if number is not None and int(number[1]) == status:
            return True
        if word.startswith("not-4") and status != 400:
            return True
        if word == "not-200" and status >= 300:
            return True
        if word in ("liberal", "not-crash") and status < 500:
            return True
    return False


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_answer_is_one_that_rfc_4475_allows(name: str) -> None:
    row = MESSAGES[name]
    wire = Wire()
    wire.node("192.0.2.2", refuse_everything)

    wire.inject("192.0.2.1", "192.0.2.2", (DATA / row["file"]).read_bytes())
    wire.run(until=0.4)  # before any retransmission

    statuses = final_statuses(wire)
    assert len(statuses) <= 1, "one message, at most one final answer"
    assert permits(row["allowed_status_ua"], statuses), (statuses, row["allowed_status_ua"], row["expected_behaviour"])


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_call_after_the_message_goes_through(name: str) -> None:
    wire = Wire()
    caller, callee = Callee(), Callee()
    alice = wire.node("192.0.2.1", caller)
    wire.node("192.0.2.2", callee)

    wire.inject("192.0.2.9", "192.0.2.2", (DATA / MESSAGES[name]["file"]).read_bytes())
    wire.run(until=0.4)
    _, outputs = alice.ua.invite(plan_to("192.0.2.2"), now=wire.now)
    alice.perform(outputs)
    wire.run(until=wire.now + 2.0)

    assert caller.confirmed == ["call-1"]


def test_no_message_is_left_out() -> None:
    assert {row["file"] for row in MESSAGES.values()} == {file.name for file in DATA.glob("*.dat")}
    assert len(MESSAGES) == 49  # all of RFC 4475 section 3
