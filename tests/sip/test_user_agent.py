"""Who gets in, what is refused before anybody sees it, and what is answered with nothing (RFC 3261 §8.2, §9.2, §11)."""

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sip.admission import ABLE, Refusal
from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Ended, Finished, InviteReceived, MessageReceived, Refused, Transmit
from sipflow.sip.parser import KeepAlive, parse_datagram
from sipflow.sip.stack import Settings
from sipflow.sip.transaction.outputs import Expired, Failed
from sipflow.sip.user_agent import Gate, Silence, UserAgent, Verdict, admit_all
from tests.support.calls import SDP, calling, plan_to, taken
from tests.support.chaos import play_chaos
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire, shown

UNKNOWN = [
    Refusal(401, "who are you?", (("WWW-Authenticate", 'Digest realm="b", nonce="n"'),)),
    Refusal(403, "no trunk"),
]


def silent(request: Request | None, hop: Hop) -> Verdict:
    return Silence.SILENCE


def asked(
    method: str = "INVITE",
    *,
    gate: Gate = admit_all,
    headers: Lines = (),
    body: bytes = b"",
    uri: str = "",
    to_tag: str = "",
    settings: Settings | None = None,
) -> tuple[Wire, Peer, Node]:
    """Alice, played by hand at "a", has sent one request to our user agent at "b"."""
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b", gate=gate, settings=settings)
    alice.ask(method, "b", headers=headers, body=body, uri=uri, to_tag=to_tag)
    wire.play()
    return wire, alice, bob


# The gate


@pytest.mark.parametrize("verdict", UNKNOWN)
def test_a_refusal_of_the_gate_is_answered_and_its_ack_goes_no_further(verdict: Refusal) -> None:
    wire, alice, bob = asked(gate=lambda _request, _hop: verdict, body=SDP)
    invite = wire.request("a INVITE")
    refusal = alice.response(verdict.status)
    alice.ask("ACK", "b", branch=invite.branch, to_tag=refusal.to.tag or "")
    wire.play(60.0)

    assert wire.methods() == ["a INVITE", f"b {verdict.status}", "a ACK"]
    assert [(one.status, one.why) for one in bob.happened(Refused)] == [(verdict.status, verdict.why)]
    assert bob.happened(InviteReceived) == []
    assert [refusal.headers.get(name) for name, _ in verdict.headers] == [value for _, value in verdict.headers]
    assert ("Warning" in refusal.headers) is (verdict.status != 401)


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE", "MESSAGE", "REGISTER", "CANCEL", "FROB", "ACK"])
@pytest.mark.parametrize("to_tag", ["", "x"])
def test_silence_leaves_no_transaction_no_bytes_and_no_trace(method: str, to_tag: str) -> None:
    wire, _, bob = asked(method, gate=silent, to_tag=to_tag)

    assert wire.methods() == [f"a {method}"]
    assert {name: size for name, size in bob.ua.sizes.items() if size} == {}
    assert bob.ua.deadline is None
    assert bob.happened(InviteReceived) == []


def test_silence_answers_no_malformed_request_either() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b", gate=silent)
    alice.tell(b"INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCSeq: 1 BYE\r\n\r\n", "b")
    wire.play()

    assert wire.sent[1:] == []
    assert len(bob.happened(Refused)) == 1  # for the log


def test_a_stranger_is_told_403_once_for_each_time_he_asks_and_leaves_no_state() -> None:
    wire, alice, bob = asked(gate=lambda _request, _hop: UNKNOWN[1], body=SDP)
    first = alice.response(403)
    wire.play(40.0)
    alice.tell(wire.request("a INVITE"), "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 403", "a INVITE", "b 403"]
    assert bytes(alice.response(403)) == bytes(first)  # §8.2.7: the To tag too
    assert bob.ua.counts == {"transactions": 0, "dialogs": 0}


@pytest.mark.parametrize("method", ["INVITE", "BYE", "CANCEL"])
def test_a_dialog_that_is_not_ours_is_refused_once_and_leaves_no_state(method: str) -> None:
    wire, _, bob = asked(method, to_tag="other")
    wire.play(40.0)

    assert wire.methods() == [f"a {method}", "b 481"]  # and not eleven times, as timer G would have it
    assert bob.ua.counts == {"transactions": 0, "dialogs": 0}


def test_a_known_call_needs_no_gate() -> None:
    verdicts: list[Verdict] = [None]
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b", gate=lambda _request, _hop: verdicts[-1])
    invite = alice.ask("INVITE", "b", body=SDP)
    wire.play()
    bob.answer(SDP)
    wire.play()
    verdicts.append(Silence.SILENCE)
    tag = alice.response(200).to.tag or ""
    alice.ack(invite, "b")
    alice.ask("INFO", "b", cseq=2, to_tag=tag)
    alice.ask("BYE", "b", cseq=3, to_tag=tag)
    wire.play()

    assert wire.methods()[-5:] == ["a ACK", "a INFO", "a BYE", "b 200", "b 200"]


def test_the_gate_comes_before_everything_but_syntax() -> None:
    headers = (("Require", "frob"), ("Content-Type", "text/plain"))
    wire, _, _ = asked("INVITE", gate=lambda _request, _hop: UNKNOWN[1], headers=headers, body=b"x")

    assert wire.methods() == ["a INVITE", "b 403"]  # and not 420 or 415


def test_a_gate_that_stumbles_over_a_header_of_the_peers_refuses_with_its_status() -> None:
    def gate(request: Request | None, hop: Hop) -> Verdict:
        raise RemoteProtocolError("Diversion is broken", status=400)

    wire, alice, bob = asked(gate=gate)

    assert wire.methods() == ["a INVITE", "b 400"]
    assert alice.response(400).headers.get("Warning") == '399 sipflow "Diversion is broken"'
    assert bob.the(Refused).why == "Diversion is broken"


# Methods, extensions, bodies


@pytest.mark.parametrize(
    ("method", "status"),
    [
        *[(method, 405) for method in ("REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER")],
        ("FROB", 501),
        ("invite", 501),  # methods are case-sensitive
    ],
)
def test_a_method_that_is_not_served_is_refused_with_those_that_are(method: str, status: int) -> None:
    wire, alice, bob = asked(method)

    assert wire.methods() == [f"a {method}", f"b {status}"]
    assert alice.response(status).headers.get("Allow") == ABLE.allow
    assert bob.the(Refused)[2:] == (status, f"{method} is not served here")


@pytest.mark.parametrize(
    ("event", "status"),
    [("message-summary", 200), ("Message-Summary;id=1", 200), ("keep-alive", 200), ("check-sync", 481), ("refer", 481)],
)
def test_the_state_of_a_mailbox_may_be_told_unasked_and_nothing_else(event: str, status: int) -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    alice.ask("NOTIFY", "b", headers=(("Event", event), ("Subscription-State", "terminated")))
    wire.play()

    assert wire.methods() == ["a NOTIFY", f"b {status}"]
    assert [type(one) for one in bob.events] == ([] if status == 200 else [Refused])


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK", "NOTIFY"])
def test_what_belongs_into_a_call_is_refused_481_outside(method: str) -> None:
    wire, _, _ = asked(method)

    assert wire.methods() == [f"a {method}", "b 481"]


@pytest.mark.parametrize(
    ("headers", "status", "named"),
    [
        ((("Require", "100rel, gruu"),), 420, ("Unsupported", "gruu")),
        ((("Content-Type", "text/plain"),), 415, ("Accept", "application/sdp, multipart/mixed")),
        ((("Content-Encoding", "gzip"),), 415, ("Accept-Encoding", "identity")),
        ((("Accept", "text/plain"),), 406, ("Warning", '399 sipflow "the caller accepts only text/plain"')),
    ],
)
def test_an_invite_that_asks_for_more_than_we_can_is_refused(
    headers: Lines, status: int, named: tuple[str, str]
) -> None:
    wire, alice, bob = asked(headers=headers, body=SDP)

    assert wire.methods() == ["a INVITE", f"b {status}"]
    assert alice.response(status).headers.get(named[0]) == named[1]
    assert bob.happened(InviteReceived) == []


@pytest.mark.parametrize(
    "header", [("Require", '"never closed, x'), ("Accept", "<never, closed"), ("Accept", "a b c"), ("Accept", "/")]
)
def test_a_header_that_breaks_off_is_refused_400_and_leaks_no_transaction(header: tuple[str, str]) -> None:
    wire, alice, bob = asked(headers=(header,), body=SDP)
    wire.play(0.1)

    assert wire.methods()[:2] == ["a INVITE", "b 400"]
    assert bob.happened(InviteReceived) == []
    alice.ask("ACK", "b", branch=wire.request("a INVITE").branch, to_tag=alice.response(400).to.tag or "")
    wire.play(10.0)
    assert bob.ua.counts == {"transactions": 0, "dialogs": 0}


@pytest.mark.parametrize(
    ("uri", "status"), [("mailto:bob@b", 416), ("sips:bob@b", None), ("tel:+12065550100", None), ("sip:b?X=1", 400)]
)
def test_a_request_uri_is_sip_sips_or_tel(uri: str, status: int | None) -> None:
    wire, _, _ = asked(uri=uri)

    assert wire.methods() == ["a INVITE", f"b {status or 100}"]


def test_an_unknown_header_drops_no_call() -> None:
    wire, _, bob = asked(headers=(("X-Odd", "\u00a4\u20ac"), ("Frobnicate", "yes"), ("Proxy-Require", "frob")))

    assert wire.methods() == ["a INVITE", "b 100"]
    assert bob.the(InviteReceived).request.headers.get("X-Odd") == "\u00a4\u20ac"


def test_max_forwards_0_has_arrived_where_it_was_going() -> None:
    wire, _, _ = asked(headers=(("Max-Forwards", "0"),))

    assert wire.methods() == ["a INVITE", "b 100"]


def test_the_same_request_by_two_paths_is_one_call_and_a_482_rfc3261_8_2_2_2() -> None:
    wire, alice, bob = asked(body=SDP)

    alice.ask("INVITE", "b", branch="z9hG4bK-other-path", body=SDP)
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "a INVITE", "b 482"]
    assert len(bob.happened(InviteReceived)) == 1


def test_a_new_call_of_the_same_caller_is_no_merged_request() -> None:
    wire, alice, bob = asked(body=SDP)

    alice.ask("INVITE", "b", cseq=2, body=SDP)
    wire.play()

    assert len(bob.happened(InviteReceived)) == 2


# OPTIONS and CANCEL


def test_options_is_the_heart_beat_of_a_trunk() -> None:
    wire, alice, bob = asked("OPTIONS")

    assert shown(alice.response(200)) == [
        "SIP/2.0 200 OK",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK-a-1;rport=5060;received=a",
        "From: <sip:a@a>;tag=peer",
        "To: <sip:b@b>;tag=*",
        "Call-ID: call-1",
        "CSeq: 1 OPTIONS",
        "Accept: application/sdp, multipart/mixed",
        "Accept-Encoding: identity",
        "Server: sipflow",
        f"Allow: {ABLE.allow}",
        "Supported: 100rel, timer",
        "Content-Length: 0",
    ]
    assert bob.events == []
    assert len(wire.sent[1][2]) < 3 * len(wire.sent[0][2])  # no use for amplification


def test_who_wants_no_name_says_none() -> None:
    wire, alice, bob = asked("OPTIONS", settings=Settings(user_agent=""))
    bob.perform(bob.ua.request(plan_to("a", method="OPTIONS", body=b""), "key", now=wire.now))
    wire.play()

    assert "Server" not in alice.response(200).headers
    assert "User-Agent" not in alice.request("OPTIONS").headers


def test_cancel_of_nothing_is_refused_481() -> None:
    wire, _, bob = asked("CANCEL")

    assert wire.methods() == ["a CANCEL", "b 481"]
    assert bob.the(Refused)[2:] == (481, "there is no INVITE to cancel")


def test_cancel_of_an_invite_that_we_have_refused_ourselves_is_answered_200() -> None:
    wire, alice, _ = asked(headers=(("Require", "frob"),))

    alice.cancel(wire.request("a INVITE"), "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 420", "a CANCEL", "b 200"]


def test_cancel_by_another_branch_cancels_nothing() -> None:
    wire, alice, bob = asked(body=SDP)

    alice.ask("CANCEL", "b")
    wire.play()

    assert wire.methods()[-1] == "b 481"
    assert bob.happened(Ended) == []


# What is broken


def raw(*lines: str) -> bytes:
    return ("\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n").encode()


BROKEN = raw(
    "INVITE sip:b SIP/2.0", "Via: SIP/2.0/UDP nat:9999;branch=z9hG4bK1;rport", "From: <sip:a@a>;tag=1",
    "To: <sip:b@b>", "Call-ID: c", "CSeq: 1 BYE",
)  # fmt: skip


def test_a_broken_request_is_answered_to_its_source_with_one_to_tag_and_kept_nowhere() -> None:
    ua = UserAgent(Settings(), Ids(lambda size: bytes(size)))
    source = Hop("udp", "192.0.2.9", 4444, "192.0.2.2", 5060)

    answers = [ua.receive(parse_datagram(BROKEN), source, now=now) for now in (0.0, 0.5)]

    for answer in answers:
        (transmit, refused) = answer
        assert isinstance(transmit, Transmit)
        assert isinstance(refused, Refused)
        assert transmit.hop == source
        response = parse_datagram(transmit.data)
        assert isinstance(response, Response)
        assert (response.status, str(response.via)) == (
            400, "SIP/2.0/UDP nat:9999;branch=z9hG4bK1;rport=4444;received=192.0.2.9",
        )  # fmt: skip
        assert response.headers.get("Warning") == "399 sipflow \"CSeq names 'BYE' in a INVITE request\""
    assert answers[0][0] == answers[1][0]  # §8.2.7: a stateless UAS gives every repetition the same tag
    assert ua.counts == {"transactions": 0, "dialogs": 0}


def test_without_rport_a_broken_request_is_answered_to_the_port_of_its_via_rfc3261_18_2_2() -> None:
    ua = UserAgent(Settings(), Ids(lambda size: bytes(size)))
    source = Hop("udp", "192.0.2.9", 4444, "192.0.2.2", 5060)

    transmit = ua.receive(parse_datagram(BROKEN.replace(b";rport", b"")), source, now=0.0)[0]

    assert isinstance(transmit, Transmit)
    assert transmit.hop == source._replace(port=9999)


@pytest.mark.parametrize(
    "line", [b"Via: SIP/2.0/UDP nat:9999;branch=z9hG4bK1;rport\r\n", b"Call-ID: c\r\n", b"To: <sip:b@b>\r\n"]
)
def test_a_request_without_a_mandatory_header_is_answered_400_and_no_harm_done(line: bytes) -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    alice.tell(BROKEN.replace(line, b""), "b")
    wire.play()

    assert [word for word in wire.methods() if word != "a INVITE"] == ["b 400"]
    assert bob.ua.counts == {"transactions": 0, "dialogs": 0}


def test_a_request_cut_off_on_its_way_is_answered_400() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    alice.tell(
        BROKEN.replace(b"1 BYE", b"1 INVITE").replace(b"nat:9999", b"a:5060").replace(b": 0\r\n", b": 9\r\n"), "b"
    )
    wire.play()

    assert wire.methods() == ["a INVITE", "b 400"]
    assert bob.the(Refused).status == 400


def test_a_broken_ack_is_answered_with_nothing() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    alice.tell(BROKEN.replace(b"INVITE sip", b"ACK sip"), "b")
    wire.play()

    assert wire.sent[1:] == []
    assert bob.the(Refused).status == 400


@pytest.mark.parametrize("data", [b"\x00\x01\x02", b"hello", b"SIP/2.0 200 OK\r\n\r\n", b"\r\n\r\n\r\n\r\nx"])
def test_noise_is_answered_with_nothing(data: bytes) -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a"), wire.node("b")
    alice.tell(data, "b")
    wire.play()

    assert wire.sent[1:] == []
    assert bob.happened(InviteReceived) == []


def test_a_keepalive_is_nobodys_business_here() -> None:
    ua = UserAgent(Settings(), Ids(lambda size: bytes(size)))

    assert ua.receive(KeepAlive(ping=True), Hop("tcp", "a", 1), now=0.0) == []


# Responses (§8.1.3, §18.1.2)


def test_a_response_with_two_vias_is_dropped_rfc3261_8_1_3_3() -> None:
    wire, alice, bob, _ = calling()
    response = bob.reply(bob.request("INVITE"), 486)
    wire.sent.clear()
    response.headers.add("Via", "SIP/2.0/UDP c;branch=z9hG4bKx")
    alice.arrive(bytes(response), Hop("udp", "b", 5060, "a", 5060))

    assert wire.sent == []
    assert alice.the(Refused).why == "response dropped: a response with more than one Via went astray"


@pytest.mark.parametrize("status", [100, 180, 200, 404, 699])
def test_a_response_that_matches_nothing_is_ignored(status: int) -> None:
    wire, _, bob, _ = calling()
    response = bob.reply(bob.request("INVITE"), 100)
    response.status = status
    response.headers.set("Via", "SIP/2.0/UDP a:5060;branch=z9hG4bKunknown")
    wire.sent.clear()
    bob.tell(response, "a")
    wire.play()

    assert len(wire.sent) == 1


def test_a_response_to_another_method_of_the_same_branch_is_ignored() -> None:
    wire, alice, bob, _ = calling()
    response = bob.reply(bob.request("INVITE"), 100)
    response.status = 486
    response.headers.set("CSeq", "1 OPTIONS")
    bob.tell(response, "a")
    wire.play()

    assert wire.methods()[-1] == "b 486"
    assert alice.happened(Ended) == []


# What the shell tells


def test_a_failure_of_nothing_is_nothing() -> None:
    ua = UserAgent(Settings(), Ids(lambda size: bytes(size)))

    assert ua.transport_failed(None, now=0.0) == []
    assert ua.transport_failed("x", now=0.0) == []
    assert ua.hop_failed(Hop("tcp", "a", 5060), now=0.0) == []
    assert ua.resolved(1, (), now=0.0) == []
    assert ua.resolved("x", (), now=0.0) == []
    assert ua.unresolved(1, "no", now=0.0) == []
    assert ua.handle_timer(now=1e9) == []
    assert ua.deadline is None


def test_what_happens_to_transactions_of_nobody_is_told_to_nobody() -> None:
    wire, alice, _, _ = taken()
    node = wire.nodes["b"]
    server = node.called.transaction

    assert node.ua._route([Expired(server), Failed(server)], wire.now) == []
    assert alice.heard


def test_a_transaction_may_be_answered_by_whoever_has_it() -> None:
    wire, alice, bob = asked(body=SDP)

    bob.perform(bob.ua.respond(bob.called.transaction, 404, "No Such Thing", now=wire.now, headers=(("X-Why", "x"),)))
    wire.play()

    assert (alice.response(404).reason, alice.response(404).headers.get("X-Why")) == ("No Such Thing", "x")


def test_a_lost_connection_fails_what_was_sent_on_it() -> None:
    wire = Wire()
    alice = wire.node("a")
    hop = Hop("tcp", "b", 5060, "a", 5060, connection=3)
    alice.place(plan_to("b"), hops=(hop,))

    alice.perform(alice.ua.hop_failed(hop, now=wire.now))

    assert alice.the(Ended)[1:4] == ("system", 503, "could not reach tcp:b:5060")


def test_the_deadline_is_the_earliest_of_all() -> None:
    wire, _, bob, _ = taken()
    assert bob.ua.deadline is not None
    transactions = bob.ua.deadline  # timer L, 64*T1 after the 200

    wire.nodes["b"].bye()

    assert bob.ua.deadline is not None
    assert bob.ua.deadline == wire.now + 0.5 < transactions  # timer E of the BYE


def test_ids_carry_the_prefix_of_their_node() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()
    alice.bye(usage)

    assert [one.branch[:8] for one in (*wire.messages("a INVITE"), *wire.messages("a BYE"))] == ["z9hG4bKa"] * 2
    assert alice.ua.ids.tag().startswith("a")
    assert alice.ua.ids.call_id().startswith("a")


# Everything at once


@pytest.mark.parametrize("seed", range(60))
def test_a_mad_peer_and_a_moody_app_leave_nothing_behind_and_every_call_ends_once(seed: int) -> None:
    play_chaos(seed)


# What is switched on


def test_allow_and_supported_tell_what_is_switched_on_wherever_they_stand() -> None:
    settings = Settings(refer=True, message=True, replaces=True)
    wire, alice, bob = asked("OPTIONS", settings=settings)
    bob.place(plan_to("a", call_id="call-2"))
    wire.play()

    for message in (alice.response(200), alice.request("INVITE")):
        assert (message.headers.get("Allow") or "").endswith("NOTIFY, REFER, MESSAGE")
        assert message.headers.get("Supported") == "100rel, norefersub, replaces, tdialog, timer"


def test_a_text_outside_a_call_is_handed_up_and_answered_by_who_owns_it() -> None:
    wire, alice, bob = asked("MESSAGE", settings=Settings(message=True), body=b"hello")
    event = bob.the(MessageReceived)
    assert (event.usage, event.request.body, event.hop.host) == (None, b"hello", "a")
    bob.perform(bob.ua.respond(event.transaction, 202, now=wire.now))
    wire.play()

    assert wire.methods() == ["a MESSAGE", "b 202"]
    assert "Contact" not in alice.response(202).headers


def test_a_text_of_ours_outside_a_call_has_no_contact_and_its_end_is_told() -> None:
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b")
    bob.answers["MESSAGE"] = 200
    alice.perform(alice.ua.request(plan_to("b", method="MESSAGE", body=b"hello"), "key", now=wire.now))
    wire.play()

    assert "Contact" not in bob.request("MESSAGE").headers
    assert (alice.the(Finished).key, alice.the(Finished).outcome.status) == ("key", 200)
