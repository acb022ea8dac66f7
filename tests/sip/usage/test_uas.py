"""A call that comes in: rung, answered, refused, cancelled; every race of the called side (RFC 3261 §9.2, §13.3)."""

from weakref import ref

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import Account
from sipflow.sip.headers.reason import Reason
from sipflow.sip.outputs import Confirmed, Ended, InviteReceived
from sipflow.sip.transaction.machine import NO_REQUEST
from sipflow.sip.usage.uas import UasInvite
from tests.support.calls import SDP, offered, taken
from tests.support.wire import shown

REPEATS = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]  # RFC 3261 §13.3.1.4: T1 doubling up to T2


# Ringing and answering


def test_an_invite_is_answered_100_at_once_and_handed_up_once() -> None:
    wire, alice, bob, invite = offered()

    assert wire.methods() == ["a INVITE", "b 100"]
    assert bytes(bob.the(InviteReceived).request) == bytes(invite).replace(b";rport", b";rport=5060;received=a")
    assert shown(alice.response(100)) == [
        "SIP/2.0 100 Trying",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK-a-1;rport=5060;received=a",
        "From: <sip:a@a>;tag=peer",
        "To: <sip:b@b>",
        "Call-ID: call-1",
        "CSeq: 1 INVITE",
        "Content-Length: 0",
    ]


def test_a_200_says_who_we_are_where_we_are_and_what_we_allow() -> None:
    _, alice, bob, _ = offered()

    bob.answer(SDP)
    bob.wire.play()

    assert shown(alice.response(200)) == [
        "SIP/2.0 200 OK",
        "Via: SIP/2.0/UDP a:5060;branch=z9hG4bK-a-1;rport=5060;received=a",
        "From: <sip:a@a>;tag=peer",
        "To: <sip:b@b>;tag=*",
        "Call-ID: call-1",
        "CSeq: 1 INVITE",
        "Contact: <sip:b@b:5060>",
        "Server: sipflow",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY",
        "Supported: 100rel, timer",
        "Content-Type: application/sdp",
        f"Content-Length: {len(SDP)}",
    ]
    assert alice.response(200).body == SDP


def test_180_183_and_200_carry_one_to_tag_with_our_node_in_front() -> None:
    wire, alice, bob, _ = offered()

    bob.ring()
    bob.ring(183, SDP)
    bob.answer(SDP)
    wire.play()

    tags = [message.to.tag for message in alice.heard]
    assert tags[0] is None
    assert len(set(tags[1:])) == 1
    assert (tags[1] or "").startswith("b")
    assert [bytes(message).endswith(SDP) for message in alice.heard] == [False, False, True, True]


def test_every_call_has_a_to_tag_of_its_own() -> None:
    wire, alice, bob, _ = offered()
    bob.ring()
    alice.ask("INVITE", "b", call_id="call-2", body=SDP)
    wire.play()
    bob.ring()
    wire.play()

    tags = {message.to.tag for message in alice.heard if message.to.tag}
    assert len(tags) == 2


def test_a_200_is_repeated_from_t1_to_t2_until_64_t1_and_then_bye_is_sent_rfc3261_13_3_1_4() -> None:
    wire, _, bob, _ = offered()
    start = wire.now

    bob.answer(SDP)
    wire.play(32.1)

    sent = [(round(at - start, 3), word) for at, word in wire.timeline() if at >= start]
    assert sent[:12] == [(at, "b 200") for at in [0.0, *REPEATS]] + [(32.0, "b BYE")]
    assert bob.the(Ended)[1:4] == ("system", 408, "the far end never acknowledged our answer (no ACK in 32 s)")
    assert wire.messages("b BYE")[0].headers.get("Reason") == 'SIP;cause=408;text="ACK missing"'
    assert bob.happened(Confirmed) == []


def test_an_ack_stops_the_repeats_and_confirms_the_call() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play(2.0)

    ack = alice.ack(invite, "b")
    wire.play(40.0)

    assert wire.methods() == ["a INVITE", "b 100", "b 200", "b 200", "b 200", "a ACK"]
    assert bytes(bob.the(Confirmed).message) == bytes(ack)


def test_a_lost_ack_is_repeated_by_the_caller_and_confirms_once() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()
    for _ in range(3):
        alice.ack(invite, "b")
    wire.play(1.0)

    assert len(bob.happened(Confirmed)) == 1
    assert wire.methods()[-3:] == ["a ACK", "a ACK", "a ACK"]


@pytest.mark.parametrize("to_tag", ["", "invented"])
def test_an_ack_with_the_branch_of_its_invite_confirms_whatever_its_to_tag_says_rfc6026_7_1(to_tag: str) -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()

    alice.ask("ACK", "b", branch=invite.branch, to_tag=to_tag)
    wire.play(40.0)

    assert len(bob.happened(Confirmed)) == 1
    assert wire.methods()[-1] == "a ACK"


@pytest.mark.parametrize("other", [{"call_id": "call-2"}, {"from_tag": "stranger"}, {"branch": "z9hG4bK-other"}])
def test_an_ack_with_an_invented_to_tag_confirms_no_call_but_that_of_its_invite(other: dict[str, str]) -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()

    alice.ask("ACK", "b", **{"to_tag": "invented", "branch": invite.branch, **other})  # type: ignore[arg-type]
    wire.play(0.6)

    assert bob.happened(Confirmed) == []
    assert wire.methods()[-1] == "b 200"


def test_an_ack_with_another_cseq_acknowledges_nothing() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()

    alice.ask("ACK", "b", cseq=invite.cseq.number + 1, to_tag=alice.response(200).to.tag or "")
    wire.play(0.6)

    assert bob.happened(Confirmed) == []
    assert wire.methods()[-1] == "b 200"


def test_the_ack_to_an_empty_invite_brings_the_answer_to_our_offer() -> None:
    wire, alice, bob, invite = offered(body=b"")
    assert bob.called.offer_in == b""
    bob.answer(SDP)
    wire.play()

    alice.ack(invite, "b", body=b"v=0\r\nanswer")
    wire.play()

    assert bob.the(Confirmed).body == b"v=0\r\nanswer"


def test_a_repeated_invite_is_one_call_and_gets_the_last_answer_again() -> None:
    wire, alice, bob, invite = offered()
    alice.tell(invite, "b")
    wire.play()
    bob.ring()
    alice.tell(invite, "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "a INVITE", "b 100", "b 180", "a INVITE", "b 180"]
    assert len(bob.happened(InviteReceived)) == 1


def test_a_repeated_invite_after_the_answer_is_absorbed_rfc6026_7_1() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()

    alice.tell(invite, "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "b 200", "a INVITE"]
    assert len(bob.happened(InviteReceived)) == 1


def test_ringing_is_said_again_each_minute_so_that_no_proxy_gives_up_rfc3261_13_3_1_1() -> None:
    wire, alice, bob, _ = offered()
    start = wire.now
    bob.ring()
    bob.ring(183, SDP)
    wire.play(150.0)
    bob.answer(SDP)

    assert [(round(at - start), word) for at, word in wire.timeline()[2:]] == [
        (0, "b 180"), (0, "b 183"), (60, "b 183"), (120, "b 183"), (150, "b 200"),
    ]  # fmt: skip
    assert alice.response(183).body == SDP


def test_a_call_that_nobody_rings_is_not_repeated_either() -> None:
    wire, _, _, _ = offered()

    wire.play(600.0)

    assert wire.methods() == ["a INVITE", "b 100"]


def test_an_invite_expires_when_its_expires_says_so_rfc3261_13_3_1() -> None:
    wire, alice, bob, _ = offered(headers=(("Expires", "20"),))
    bob.ring()
    wire.play(19.9)
    assert wire.methods()[-1] == "b 180"

    wire.play(0.2)

    assert wire.methods()[-1] == "b 487"
    assert alice.response(487).to.tag == bob.called.established.local_tag
    assert bob.the(Ended)[1:4] == ("system", 487, "the caller's INVITE expired before it was answered")


def test_an_invite_that_was_answered_in_time_does_not_expire() -> None:
    wire, alice, bob, invite = offered(headers=(("Expires", "20"),))
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")

    wire.play(60.0)

    assert bob.happened(Ended) == []


@pytest.mark.parametrize("expires", ["0", "bananas"])
def test_an_expires_of_zero_or_nonsense_ends_no_call_soon(expires: str) -> None:
    wire, _, bob, _ = offered(headers=(("Expires", expires),))

    wire.play(600.0)

    assert bob.happened(Ended) == []


def test_a_repeated_invite_after_the_refusal_gets_that_refusal_again() -> None:
    wire, alice, bob, invite = offered()
    bob.reject(404)
    wire.play()

    alice.tell(invite, "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "b 404", "a INVITE", "b 404"]
    assert len(bob.happened(InviteReceived)) == 1


# Refusing


@pytest.mark.parametrize("status", [300, 302, 404, 480, 486, 488, 500, 503, 600, 603, 699])
def test_a_refusal_says_why_and_ends_the_call(status: int) -> None:
    wire, alice, bob, _ = offered()

    bob.reject(status, "nobody here")
    wire.play()

    refusal = alice.response(status)
    assert refusal.headers.get("Reason") == f'SIP;cause={status};text="nobody here"'
    assert refusal.to.tag == bob.called.established.local_tag
    assert refusal.headers.get("Record-Route") is None
    assert bob.happened(Ended) == [Ended(bob.called, "local", status, "nobody here")]


def test_a_redirection_carries_the_contacts_it_is_given() -> None:
    wire, alice, bob, _ = offered()

    lines = (("Contact", "<sip:carol@c>"), ("Contact", "<sip:dave@d>"))
    bob.perform(bob.called.reject(302, "Look Elsewhere", now=wire.now, headers=lines))
    wire.play()

    assert alice.response(302).headers.all("Contact") == ["<sip:carol@c>", "<sip:dave@d>"]
    assert alice.response(302).reason == "Look Elsewhere"


def test_a_refusal_is_repeated_until_its_ack_which_goes_no_further() -> None:
    wire, alice, bob, invite = offered()
    bob.reject(486)
    wire.play(1.6)
    assert wire.methods()[2:] == ["b 486", "b 486", "b 486"]

    alice.ask("ACK", "b", branch=invite.branch, to_tag=alice.response(486).to.tag or "")
    wire.play(60.0)

    assert wire.methods()[2:] == ["b 486", "b 486", "b 486", "a ACK"]
    assert [type(event) for event in bob.events] == [InviteReceived, Ended]


@pytest.mark.parametrize("status", [100, 200, 299, 700, 0, -1])
def test_only_300_to_699_refuse(status: int) -> None:
    wire, _, bob, _ = offered()

    with pytest.raises(LocalProtocolError):
        bob.called.reject(status, now=wire.now)

    assert bob.called.pending


@pytest.mark.parametrize("status", [99, 100, 200, 404])
def test_only_101_to_199_ring(status: int) -> None:
    wire, _, bob, _ = offered()

    with pytest.raises(LocalProtocolError):
        bob.called.ring(status=status, now=wire.now)


def test_nothing_can_be_said_after_the_answer() -> None:
    wire, _, bob, _ = taken()

    with pytest.raises(LocalProtocolError):
        bob.called.ring(now=wire.now)
    with pytest.raises(LocalProtocolError):
        bob.called.answer(SDP, now=wire.now)
    with pytest.raises(LocalProtocolError):
        bob.called.reject(486, now=wire.now)


# What agents and operators may write


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\0b"])
def test_no_header_value_can_inject_a_line_and_the_call_goes_on(text: str) -> None:
    wire, _, bob, _ = offered()
    usage, now = bob.called, wire.now
    lines = (("X-Note", text),)

    with pytest.raises(LocalProtocolError):
        usage.ring(now=now, headers=lines)
    with pytest.raises(LocalProtocolError):
        usage.reject(486, now=now, headers=lines)
    with pytest.raises(LocalProtocolError):
        usage.reject(486, text, now=now)
    with pytest.raises(LocalProtocolError):
        usage.answer(SDP, now=now, headers=lines)
    assert usage.pending
    assert wire.methods() == ["a INVITE", "b 100"]

    bob.answer(SDP)
    with pytest.raises(LocalProtocolError):
        usage.bye(now=now, headers=lines)
    assert bob.happened(Ended) == []


@pytest.mark.parametrize(
    "why", ["a\r\nX-Evil: 1", 'say "no"', "back\\slash", "caf\u00e9", "\ud800 alone", "x" * 5000, "tab\there", "\x00"]
)
def test_any_why_makes_one_reason_line_that_reads_back(why: str) -> None:
    wire, alice, bob, _ = offered()

    bob.reject(486, why)
    wire.play()

    refusal = alice.response(486)
    assert [name for name, _ in refusal.headers] == [
        "Via", "From", "To", "Call-ID", "CSeq", "Reason", "Server", "Content-Length",
    ]  # fmt: skip
    reason = Reason.parse(refusal.headers.get("Reason") or "")
    assert (reason.protocol, reason.cause) == ("SIP", 486)
    assert len(reason.text) == min(len(why), 200)


# CANCEL


def test_cancel_is_answered_200_and_the_invite_487_with_one_to_tag() -> None:
    wire, alice, bob, invite = offered()
    bob.ring()

    alice.cancel(invite, "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "b 180", "a CANCEL", "b 200", "b 487"]
    tags = {alice.response(status).to.tag for status in (180, 200, 487)}
    assert tags == {bob.called.established.local_tag}
    assert str(alice.response(200).cseq) == "1 CANCEL"
    assert bob.the(Ended)[1:4] == ("remote", 487, "the caller gave up before the call was answered")


def test_cancel_before_we_have_rung_ends_the_call_too() -> None:
    wire, alice, bob, invite = offered()

    alice.cancel(invite, "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "a CANCEL", "b 200", "b 487"]
    assert len(bob.happened(Ended)) == 1


def test_the_487_is_repeated_until_its_ack_and_gives_up_after_64_t1() -> None:
    wire, alice, _, invite = offered()
    start = wire.now
    alice.cancel(invite, "b")

    wire.run()

    repeats = [round(at - start, 2) for at, word in wire.timeline() if word == "b 487"]
    assert repeats == [round(0.01 + at, 2) for at in [0.0, *REPEATS]]


def test_the_reason_of_a_cancel_is_handed_up() -> None:
    wire, alice, bob, invite = offered()

    alice.ask(
        "CANCEL", "b", branch=invite.branch, headers=(("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
    )
    wire.play()

    assert bob.the(Ended).cause == Reason("SIP", 200, "Call completed elsewhere")


def test_a_cancel_that_crosses_our_200_is_answered_and_changes_nothing() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)

    alice.cancel(invite, "b")
    wire.play()
    alice.ack(invite, "b")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "b 200", "a CANCEL", "b 200", "a ACK"]
    assert [type(event) for event in bob.events] == [InviteReceived, Confirmed]


def test_a_cancel_after_our_refusal_is_answered_200_rfc3261_9_2() -> None:
    wire, alice, bob, invite = offered()
    bob.reject(486)

    alice.cancel(invite, "b")
    wire.play()

    assert wire.methods()[2:] == ["b 486", "a CANCEL", "b 200"]
    assert len(bob.happened(Ended)) == 1


def test_a_cancel_after_the_call_is_answered_with_the_invites_tag_rfc3261_9_2() -> None:
    wire, alice, bob, invite = taken()
    tag = alice.response(200).to.tag
    alice.ask("BYE", "b", cseq=2, to_tag=tag or "")
    wire.play()

    alice.cancel(invite, "b")
    wire.play()

    late = alice.response(200)
    assert (late.cseq.method, late.to.tag) == ("CANCEL", tag)
    assert len(bob.happened(Ended)) == 1


@pytest.mark.plain
def test_what_stays_of_a_call_after_its_bye_repeats_and_absorbs_and_keeps_neither_call_nor_requests() -> None:
    wire, alice, bob, invite = taken()
    bye = alice.ask("BYE", "b", cseq=2, to_tag=alice.response(200).to.tag or "")
    wire.play()
    usage = ref(bob.happened(Ended)[0].usage)
    bob.events.clear()

    alice.tell(bye, "b")
    alice.tell(invite, "b")
    wire.play()

    assert wire.methods()[-3:] == ["a BYE", "a INVITE", "b 200"]  # the 200 is the BYE's: the INVITE's was acknowledged
    assert bob.ua.counts == {"transactions": 2, "dialogs": 0}
    left = usage()
    assert left is None or (isinstance(left, UasInvite) and left.transaction.request is NO_REQUEST)


def test_a_repeated_cancel_is_answered_again_and_ends_nothing_twice() -> None:
    wire, alice, bob, invite = offered()
    cancel = alice.cancel(invite, "b")
    wire.play()
    alice.tell(cancel, "b")
    wire.play()

    assert wire.methods()[2:] == ["a CANCEL", "b 200", "b 487", "a CANCEL", "b 200"]
    assert len(bob.happened(Ended)) == 1


def test_an_agent_that_answers_after_the_cancel_hears_that_it_is_too_late() -> None:
    wire, alice, bob, invite = offered()
    alice.cancel(invite, "b")
    wire.play()

    with pytest.raises(LocalProtocolError):
        bob.called.answer(SDP, now=wire.now)


# BYE at the wrong moment


def test_a_bye_in_the_early_dialog_ends_the_invite_with_487_rfc3261_15_1_2() -> None:
    wire, alice, bob, _ = offered()
    bob.ring()
    wire.play()

    alice.ask("BYE", "b", cseq=2, to_tag=alice.response(180).to.tag or "")
    wire.play()

    assert wire.methods() == ["a INVITE", "b 100", "b 180", "a BYE", "b 200", "b 487"]
    assert bob.the(Ended)[1:4] == ("remote", 487, "the far end hung up before the call was answered")


def test_a_bye_before_the_ack_ends_the_call_and_the_repeats() -> None:
    wire, alice, bob, _ = offered()
    bob.answer(SDP)
    wire.play()

    alice.ask("BYE", "b", cseq=2, to_tag=alice.response(200).to.tag or "")
    wire.play(60.0)

    assert wire.methods() == ["a INVITE", "b 100", "b 200", "a BYE", "b 200"]
    assert bob.the(Ended)[1:4] == ("remote", 200, "the far end hung up")


def test_our_bye_waits_for_the_ack_and_the_end_is_told_at_once_rfc3261_15() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play()

    bob.bye(headers=(("X-Result", "done"),))
    bob.bye()
    assert bob.happened(Ended) == [Ended(bob.called, "local", 200, "we hung up")]
    wire.play(1.0)
    assert "b BYE" not in wire.methods()
    alice.ack(invite, "b")
    wire.play()

    assert wire.methods()[-2:] == ["a ACK", "b BYE"]
    assert wire.request("b BYE").headers.get("X-Result") == "done"
    assert [type(event) for event in bob.events] == [InviteReceived, Ended]  # no Confirmed after the end


def test_our_bye_is_sent_after_64_t1_when_the_ack_never_comes() -> None:
    wire, _, bob, _ = offered()
    start = wire.now
    bob.answer(SDP)
    bob.bye()

    wire.play(32.1)

    assert [(round(at - start), word) for at, word in wire.timeline() if word == "b BYE"] == [(32, "b BYE")]
    assert len(bob.happened(Ended)) == 1


# What the trunk adds


def test_a_call_names_us_as_its_trunk_advertises_us() -> None:
    wire, alice, bob, invite = offered()
    bob.called.adopt(advertise="203.0.113.7:5070")
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()
    bob.bye()

    assert alice.response(200).headers.get("Contact") == "<sip:b@203.0.113.7:5070>"
    assert wire.request("b BYE").via.host == "203.0.113.7"


def test_the_trunks_account_answers_a_challenge_to_our_bye() -> None:
    wire, alice, bob, invite = offered()
    bob.called.adopt(accounts=(Account("bob", "secret"),))
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()
    bob.bye()
    wire.play()
    alice.reply(alice.request("BYE"), 407, headers=(("Proxy-Authenticate", 'Digest realm="a", nonce="n1"'),))
    wire.play()

    first, second = wire.messages("b BYE")
    assert [str(first.cseq), str(second.cseq)] == ["1 BYE", "2 BYE"]
    assert (first.call_id, first.from_) == (second.call_id, second.from_)
    assert 'username="bob"' in (second.headers.get("Proxy-Authorization") or "")
