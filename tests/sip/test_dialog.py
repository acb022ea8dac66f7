"""Dialogs in both roles: identity, CSeq, targets and route sets, loose and strict (RFC 3261 §12)."""

import pytest

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.dialog import Dialog, dialog_id_of, stopgap_dialog, uac_dialog, uas_dialog
from sipflow.sip.grammar import unquote
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Confirmed, Ended, InviteReceived
from sipflow.sip.parser import parse_datagram
from tests.support.calls import SDP, answered, calling, offered, taken, uri
from tests.support.peer import Lines
from tests.support.wire import shown

FLOW = Hop("udp", "a", 5060, "b", 5060)
RR_TWO_PROXIES = (("Record-Route", "<sip:p2;lr>, <sip:p1;lr>"),)


def invite(headers: Lines = (), *, target: str = "sip:bob@b", to: str = "<sip:bob@b>") -> Request:
    text = (
        f'INVITE {target} SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK-1\r\nFrom: "Alice" <sip:alice@a>;tag=at\r\n'
        f"To: {to}\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n"
    )
    for name, value in headers:
        text += f"{name}: {value}\r\n"
    parsed = parse_datagram(f"{text}Content-Length: 0\r\n\r\n".encode())
    assert isinstance(parsed, Request)
    return parsed


def ok(headers: Lines = (), *, to: str = "<sip:bob@b>;tag=bt") -> Response:
    text = (
        'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK-1\r\nFrom: "Alice" <sip:alice@a>;tag=at\r\n'
        f"To: {to}\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n"
    )
    for name, value in headers:
        text += f"{name}: {value}\r\n"
    parsed = parse_datagram(f"{text}Content-Length: 0\r\n\r\n".encode())
    assert isinstance(parsed, Response)
    return parsed


CONTACT_A, CONTACT_B = ("Contact", "<sip:alice@a:5062>"), ("Contact", "<sip:bob@phone>")


def fields(dialog: Dialog) -> dict[str, object]:
    return {
        name.removeprefix("_"): getattr(dialog, name.removeprefix("_"))
        for name in Dialog.__slots__
        if name not in ("_first_route", "_lines", "astray")
    }


# What makes a dialog


@pytest.mark.plain
def test_the_uas_dialog_is_made_of_the_request_rfc3261_12_1_1() -> None:
    dialog = uas_dialog(invite([CONTACT_A, ("Record-Route", "<sip:p2;lr>, <sip:p1;lr>")]), "bt", FLOW)

    assert dialog.id == ("c1", "bt", "at")
    assert fields(dialog) == {
        "call_id": "c1",
        "contact_user": "bob",
        "flow": FLOW,
        "local": "<sip:bob@b>;tag=bt",
        "local_cseq": 0,
        "local_tag": "bt",
        "remote": '"Alice" <sip:alice@a>;tag=at',
        "remote_cseq": 7,
        "remote_tag": "at",
        "routes": ["<sip:p2;lr>", "<sip:p1;lr>"],
        "secure": False,
        "target": uri("sip:alice@a:5062"),
    }


@pytest.mark.plain
def test_the_uac_dialog_is_made_of_request_and_response_rfc3261_12_1_2() -> None:
    flow = Hop("tcp", "p1", 5060, "a", 5060, connection=9)
    dialog = uac_dialog(invite([CONTACT_A]), ok([CONTACT_B, *RR_TWO_PROXIES]), flow, "alice")

    assert fields(dialog) == {
        "call_id": "c1",
        "contact_user": "alice",
        "flow": flow._replace(connection=0),  # the shell finds a connection of ours by its address
        "local": '"Alice" <sip:alice@a>;tag=at',
        "local_cseq": 7,
        "local_tag": "at",
        "remote": "<sip:bob@b>;tag=bt",
        "remote_cseq": None,
        "remote_tag": "bt",
        "routes": ["<sip:p1;lr>", "<sip:p2;lr>"],  # §12.1.2: in reverse order
        "secure": False,
        "target": uri("sip:bob@phone"),
    }


def test_a_peer_of_rfc_2543_without_tag_has_an_empty_one() -> None:
    assert uac_dialog(invite(), ok([CONTACT_B], to="<sip:bob@b>"), FLOW, "").id == ("c1", "at", "")


@pytest.mark.parametrize("contact", [(), (("Contact", "*"),), (("Contact", "<tel:+1>"),), (("Contact", "<im:a@b>"),)])
def test_no_dialog_without_a_sip_contact(contact: Lines) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        uas_dialog(invite(contact), "bt", FLOW)
    assert refused.value.status == 400
    if contact not in ((), (("Contact", "*"),)):
        with pytest.raises(RemoteProtocolError):
            uac_dialog(invite(), ok(contact), FLOW, "")


def test_a_response_without_contact_leads_where_the_request_went_until_a_contact_comes() -> None:
    dialog = uac_dialog(invite(target="sip:bob@b"), ok([("Record-Route", "<sip:p;lr>")]), FLOW, "")
    lost = (str(dialog.target), dialog.astray, dialog.routes)
    dialog.refresh_target(ok(), "INVITE")
    dialog.refresh_target(ok([("Contact", "<sip:phone:99999>")]), "INVITE")
    still = dialog.astray
    dialog.refresh_target(ok([CONTACT_B]), "INVITE")

    assert lost == ("sip:bob@b", True, ["<sip:p;lr>"])
    assert (still, dialog.astray, str(dialog.target)) == (True, False, "sip:bob@phone")


@pytest.mark.parametrize("route", ["<tel:+1>", "<http://p>", "p1"])
def test_no_dialog_whose_first_route_leads_nowhere(route: str) -> None:
    with pytest.raises(RemoteProtocolError):
        uas_dialog(invite([CONTACT_A, ("Record-Route", route)]), "bt", FLOW)
    with pytest.raises(RemoteProtocolError):
        uac_dialog(invite(), ok([CONTACT_B, ("Record-Route", route)]), FLOW, "")


def test_a_stopgap_dialog_leads_where_the_invite_went() -> None:
    dialog = stopgap_dialog(invite(target="sip:bob@b;x=1"), ok([("Record-Route", "<tel:1>")]), FLOW, "")

    assert (str(dialog.target), dialog.routes, dialog.remote_tag) == ("sip:bob@b;x=1", [], "bt")
    assert stopgap_dialog(invite(target="tel:+1"), ok(), FLOW, "").target == uri("sip:a:5060")


@pytest.mark.parametrize(
    ("target", "headers", "secure"),
    [
        ("sip:bob@b", [CONTACT_A], False),
        ("sips:bob@b", [CONTACT_A], True),
        ("sip:bob@b", [("Contact", "<sips:alice@a>")], True),
        ("sip:bob@b", [CONTACT_A, ("Record-Route", "<sips:p;lr>")], True),
        ("sip:bob@b", [("Contact", "<sips:alice@a>"), ("Record-Route", "<sip:p;lr>")], False),
        ("tel:+1", [CONTACT_A], False),
    ],
)
def test_a_dialog_of_sips_uris_wants_a_sips_contact_of_ours_rfc3261_12_1_1(
    target: str, headers: Lines, secure: bool
) -> None:
    assert uas_dialog(invite(headers, target=target), "bt", FLOW).secure is secure


@pytest.mark.parametrize(("target", "secure"), [("sips:bob@b", True), ("SIPS:b", True), ("sip:s@b", False)])
def test_a_call_to_a_sips_uri_stays_one_rfc3261_12_1_2(target: str, secure: bool) -> None:
    assert uac_dialog(invite(target=target), ok([CONTACT_B]), FLOW, "").secure is secure


# CSeq


@pytest.mark.parametrize(("number", "taken_"), [(6, False), (7, False), (8, True), (2**31 - 1, True)])
def test_a_request_is_in_order_only_if_its_cseq_grows_rfc3261_12_2_2(number: int, taken_: bool) -> None:
    dialog = uas_dialog(invite([CONTACT_A]), "bt", FLOW)
    request = Request("INFO", "sip:b")
    request.headers.add("CSeq", f"{number} INFO")

    assert dialog.accepts(request) is taken_
    assert dialog.remote_cseq == (number if taken_ else 7)


def test_the_first_request_of_a_callee_may_have_any_cseq() -> None:
    request = Request("BYE", "sip:a")
    request.headers.add("CSeq", "0 BYE")

    assert uac_dialog(invite(), ok([CONTACT_B]), FLOW, "").accepts(request)


def test_our_requests_count_from_1_as_callee_and_from_the_invite_as_caller() -> None:
    as_callee, as_caller = uas_dialog(invite([CONTACT_A]), "bt", FLOW), uac_dialog(invite(), ok([CONTACT_B]), FLOW, "")

    assert [as_callee.next_cseq(), as_callee.next_cseq()] == [1, 2]
    assert [as_caller.next_cseq(), as_caller.next_cseq()] == [8, 9]


def test_only_a_request_with_a_to_tag_names_a_dialog() -> None:
    assert dialog_id_of(invite(to="<sip:bob@b>;tag=bt")) == ("c1", "bt", "at")
    with pytest.raises(LocalProtocolError):
        dialog_id_of(invite())


# Target


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_target_refresh_moves_the_target(method: str) -> None:
    dialog = uas_dialog(invite([CONTACT_A]), "bt", FLOW)

    dialog.refresh_target(invite([("Contact", "<sip:alice@elsewhere;method=BYE?X=1>")]), method)

    assert str(dialog.target) == "sip:alice@elsewhere"


@pytest.mark.parametrize(
    ("method", "contact"), [("INFO", "<sip:x@x>"), ("BYE", "<sip:x@x>"), ("INVITE", "*"), ("INVITE", "<tel:1>")]
)
def test_nothing_else_moves_it(method: str, contact: str) -> None:
    dialog = uas_dialog(invite([CONTACT_A]), "bt", FLOW)

    dialog.refresh_target(invite([("Contact", contact)]), method)

    assert str(dialog.target) == "sip:alice@a:5062"


# Requests inside it


@pytest.mark.parametrize(
    ("routes", "request_uri", "sent", "next_hop"),
    [
        ([], "sip:alice@a:5062", [], "sip:alice@a:5062"),
        (["<sip:p1;lr>"], "sip:alice@a:5062", ["<sip:p1;lr>"], "sip:p1;lr"),
        (["<sip:p1;lr>;x=y", "<sip:p2>"], "sip:alice@a:5062", ["<sip:p1;lr>;x=y", "<sip:p2>"], "sip:p1;lr"),
        (["<sip:p1>"], "sip:p1", ["<sip:alice@a:5062>"], "sip:p1"),
        (["<sip:p1?X=1>", "<sip:p2;lr>"], "sip:p1", ["<sip:p2;lr>", "<sip:alice@a:5062>"], "sip:p1?X=1"),
    ],
)
def test_route_and_request_uri_follow_rfc3261_12_2_1_1(
    routes: list[str], request_uri: str, sent: list[str], next_hop: str
) -> None:
    dialog = uas_dialog(invite([CONTACT_A, *[("Record-Route", route) for route in routes]]), "bt", FLOW)

    request = dialog.request("INFO", cseq=3)

    assert (request.uri, request.headers.all("Route")) == (request_uri, sent)
    assert str(dialog.next_hop_uri()) == next_hop
    assert [name for name, _ in request.headers if name != "Route"] == ["Max-Forwards", "From", "To", "Call-ID", "CSeq"]
    assert (str(request.from_), str(request.to)) == ("<sip:bob@b>;tag=bt", '"Alice" <sip:alice@a>;tag=at')


# The same in whole calls, as callee


def test_record_route_is_repeated_in_180_and_200_and_in_no_other_answer() -> None:
    wire, alice, bob, _ = offered(headers=RR_TWO_PROXIES)
    bob.ring()
    bob.answer(SDP)
    wire.play()

    assert [message.headers.all("Record-Route") for message in alice.heard] == [
        [],
        ["<sip:p2;lr>, <sip:p1;lr>"],
        ["<sip:p2;lr>, <sip:p1;lr>"],
    ]


def test_our_bye_takes_the_record_routes_in_their_order_and_goes_to_the_first() -> None:
    wire, _, bob, _ = taken(headers=RR_TWO_PROXIES)

    bob.bye()

    bye = wire.request("b BYE")
    assert shown(bye) == [
        "BYE sip:a@a SIP/2.0",
        "Via: SIP/2.0/UDP b:5060;branch=z9hG4bK*;rport",
        "Route: <sip:p2;lr>",
        "Route: <sip:p1;lr>",
        "Max-Forwards: 70",
        "From: <sip:b@b>;tag=*",
        "To: <sip:a@a>;tag=peer",
        "Call-ID: call-1",
        "CSeq: 1 BYE",
        "User-Agent: sipflow",
        "Content-Length: 0",
    ]
    assert wire.hops[-1].host == "p2"


def test_our_bye_through_a_strict_router_puts_it_into_the_request_uri() -> None:
    wire, _, bob, _ = taken(headers=(("Record-Route", "<sip:p2>"), ("Record-Route", "<sip:p1;lr>")))

    bob.bye()

    bye = wire.request("b BYE")
    assert bye.uri == "sip:p2"
    assert bye.headers.all("Route") == ["<sip:p1;lr>", "<sip:a@a>"]
    assert wire.hops[-1].host == "p2"


def test_a_late_record_route_does_not_change_the_route_set_rfc3261_12_2() -> None:
    wire, alice, bob, _ = taken()
    to_tag = alice.response(200).to.tag or ""
    alice.ask("OPTIONS", "b", cseq=2, to_tag=to_tag, headers=(("Record-Route", "<sip:p9;lr>"),))
    wire.play()

    bob.bye()

    assert wire.request("b BYE").headers.all("Route") == []


def test_requests_go_to_the_contact_and_not_to_the_from() -> None:
    wire, _, bob, _ = taken(headers=(("Contact", "<sip:device7@phone;x=1?Subject=hi>"),))

    bob.bye()

    assert wire.request("b BYE").uri == "sip:device7@phone;x=1"  # headers may not stand there, RFC 3261 table 1
    assert wire.hops[-1].host == "phone"


@pytest.mark.parametrize("contact", ["", "*", "<tel:+12065550100>", "<mailto:a@a>"])
def test_an_invite_without_a_usable_contact_is_refused_400(contact: str) -> None:
    headers = (("Contact", contact),) if contact else ()
    wire, _, bob, _ = offered(headers=headers, without="" if contact else "Contact")

    assert wire.methods() == ["a INVITE", "b 400"]
    assert bob.happened(InviteReceived) == []


@pytest.mark.parametrize("route", ["<tel:+1>", "<http://p1>"])
def test_an_invite_whose_first_route_leads_nowhere_is_refused_400(route: str) -> None:
    wire, _, bob, _ = offered(headers=(("Record-Route", route),))

    assert wire.methods() == ["a INVITE", "b 400"]
    assert bob.happened(InviteReceived) == []


def test_a_caller_of_rfc_2543_without_contact_and_tag_is_reached_by_its_from() -> None:
    wire, alice, bob, _ = offered(headers=(("From", "<sip:old@a>"), ("Via", "SIP/2.0/UDP a:5060")), without="Contact")
    bob.answer(SDP)
    wire.play()
    alice.ask(
        "ACK", "b", to_tag=alice.response(200).to.tag or "",
        headers=(("From", "<sip:old@a>"), ("Via", "SIP/2.0/UDP a:5060")), without="Contact",
    )  # fmt: skip
    wire.play()
    bob.bye()

    assert len(bob.happened(Confirmed)) == 1
    bye = wire.request("b BYE")
    assert (bye.uri, str(bye.to)) == ("sip:old@a", "<sip:old@a>")


# The same in whole calls, as caller


def test_the_caller_takes_the_record_routes_in_reverse_for_ack_and_bye() -> None:
    wire, alice, _, usage = answered(headers=RR_TWO_PROXIES)
    alice.bye(usage)

    ack, bye = wire.request("a ACK"), wire.request("a BYE")
    assert [ack.headers.all("Route"), bye.headers.all("Route")] == [["<sip:p1;lr>", "<sip:p2;lr>"]] * 2
    assert [hop.host for hop in wire.hops[-2:]] == ["p1", "p1"]
    assert (ack.uri, bye.uri) == ("sip:b@b", "sip:b@b")


def test_the_caller_sends_to_a_strict_router_as_it_wants_it() -> None:
    wire, alice, _, usage = answered(headers=(("Record-Route", "<sip:p2;lr>"), ("Record-Route", "<sip:p1>")))
    alice.bye(usage)

    for request in (wire.request("a ACK"), wire.request("a BYE")):
        assert request.uri == "sip:p1"
        assert request.headers.all("Route") == ["<sip:p2;lr>", "<sip:b@b>"]


def test_the_200_says_anew_where_the_call_is_after_what_180_said_rfc3261_13_2_2_4() -> None:
    wire, alice, bob, usage = calling()
    invite = bob.request("INVITE")
    bob.reply(invite, 180, contact="<sip:x@0.0.0.0>", headers=(("Record-Route", "<sip:early;lr>"),))
    wire.play()
    bob.reply(invite, 200, contact="<sip:real@b>", body=SDP)
    wire.play()
    alice.bye(usage)

    bye = wire.request("a BYE")
    assert (bye.uri, bye.headers.all("Route")) == ("sip:real@b", [])


@pytest.mark.parametrize(
    "more",
    [
        {"contact": "<tel:+1>"},
        {"contact": "<sip:b:99999>"},
        {"headers": (("Record-Route", "<tel:1>"),)},
        {"headers": (("Record-Route", "<sip:p;lr>, x"),)},
    ],
)
def test_a_200_that_says_nowhere_to_go_on_is_acknowledged_and_hung_up_where_it_came_from(more: dict[str, str]) -> None:
    wire, alice, bob, _ = calling()
    invite = bob.request("INVITE")

    for _ in range(2):
        bob.reply(invite, 200, body=SDP, **more)  # type: ignore[arg-type]
        wire.play()

    assert wire.methods() == ["a INVITE", "b 200", "a ACK", "a BYE", "b 200", "a ACK"]
    assert wire.request("a BYE").uri == "sip:bob@b"
    assert alice.happened(Confirmed) == []
    assert alice.the(Ended)[1:3] == ("system", 400)


@pytest.mark.parametrize("name", ['"\\\x00\\\x01"', "\x85\x9f", '"\udcff"'])
def test_whatever_a_caller_may_be_called_he_is_answered_and_our_bye_repeats_it_rfc3261_25_1(name: str) -> None:
    lines = (
        ("Via", f"SIP/2.0/UDP elsewhere;branch=z9hG4bK-odd;x={name}"),
        ("From", f"{name} <sip:a@a>;tag=peer"),
        ("To", f"{name} <sip:b@b>"),
        ("Record-Route", f"{name} <sip:a@a;lr>"),
    )
    wire, alice, bob, invite = offered(headers=lines)
    bob.answer(SDP)
    wire.play()
    alice.ack(invite, "b", headers=lines[1:2])
    wire.play()
    bob.bye()

    bye = wire.request("b BYE")
    assert alice.response(200).via.param("x") == unquote(name)
    assert bye.headers.get("To") == str(NameAddr.parse(f"{name} <sip:a@a>;tag=peer"))
    assert bye.headers.get("Route") == f"{name} <sip:a@a;lr>"
