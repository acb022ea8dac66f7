"""Provisional responses that are acknowledged, from both sides (RFC 3262)."""

from dataclasses import replace
from functools import partial

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import (
    Confirmed,
    EarlyOffer,
    Ended,
    Event,
    InviteReceived,
    OfferAnswered,
    OfferReceived,
    Progressed,
)
from sipflow.sip.plan import RequestPlan
from sipflow.sip.usage.prack import reliable_number, requires_reliable, supports_reliable
from tests.support.calls import SDP, answered, calling, offered, plan_to
from tests.support.peer import Peer
from tests.support.wire import Node, Weather, Wire

SUPPORTED = (("Supported", "timer, 100rel"),)
REQUIRED = (("Require", "100REL"),)
OTHER = SDP.replace(b"4000", b"4002")
REPEATS = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]  # RFC 3262 §3: T1, doubling without bound


def progress(node: Node, status: int = 183, body: bytes = SDP) -> None:
    node.perform(node.called.ring(now=node.wire.now, status=status, body=body, reliable=True))


def rack_of(response: Response) -> str:
    return f"{response.headers.get('RSeq')} {response.headers.get('CSeq')}"


def prack(alice: Peer, response: Response, *, cseq: int = 2, rack: str = "", body: bytes = b"") -> Request:
    """Acknowledge a provisional response, and let the answer come."""
    request = alice.ask(
        "PRACK", "b", cseq=cseq, to_tag=response.to.tag or "", body=body, headers=(("RAck", rack or rack_of(response)),)
    )
    alice.wire.play()
    return request


def status_of(alice: Peer, request: Request) -> int:
    """The status of the answer to a request."""
    found = [one for one in alice.heard if isinstance(one, Response) and one.branch == request.branch]
    return found[-1].status


# The called side


def test_a_reliable_183_says_so_and_numbers_itself() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)

    progress(bob)
    wire.play()

    response = alice.response(183)
    assert response.headers.get("Require") == "100rel"
    assert 1 <= reliable_number(response) < 2**31
    assert response.body == SDP
    assert response.contact is not None


def test_what_the_caller_cannot_acknowledge_is_sent_as_ever() -> None:
    wire, alice, bob, _ = offered()

    progress(bob)
    wire.play(40.0)

    response = alice.response(183)
    assert ("Require" in response.headers, "RSeq" in response.headers, response.body) == (False, False, SDP)
    assert wire.methods() == ["a INVITE", "b 100", "b 183"]


def test_a_180_without_sdp_is_plain_for_who_supports_and_reliable_for_who_requires() -> None:
    for headers, numbered in ((SUPPORTED, False), (REQUIRED, True)):
        wire, alice, bob, _ = offered(headers=headers)
        bob.ring()
        wire.play()
        assert (reliable_number(alice.response(180)) > 0) is numbered


def test_it_is_repeated_from_t1_doubling_until_64_t1_and_then_the_call_fails_with_504_rfc3262_3() -> None:
    wire, _, bob, _ = offered(headers=SUPPORTED)
    start = wire.now

    progress(bob)
    wire.play(32.1)

    sent = [(round(at - start, 3), word) for at, word in wire.timeline() if at >= start]
    assert sent[:8] == [(at, "b 183") for at in REPEATS] + [(32.0, "b 504")]
    why = "the caller never acknowledged our progress (no PRACK in 32 s)"
    assert bob.the(Ended)[1:4] == ("system", 504, why)
    assert wire.messages("b 504")[0].headers.get("Reason") == f'SIP;cause=504;text="{why}"'


def test_a_prack_ends_the_repeats_and_is_answered_200() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play(0.6)
    prack(alice, alice.response(183))
    wire.play(40.0)

    assert wire.methods() == ["a INVITE", "b 100", "b 183", "b 183", "a PRACK", "b 200"]
    assert "Contact" not in alice.response(200).headers


@pytest.mark.parametrize(
    ("rack", "status"),
    [("1 1 INVITE", 481), ("RSEQ 2 INVITE", 481), ("RSEQ 1 FROB", 481), ("nonsense", 400), ("0 1 INVITE", 400)],
)
def test_a_prack_for_what_was_never_sent_acknowledges_nothing(rack: str, status: int) -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    number = alice.response(183).headers.get("RSeq") or ""

    request = prack(alice, alice.response(183), rack=rack.replace("RSEQ", number))

    assert status_of(alice, request) == status
    wire.play(0.5)
    assert wire.methods()[-1] == "b 183"


def test_a_second_prack_for_the_same_response_gets_481_and_so_does_one_for_none() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    prack(alice, alice.response(183))

    again = prack(alice, alice.response(183), cseq=3)

    assert status_of(alice, again) == 481
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    bob.ring()
    wire.play()
    request = prack(alice, alice.response(180), rack="1 1 INVITE")
    assert status_of(alice, request) == 481


def test_the_next_one_waits_for_the_prack_of_the_one_before_and_counts_on() -> None:
    wire, alice, bob, _ = offered(headers=REQUIRED)
    bob.ring(180)
    bob.ring(182)
    progress(bob)
    wire.play()
    assert wire.methods() == ["a INVITE", "b 100", "b 180"]

    for number, status in enumerate((180, 182, 183)):
        prack(alice, alice.response(status), cseq=2 + number)

    numbers = [reliable_number(alice.response(status)) for status in (180, 182, 183)]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    assert alice.response(183).body == SDP


def test_sdp_goes_in_one_reliable_response_only_and_not_in_the_200_rfc3262_5() -> None:
    wire, alice, bob, invite = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    prack(alice, alice.response(183))
    progress(bob, status=180)
    bob.answer(SDP)
    wire.play()

    assert (alice.response(180).body, alice.response(200).body) == (b"", b"")
    alice.ack(invite, "b")
    wire.play()
    assert bob.the(Confirmed).body == b""


def test_the_200_waits_for_the_prack_of_a_response_with_sdp_rfc3262_3() -> None:
    wire, alice, bob, invite = offered(headers=SUPPORTED)
    progress(bob)
    bob.answer(SDP)
    wire.play()
    assert wire.methods() == ["a INVITE", "b 100", "b 183"]
    with pytest.raises(LocalProtocolError):
        bob.called.answer(SDP, now=wire.now)

    prack(alice, alice.response(183))

    assert wire.methods()[3:] == ["a PRACK", "b 200", "b 200"]
    alice.ack(invite, "b")
    wire.play()
    assert len(bob.happened(Confirmed)) == 1


def test_the_200_waits_for_no_prack_of_a_response_without_sdp_and_the_prack_may_come_later() -> None:
    wire, alice, bob, invite = offered(headers=REQUIRED)
    bob.ring()
    wire.play()
    bob.answer(SDP)
    wire.play(1.0)
    assert [word for word in wire.methods() if word == "b 180"] == ["b 180"]  # §3: not repeated after the final one
    assert alice.response(200).body == SDP

    request = prack(alice, alice.response(180))
    alice.ack(invite, "b")
    wire.play()

    assert status_of(alice, request) == 200
    assert len(bob.happened(Confirmed)) == 1


def test_a_prack_that_never_comes_ends_an_answered_call_with_504() -> None:
    wire, _, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    bob.answer(SDP)
    wire.play(32.1)

    assert "b 200" not in wire.methods()
    assert bob.the(Ended)[1:3] == ("system", 504)


def test_a_cancel_while_it_waits_for_the_prack_ends_the_call_and_a_late_prack_is_still_answered_200() -> None:
    wire, alice, bob, invite = offered(headers=SUPPORTED)
    progress(bob)
    bob.answer(SDP)
    wire.play()
    alice.cancel(invite, "b")
    wire.play()
    assert bob.the(Ended)[1:3] == ("remote", 487)

    request = prack(alice, alice.response(183))
    later = prack(alice, alice.response(183), cseq=3)

    assert (status_of(alice, request), status_of(alice, later)) == (200, 481)


def test_a_refusal_needs_no_prack() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    bob.reject(486)
    wire.play(0.4)

    assert alice.response(486).to.tag == alice.response(183).to.tag
    assert wire.methods()[2:4] == ["b 183", "b 486"]


def test_a_bye_in_the_early_dialog_ends_both() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    alice.ask("BYE", "b", cseq=2, to_tag=alice.response(183).to.tag or "")
    wire.play()

    assert bob.the(Ended)[1:3] == ("remote", 487)


def test_our_offer_goes_in_a_reliable_response_and_its_answer_comes_in_the_prack() -> None:
    wire, alice, bob, invite = offered(headers=SUPPORTED, body=b"")
    progress(bob)
    wire.play()
    update = alice.ask("UPDATE", "b", cseq=2, to_tag=alice.response(183).to.tag or "", body=OTHER)
    wire.play()
    assert status_of(alice, update) == 491  # RFC 3311 §5.2: our offer is open

    prack(alice, alice.response(183), cseq=3, body=OTHER)
    assert bob.the(OfferAnswered)[1:] == (200, OTHER)
    bob.answer(SDP)
    wire.play()
    assert alice.response(200).body == b""
    alice.ack(invite, "b")
    wire.play()
    reinvite = alice.ask("INVITE", "b", cseq=4, to_tag=alice.response(183).to.tag or "", body=OTHER)
    wire.play()

    assert bob.the(OfferReceived).request.cseq == reinvite.cseq


def test_an_offer_of_ours_is_not_risked_where_the_caller_could_not_acknowledge_it() -> None:
    wire, _, bob, _ = offered(body=b"")

    with pytest.raises(LocalProtocolError):
        progress(bob)
    bob.ring(183)
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "b 183"]


def test_an_offer_in_the_prack_is_answered_in_its_200_rfc3262_5() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    request = prack(alice, alice.response(183), body=OTHER)
    event = bob.the(OfferReceived)
    assert event.body == OTHER
    bob.perform(event.usage.answer_offer(event.transaction, SDP, now=wire.now))
    wire.play()

    assert (status_of(alice, request), alice.response(200).body) == (200, SDP)
    bob.answer(SDP)
    wire.play()
    assert alice.response(200).body == b""


def test_an_update_may_change_the_session_once_the_answer_went_reliably_rfc3311_5() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    prack(alice, alice.response(183))
    alice.ask("UPDATE", "b", cseq=3, to_tag=alice.response(183).to.tag or "", body=OTHER)
    wire.play()
    event = bob.the(OfferReceived)
    bob.perform(event.usage.answer_offer(event.transaction, SDP, now=wire.now))
    wire.play()

    assert alice.response(200).cseq.method == "UPDATE"


def test_a_second_invite_waits_for_the_end_of_the_first_all_the_same_rfc3261_14_2() -> None:
    wire, alice, bob, _ = offered(headers=SUPPORTED)
    progress(bob)
    wire.play()
    prack(alice, alice.response(183))
    again = alice.ask("INVITE", "b", cseq=3, to_tag=alice.response(183).to.tag or "", body=OTHER)
    wire.play()

    assert status_of(alice, again) == 500


def test_a_caller_who_requires_it_hears_each_minute_that_it_still_rings() -> None:
    wire, alice, bob, _ = offered(headers=REQUIRED)
    bob.ring()
    wire.play()
    prack(alice, alice.response(180))
    first = reliable_number(alice.response(180))
    wire.play(60.0)

    assert reliable_number(alice.response(180)) == first + 1
    prack(alice, alice.response(180), cseq=3)


def test_no_agent_can_pile_up_responses_without_end() -> None:
    wire, _, bob, _ = offered(headers=REQUIRED)
    for _ in range(17):  # one, and sixteen behind it
        bob.ring()
    with pytest.raises(LocalProtocolError):
        bob.ring()
    wire.play()


@pytest.mark.parametrize(
    ("headers", "supports", "requires"),
    [
        ((), False, False),
        ((("Supported", "timer"),), False, False),
        ((("Supported", '"100rel'),), False, False),
        ((("k", "timer,100rel"),), True, False),
        ((("Require", "100rel"),), True, True),
    ],
)
def test_the_caller_says_what_it_can(headers: tuple[tuple[str, str], ...], supports: bool, requires: bool) -> None:
    _, _, bob, _ = offered(headers=headers)

    request = bob.the(InviteReceived).request
    assert (supports_reliable(request), requires_reliable(request)) == (supports, requires)


# The calling side


def reliably(bob: Peer, status: int, number: int, *, body: bytes = b"", tag: str = "bob") -> None:
    headers = (("Require", "100rel"), ("RSeq", str(number)))
    bob.reply(bob.request("INVITE"), status, body=body, headers=headers, tag=tag)
    bob.wire.play()


def racks(wire: Wire) -> list[tuple[str | None, str | None]]:
    """To tag and RAck of every PRACK of ours."""
    return [(each.to.tag, each.headers.get("RAck")) for each in wire.messages("a PRACK")]


def test_our_invite_says_that_we_can_unless_the_plan_says_no() -> None:
    for wanted, value in ((True, "100rel, timer"), (False, "timer")):
        _, _, bob, _ = calling(reliable=wanted)
        assert bob.request("INVITE").headers.get("Supported") == value
        assert "PRACK" in (bob.request("INVITE").headers.get("Allow") or "")


def test_a_reliable_response_is_acknowledged_in_its_dialog() -> None:
    wire, alice, bob, _ = calling()
    bob.answers["PRACK"] = 200
    reliably(bob, 183, 7, body=SDP)

    request = bob.request("PRACK")
    assert (request.uri, str(request.cseq), request.headers.get("RAck")) == ("sip:b@b", "2 PRACK", "7 1 INVITE")
    event = alice.the(Progressed)
    assert (event.body, event.reliable) == (SDP, True)
    assert wire.methods() == ["a INVITE", "b 183", "a PRACK", "b 200"]


def test_a_repeated_response_is_neither_told_nor_acknowledged_again_and_one_after_a_gap_not_at_all_rfc3262_4() -> None:
    wire, alice, bob, _ = calling()
    bob.answers["PRACK"] = 200
    for number in (7, 7, 9, 8, 6, 9):
        reliably(bob, 180, number)

    assert racks(wire) == [("bob", "7 1 INVITE"), ("bob", "8 1 INVITE"), ("bob", "9 1 INVITE")]
    assert len(alice.happened(Progressed)) == 3


def test_each_fork_counts_for_itself_and_its_pracks_carry_its_own_cseq() -> None:
    wire, _, bob, _ = calling()
    bob.answers["PRACK"] = 200
    for tag, number in (("one", 5), ("two", 90), ("one", 6), ("two", 91)):
        reliably(bob, 180, number, tag=tag)

    assert racks(wire) == [("one", "5 1 INVITE"), ("two", "90 1 INVITE"), ("one", "6 1 INVITE"), ("two", "91 1 INVITE")]
    assert [each.cseq.number for each in wire.messages("a PRACK")] == [2, 2, 3, 3]


def test_what_follows_the_answer_goes_on_counting_where_the_pracks_stopped() -> None:
    wire, alice, bob, usage = calling()
    bob.answers["PRACK"] = bob.answers["BYE"] = 200
    reliably(bob, 180, 1)
    reliably(bob, 180, 2)
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()
    alice.bye(usage)
    wire.play()

    assert str(bob.request("BYE").cseq) == "4 BYE"


def test_a_second_fork_that_answers_is_hung_up_with_a_cseq_after_its_pracks() -> None:
    wire, _, bob, _ = calling()
    bob.answers["PRACK"] = bob.answers["BYE"] = 200
    reliably(bob, 183, 1, tag="two", body=SDP)
    for tag in ("one", "two"):
        bob.reply(bob.request("INVITE"), 200, body=SDP, tag=tag)
    wire.play()

    assert (bob.request("BYE").to.tag, str(bob.request("BYE").cseq)) == ("two", "3 BYE")


@pytest.mark.parametrize(
    "headers",
    [
        (("Require", "100rel"),),
        (("Require", "100rel"), ("RSeq", "0")),
        (("Require", "100rel"), ("RSeq", "x")),
        (("RSeq", "1"),),
        (("Require", '"a, b'), ("RSeq", "1")),
    ],
)
def test_a_response_that_is_not_reliable_after_all_is_told_and_not_acknowledged(
    headers: tuple[tuple[str, str], ...],
) -> None:
    wire, alice, bob, _ = calling()
    bob.reply(bob.request("INVITE"), 180, headers=headers)
    wire.play()

    assert racks(wire) == []
    assert len(alice.happened(Progressed)) == 1


def test_a_100_is_never_acknowledged_whatever_it_says_rfc3262_4() -> None:
    wire, _, bob, _ = calling()
    reliably(bob, 100, 1)

    assert racks(wire) == []


def test_a_lost_prack_is_repeated_by_its_transaction_and_a_refused_one_ends_nothing() -> None:
    wire, alice, bob, _ = calling()
    reliably(bob, 180, 1)
    wire.play(1.6)
    assert wire.methods()[2:] == ["a PRACK", "a PRACK", "a PRACK"]
    bob.reply(bob.request("PRACK"), 481)
    wire.play()
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()

    assert len(alice.happened(Confirmed)) == 1


def test_a_reliable_response_after_the_answer_or_after_we_gave_up_is_not_acknowledged() -> None:
    wire, _, bob, _ = answered()
    reliably(bob, 180, 1)
    assert racks(wire) == []

    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 100, tag=None)
    wire.play()
    alice.hang_up(usage)
    reliably(bob, 183, 1, body=SDP)
    assert racks(wire) == []


def test_an_offer_in_a_reliable_response_is_answered_in_the_prack_rfc3262_5() -> None:
    wire, alice, bob, usage = calling(body=b"")
    bob.answers["PRACK"] = 200
    reliably(bob, 183, 3, body=OTHER)
    event = alice.the(EarlyOffer)
    assert (event.body, racks(wire)) == (OTHER, [])
    for _ in range(2):
        alice.perform(usage.answer_early(event.response, SDP, now=wire.now))
    wire.play()
    reliably(bob, 180, 4)

    assert racks(wire) == [("bob", "3 1 INVITE"), ("bob", "4 1 INVITE")]
    assert wire.messages("a PRACK")[0].body == SDP


def test_a_proxys_challenge_of_a_prack_is_answered() -> None:
    wire, _, bob, _ = calling()
    reliably(bob, 180, 1)
    bob.reply(bob.request("PRACK"), 407, headers=(("Proxy-Authenticate", 'Digest realm="r", nonce="n"'),))
    wire.play()

    assert racks(wire) == [("bob", "1 1 INVITE")]  # nobody gave us a password: it stays refused


# Both sides of us, in a storm


def place(node: Node, plan: RequestPlan) -> None:
    node.place(plan)


class Early:
    """Early media at once, the answer later; counts how each call went."""

    def __init__(self) -> None:
        self.answered = self.ended = 0

    def __call__(self, node: Node, event: Event) -> None:
        wire = node.wire
        if isinstance(event, InviteReceived):
            usage = event.usage
            node.perform(usage.ring(now=wire.now))
            node.perform(usage.ring(now=wire.now, status=183, body=SDP, reliable=True))

            def answer() -> None:
                if usage.pending:
                    node.perform(usage.answer(SDP, now=wire.now))

            wire.at(wire.now + 1.0, answer)
        elif isinstance(event, Confirmed):
            self.answered += 1
        elif isinstance(event, Ended):
            self.ended += 1


@pytest.mark.parametrize("required", [False, True])
def test_in_a_storm_every_call_with_early_media_comes_up_or_ends(required: bool) -> None:
    wire = Wire(seed=11, weather=Weather(loss=0.3, duplication=0.1, delay=0.02, jitter=0.2))
    callee = Early()
    wire.keep_sent = False
    caller, _ = wire.node("a"), wire.node("b", callee)
    told: dict[str, int] = {}
    early: set[str] = set()

    def hear(_node: Node, event: Event) -> None:
        if isinstance(event, Confirmed):
            told[event.usage.call_id] = told.get(event.usage.call_id, 0) + 1
        elif isinstance(event, Progressed) and event.body:
            assert event.usage.call_id not in early, "early media is told twice"
            early.add(event.usage.call_id)

    caller.app = hear
    headers = REQUIRED if required else ()
    for number in range(200):
        plan = replace(plan_to("b", call_id=f"call-{number}"), headers=headers)
        wire.at(0.01 * number, partial(place, caller, plan))
    wire.run(until=100.0)

    assert set(told.values()) == {1}
    assert len(told) >= 195  # 32 seconds of repeats: hardly one is lost
    assert callee.answered >= len(told) - 5
    assert len(early) >= (100 if required else 195)  # where the 180 must be acknowledged too, the answer may be first
