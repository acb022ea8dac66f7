"""A 2xx until its ACK (RFC 3261 §13.3.1.4)."""

import pytest

from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, make_response
from sipflow.sip.timers import DEFAULT_TIMERS, Timers
from sipflow.sip.transaction.records import ServerTransaction
from sipflow.sip.usage.pending_ack import PendingAck


def pending(
    timers: Timers = DEFAULT_TIMERS, *, now: float = 0.0, body: bytes = b"v=0\r\n", answer: bytes = b"v=0\r\n"
) -> PendingAck:
    invite = Request("INVITE", "sip:b", body=body)
    invite.headers.add("CSeq", "42 INVITE")
    transaction = ServerTransaction(invite, Hop("udp", "a", 5060), None, timers)
    response = make_response(invite, 200, body=answer, content_type="application/sdp" if answer else None)
    return PendingAck(transaction, response, now=now, timers=timers)


def repeats(ack: PendingAck) -> list[float]:
    """The moments at which the 2xx goes out again, and at last the one at which it is given up."""
    played: list[float] = []
    while True:
        now = ack.deadline
        if ack.lost(now=now):
            return [*played, now]
        assert ack.due(now=now)
        played.append(now)


def test_it_is_repeated_at_t1_doubling_up_to_t2_until_64_t1() -> None:
    assert repeats(pending()) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]


def test_it_counts_from_the_moment_of_the_answer() -> None:
    assert repeats(pending(now=1000.0))[:2] == [1000.5, 1001.5]


def test_the_timers_are_those_it_is_given() -> None:
    assert repeats(pending(Timers(t1=0.1, t2=0.2))) == pytest.approx(
        [0.1, *[round(0.3 + 0.2 * n, 1) for n in range(31)], 6.4]
    )


def test_before_its_time_nothing_is_due() -> None:
    ack = pending()

    assert (ack.due(now=0.4), ack.lost(now=31.9), ack.deadline) == (False, False, 0.5)


def test_the_ack_must_carry_the_number_of_the_invite_and_perhaps_an_answer() -> None:
    assert (pending().cseq, pending().offering, pending(body=b"").offering) == (42, False, True)
    assert not pending(body=b"", answer=b"").offering  # offer and answer passed before the 2xx (RFC 3262 §5)
