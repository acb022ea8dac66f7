"""What went wrong between two user agents elsewhere: repeats, races, challenges, fail-over, transports."""

import pytest

from sipflow.sip.digest import Account
from sipflow.sip.hop import Hop
from sipflow.sip.outputs import Confirmed, Ended, Finished, InviteReceived
from tests.sip.test_ten_thousand_calls import assert_nothing_is_left, play_calls
from tests.support.calls import SDP, calling, offered, plan_to
from tests.support.peer import Peer
from tests.support.wire import Wire

TARGETS = tuple(Hop("udp", host, 5060, "a", 5060) for host in ("t1", "t2"))
BIG = b"x" * 1400


def finals(wire: Wire, host: str) -> list[str]:
    return [word for word in wire.methods() if word.startswith(f"{host} ") and word.split()[1].isdigit()]


# A caller's INVITE


def test_duplicate_invite_is_no_second_agent_session_sip_to_ai_pr_12() -> None:
    wire, alice, bob, invite = offered()
    for _ in range(3):
        alice.tell(invite, "b")
        wire.play()
    bob.answer(SDP)
    wire.play()
    alice.tell(invite, "b")
    wire.play()

    assert len(bob.happened(InviteReceived)) == 1


def test_200_ok_is_retransmitted_until_its_ack_sip_to_ai_pr_12() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    wire.play(4.0)
    alice.ack(invite, "b")
    wire.play(40.0)

    assert wire.timeline()[1:] == [
        (0.01, "b 100"),
        *[(round(at, 3), "b 200") for at in (0.025, 0.525, 1.525, 3.525)],
        (4.025, "a ACK"),
    ]


def test_ack_missing_blocks_no_call_livekit_sip_461_508() -> None:
    wire, alice, bob, _ = offered()
    alice.answers["BYE"] = 200
    bob.answer(SDP)
    wire.play(40.0)

    assert wire.methods()[-2:] == ["b BYE", "a 200"]
    assert (bob.the(Ended).by, bob.happened(Confirmed)) == ("system", [])


def test_a_call_without_ack_can_be_hung_up_livekit_sip_508() -> None:
    wire, alice, bob, _ = offered()
    bob.answer(SDP)
    wire.play()
    bob.bye()

    assert bob.the(Ended).by == "local"  # told at once; the BYE follows the ACK or its time-out (RFC 3261 §15)
    alice.answers["BYE"] = 200
    wire.play(40.0)
    assert wire.methods()[-2:] == ["b BYE", "a 200"]


@pytest.mark.parametrize("rung", [False, True])
def test_cancel_before_200_sems_71_livekit_sip_106(rung: bool) -> None:
    wire, alice, bob, invite = offered()
    if rung:
        bob.ring()
        wire.play()
    alice.cancel(invite, "b")
    wire.play()

    assert [word for word in finals(wire, "b") if word[2:] not in ("100", "180")] == ["b 200", "b 487"]
    assert bob.the(Ended).status == 487


def test_cancel_after_200_sems_71_livekit_sip_106() -> None:
    wire, alice, bob, invite = offered()
    bob.answer(SDP)
    alice.cancel(invite, "b")
    wire.play()
    alice.ack(invite, "b")
    wire.play()

    assert [str(message.cseq) for message in wire.messages("b 200")] == ["1 INVITE", "1 CANCEL"]
    assert bob.happened(Ended) == []
    assert len(bob.happened(Confirmed)) == 1


def test_487_after_cancel_livekit_sip_372() -> None:
    wire, alice, bob, invite = offered()
    bob.ring()
    wire.play()
    alice.cancel(invite, "b")
    wire.play()

    refusal = wire.response("b 487")
    assert (refusal.branch, str(refusal.cseq)) == (invite.branch, "1 INVITE")
    alice.tell(invite, "b")  # whoever did not hear it hears it again
    wire.play()
    assert alice.response(487).to.tag == refusal.to.tag


def test_a_retried_failed_invite_gets_the_cached_final_answer_livekit_sip_694() -> None:
    wire, alice, bob, invite = offered()
    bob.reject(486, "busy")
    wire.play()
    alice.tell(invite, "b")
    wire.play()

    first, second = wire.messages("b 486")
    assert bytes(first) == bytes(second)
    assert len(bob.happened(InviteReceived)) == 1


def test_options_200_for_the_heart_beat_of_a_trunk_livekit_sip_350() -> None:
    wire = Wire()
    alice = Peer(wire, "a")
    wire.node("b")
    alice.ask("OPTIONS", "b")
    wire.play()

    assert wire.methods() == ["a OPTIONS", "b 200"]


# Our own INVITE


@pytest.mark.parametrize(("status", "asks", "answers"), [
    (401, "WWW-Authenticate", "Authorization"), (407, "Proxy-Authenticate", "Proxy-Authorization"),
])  # fmt: skip
def test_outbound_401_and_407_are_retried(status: int, asks: str, answers: str) -> None:
    wire, alice, bob, _ = calling(accounts=(Account("alice", "secret"),))
    bob.reply(bob.request("INVITE"), status, headers=((asks, 'Digest realm="b", nonce="n1", qop="auth"'),))
    wire.play()
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    wire.play()

    assert wire.methods() == ["a INVITE", f"b {status}", "a ACK", "a INVITE", "b 200", "a ACK"]
    assert answers in wire.messages("a INVITE")[1].headers
    assert len(alice.happened(Confirmed)) == 1


@pytest.mark.parametrize("status", [486, 603])
def test_486_and_603_must_not_fail_over_sbc_outbound_198(status: int) -> None:
    wire = Wire()
    alice, first, second = wire.node("a"), Peer(wire, "t1"), Peer(wire, "t2")
    alice.place(plan_to("b"), hops=TARGETS)
    wire.play()
    first.reply(first.request("INVITE"), status)
    wire.play(40.0)

    assert second.heard == []
    assert alice.the(Ended).status == status


def test_2xx_from_forked_legs() -> None:
    wire, alice, bob, _ = calling()
    bob.answers["BYE"] = 200
    invite = bob.request("INVITE")
    for tag in ("one", "two"):
        bob.reply(invite, 200, tag=tag, body=SDP)
    wire.play(40.0)

    assert [message.to.tag for message in wire.messages("a ACK")] == ["one", "two"]
    assert wire.request("a BYE").to.tag == "two"
    assert alice.the(Confirmed).message.to.tag == "one"
    assert alice.happened(Ended) == []


def test_udp_over_1300_bytes_goes_by_tcp_sipgo_206_and_back_drachtio_296() -> None:
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b")
    alice.place(plan_to("b", body=SDP + BIG))
    wire.play()
    bob.transport = "tcp"
    bob.reply(bob.request("INVITE"), 200, body=SDP)
    bob.transport = "udp"
    wire.play()
    _, outputs = alice.ua.invite(plan_to("b", call_id="call-2"), now=wire.now)
    alice.perform(outputs)

    assert [hop.transport for hop in wire.hops] == ["tcp", "udp", "udp"]  # the ACK, too: it is small


def test_udp_over_1300_bytes_falls_back_to_udp_where_tcp_is_refused_sipgo_206() -> None:
    wire = Wire(unreachable={("tcp", "b")})
    alice, bob = wire.node("a"), Peer(wire, "b")
    alice.place(plan_to("b", body=SDP + BIG))
    wire.play()

    assert len(bob.request("INVITE").body) == len(SDP + BIG)
    assert [hop.transport for hop in wire.hops] == ["udp"]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_cancel_over_tcp_and_tls_livekit_sip_381(transport: str) -> None:
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b", transport=transport)
    usage = alice.place(plan_to("b"), hops=(Hop(transport, "b", 5060, "a", 5060),))
    wire.play()
    bob.reply(bob.request("INVITE"), 180)
    wire.play()
    alice.perform(usage.cancel(now=wire.now))
    wire.play()

    cancel, invite = bob.request("CANCEL"), bob.request("INVITE")
    assert (cancel.branch, cancel.headers.get("Via")) == (invite.branch, invite.headers.get("Via"))
    assert {hop.transport for hop in wire.hops} == {transport}
    bob.reply(cancel, 200)
    bob.reply(invite, 487)
    wire.play()
    assert alice.the(Ended).status == 487


def test_cancel_before_any_provisional_waits_for_one_rfc3261_9_1() -> None:
    wire, alice, bob, usage = calling()
    alice.perform(usage.cancel(now=wire.now))
    wire.play()
    assert "a CANCEL" not in wire.methods()
    bob.reply(bob.request("INVITE"), 180)
    wire.play()

    assert wire.methods()[-1] == "a CANCEL"


# What comes back


def test_a_registrar_response_with_a_stale_branch_or_cseq_is_ignored_esphome_105() -> None:
    wire = Wire()
    alice, bob = wire.node("a"), Peer(wire, "b")
    alice.perform(alice.ua.request(plan_to("b", method="REGISTER", body=b""), "waiter", now=wire.now))
    wire.play()
    register = bob.request("REGISTER")
    stale = register.copy()
    stale.headers.set("Via", (register.headers.get("Via") or "").replace(register.branch, "z9hG4bKof-yesterday"))
    bob.reply(stale, 403)
    stale.headers.set("CSeq", "7 REGISTER")
    bob.reply(stale, 401)
    wire.play()
    assert alice.happened(Finished) == []
    bob.reply(register, 200)
    wire.play()

    assert alice.the(Finished).outcome.status == 200


def test_dialog_store_leak_10k_calls_siphon_ai_458() -> None:
    _, _, alice, bob = play_calls(200)

    assert_nothing_is_left(alice, bob)
    assert {name: size for name, size in alice.ua.sizes.items() if size} == {}
    assert {name: size for name, size in bob.ua.sizes.items() if size} == {}
