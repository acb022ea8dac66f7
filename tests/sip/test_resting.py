"""Who is tried last, and for how long."""

from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.resting import Resting
from tests.support.calls import SDP, plan_to
from tests.support.peer import Peer
from tests.support.wire import Wire

ONE, TWO = Hop("udp", "192.0.2.1", 5060), Hop("udp", "192.0.2.2", 5060)


def said(status: int, retry_after: str = "") -> Response:
    request = Request("REGISTER", "sip:pbx.example.com")
    request.headers.add("To", "<sip:2001@pbx.example.com>")
    return make_response(request, status, headers=[("Retry-After", retry_after)] if retry_after else [])


def test_a_target_that_asked_for_rest_is_tried_last_until_it_has_rested() -> None:
    resting = Resting()
    resting.note(ONE, said(503, "30"), now=100.0)
    resting.note(TWO, said(500, "30"), now=100.0)

    assert resting.order((ONE, TWO), now=129.0) == (TWO, ONE)
    assert resting.order((ONE, TWO), now=130.0) == (ONE, TWO)


def test_no_503_keeps_us_away_for_longer_than_ten_minutes() -> None:
    resting = Resting()
    resting.note(ONE, said(503, "86400"), now=0.0)
    resting.note(TWO, None, now=0.0)

    assert resting.order((ONE, TWO), now=599.0) == (TWO, ONE)
    assert resting.order((ONE, TWO), now=601.0) == (ONE, TWO)


def test_a_target_that_was_silent_is_tried_last_for_a_minute_or_until_it_answers() -> None:
    resting = Resting()
    resting.silent(ONE, now=0.0)
    assert resting.order((ONE, TWO), now=59.0) == (TWO, ONE)
    assert resting.order((ONE, TWO), now=60.0) == (ONE, TWO)

    resting.silent(ONE, now=100.0)
    resting.note(ONE, said(503), now=101.0)  # it asks for no rest, and says nothing of its health
    assert resting.order((ONE, TWO), now=102.0) == (TWO, ONE)
    resting.note(ONE, said(401), now=103.0)
    assert resting.order((ONE, TWO), now=104.0) == (ONE, TWO)


def test_what_is_remembered_has_a_bound() -> None:
    resting = Resting()
    for port in range(1, 3000):
        resting.silent(Hop("udp", "192.0.2.9", port), now=0.0)
    resting.silent(ONE, now=0.0)

    assert resting.order((ONE, TWO), now=1.0) == (TWO, ONE)
    assert len(resting) <= 1024


def test_what_belongs_to_a_call_goes_to_that_one_of_several_targets_who_answered_it() -> None:
    targets = tuple(Hop("udp", host, 5060, "a", 5060) for host in ("t1", "t2"))
    wire = Wire()
    alice, second = wire.node("a"), Peer(wire, "t2")
    alice.addresses["b"] = targets
    usage = alice.place(plan_to("b"), hops=targets[1:])
    wire.play()
    second.reply(second.request("INVITE"), 200, body=SDP, headers=(("Record-Route", "<sip:b;lr>"),))
    wire.play()
    alice.bye(usage)
    wire.play()

    assert [hop.host for hop in wire.hops] == ["t2"] * 3
    assert wire.methods() == ["a INVITE", "t2 200", "a ACK", "a BYE"]
    second.reply(second.request("BYE"), 200)
