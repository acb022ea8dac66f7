"""A call that we place: progress, forks, challenges, fail-over, CANCEL and its races (RFC 3261 §9.1, §13.2, §22)."""

from dataclasses import replace

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.reason import Reason
from sipflow.sip.hop import Hop
from sipflow.sip.outputs import Confirmed, Ended, Progressed
from sipflow.sip.usage.state import State
from tests.support.calls import SDP, answered, calling, plan_to, uri
from tests.support.peer import Peer
from tests.support.wire import Wire, shown

MULTIPART = ("Content-Type", "multipart/mixed;boundary=x")
TARGETS = tuple(Hop("udp", host, 5060, "a", 5060) for host in ("t1", "t2"))
ACCOUNTS = (Account("alice", "secret"),)
CHALLENGE = ("WWW-Authenticate", 'Digest realm="b", nonce="n1", qop="auth"')


# Asking and being answered


def test_an_invite_carries_what_rfc3261_8_1_1_and_13_2_1_ask_for() -> None:
    wire, _, _, _ = calling(to=NameAddr.parse('"Bob, Jr." <sip:bob@b>'), headers=(("X-Call", "7"),))

    assert shown(wire.request("a INVITE")) == [
        "INVITE sip:bob@b SIP/2.0",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK*;rport",
        "Max-Forwards: 70",
        "From: <sip:alice@a>;tag=call-1",
        'To: "Bob, Jr." <sip:bob@b>',
        "Call-ID: call-1",
        "CSeq: 1 INVITE",
        "Contact: <sip:alice@a:5060>",
        "X-Call: 7",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY",
        "Supported: 100rel, timer",
        "Session-Expires: 1800",
        "User-Agent: sipflow",
        "Content-Type: application/sdp",
        f"Content-Length: {len(SDP)}",
    ]


def test_a_2xx_is_acknowledged_to_its_contact_with_the_cseq_of_the_invite() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 200, body=SDP, contact="<sip:device@b:5062>")
    wire.play()

    assert shown(wire.request("a ACK")) == [
        "ACK sip:device@b:5062 SIP/2.0",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK*;rport",
        "Max-Forwards: 70",
        "From: <sip:alice@a>;tag=call-1",
        "To: <sip:bob@b>;tag=bob",
        "Call-ID: call-1",
        "CSeq: 1 ACK",
        "User-Agent: sipflow",
        "Content-Length: 0",
    ]
    assert wire.request("a ACK").branch != wire.request("a INVITE").branch  # §17.1.1.3: an ACK to a 2xx has its own
    assert alice.the(Confirmed) == Confirmed(usage, alice.the(Confirmed).message, SDP)
    assert wire.hops[-1][:3] == ("udp", "b", 5062)


def test_a_2xx_without_contact_makes_a_call_whose_requests_go_where_the_invite_went() -> None:
    wire, alice, bob, usage = calling(uri=uri("sip:+12065550177@carrier.example"), destination=uri("sip:b"))
    bob.reply(bob.request("INVITE"), 200, body=SDP, contact="")
    wire.play()
    alice.bye(usage)
    wire.play()
    bob.reply(bob.request("BYE"), 200)
    wire.play()

    assert wire.methods() == ["a INVITE", "b 200", "a ACK", "a BYE", "b 200"]
    assert {wire.request(each).uri for each in ("a ACK", "a BYE")} == {"sip:+12065550177@carrier.example"}
    assert [hop[:3] for hop in wire.hops if hop.host != "a"] == [("udp", "b", 5060)] * 3
    assert (alice.the(Confirmed).body, alice.the(Ended).by) == (SDP, "local")


def test_every_repeated_2xx_is_acknowledged_again_and_the_call_confirmed_once() -> None:
    wire, alice, bob, _ = calling()
    for _ in range(4):
        bob.reply(bob.request("INVITE"), 200, body=SDP)
        wire.play()

    assert wire.methods() == ["a INVITE", *["b 200", "a ACK"] * 4]
    acks = {tuple(shown(ack)) for ack in wire.messages("a ACK")}
    assert len(acks) == 1
    assert len(alice.happened(Confirmed)) == 1


def test_a_2xx_repeated_after_our_bye_is_still_acknowledged() -> None:
    wire, alice, bob, usage = answered()
    invite = bob.request("INVITE")
    alice.bye(usage)
    bob.reply(invite, 200, body=SDP)
    wire.play()

    assert wire.methods() == ["a INVITE", "b 200", "a ACK", "a BYE", "b 200", "a ACK"]
    bob.reply(bob.request("BYE"), 200)


def test_a_target_is_heard_from_its_100_on_and_a_further_invite_has_the_next_cseq_rfc3261_8_1_3_4() -> None:
    wire, _alice, bob, usage = calling()
    invite, before = bob.request("INVITE"), usage.heard
    bob.reply(invite, 100, tag=None)
    wire.play()

    assert (before, usage.heard, usage.next_cseq) == (False, True, invite.cseq.number + 1)


def test_progress_is_told_but_for_100() -> None:
    wire, alice, bob, usage = calling()
    invite = bob.request("INVITE")
    bob.reply(invite, 100, tag=None)
    bob.reply(invite, 180)
    bob.reply(invite, 183, body=SDP)
    bob.reply(invite, 181, tag=None, contact="")
    wire.play()

    assert [(event.response.status, event.body) for event in alice.happened(Progressed)] == [
        (180, b""), (183, SDP), (181, b""),
    ]  # fmt: skip
    assert (usage.state, usage.established.remote_tag) == (State.EARLY, "bob")


def test_the_order_of_an_early_dialog_goes_on_after_the_answer_rfc3261_13_2_2_4() -> None:
    wire, _, bob, _ = calling()
    bob.reply(bob.request("INVITE"), 180)
    wire.play()
    bob.ask("OPTIONS", "a", cseq=5, from_tag="bob", to_tag="call-1")
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()

    bob.ask("OPTIONS", "a", cseq=5, from_tag="bob", to_tag="call-1")
    bob.ask("OPTIONS", "a", cseq=6, from_tag="bob", to_tag="call-1")
    wire.play()

    assert wire.methods()[-2:] == ["a 500", "a 200"]


@pytest.mark.parametrize("contact", ["<tel:+12065550100>", "<http://b/>"])
def test_ringing_from_a_useless_contact_is_told_and_makes_no_dialog(contact: str) -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 180, contact=contact)
    wire.play()

    assert len(alice.happened(Progressed)) == 1
    assert usage.dialog is None


def test_ringing_without_a_to_tag_makes_no_dialog() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 180, tag=None)
    wire.play()

    assert len(alice.happened(Progressed)) == 1
    assert usage.dialog is None


def test_ringing_for_ever_is_bounded_only_by_cancel() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 180)

    wire.play(24 * 3600.0)

    assert wire.methods() == ["a INVITE", "b 180"]
    assert alice.happened(Ended) == []
    alice.perform(usage.cancel(now=wire.now))
    assert wire.methods()[-1] == "a CANCEL"


def test_the_sdp_of_a_multipart_answer_is_found() -> None:
    wire, alice, bob, _ = calling()
    body = b"--x\r\nContent-Type: application/isup\r\n\r\n\x01\x02\r\n--x\r\nContent-Type: application/sdp\r\n\r\n"
    body += SDP + b"\r\n--x--\r\n"
    for status in (183, 200):
        response = bob.reply(bob.request("INVITE"), status, tag="other")
        response.headers.add(*MULTIPART)
        response.headers.set("Content-Length", str(len(body)))
        response.body = body
        bob.tell(response, "a")
    wire.play()

    assert alice.happened(Progressed)[-1].body == SDP


@pytest.mark.parametrize("status", [300, 301, 302, 305, 380])
def test_a_redirection_is_handed_up_with_its_contacts_and_followed_by_nobody_rfc3261_8_1_3_4(status: int) -> None:
    wire, alice, bob, _ = calling()
    contacts = (("Contact", "<sip:c@c>;q=0.5"), ("Contact", "<sip:d@d>"))
    bob.reply(bob.request("INVITE"), status, headers=contacts)
    wire.play(40.0)

    assert wire.methods() == ["a INVITE", f"b {status}", "a ACK"]
    ended = alice.the(Ended)
    assert (ended.by, ended.status) == ("remote", status)
    assert ended.message is not None
    assert [str(contact.uri) for contact in ended.message.contacts] == ["sip:c@c", "sip:d@d"]


def test_the_words_and_the_reason_of_a_refusal_are_handed_up() -> None:
    wire, alice, bob, usage = calling()
    response = bob.reply(bob.request("INVITE"), 486, headers=(("Reason", 'Q.850;cause=17;text="busy"'),))
    wire.play()

    ended = alice.the(Ended)
    assert ended[:5] == (usage, "remote", 486, "Busy Here", Reason("Q.850", 17, "busy"))
    assert bytes(ended.message or b"") == bytes(response)


def test_nobody_answering_is_a_408_of_the_system_after_64_t1() -> None:
    wire, alice, _, _ = calling()

    wire.play(32.0)

    assert wire.methods() == ["a INVITE"] * 7  # RFC 3261 §17.1.1.2: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5
    assert alice.the(Ended)[1:4] == ("system", 408, "no answer from udp:b:5060")


def test_a_name_without_address_is_a_503_of_the_system() -> None:
    wire = Wire()
    alice = wire.node("a")
    alice.addresses["b"] = ()

    alice.place(plan_to("b"))

    assert alice.the(Ended)[1:4] == ("system", 503, "no address for b")
    assert wire.methods() == []


@pytest.mark.parametrize("line", [("X-Note", "a\r\nX-Evil: 1"), ("X Y", "1"), ("X-Note", "\0")])
def test_a_plan_that_would_inject_a_line_is_refused_before_anything_is_looked_up(line: tuple[str, str]) -> None:
    wire = Wire()
    alice = wire.node("a")

    for hops in ((), TARGETS):
        with pytest.raises(LocalProtocolError):
            alice.place(replace(plan_to("b"), headers=(line,)), hops=hops)

    assert wire.methods() == []


# Forks


def test_of_two_forks_that_answer_the_second_is_acknowledged_and_hung_up_once() -> None:
    wire, alice, bob, usage = calling()
    carol = Peer(wire, "c")
    invite = bob.request("INVITE")
    bob.reply(invite, 180, tag="bob")
    carol.reply(invite, 180, tag="carol")
    bob.reply(invite, 200, tag="bob", body=SDP)
    wire.play()
    for _ in range(3):
        carol.reply(invite, 200, tag="carol", body=SDP)
        wire.play()

    assert wire.methods()[3:] == ["b 200", "a ACK", "c 200", "a ACK", "a BYE", "c 200", "a ACK", "c 200", "a ACK"]
    bye = wire.request("a BYE")
    assert (bye.uri, bye.to.tag, str(bye.cseq), wire.hops[-3].host) == ("sip:c@c", "carol", "2 BYE", "c")
    assert [event.usage for event in alice.happened(Confirmed)] == [usage]
    assert usage.established.remote_tag == "bob"
    carol.reply(carol.request("BYE"), 200)
    wire.play()
    alice.bye(usage)
    assert wire.messages("a BYE")[-1].to.tag == "bob"


def test_forks_without_end_are_not_followed_without_end() -> None:
    wire, _, bob, _ = calling()
    for number in range(40):
        bob.reply(bob.request("INVITE"), 200, tag=f"fork{number}", contact=f"<sip:victim@v{number}>", body=SDP)
    wire.play()

    assert wire.methods().count("a ACK") == 17
    assert wire.methods().count("a BYE") == 16


def test_of_several_early_dialogs_the_last_to_speak_is_the_one_that_is_shown() -> None:
    wire, _, bob, usage = calling()
    for tag in ("one", "two", "one"):
        bob.reply(bob.request("INVITE"), 180, tag=tag)
        wire.play()
        assert usage.established.remote_tag == tag


def test_a_fork_that_answers_after_the_refusal_is_acknowledged_and_hung_up_once_rfc3261_13_2_2_4() -> None:
    wire, alice, bob, _ = calling()
    invite = bob.request("INVITE")
    bob.reply(invite, 486)
    wire.play(5.0)
    for _ in range(2):
        bob.reply(invite, 200, tag="late", body=SDP)
        wire.play()

    assert wire.methods() == ["a INVITE", "b 486", "a ACK", "b 200", "a ACK", "a BYE", "b 200", "a ACK"]
    assert [ack.to.tag for ack in wire.messages("a ACK")] == ["bob", "late", "late"]
    assert alice.the(Ended).status == 486


def test_a_2xx_that_comes_long_after_the_refusal_is_nobodys() -> None:
    wire, _, bob, _ = calling()
    invite = bob.request("INVITE")
    bob.reply(invite, 486)
    wire.play(33.0)

    bob.reply(invite, 200, tag="late", body=SDP)
    wire.play()

    assert wire.methods() == ["a INVITE", "b 486", "a ACK", "b 200"]


@pytest.mark.parametrize(
    "change", [("Call-ID", "other"), ("From", "<sip:alice@a>;tag=other"), ("CSeq", "2 INVITE"), ("CSeq", "1 UPDATE")]
)
def test_a_2xx_to_nothing_of_ours_is_ignored(change: tuple[str, str]) -> None:
    wire, _, bob, _ = calling()
    invite = bob.request("INVITE")
    bob.reply(invite, 486)
    wire.play()

    stray = bob.reply(invite, 180)
    stray.status = 200
    stray.headers.set(*change)
    bob.tell(stray, "a")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 486", "a ACK", "b 180", "b 200"]


# CANCEL


def test_cancel_waits_for_a_first_answer_rfc3261_9_1() -> None:
    wire, alice, bob, usage = calling()
    alice.perform(usage.cancel(now=wire.now))
    wire.play()
    assert wire.methods() == ["a INVITE"]

    invite = bob.request("INVITE")
    bob.reply(invite, 100, tag=None)
    wire.play()
    bob.reply(bob.request("CANCEL"), 200)
    bob.reply(invite, 487)
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "a CANCEL", "b 200", "b 487", "a ACK"]
    assert alice.the(Ended)[1:4] == ("local", 487, "Request Terminated")


def test_cancel_repeats_what_names_the_invite_and_nothing_else() -> None:
    wire, alice, bob, usage = calling(routes=("<sip:b;lr>",))
    bob.reply(bob.request("INVITE"), 180)
    wire.play()

    alice.perform(usage.cancel(now=wire.now, headers=(("Reason", "SIP;cause=200"),)))
    alice.perform(usage.cancel(now=wire.now))

    invite, cancel = wire.request("a INVITE"), wire.request("a CANCEL")
    assert shown(cancel) == [
        "CANCEL sip:bob@b SIP/2.0",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK*;rport",
        "Route: <sip:b;lr>",
        "From: <sip:alice@a>;tag=call-1",
        "Call-ID: call-1",
        "To: <sip:bob@b>",
        "CSeq: 1 CANCEL",
        "Max-Forwards: 70",
        "Content-Length: 0",
        "Reason: SIP;cause=200",
    ]
    assert cancel.branch == invite.branch


def test_cancel_of_a_call_that_nobody_answers_ends_with_the_transaction() -> None:
    wire, alice, _, usage = calling()
    alice.perform(usage.cancel(now=wire.now))

    wire.play(32.1)

    assert "a CANCEL" not in wire.methods()
    assert alice.the(Ended)[1:4] == ("local", 487, "we gave up (no answer from udp:b:5060)")


def test_cancel_before_the_look_up_is_done_sends_nothing() -> None:
    wire = Wire()
    alice = wire.node("a")
    usage, (resolve,) = alice.ua.invite(plan_to("b"), now=0.0)
    alice.perform(usage.cancel(now=0.0))
    alice.perform(alice.ua.resolved(resolve[0], TARGETS, now=0.0))  # type: ignore[index]

    assert wire.methods() == []
    assert alice.the(Ended)[1:4] == ("local", 487, "we gave up before the call was sent")


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    wire, alice, bob, usage = calling()
    invite = bob.request("INVITE")
    bob.reply(invite, 180)
    wire.play()

    alice.perform(usage.cancel(now=wire.now, headers=(("Reason", "SIP;cause=200"),)))
    bob.reply(invite, 200, body=SDP)
    wire.play()

    assert wire.methods() == ["a INVITE", "b 180", "a CANCEL", "b 200", "a ACK", "a BYE"]
    assert wire.request("a BYE").headers.get("Reason") == "SIP;cause=200"
    assert alice.happened(Confirmed) == []
    assert alice.the(Ended)[1:4] == ("local", 200, "we gave up as the far end answered")
    bob.reply(bob.request("BYE"), 200)


def test_a_cancel_that_leads_to_nothing_ends_the_call_after_64_t1_and_forgets_the_invite() -> None:
    wire, alice, bob, usage = calling()
    invite = bob.request("INVITE")
    bob.reply(invite, 180)
    wire.play()
    alice.perform(usage.cancel(now=wire.now))
    bob.reply(bob.request("INVITE"), 180)
    wire.play(32.1)

    assert alice.the(Ended)[1:4] == ("local", 487, "we gave up; the far end never confirmed")
    assert alice.ua.counts == {"transactions": 0, "dialogs": 0}
    bob.reply(invite, 200, body=SDP)  # it had never heard of the CANCEL
    wire.play()
    assert wire.methods()[-3:] == ["b 200", "a ACK", "a BYE"]


def test_cancel_of_an_answered_call_is_a_bye() -> None:
    wire, alice, bob, usage = answered()

    alice.perform(usage.cancel(now=wire.now))
    wire.play()
    bob.reply(bob.request("BYE"), 200)

    assert wire.methods()[-2:] == ["a BYE", "b 200"]
    assert alice.the(Ended)[1:4] == ("local", 200, "we hung up")


def test_cancel_after_the_end_is_nothing() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 486)
    wire.play()

    assert usage.cancel(now=wire.now) == []
    assert len(alice.happened(Ended)) == 1


def test_cancel_with_a_line_that_injects_is_refused_and_the_call_goes_on() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 180)
    wire.play()

    with pytest.raises(LocalProtocolError):
        usage.cancel(now=wire.now, headers=(("Reason", "a\r\nb: c"),))

    assert wire.methods() == ["a INVITE", "b 180"]
    assert alice.happened(Ended) == []


def test_cancel_after_a_challenge_waits_for_an_answer_to_the_new_invite() -> None:
    wire, alice, bob, usage = calling(accounts=ACCOUNTS)
    bob.reply(bob.request("INVITE"), 100, tag=None)
    bob.reply(bob.request("INVITE"), 401, headers=(CHALLENGE,))
    wire.play()
    assert wire.methods()[-2:] == ["a ACK", "a INVITE"]

    alice.perform(usage.cancel(now=wire.now))
    wire.play()
    assert "a CANCEL" not in wire.methods()
    bob.reply(bob.request("INVITE"), 100, tag=None)
    wire.play()

    assert wire.methods()[-2:] == ["b 100", "a CANCEL"]
    assert wire.request("a CANCEL").branch == bob.request("INVITE").branch


def test_a_call_that_cannot_be_sent_after_cancel_ends_as_ours() -> None:
    wire = Wire(unreachable={("udp", "t1")})
    alice = wire.node("a")
    usage = alice.place(plan_to("b"), hops=TARGETS)
    assert usage.hop == TARGETS[0]

    alice.perform(usage.cancel(now=wire.now))
    wire.play()

    assert wire.methods() == []
    assert alice.the(Ended)[1:4] == ("local", 487, "we gave up (could not reach udp:t1:5060)")


def test_no_challenge_is_answered_and_no_other_target_tried_after_cancel() -> None:
    wire, alice, bob, usage = calling(accounts=ACCOUNTS)
    alice.perform(usage.cancel(now=wire.now))

    bob.reply(bob.request("INVITE"), 401, headers=(CHALLENGE,))
    wire.play()

    assert wire.methods() == ["a INVITE", "b 401", "a ACK"]
    assert alice.the(Ended)[1:4] == ("local", 487, "we gave up (Unauthorized)")


def test_a_bye_in_an_early_dialog_ends_the_call_and_cancels_what_still_rings() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 180)
    wire.play()

    bob.ask("BYE", "a", from_tag="bob", to_tag="call-1", call_id="call-1")
    wire.play()
    bob.reply(bob.request("INVITE"), 180)
    wire.play(100.0)

    assert wire.methods()[:6] == ["a INVITE", "b 180", "b BYE", "a 200", "a CANCEL", "b 180"]
    assert len(alice.happened(Progressed)) == 1
    assert alice.the(Ended)[1:4] == ("remote", 487, "the far end hung up before the call was answered")
    assert usage.state is State.ENDED
    assert alice.ua.deadline is None  # although no final answer ever came


# SIPS


def test_a_call_to_a_sips_uri_has_a_sips_contact_rfc3261_8_1_1_8() -> None:
    wire, _, _, _ = calling(uri=uri("sips:bob@b"), destination=uri("sip:b"))

    assert wire.request("a INVITE").headers.get("Contact") == "<sips:alice@a:5060>"
