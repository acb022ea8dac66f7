"""Sessions that are kept alive, by either side and in either way, and sessions that die (RFC 4028 §7 to §10)."""

from dataclasses import replace

import pytest

from sipflow.sip.message import Request
from sipflow.sip.outputs import Confirmed, Ended, InviteReceived, OfferAnswered, OfferReceived
from sipflow.sip.session_timer import SessionSettings
from sipflow.sip.stack import Settings
from tests.support.calls import SDP, answered, calling, offered, plan_to, taken
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire, shown

TIMER = ("Supported", "timer")
UPDATES = ("Allow", "INVITE, ACK, BYE, UPDATE")


def asks(value: str) -> tuple[str, str]:
    return ("Session-Expires", value)


def in_call(*lines: tuple[str, str]) -> tuple[Wire, Peer, Node]:
    """Alice, who said `lines` in her INVITE, is in a call with us."""
    wire, alice, bob, _ = taken(headers=lines)
    return wire, alice, bob


def calls_since(wire: Wire, moment: float) -> list[tuple[int, str]]:
    """Requests of ours, by second."""
    return [(round(at), word) for at, word in wire.timeline() if at > moment and word.split()[1].isalpha()]


# What is said (§7.1, §9)


def test_a_caller_who_knows_nothing_of_timers_hears_nothing_of_them() -> None:
    wire, alice, bob = in_call()

    wire.play(100_000.0)

    answer = alice.response(200)
    assert ("Session-Expires" in answer.headers, "Require" in answer.headers) == (False, False)
    assert wire.methods() == ["a INVITE", "b 100", "b 200", "a ACK"]
    assert bob.happened(Ended) == []


def test_a_caller_who_asks_is_answered_and_told_that_the_timer_runs() -> None:
    _, alice, _ = in_call(TIMER, asks("600;refresher=uac"))

    answer = alice.response(200)
    assert answer.headers.get("Session-Expires") == "600;refresher=uac"
    assert answer.headers.get("Require") == "timer"


def test_an_interval_that_is_too_small_is_refused_422_with_ours_and_starts_no_call() -> None:
    wire, alice, bob, _ = offered(headers=(TIMER, asks("60")))

    assert wire.methods() == ["a INVITE", "b 422"]
    assert alice.response(422).headers.get("Min-SE") == "90"
    assert bob.happened(InviteReceived) == []


def test_where_timers_are_off_nothing_is_said_of_them_and_nobody_is_answered_422() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b", settings=Settings(session=SessionSettings(on=False)))
    invite = alice.ask("INVITE", "b", headers=(TIMER, asks("60")), body=SDP)
    wire.play()
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play(100.0)

    answer = alice.response(200)
    assert (answer.headers.get("Supported"), answer.headers.get("Session-Expires")) == ("100rel", None)
    bob.place(plan_to("a", call_id="call-2"))
    wire.play()
    request = alice.request("INVITE")
    assert (request.headers.get("Supported"), request.headers.get("Session-Expires")) == ("100rel", None)


def test_a_single_call_may_have_them_off_in_both_directions() -> None:
    off = SessionSettings(on=False)
    wire, alice, bob, _ = offered(headers=(TIMER, asks("600")))
    bob.called.adopt(session=off)
    bob.answer(SDP)
    wire.play()
    _, _, callee, _ = calling(session=off)

    answer = alice.response(200)
    assert (answer.headers.get("Supported"), answer.headers.get("Session-Expires")) == ("100rel", None)
    request = callee.request("INVITE")
    assert (request.headers.get("Supported"), request.headers.get("Session-Expires")) == ("100rel", None)


# The peer refreshes


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_each_refresh_of_the_peer_begins_the_session_anew(method: str) -> None:
    wire, alice, bob = in_call(TIMER, asks("90;refresher=uac"))
    bob.app = lambda node, event: (
        node.perform(event.usage.answer_offer(event.transaction, SDP, now=wire.now))
        if isinstance(event, OfferReceived)
        else None
    )
    body = SDP if method == "INVITE" else b""
    for number in range(2, 5):
        wire.play(45.0)
        lines = (TIMER, asks("90;refresher=uac"))
        request = alice.ask(method, "b", cseq=number, to_tag=tag_of(alice), headers=lines, body=body)
        wire.play()
        answer = alice.response(200)
        assert (answer.headers.get("Session-Expires"), answer.headers.get("Require")) == ("90;refresher=uac", "timer")
        if method == "INVITE":
            alice.ack(request, "b")

    assert bob.happened(Ended) == []
    start = wire.now
    wire.play(100.0)
    assert calls_since(wire, start) == [(round(start) + 60, "b BYE")] + [
        (at, "b BYE") for at, _ in calls_since(wire, start)[1:]
    ]


def tag_of(alice: Peer) -> str:
    return alice.response(200).to.tag or ""


def test_a_session_that_the_peer_lets_die_is_hung_up_with_the_reason() -> None:
    wire, _, bob = in_call(TIMER, asks("90;refresher=uac"))

    wire.play(70.0)

    assert calls_since(wire, 1.0)[0] == (60, "b BYE")
    ended = bob.the(Ended)
    assert (ended.by, ended.status, ended.lost) == ("system", 408, True)
    assert ended.why == "nobody refreshed the session: nothing was heard in 90 s"
    bye = wire.messages("b BYE")[0]
    assert bye.headers.get("Reason") == f'SIP;cause=408;text="{ended.why}"'


@pytest.mark.parametrize("lines", [(), (TIMER,), (UPDATES,)])
def test_a_reinvite_without_session_expires_leaves_the_timer_as_it_is(lines: Lines) -> None:
    wire, alice, bob = in_call(TIMER, asks("90;refresher=uas"))
    bob.app = lambda node, event: (
        node.perform(event.usage.answer_offer(event.transaction, SDP, now=wire.now))
        if isinstance(event, OfferReceived)
        else None
    )
    wire.play(20.0)
    reinvite = alice.ask("INVITE", "b", cseq=2, to_tag=tag_of(alice), body=SDP, headers=lines)
    wire.play()
    alice.ack(reinvite, "b")
    assert alice.response(200).headers.get("Session-Expires") == "90;refresher=uas"
    alice.answers["UPDATE"] = alice.answers["INVITE"] = 200
    start = wire.now

    wire.play(45.1)

    method = "UPDATE" if UPDATES in lines else "INVITE"
    assert calls_since(wire, start + 1)[0] == (round(start) + 45, f"b {method}")


def test_a_reinvite_that_asks_for_too_little_is_refused_422_and_the_call_goes_on() -> None:
    wire, alice, bob = in_call(TIMER, asks("90;refresher=uac"))

    alice.ask("INVITE", "b", cseq=2, to_tag=tag_of(alice), body=SDP, headers=(TIMER, asks("30")))
    wire.play()

    assert alice.response(422).headers.get("Min-SE") == "90"
    assert bob.happened(OfferReceived) == []
    assert bob.happened(Ended) == []


# We refresh


def test_we_refresh_half_way_by_update_where_the_peer_takes_it() -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    alice.answers["UPDATE"] = 200

    wire.play(140.0)

    assert calls_since(wire, 1.0)[:3] == [(45, "b UPDATE"), (90, "b UPDATE"), (135, "b UPDATE")]
    update = wire.messages("b UPDATE")[0]
    assert shown(update) == [
        "UPDATE sip:a@a SIP/2.0",
        "Via: SIP/2.0/UDP b:5060;branch=z9hG4bK*;rport",
        "Max-Forwards: 70",
        "From: <sip:b@b>;tag=*",
        "To: <sip:a@a>;tag=peer",
        "Call-ID: call-1",
        "CSeq: 1 UPDATE",
        "Contact: <sip:b@b:5060>",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY",
        "Supported: 100rel, timer",
        "Session-Expires: 90;refresher=uac",
        "User-Agent: sipflow",
        "Content-Length: 0",
    ]
    assert bob.happened(Ended) == []


def test_we_refresh_by_reinvite_where_it_does_not_and_offer_what_is_in_force() -> None:
    wire, alice, bob = in_call(TIMER, asks("90;refresher=uas"))
    alice.answers["INVITE"] = 200

    wire.play(100.0)

    assert calls_since(wire, 1.0) == [(45, "b INVITE"), (45, "b ACK"), (90, "b INVITE"), (90, "b ACK")]
    reinvite = wire.messages("b INVITE")[0]
    assert (reinvite.body, reinvite.headers.get("Session-Expires")) == (SDP, "90;refresher=uac")
    assert bob.happened(OfferAnswered) == []


def test_who_describes_the_session_anew_hears_the_answer() -> None:
    wire, alice, bob = in_call(TIMER, asks("90;refresher=uas"))
    bob.called.describe = lambda: b"v=0\r\nnow"
    wire.play(45.1)
    reinvite = alice.request("INVITE")
    alice.reply(reinvite, 200, tag=None, body=b"v=0\r\ntheirs")
    wire.play()

    assert reinvite.body == b"v=0\r\nnow"
    assert bob.the(OfferAnswered) == OfferAnswered(bob.called, 200, b"v=0\r\ntheirs")


@pytest.mark.parametrize("status", [405, 501])
def test_a_peer_that_allowed_update_and_does_not_is_refreshed_by_reinvite_from_then_on(status: int) -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    alice.answers |= {"UPDATE": status, "INVITE": 200}

    wire.play(100.0)

    assert [word for _, word in calls_since(wire, 1.0)] == ["b UPDATE", "b INVITE", "b ACK", "b INVITE", "b ACK"]
    assert bob.happened(Ended) == []


def test_a_refresh_that_is_refused_is_tried_again_and_the_call_ends_with_the_session() -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    alice.answers |= {"UPDATE": 500, "BYE": 200}

    wire.play(99.0)

    moments = [at for at, word in calls_since(wire, 1.0) if word == "b UPDATE"]
    assert moments[:4] == [45, 68, 79, 84]
    assert calls_since(wire, 1.0)[-1] == (90, "b BYE")
    assert (bob.the(Ended).status, bob.the(Ended).lost) == (408, True)


def test_retry_after_of_a_refused_refresh_is_kept_to() -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    wire.play(45.1)
    alice.reply(alice.request("UPDATE"), 503, headers=(("Retry-After", "4"),))
    alice.answers["UPDATE"] = 200
    wire.play(10.0)

    assert [at for at, word in calls_since(wire, 1.0)] == [45, 49]
    assert bob.happened(Ended) == []


@pytest.mark.parametrize("status", [408, 481, None])
def test_a_far_end_that_has_lost_the_call_or_does_not_answer_is_hung_up(status: int | None) -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("600;refresher=uas"))
    if status is not None:
        alice.answers["UPDATE"] = status

    wire.play(340.0)

    (ended,) = bob.happened(Ended)
    assert (ended.by, ended.status, ended.lost) == ("system", status or 408, True)
    moment = next(at for at, word in calls_since(wire, 1.0) if word == "b BYE")
    assert moment == (300 if status else 332)
    assert (wire.messages("b BYE")[0].headers.get("Reason") or "").startswith(f"SIP;cause={status or 408};text=")


def test_a_422_to_a_refresh_is_followed_at_once() -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    wire.play(45.1)
    alice.reply(alice.request("UPDATE"), 422, headers=(("Min-SE", "200"),))
    alice.answers["UPDATE"] = 200
    wire.play(150.0)

    said = [(one.headers.get("Session-Expires"), one.headers.get("Min-SE")) for one in wire.messages("b UPDATE")]
    assert said == [("90;refresher=uac", None), *[("200;refresher=uac", "200")] * 2]
    assert [at for at, word in calls_since(wire, 1.0)] == [45, 45, 145]
    assert bob.happened(Ended) == []


def test_a_refresh_waits_while_an_offer_is_open() -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    wire.play(44.0)
    bob.perform(bob.called.offer(lambda: SDP, now=wire.now))
    wire.play()
    alice.reply(alice.request("INVITE"), 100, tag=None)
    wire.play(2.0)
    assert wire.messages("b UPDATE") == []
    alice.reply(alice.request("INVITE"), 200, tag=None, body=SDP, headers=(asks("90;refresher=uac"),))
    alice.answers["UPDATE"] = 200
    wire.play(46.0)

    assert [word for _, word in calls_since(wire, 1.0)] == ["b INVITE", "b ACK", "b UPDATE"]


def test_glare_of_a_refresh_by_update_is_tried_again() -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    wire.play(45.1)
    alice.reply(alice.request("UPDATE"), 491)
    alice.answers["UPDATE"] = 200
    wire.play(4.0)

    assert len(wire.messages("b UPDATE")) == 2
    assert bob.happened(Ended) == []


def test_nothing_is_refreshed_after_the_end() -> None:
    wire, alice, bob = in_call(TIMER, UPDATES, asks("90;refresher=uas"))
    wire.play(45.1)
    alice.ask("BYE", "b", cseq=2, to_tag=tag_of(alice))
    alice.reply(alice.request("UPDATE"), 200)
    wire.play(300.0)

    assert len(wire.messages("b UPDATE")) == 1
    assert bob.ua.deadline is None


# The calling side


def test_our_invite_asks_and_the_callee_decides() -> None:
    for refresher, lines in (("uac", (UPDATES, asks("90;refresher=uac"))), ("uas", (asks("90;refresher=uas"),))):
        wire, alice, bob, _ = answered(headers=(*lines, ("Require", "timer")))
        bob.answers |= {"UPDATE": 200, "BYE": 200}
        wire.play(70.0)

        if refresher == "uac":
            assert calls_since(wire, 1.0) == [(45, "a UPDATE")]
            assert alice.happened(Ended) == []
        else:
            assert calls_since(wire, 1.0) == [(60, "a BYE")]
            assert alice.the(Ended).lost


def test_a_callee_without_timers_is_called_all_the_same() -> None:
    wire, alice, _, _ = answered()

    wire.play(10_000.0)

    assert wire.methods() == ["a INVITE", "b 200", "a ACK"]
    assert alice.happened(Ended) == []


def test_a_422_to_our_invite_is_followed_by_one_that_asks_for_more() -> None:
    wire, alice, bob, _ = calling()
    bob.reply(bob.request("INVITE"), 422, headers=(("Min-SE", "3600"),))
    wire.play()
    second = bob.request("INVITE")
    bob.reply(second, 200, body=SDP, headers=(asks("3600;refresher=uac"),))
    wire.play()

    first = wire.messages("a INVITE")[0]
    assert isinstance(first, Request)
    assert wire.methods() == ["a INVITE", "b 422", "a ACK", "a INVITE", "b 200", "a ACK"]
    said = (second.headers.get("Session-Expires"), second.headers.get("Min-SE"), str(second.cseq))
    assert said == ("3600", "3600", "2 INVITE")
    assert (second.call_id, second.from_, second.body) == (first.call_id, first.from_, first.body)
    assert len(alice.happened(Confirmed)) == 1


@pytest.mark.parametrize("least", ["", "90", "1800", "x"])
def test_a_422_that_asks_for_nothing_new_is_a_refusal(least: str) -> None:
    wire, alice, bob, _ = calling()
    bob.reply(bob.request("INVITE"), 422, headers=(("Min-SE", least),) if least else ())
    wire.play()

    assert len(wire.messages("a INVITE")) == 1
    assert alice.the(Ended)[1:3] == ("remote", 422)


def test_a_call_that_is_given_up_follows_no_422() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 180)
    wire.play()
    alice.perform(usage.cancel(now=wire.now))
    bob.reply(bob.request("INVITE"), 422, headers=(("Min-SE", "3600"),))
    wire.play()

    assert len(wire.messages("a INVITE")) == 1


# Two of ours


@pytest.mark.parametrize("refresher", ["us", "them", "auto"])
def test_two_user_agents_keep_a_call_of_a_day_alive_through_loss(refresher: str) -> None:
    wire = Wire(seed=5)
    wire.weather = replace(wire.weather, loss=0.2)
    settings = Settings(session=SessionSettings(expires_s=600, refresher=refresher))  # type: ignore[arg-type]
    alice, bob = wire.node("a", settings=settings), wire.node("b")
    usage = alice.place(plan_to("b"))
    wire.play(3.0)
    bob.answer(SDP)
    wire.play(86_400.0)

    assert alice.happened(Ended) == bob.happened(Ended) == []
    updates = {host: len(wire.messages(f"{host} UPDATE")) for host in "ab"}
    assert min(updates.values()) == 0
    assert max(updates.values()) >= 288
    alice.bye(usage)
