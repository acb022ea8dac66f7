"""What went wrong within calls elsewhere: where requests go, who numbers them, who may change what."""

import pytest

from sipflow.sip.digest import Account
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Confirmed, Ended, OfferAnswered, OfferReceived, ReferEnded, ReferOutcome
from tests.sip.usage.test_referral import notify, referred, told
from tests.support.calls import SDP, answered, calling, offered, plan_to, taken
from tests.support.peer import Lines, Peer
from tests.support.wire import Node, Wire

PROXIES = (("Record-Route", "<sip:p2;lr>"), ("Record-Route", "<sip:p1;lr>"))
NEW = b"v=0\r\nnew media"


def within(wire: Wire, word: str) -> Request:
    """The last request of a kind."""
    found = wire.messages(word)[-1]
    assert isinstance(found, Request)
    return found


def re_offer(node: Node) -> None:
    node.perform(node.called.offer(lambda: NEW, now=node.wire.now))


@pytest.mark.parametrize("method", ["BYE", "INVITE", "REFER"])
def test_bye_reinvite_and_refer_without_route_set_siphon_ai_342(method: str) -> None:
    wire, _, bob, _ = taken(headers=PROXIES)
    match method:
        case "BYE":
            bob.bye()
        case "INVITE":
            re_offer(bob)
        case _:
            bob.perform(bob.called.refer("<sip:carol@c>", now=wire.now)[1])

    request = within(wire, f"b {method}")
    assert request.uri == "sip:a@a"
    assert request.headers.all("Route") == ["<sip:p2;lr>", "<sip:p1;lr>"]
    assert wire.hops[-1].host == "p2"


def test_record_route_not_echoed_in_2xx_siphon_ai_pr_94() -> None:
    wire, _, _, _ = taken(headers=PROXIES)

    assert wire.response("b 200").headers.all("Record-Route") == ["<sip:p2;lr>", "<sip:p1;lr>"]


def test_cseq_reuse_on_the_uas_leg_siphon_ai_353_377_490() -> None:
    wire, alice, bob, _ = taken()
    for number in (1, 2):
        re_offer(bob)
        wire.play()
        alice.reply(alice.request("INVITE"), 200, tag=None, body=SDP)
        wire.play()
        assert str(within(wire, "b ACK").cseq) == f"{number} ACK"
    bob.bye()

    assert [str(one.cseq) for one in wire.messages("b INVITE")] == ["1 INVITE", "2 INVITE"]
    assert str(wire.request("b BYE").cseq) == "3 BYE"


def test_same_from_tag_process_wide_siphon_ai_72() -> None:
    wire = Wire()
    bob = wire.node("b", lambda node, event: None)
    alice = Peer(wire, "a")
    for number in range(20):
        alice.ask("INVITE", "b", call_id=f"call-{number}", body=SDP)
        wire.play()
        bob.answer(SDP)
        wire.play()

    tags = {message.to.tag for message in wire.messages("b 200")}
    assert len(tags) == 20


def test_notify_after_refer_405_siphon_ai_357() -> None:
    wire, alice, bob, _ = referred()
    notify(bob, b"SIP/2.0 180 Ringing")
    notify(bob, b"SIP/2.0 200 OK", cseq=2, state="terminated;reason=noresource")

    assert [message.status for message in wire.messages("a 200")] == [200, 200]  # type: ignore[union-attr]
    assert wire.messages("a 405") == []
    assert told(alice) == [(202, "Accepted"), (180, "Ringing"), ("succeeded", 200)]
    assert alice.the(ReferEnded).outcome is ReferOutcome.SUCCEEDED


@pytest.mark.parametrize(("ours", "least_s", "most_s"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_491_glare_roles_siphon_ai_454(ours: bool, least_s: float, most_s: float) -> None:
    if ours:  # we made the Call-ID: RFC 3261 §14.1 has us wait longer
        wire, node, peer, call = answered()
        node.perform(call.offer(lambda: NEW, now=wire.now))
        word, to, from_tag, to_tag = "a INVITE", "a", "bob", "call-1"
    else:
        wire, peer, node, _ = taken()
        re_offer(node)
        word, to, from_tag, to_tag = "b INVITE", "b", "peer", peer.response(200).to.tag or ""
    begun = wire.now
    peer.ask("INVITE", to, cseq=7, from_tag=from_tag, to_tag=to_tag, body=NEW)
    wire.play()

    assert peer.response(491).cseq.number == 7
    assert node.happened(OfferReceived) == []
    mine = peer.request("INVITE")
    peer.reply(mine, 491, tag=None)
    wire.play()
    refused_at = wire.now
    wire.play(5.0)
    again = [at for at, host, data in wire.sent if at > refused_at and f"{host} {data[:6].decode()}" == word]
    assert begun + least_s - 0.05 <= again[0] <= refused_at + most_s
    peer.reply(peer.request("INVITE"), 200, tag=None, body=SDP)
    wire.play()
    assert node.the(OfferAnswered).status == 200


def test_bye_must_not_be_acknowledged_livekit_sip_745() -> None:
    wire, alice, bob, _ = taken()
    alice.ask("BYE", "b", cseq=2, to_tag=alice.response(200).to.tag or "")
    wire.play(40.0)

    assert wire.methods()[-2:] == ["a BYE", "b 200"]
    assert bob.the(Ended).by == "remote"


def test_our_bye_is_not_acknowledged_livekit_sip_745() -> None:
    wire, alice, bob, _ = taken()
    alice.answers["BYE"] = 200
    bob.bye()
    wire.play(40.0)

    assert wire.methods()[-2:] == ["b BYE", "a 200"]


def test_reinvite_with_another_port_is_answered_with_sdp_in_200_livekit_sip_519_728() -> None:
    wire, alice, bob, _ = taken()
    alice.ask("INVITE", "b", cseq=2, to_tag=alice.response(200).to.tag or "", body=SDP.replace(b"4000", b"6000"))
    wire.play()
    event = bob.the(OfferReceived)
    assert b" 6000 " in event.body
    bob.perform(event.usage.answer_offer(event.transaction, SDP, now=wire.now))
    wire.play()

    answer = alice.response(200)
    assert (str(answer.cseq), answer.body) == ("2 INVITE", SDP)


def test_reinvite_without_body_gets_an_offer_livekit_sip_519() -> None:
    wire, alice, bob, _ = taken()
    reinvite = alice.ask("INVITE", "b", cseq=2, to_tag=alice.response(200).to.tag or "")
    wire.play()
    event = bob.the(OfferReceived)
    assert event.body == b""
    bob.perform(event.usage.answer_offer(event.transaction, NEW, now=wire.now))
    wire.play()
    alice.ack(reinvite, "b", body=SDP)
    wire.play()

    assert alice.response(200).body == NEW
    assert bob.the(OfferAnswered).body == SDP


@pytest.mark.parametrize("lines", [PROXIES, (("Record-Route", "<sip:p2;lr>, <sip:p1;lr>"),)])
def test_multiple_record_route_livekit_sip_451_283(lines: Lines) -> None:
    wire, alice, _, usage = answered(headers=lines)
    alice.bye(usage)

    assert wire.request("a BYE").headers.all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]  # a caller's is reversed


def test_route_header_of_the_ack_livekit_sip_516_734() -> None:
    wire, _, _, _ = answered(headers=PROXIES)

    ack = wire.request("a ACK")
    assert ack.headers.all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert (ack.uri, wire.hops[-1].host) == ("sip:b@b", "p1")


def test_refer_over_tcp_must_reuse_the_flow_siphon_ai_159() -> None:
    wire = Wire()
    alice, bob = Peer(wire, "a", transport="tcp"), wire.node("b")
    invite = alice.ask("INVITE", "b", body=SDP)
    wire.play()
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b")
    wire.play()
    bob.perform(bob.called.refer("<sip:carol@c>", now=wire.now)[1])

    assert wire.hops[-1] == Hop("tcp", "a", 40001, "b", 5060, connection=7)  # where alice called from
    assert within(wire, "b REFER").uri == "sip:a@a"


def test_tls_idle_close_then_in_dialog_request() -> None:
    wire = Wire()
    bob = Peer(wire, "b", transport="tcp")
    alice = wire.node("a")
    usage = alice.place(plan_to("b"), hops=(Hop("tcp", "b", 5060, "a", 5060),))
    wire.play()
    bob.reply(bob.request("INVITE"), 200, body=SDP, contact="<sip:b@b;transport=tcp>")
    wire.play()
    wire.gone.add(7)  # the connection was closed, for nobody said anything
    bob.answers["BYE"] = 200
    alice.bye(usage)
    wire.play()

    assert wire.methods()[-2:] == ["a BYE", "b 200"]
    assert (wire.hops[-1].host, wire.hops[-1].port) == ("b", 5060)


def test_call_id_and_to_tag_are_kept_across_auth_livekit_sip_222_229_242_488_533() -> None:
    wire, alice, bob, _ = calling(accounts=(Account("alice", "secret"),))
    challenge = ("Proxy-Authenticate", 'Digest realm="b", nonce="n1", qop="auth"')
    bob.reply(bob.request("INVITE"), 407, tag="of-the-refusal", headers=(challenge,))
    wire.play()
    bob.reply(bob.request("INVITE"), 200, tag="of-the-answer", body=SDP)
    wire.play()

    first, second = wire.messages("a INVITE")
    assert (first.call_id, first.from_.tag) == (second.call_id, second.from_.tag)
    assert (first.to.tag, second.to.tag) == (None, None)
    refused, accepted = wire.messages("a ACK")
    assert (refused.to.tag, accepted.to.tag) == ("of-the-refusal", "of-the-answer")
    alice.bye(alice.the(Confirmed).usage)
    assert wire.request("a BYE").to == NameAddr.parse("<sip:bob@b>;tag=of-the-answer")


def test_early_dialog_cancel_on_close_livekit_sip_567() -> None:
    wire, alice, bob, usage = calling()
    bob.reply(bob.request("INVITE"), 183, body=SDP)
    wire.play()
    alice.perform(usage.cancel(now=wire.now))
    wire.play()
    bob.reply(bob.request("CANCEL"), 200)
    bob.reply(bob.request("INVITE"), 487)
    wire.play()

    assert wire.methods()[-4:] == ["a CANCEL", "b 200", "b 487", "a ACK"]
    assert alice.the(Ended).status == 487


def test_an_unknown_header_drops_the_invite_livekit_sip_251() -> None:
    _, _, bob, _ = offered(headers=(("X-Nobody-Knows", "1"), ("P-Charging-Vector", "icid-value=1;(x)"), ("Z", '"')))

    assert bob.called.request.headers.get("X-Nobody-Knows") == "1"
    assert bob.called.pending
