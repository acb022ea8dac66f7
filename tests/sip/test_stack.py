"""Where requests inside a dialog go, what requests and responses are made of, and what the stack remembers."""

from dataclasses import replace

import pytest

from sipflow.sip.dialog import Dialog
from sipflow.sip.digest import Account
from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request
from sipflow.sip.outputs import Resolve
from sipflow.sip.stack import Settings, Stack, transport_of
from sipflow.sip.transaction.outputs import Transmit
from tests.support.calls import offered, plan_to, taken, uri
from tests.support.wire import shown

UDP = Hop("udp", "8.8.8.8", 5060, "10.0.0.5", 5060)
OPENED_BY_PEER = Hop("tcp", "8.8.8.8", 40001, "10.0.0.5", 5060, connection=7)
OPENED_BY_US = Hop("tcp", "8.8.8.8", 5080, "10.0.0.5", 5060)
TLS = Hop("tls", "8.8.8.8", 40001, "10.0.0.5", 5061, connection=7)
ELSEWHERE = ()  # it has to be looked up


def stack() -> Stack:
    return Stack(Settings(), Ids(lambda size: bytes(range(256)) * (size // 256 + 1), node="n7"))


def dialog(target: str, flow: Hop, routes: tuple[str, ...] = ()) -> Dialog:
    return Dialog(
        call_id="c", local="<sip:b@b>;tag=b", local_tag="b", remote="<sip:a@a>;tag=a", remote_tag="a", local_cseq=0,
        remote_cseq=1, target=uri(target), routes=list(routes), contact_user="b", flow=flow,
    )  # fmt: skip


# Where to


@pytest.mark.parametrize(
    ("target", "flow", "routes", "hops"),
    [
        # UDP: to the Contact; its source where the Contact is of no use from here.
        ("sip:a@8.8.8.8:5070", UDP, (), (UDP._replace(port=5070),)),
        ("sip:a@8.8.8.8", UDP, (), (UDP,)),
        ("sip:a@9.9.9.9", UDP, (), ELSEWHERE),
        ("sip:a@phone.example.com", UDP, (), ELSEWHERE),
        ("sip:a@192.168.1.20:5062", UDP, (), (UDP,)),
        ("sip:a@100.64.0.9", UDP, (), (UDP,)),
        ("sip:a@127.0.0.1", UDP, (), (UDP,)),
        ("sip:a@0.0.0.0", UDP, (), (UDP,)),
        ("sip:a@[::]", UDP, (), (UDP,)),
        ("sip:a@[fd00::1]", UDP, (), (UDP,)),
        ("sip:a@10.0.0.7", UDP._replace(host="10.0.0.6"), (), ELSEWHERE),  # one network: it may mean what it says
        ("sip:a@0.0.0.0", UDP._replace(host="10.0.0.6"), (), (UDP._replace(host="10.0.0.6"),)),
        ("sip:a@127.0.0.1", UDP._replace(host="10.0.0.6"), (), (UDP._replace(host="10.0.0.6"),)),
        ("sip:a@127.0.0.2", UDP._replace(host="127.0.0.1"), (), ELSEWHERE),
        ("sip:a@192.168.1.20:5062", UDP._replace(host="127.0.0.1"), (), (UDP._replace(host="127.0.0.1"),)),
        ("sip:a@9.9.9.9", UDP._replace(host="127.0.0.1"), (), ELSEWHERE),
        ("sip:a@127.0.0.1:5090", UDP._replace(host="127.0.0.1"), (), (UDP._replace(host="127.0.0.1", port=5090),)),
        ("sip:a@8.8.8.8;transport=tcp", UDP, (), ELSEWHERE),
        ("sip:a@8.8.8.8;maddr=9.9.9.9", UDP, (), ELSEWHERE),
        # A route set decides alone, NAT or not.
        ("sip:a@192.168.1.20", UDP, ("<sip:9.9.9.9;lr>",), ELSEWHERE),
        ("sip:a@192.168.1.20", UDP, ("<sip:8.8.8.8:5080;lr>",), (UDP._replace(port=5080),)),
        # A connection that the peer opened serves for everything that goes to its host.
        ("sip:a@8.8.8.8:5060;transport=tcp", OPENED_BY_PEER, (), (OPENED_BY_PEER._replace(port=5060),)),
        ("sip:a@8.8.8.8:5060", OPENED_BY_PEER, (), (OPENED_BY_PEER,)),
        ("sip:a@8.8.8.8;transport=udp", OPENED_BY_PEER, (), ELSEWHERE),
        ("sips:a@8.8.8.8", OPENED_BY_PEER, (), ELSEWHERE),
        ("sip:a@192.168.1.20;transport=tcp", OPENED_BY_PEER, (), (OPENED_BY_PEER,)),
        ("sip:a@9.9.9.9;transport=tcp", OPENED_BY_PEER, (), ELSEWHERE),
        # Of a connection that we opened the port tells who is at its end.
        ("sip:a@8.8.8.8:5080", OPENED_BY_US, (), (OPENED_BY_US,)),
        ("sip:a@8.8.8.8:5090", OPENED_BY_US, (), ELSEWHERE),
        ("sip:a@8.8.8.8:5090;transport=tcp", OPENED_BY_US, (), (OPENED_BY_US._replace(port=5090),)),
        # What came over TLS does not go on in the clear.
        ("sip:a@9.9.9.9", TLS, (), (TLS,)),
        ("sip:a@8.8.8.8", TLS, (), (TLS,)),
        ("sips:a@8.8.8.8", TLS, (), (TLS._replace(port=5061),)),
        ("sips:a@9.9.9.9", TLS, (), ELSEWHERE),
    ],
)  # fmt: skip
def test_a_request_in_a_dialog_takes_the_way_that_is_known(
    target: str, flow: Hop, routes: tuple[str, ...], hops: tuple[Hop, ...]
) -> None:
    assert stack().known_hops(dialog(target, flow, routes)) == hops


@pytest.mark.parametrize(
    ("target", "flow", "asked_for"),
    [
        ("sip:a@phone;x=1", UDP, "sip:a@phone;x=1"),
        ("sip:a@phone", TLS, "sip:a@phone;transport=tls"),
        ("sip:a@phone;transport=tcp", TLS, "sip:a@phone;transport=tls"),
        ("sips:a@phone", TLS, "sips:a@phone"),
    ],
)
def test_what_is_looked_up_stays_on_tls_too(target: str, flow: Hop, asked_for: str) -> None:
    assert str(stack().destination(dialog(target, flow))) == asked_for


@pytest.mark.parametrize(
    ("text", "transport"),
    [("sip:a", "udp"), ("sip:a;transport=TCP", "tcp"), ("sips:a", "tls"), ("sips:a;transport=tcp", "tls")],
)
def test_a_uri_asks_for_its_transport(text: str, transport: str) -> None:
    assert transport_of(uri(text)) == transport


# ACK


def test_an_ack_that_must_be_looked_up_waits_and_goes_to_the_first_hop() -> None:
    subject = stack()
    invite = Request("INVITE", "sip:a")
    invite.headers.add("CSeq", "3 INVITE")

    (resolve,) = subject.send_ack(dialog("sip:a@phone", UDP), invite, "", now=0.0)
    assert isinstance(resolve, Resolve)
    assert str(resolve.uri) == "sip:a@phone"
    hop = Hop("udp", "9.9.9.9", 5060, "10.0.0.5", 5060)
    (transmit,) = subject.resolved(resolve.key, (hop, hop._replace(host="9.9.9.8")), now=1.0)

    assert isinstance(transmit, Transmit)
    assert (transmit.hop, transmit.transaction) == (hop, None)
    assert b"\r\nCSeq: 3 ACK\r\n" in transmit.data
    assert subject.sizes["look_ups"] == 0


def test_an_ack_whose_target_has_no_address_is_not_sent() -> None:
    subject = stack()
    invite = Request("INVITE", "sip:a")
    invite.headers.add("CSeq", "3 INVITE")
    for answer in ("unresolved", "nothing"):
        (resolve,) = subject.send_ack(dialog("sip:a@phone", UDP), invite, "", now=0.0)
        assert isinstance(resolve, Resolve)
        key = resolve.key
        sent = subject.resolved(key, (), now=1.0) if answer == "nothing" else subject.unresolved(key, "no", now=1.0)
        assert sent == []
    assert subject.sizes["look_ups"] == 0


# What is remembered


def test_one_account_at_one_destination_has_one_memory_of_nonces() -> None:
    subject, accounts = stack(), (Account("a", "p"),)
    here, there = uri("sip:here"), uri("sip:there")

    first = subject.digest(accounts, here)
    assert first is not None
    assert subject.digest(accounts, here) is first
    assert subject.digest(accounts, there) is not first
    assert subject.digest((Account("b", "p"),), here) is not first
    assert subject.digest(accounts, here, allow_md5=False) is not first
    assert subject.digest((), here) is None


def test_the_memory_of_nonces_is_bounded_and_forgets_the_longest_unused() -> None:
    subject, accounts = stack(), (Account("a", "p"),)
    kept = subject.digest(accounts, uri("sip:kept"))
    for number in range(5000):
        subject.digest(accounts, uri(f"sip:host{number}"))
        assert subject.digest(accounts, uri("sip:kept")) is kept
    assert len(subject._digests) <= 4096


def test_a_peer_that_refused_tcp_is_not_asked_for_a_minute_and_the_memory_is_bounded() -> None:
    subject = stack()
    subject.listen_ports = {"tcp": 5062}
    assert subject.stream_variant(UDP, now=0.0) == Hop("tcp", "8.8.8.8", 5060, "10.0.0.5", 5062)

    subject.stream_refused(UDP, now=0.0)

    assert subject.stream_variant(UDP, now=59.9) is None
    assert subject.stream_variant(UDP._replace(port=5070), now=0.0) is not None
    assert subject.stream_variant(UDP, now=60.0) is not None
    for port in range(1, 5000):
        subject.stream_refused(UDP._replace(port=port), now=0.0)
    assert len(subject._tcp_refused) <= 4096


# Messages


def test_a_request_is_built_as_rfc3261_8_1_1_says_routes_first() -> None:
    plan = replace(
        plan_to("b", method="REGISTER", body=b""), routes=("<sip:p1;lr>", "<sip:p2;lr>"), headers=(("Expires", "60"),),
        contact_params=(("line", "x"),), contact_header_params=";expires=60",
    )  # fmt: skip

    assert shown(stack().plan_request(plan, UDP, 9)) == [
        "REGISTER sip:bob@b SIP/2.0",
        "Route: <sip:p1;lr>",
        "Route: <sip:p2;lr>",
        "Max-Forwards: 70",
        "From: <sip:alice@a>;tag=call-1",
        "To: <sip:bob@b>",
        "Call-ID: call-1",
        "CSeq: 9 REGISTER",
        "Contact: <sip:alice@10.0.0.5:5060;line=x>;expires=60",
        "Expires: 60",
        "User-Agent: sipflow",
        "Content-Length: 0",
    ]


def test_a_request_without_contact_has_none() -> None:
    plan = replace(plan_to("b", method="OPTIONS", body=b""), with_contact=False)

    assert "Contact" not in stack().plan_request(plan, UDP, 1).headers


def test_a_stateless_answer_has_the_same_tag_for_the_same_request_and_another_for_another() -> None:
    subject = stack()
    one, two = Request("INVITE", "sip:b"), Request("INVITE", "sip:b")
    for request, branch in ((one, "1"), (two, "2")):
        request.headers.add("Via", f"SIP/2.0/UDP a;branch=z9hG4bK{branch}")
        request.headers.add("To", "<sip:b>")

    tags = [subject.stateless_response(request, 400, ()).to.tag or "" for request in (one, one, two)]

    assert tags[0] == tags[1] != tags[2]
    assert [(len(tag), tag[:2]) for tag in tags] == [(18, "n7")] * 3


def test_random_numbers_stay_below_their_limit() -> None:
    subject = stack()

    assert {subject.below(3) for _ in range(200)} <= {0, 1, 2}


def test_sizes_tell_what_is_going_on() -> None:
    wire, _, bob, _ = offered()
    assert {name: size for name, size in bob.ua.sizes.items() if size} == {"servers": 1, "merged": 1, "dialogs": 1}
    bob.ring()
    assert bob.ua.sizes["alarms"] == 1
    wire, _, bob, _ = taken()
    wire.play(60.0)
    assert {name: size for name, size in bob.ua.sizes.items() if size} == {"dialogs": 1}
