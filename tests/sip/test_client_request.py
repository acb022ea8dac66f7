"""One request as its sender means it: challenges, fail-over, big requests, and connections that have gone."""

import gc
from dataclasses import replace
from typing import Any

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.client_request import UDP_LIMIT_BYTES, ClientRequest, hop_again
from sipflow.sip.digest import Account
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Confirmed, Ended, Finished
from sipflow.sip.plan import Outcome
from sipflow.sip.usage.in_dialog import ignore_outcome
from tests.support.calls import SDP, answered, calling, plan_to, uri
from tests.support.peer import Peer
from tests.support.wire import Node, Wire

TARGETS = tuple(Hop("udp", host, 5060, "a", 5060) for host in ("t1", "t2"))
ACCOUNTS = (Account("alice", "secret"),)
CHALLENGE = ("WWW-Authenticate", 'Digest realm="b", nonce="n1", qop="auth"')
BIG = b"x" * 1300


# Challenges (§22)


def test_a_challenge_is_answered_with_the_next_cseq_and_everything_else_as_it_was() -> None:
    wire, alice, bob, _ = calling(accounts=ACCOUNTS)
    bob.reply(bob.request("INVITE"), 401, headers=(CHALLENGE,))
    wire.play()
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()

    first, second = (one for one in wire.messages("a INVITE") if isinstance(one, Request))
    assert wire.methods() == ["a INVITE", "b 401", "a ACK", "a INVITE", "b 200", "a ACK"]
    assert (str(first.cseq), str(second.cseq)) == ("1 INVITE", "2 INVITE")
    assert (first.call_id, first.from_, first.to, first.uri) == (second.call_id, second.from_, second.to, second.uri)
    assert first.branch != second.branch
    credentials = second.headers.get("Authorization")
    assert credentials is not None
    assert 'username="alice"' in credentials
    ack = wire.messages("a ACK")[-1]
    assert (str(ack.cseq), ack.headers.get("Authorization")) == ("2 ACK", credentials)  # §13.2.2.4: the same ones
    assert len(alice.happened(Confirmed)) == 1


@pytest.mark.parametrize(("status", "asks", "answers"), [
    (401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization"),
])  # fmt: skip
def test_a_wrong_password_is_tried_once(status: int, asks: str, answers: str) -> None:
    wire, alice, bob, _ = calling(accounts=ACCOUNTS)
    for _ in range(2):
        bob.reply(bob.request("INVITE"), status, headers=((asks, CHALLENGE[1]),))
        wire.play()

    assert wire.methods() == ["a INVITE", f"b {status}", "a ACK", "a INVITE", f"b {status}", "a ACK"]
    assert answers in wire.messages("a INVITE")[1].headers
    assert alice.the(Ended)[1:3] == ("remote", status)


def test_a_proxy_and_a_server_of_two_realms_are_both_answered() -> None:
    wire, alice, bob, _ = calling(accounts=(Account("one", "1", "proxy"), Account("two", "2", "server")))
    bob.reply(bob.request("INVITE"), 407, headers=(("Proxy-Authenticate", 'Digest realm="proxy", nonce="p"'),))
    wire.play()
    bob.reply(bob.request("INVITE"), 401, headers=(("WWW-Authenticate", 'Digest realm="server", nonce="s"'),))
    wire.play()
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()

    last = wire.messages("a INVITE")[-1]
    assert str(last.cseq) == "3 INVITE"
    assert 'username="one"' in (last.headers.get("Proxy-Authorization") or "")
    assert 'username="two"' in (last.headers.get("Authorization") or "")
    ack = wire.messages("a ACK")[-1]
    assert {"Authorization", "Proxy-Authorization"} <= {name for name, _ in ack.headers}
    assert len(alice.happened(Confirmed)) == 1


def test_a_stale_nonce_is_no_wrong_password() -> None:
    wire, _, bob, _ = calling(accounts=ACCOUNTS)
    for nonce in ("n1", "n2"):
        line = ("WWW-Authenticate", f'Digest realm="b", nonce="{nonce}", stale=true')
        bob.reply(bob.request("INVITE"), 401, headers=(line,))
        wire.play()

    assert [str(invite.cseq) for invite in wire.messages("a INVITE")] == ["1 INVITE", "2 INVITE", "3 INVITE"]


def test_the_next_call_uses_the_nonce_that_is_known_already() -> None:
    wire, alice, bob, usage = calling(accounts=ACCOUNTS)
    bob.reply(bob.request("INVITE"), 401, headers=(CHALLENGE,))
    wire.play()
    bob.reply(bob.request("INVITE"), 486)
    wire.play()

    plan = replace(usage.plan, call_id="call-2")
    alice.place(plan)

    lines = [invite.headers.get("Authorization") or "" for invite in wire.messages("a INVITE")]
    assert lines[0] == ""
    assert "nc=00000001" in lines[1]
    assert "nc=00000002" in lines[2]


# Fail-over (RFC 3263 §4.3)


def calling_two() -> tuple[Wire, Any, Peer, Peer, Any]:
    wire = Wire()
    alice, first, second = wire.node("a"), Peer(wire, "t1"), Peer(wire, "t2")
    usage = alice.place(plan_to("b"), hops=TARGETS)
    wire.play()
    return wire, alice, first, second, usage


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 580])
def test_a_target_that_fails_passes_the_call_to_the_next(status: int) -> None:
    wire, alice, first, second, _ = calling_two()
    first.reply(first.request("INVITE"), status)
    wire.play()
    second.reply(second.request("INVITE"), 200, body=SDP)
    wire.play()

    assert wire.methods() == ["a INVITE", f"t1 {status}", "a ACK", "a INVITE", "t2 200", "a ACK"]
    one, two = wire.messages("a INVITE")
    assert (str(one.cseq), one.call_id, one.from_) == (str(two.cseq), two.call_id, two.from_)
    assert one.branch != two.branch
    assert len(alice.happened(Confirmed)) == 1


@pytest.mark.parametrize("status", [302, 401, 403, 404, 480, 486, 487, 488, 600, 603, 604, 606])
def test_what_the_callee_says_is_never_tried_elsewhere(status: int) -> None:
    wire, alice, first, _, _ = calling_two()
    first.reply(first.request("INVITE"), status)
    wire.play(40.0)

    assert wire.methods() == ["a INVITE", f"t1 {status}", "a ACK"]
    assert alice.the(Ended)[1:3] == ("remote", status)


def test_the_503_of_the_last_target_is_handed_up() -> None:
    wire, alice, first, second, _ = calling_two()
    first.reply(first.request("INVITE"), 500)
    wire.play()
    response = second.reply(second.request("INVITE"), 503, headers=(("Retry-After", "7"),))
    wire.play()

    ended = alice.the(Ended)
    assert ended[1:4] == ("remote", 503, "Service Unavailable")
    assert bytes(ended.message or b"") == bytes(response)


def test_a_target_that_cannot_be_reached_or_never_answers_passes_the_call_on() -> None:
    wire = Wire(unreachable={("udp", "t1")})
    alice, second = wire.node("a"), Peer(wire, "t2")
    alice.place(plan_to("b"), hops=(*TARGETS, Hop("udp", "t3", 5060, "a", 5060)))
    third = Peer(wire, "t3")

    wire.play(33.0)
    assert [len(peer.heard) for peer in (second, third)] == [7, 2]
    third.reply(third.request("INVITE"), 486)
    wire.play()

    assert alice.the(Ended)[1:3] == ("remote", 486)


def asked_of_two() -> tuple[Wire, Node, Peer]:
    """Our node has sent OPTIONS to a domain of two targets, the first of which nobody serves."""
    wire = Wire()
    alice, second = wire.node("a"), Peer(wire, "t2")
    alice.addresses["b"] = TARGETS
    alice.perform(alice.ua.request(plan_to("b", method="OPTIONS", body=b""), "key", now=wire.now))
    return wire, alice, second


def test_a_silent_target_is_given_up_after_6_s_where_there_is_another_and_is_tried_last_for_a_minute() -> None:
    wire, alice, second = asked_of_two()
    wire.play(7.0)
    second.reply(second.request("OPTIONS"), 200)
    wire.play()
    assert [(at, hop.host) for (at, *_), hop in zip(wire.sent, wire.hops, strict=False)] == [
        (0.0, "t1"), (0.5, "t1"), (1.5, "t1"), (3.5, "t1"), (6.0, "t2"), (6.5, "t2"),
    ]  # fmt: skip
    assert alice.the(Finished).outcome.status == 200

    for call_id, wait_s, host in (("two", 50.0, "t2"), ("three", 10.0, "t1")):
        wire.play(wait_s)
        plan = plan_to("b", method="OPTIONS", body=b"", call_id=call_id)
        alice.perform(alice.ua.request(plan, call_id, now=wire.now))
        assert wire.hops[-1].host == host


def test_a_target_that_has_said_100_has_all_the_time_there_is() -> None:
    wire = Wire()
    alice, first = wire.node("a"), Peer(wire, "t1")
    alice.addresses["b"] = TARGETS
    alice.perform(alice.ua.request(plan_to("b", method="OPTIONS", body=b""), "key", now=wire.now))
    wire.play()
    first.reply(first.request("OPTIONS"), 100, tag=None)
    wire.play(31.0)
    first.reply(first.request("OPTIONS"), 200)
    wire.play()

    assert {hop.host for hop in wire.hops} == {"t1"}
    assert alice.the(Finished).outcome.status == 200


def test_when_no_target_can_be_reached_it_is_a_503_of_the_system() -> None:
    wire = Wire(unreachable={("udp", "t1"), ("udp", "t2")})
    alice = wire.node("a")
    alice.place(plan_to("b"), hops=TARGETS)
    wire.play()

    assert wire.methods() == []
    assert alice.the(Ended)[1:4] == ("system", 503, "could not reach udp:t2:5060")


def test_what_the_first_target_said_is_void_when_the_second_is_asked() -> None:
    wire, alice, first, second, usage = calling_two()
    invite = first.request("INVITE")
    first.reply(invite, 180, tag="first")
    wire.play()
    first.reply(invite, 503, tag="first")
    wire.play()

    assert usage.dialog is None
    assert alice.ua.counts["dialogs"] == 0
    alice.perform(usage.cancel(now=wire.now))  # the second has said nothing yet: §9.1
    wire.play()
    assert "a CANCEL" not in wire.methods()
    second.reply(second.request("INVITE"), 180)
    wire.play()
    assert wire.methods()[-1] == "a CANCEL"


def test_another_target_is_not_sent_credentials_that_were_spent() -> None:
    wire = Wire()
    alice, first, second = wire.node("a"), Peer(wire, "t1"), Peer(wire, "t2")
    alice.place(replace(plan_to("b"), accounts=ACCOUNTS), hops=TARGETS)
    wire.play()
    first.reply(first.request("INVITE"), 401, headers=(CHALLENGE,))
    wire.play()
    first.reply(first.request("INVITE"), 503)
    wire.play()

    spent = first.request("INVITE").headers.get("Authorization") or ""
    fresh = second.request("INVITE").headers.get("Authorization") or ""
    assert "nc=00000001" in spent
    assert "nc=00000002" in fresh


# Big requests (RFC 3261 §18.1.1)


def big_call(*, unreachable: set[tuple[str, str]] | None = None) -> tuple[Wire, Node, Peer, Any]:
    wire = Wire(unreachable=unreachable or set())
    alice, bob = wire.node("a"), Peer(wire, "b")
    usage = alice.place(plan_to("b", body=BIG))
    wire.play()
    return wire, alice, bob, usage


def transports(wire: Wire) -> list[tuple[str, str]]:
    """Method and transport of everything our node sent."""
    words = [word for word in wire.methods() if word.startswith("a ")]
    return [(word[2:], hop.transport) for word, hop in zip(words, wire.hops, strict=True)]


def test_a_request_over_1300_bytes_goes_by_tcp_and_what_follows_does_not_stick_to_it() -> None:
    wire, alice, bob, usage = big_call()
    bob.transport = "tcp"
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    bob.transport = "udp"
    wire.play()
    alice.bye(usage)

    assert transports(wire) == [("INVITE", "tcp"), ("ACK", "udp"), ("BYE", "udp")]
    invite = wire.request("a INVITE")
    assert (invite.via.transport, wire.request("a BYE").via.transport) == ("TCP", "UDP")
    assert invite.headers.get("Contact") == "<sip:alice@a:5060>"  # no transport=tcp: the peer must not stick either


def test_a_big_request_falls_back_to_udp_where_tcp_is_refused() -> None:
    wire, alice, bob, _ = big_call(unreachable={("tcp", "b")})
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()

    assert transports(wire) == [("INVITE", "udp"), ("ACK", "udp")]
    invite = bob.request("INVITE")
    assert (invite.via.transport, str(invite.cseq), invite.body) == ("UDP", "1 INVITE", BIG)
    assert len(alice.happened(Confirmed)) == 1


def test_tcp_is_tried_again_a_minute_after_it_was_refused() -> None:
    wire, alice, _, _ = big_call(unreachable={("tcp", "b")})
    wire.unreachable.clear()

    alice.place(plan_to("b", call_id="call-2", body=BIG))
    wire.play(61.0)
    alice.place(plan_to("b", call_id="call-3", body=BIG))

    assert [hop.transport for hop in wire.hops if hop.host == "b"][-2:] == ["udp", "tcp"]
    assert {hop.transport for hop in wire.hops[:-1]} == {"udp"}


def test_a_challenge_to_a_big_request_is_answered_by_tcp() -> None:
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b", transport="tcp")
    alice.place(replace(plan_to("b", body=BIG), accounts=ACCOUNTS))
    wire.play()
    bob.reply(bob.request("INVITE"), 401, headers=(CHALLENGE,))
    wire.play()

    second = bob.request("INVITE")
    assert transports(wire) == [("INVITE", "tcp"), ("ACK", "tcp"), ("INVITE", "tcp")]
    assert (second.via.transport, second.headers.get("Contact")) == ("TCP", "<sip:alice@a:5060>")
    assert wire.hops[-1].connection == 7  # the connection that challenged us


@pytest.mark.parametrize(("spare", "transport"), [(0, "udp"), (1, "tcp")])
def test_1300_bytes_still_fit_a_datagram(spare: int, transport: str) -> None:
    wire = Wire()
    alice = wire.node("a")
    alice.place(plan_to("b", body=b"x" * 800))
    size = len(wire.sent[0][2])

    alice.place(plan_to("b", call_id="call-2", body=b"x" * (800 + UDP_LIMIT_BYTES - size + spare)))

    assert wire.hops[-1].transport == transport
    assert len(wire.sent[-1][2]) == UDP_LIMIT_BYTES + spare


def test_a_big_request_that_neither_tcp_nor_udp_carries_goes_to_the_next_target() -> None:
    wire = Wire(unreachable={("tcp", "t1"), ("udp", "t1")})
    alice = wire.node("a")
    alice.place(plan_to("b", body=BIG), hops=TARGETS)
    wire.play()

    assert [(hop.transport, hop.host) for hop in wire.hops] == [("tcp", "t2")]


# Connections, and the way back through NAT


@pytest.mark.parametrize(("contact", "reached_at"), [
    ("<sip:alice@192.168.1.20:5062>", ("8.8.8.8", 5060)), ("<sip:alice@8.8.8.8:5062>", ("8.8.8.8", 5062)),
    ("<sip:alice@9.9.9.9:5062>", ("9.9.9.9", 5062)),
])  # fmt: skip
def test_a_peer_whose_contact_is_private_is_reached_where_it_came_from(
    contact: str, reached_at: tuple[str, int]
) -> None:
    wire = Wire()
    alice, bob = Peer(wire, "8.8.8.8", contact=contact), wire.node("10.0.0.5")
    invite = alice.ask("INVITE", "10.0.0.5", body=SDP)
    wire.play()
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "10.0.0.5")
    wire.play()
    bob.bye()

    assert (wire.hops[-1].host, wire.hops[-1].port) == reached_at
    assert wire.request("10.0.0.5 BYE").uri == contact[1:-1]


@pytest.mark.parametrize("contact", ["<sip:alice@a>", "<sip:alice@a:5070;transport=tcp>", "<sip:alice@a;ob>"])
def test_a_call_that_came_by_a_connection_goes_on_by_it(contact: str) -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a", contact=contact, transport="tcp"), wire.node("b")
    invite = alice.ask("INVITE", "b", body=SDP)
    wire.play()
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()
    bob.perform(bob.called.info(b"1", "text/plain", now=wire.now))
    bob.bye()

    assert [(hop.transport, hop.connection) for hop in wire.hops] == [("tcp", 7)] * 4
    assert alice.response(200).headers.get("Contact") == "<sip:b@b:5060;transport=tcp>"


@pytest.mark.parametrize(
    ("transport", "contact", "reached_by"),
    [
        ("tcp", "sip:alice@a", "udp"),
        ("tcp", "sip:alice@a;transport=tcp", "tcp"),
        ("tls", "sip:alice@phone", "tls"),  # never in the clear
        ("tls", "sip:alice@phone;transport=tcp", "tls"),
    ],
)
def test_a_bye_whose_connection_is_gone_looks_its_target_up_and_goes_there(
    transport: str, contact: str, reached_by: str
) -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a", contact=f"<{contact}>", transport=transport), wire.node("b")
    invite = alice.ask("INVITE", "b", body=SDP)
    wire.play()
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()

    wire.gone.add(7)
    bob.bye()
    wire.play()

    host = "phone" if "phone" in contact else "a"
    assert wire.hops[-1] == Hop(reached_by, host, 5060, "b", 5060)
    assert wire.request("b BYE").via.transport == reached_by.upper()
    assert str(wire.request("b BYE").cseq) == "1 BYE"


@pytest.mark.parametrize(("transport", "connection"), [("tcp", 7), ("udp", 0)])
def test_a_route_that_leads_to_the_host_of_an_open_connection_takes_it(transport: str, connection: int) -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a", transport="tcp"), wire.node("b")
    bob.addresses["proxy"] = (Hop(transport, "a", 5080, "b", 5060),)
    invite = alice.ask("INVITE", "b", body=SDP, headers=(("Record-Route", "<sip:proxy;lr>"),))
    wire.play()
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()
    bob.bye()

    assert wire.hops[-1] == Hop(transport, "a", 5080, "b", 5060, connection)


def test_a_bye_that_cannot_be_sent_at_all_ends_the_dialog() -> None:
    wire, alice, _, usage = answered()
    wire.unreachable.add(("udp", "b"))

    alice.bye(usage)
    wire.play()

    assert alice.ua.counts["dialogs"] == 0
    assert alice.the(Ended)[1:3] == ("local", 200)


@pytest.mark.parametrize(
    ("tried", "answered_by", "again"),
    [
        (None, Hop("udp", "x", 1), Hop("udp", "x", 1)),
        (Hop("udp", "x", 1), Hop("udp", "y", 2), Hop("udp", "x", 1)),
        (Hop("tcp", "x", 1), Hop("tcp", "x", 1, connection=5), Hop("tcp", "x", 1, connection=5)),
    ],
)
def test_the_answer_to_a_challenge_goes_to_the_target_that_was_tried(
    tried: Hop | None, answered_by: Hop, again: Hop
) -> None:
    assert hop_again(tried, answered_by) == again


# Requests outside dialogs


def ask(method: str = "OPTIONS", **changes: Any) -> tuple[Wire, Node, Peer]:
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b")
    plan = replace(plan_to("b", method=method, body=b""), **changes)
    alice.perform(alice.ua.request(plan, "key", now=0.0))
    wire.play()
    return wire, alice, bob


def test_the_outcome_says_all_that_a_registration_needs() -> None:
    wire, alice, bob = ask("REGISTER", accounts=ACCOUNTS, advertise="192.0.2.9:5070", cseq=41)
    bob.reply(bob.request("REGISTER"), 401, headers=(CHALLENGE,))
    wire.play()
    response = bob.reply(bob.request("REGISTER"), 200)
    wire.play()

    assert [str(one.cseq) for one in wire.messages("a REGISTER")] == ["41 REGISTER", "42 REGISTER"]
    assert {one.headers.get("Contact") for one in wire.messages("a REGISTER")} == {"<sip:alice@192.0.2.9:5070>"}
    finished = alice.the(Finished)
    assert finished.key == "key"
    assert finished.outcome == Outcome(
        status=200, reason="OK", response=finished.outcome.response, hop=Hop("udp", "b", 5060, "a", 5060), realm="b",
        cseq=42, challenges_answered=1, local=("192.0.2.9", 5070),
    )  # fmt: skip
    assert bytes(finished.outcome.response or b"") == bytes(response)


def test_a_request_that_nobody_answers_is_repeated_as_rfc3261_17_1_2_2_says_and_ends_with_408() -> None:
    wire, alice, _ = ask()

    wire.play(32.0)

    assert wire.methods() == ["a OPTIONS"] * 11
    outcome = alice.the(Finished).outcome
    assert (outcome.status, outcome.reason, outcome.response) == (408, "no answer from udp:b:5060", None)


def test_a_request_without_credentials_hands_the_challenge_up() -> None:
    wire, alice, bob = ask()
    bob.reply(bob.request("OPTIONS"), 407)
    wire.play()

    assert (alice.the(Finished).outcome.status, alice.the(Finished).outcome.challenges_answered) == (407, 0)


def test_a_server_that_challenges_for_ever_is_not_answered_for_ever() -> None:
    wire, alice, bob = ask(accounts=ACCOUNTS)
    for number in range(9):
        line = ("WWW-Authenticate", f'Digest realm="b", nonce="n{number}", stale=true')
        bob.reply(bob.request("OPTIONS"), 401, headers=(line,))
        wire.play()

    assert len(wire.messages("a OPTIONS")) == 5
    assert alice.the(Finished).outcome.status == 401


def test_a_destination_is_looked_up_and_not_the_request_uri() -> None:
    wire, _, _ = ask(destination=uri("sip:proxy:5080;transport=tcp"))

    assert wire.hops[-1][:3] == ("tcp", "proxy", 5080)
    assert wire.request("a OPTIONS").uri == "sip:bob@b"


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": (("X", "a\r\nb: c"),)},
        {"method": "OPT IONS"},
        {"call_id": "a\nb"},
        {"routes": ("<sip:p;lr>\r\nX: y",)},
        {"contact_user": "a\r\nX: y"},
        {"content_type": "a/b\r\nX: y", "body": b"x"},
    ],
)
def test_whoever_asks_for_a_broken_request_hears_of_it_at_once(changes: dict[str, Any]) -> None:
    wire = Wire()
    alice = wire.node("a")

    with pytest.raises(LocalProtocolError):
        alice.ua.request(replace(plan_to("b", body=b""), **changes), "key", now=0.0)


# Asking again, with other words


def test_what_was_never_sent_cannot_be_sent_again() -> None:
    wire, _, _, usage = answered()
    request = usage.client_request("OPTIONS", on_final=ignore_outcome)
    with pytest.raises(LocalProtocolError):
        request.again(now=wire.now)


def test_what_was_sent_goes_to_the_same_place_again_with_the_next_cseq() -> None:
    wire, alice, bob, usage = answered()
    request = usage.client_request("OPTIONS", on_final=ignore_outcome)
    alice.perform(request.start(now=wire.now))
    alice.perform(request.again(now=wire.now))
    wire.play()

    assert [str(one.cseq) for one in wire.messages("a OPTIONS")] == ["2 OPTIONS", "3 OPTIONS"]
    assert len({one.branch for one in wire.messages("a OPTIONS")}) == 2
    request.abandon()
    bob.reply(bob.request("OPTIONS"), 200)
    wire.play(40.0)


# What is left


def test_of_requests_that_are_over_nothing_waits_for_the_garbage_collector() -> None:
    wire, alice, bob, usage = answered()
    gc.collect()
    gc.disable()
    try:
        alice.perform(usage.offer(lambda: b"v=0 new", now=wire.now))
        wire.play()
        bob.reply(bob.request("INVITE"), 200, body=b"v=0 agreed")
        wire.play()
        wire.run(until=wire.now + 40.0)
        alice.hang_up(usage)
        wire.play()
        bob.reply(bob.request("BYE"), 200)
        wire.run(until=wire.now + 70.0)
        del usage
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [each.sent for each in gc.garbage if isinstance(each, ClientRequest)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert left == []
