import pytest

from sipflow.sip.headers.via import Via
from sipflow.sip.message import make_cancel
from sipflow.sip.transaction.layer import TransactionLayer
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.matching import legacy_ack_key, merge_key, response_key, sent_by_port, server_key
from sipflow.sip.transaction.outputs import Ack, Transmit
from tests.sip.transaction.playing import UDP, accept, request, response, run_until_silent

BRANCH = "z9hG4bK-1"
LEGACY = "1"  # a branch without the magic cookie


def via(text: str) -> Via:
    return Via.parse(text)


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("SIP/2.0/UDP host;branch=b", 5060),
        ("SIP/2.0/TCP host;branch=b", 5060),
        ("SIP/2.0/TLS host;branch=b", 5061),
        ("SIP/2.0/tls host;branch=b", 5061),
        ("SIP/2.0/SCTP host;branch=b", 5060),
        ("SIP/2.0/TLS host:5060;branch=b", 5060),
    ],
)
def test_sent_by_without_a_port_means_the_default_of_its_transport(text: str, port: int) -> None:
    assert sent_by_port(via(text)) == port


def test_sent_by_is_compared_without_case_and_with_the_default_port() -> None:
    plain = server_key(BRANCH, via("SIP/2.0/UDP Phone.Example.COM;branch=x"), "INVITE")

    assert plain == server_key(BRANCH, via("SIP/2.0/UDP phone.example.com:5060;branch=x"), "INVITE")


@pytest.mark.parametrize(
    ("branch", "text", "method"),
    [
        ("z9hG4bK-2", "SIP/2.0/UDP host", "INVITE"),
        (BRANCH, "SIP/2.0/UDP other", "INVITE"),
        (BRANCH, "SIP/2.0/UDP host:5062", "INVITE"),
        (BRANCH, "SIP/2.0/UDP host", "CANCEL"),
    ],
)
def test_branch_host_port_and_method_tell_server_transactions_apart(branch: str, text: str, method: str) -> None:
    assert server_key(branch, via(text), method) != server_key(BRANCH, via("SIP/2.0/UDP host"), "INVITE")


def test_a_cancel_shares_its_invites_branch_and_still_has_a_key_of_its_own() -> None:
    invite = request("INVITE")
    cancel = make_cancel(invite)

    assert response_key(response(invite, 200)) == (BRANCH, "INVITE")
    assert response_key(response(cancel, 200)) == (BRANCH, "CANCEL")


@pytest.mark.parametrize(
    "change",
    [
        {"uri": "sip:carol@192.0.2.99"},
        {"from_tag": "mallory"},
        {"call_id": "call-2"},
        {"cseq": 2},
        {"via": "SIP/2.0/UDP 192.0.2.2"},
        {"via": "SIP/2.0/TCP 192.0.2.1"},
        {"via_params": ";maddr=192.0.2.3"},
        {"branch": "2"},
    ],
)
def test_each_field_of_17_2_3_tells_rfc2543_transactions_apart(change: dict[str, str]) -> None:
    first, other = request(branch="1"), request(**{"branch": "1", **change})  # type: ignore[arg-type]

    assert legacy_ack_key(first, first.via) != legacy_ack_key(other, other.via)


def test_an_rfc2543_ack_has_the_key_of_its_invite_whatever_its_to_tag() -> None:
    invite, ack = request("INVITE", branch=None), request("ACK", branch=None, to_tag="bob")

    assert legacy_ack_key(invite, invite.via) == legacy_ack_key(ack, ack.via)


def test_via_parameters_in_another_order_are_the_same_via() -> None:
    one = request(branch=None, via_params=";a=1;b")
    two = request(branch=None, via_params=";b;a=1")

    assert legacy_ack_key(one, one.via) == legacy_ack_key(two, two.via)


def test_copies_of_a_request_by_two_paths_share_the_merge_key() -> None:
    one, two = request(branch="z9hG4bK-left"), request(branch="z9hG4bK-right", via="SIP/2.0/UDP 192.0.2.7")

    assert merge_key(one) == merge_key(two) == ("alice", "call-1", 1, "INVITE")
    assert merge_key(request("OPTIONS")) != merge_key(one)


# RFC 2543 peers, RFC 3261 §17.2.3


@pytest.mark.parametrize("branch", [None, LEGACY, "z9hG4bK"])
def test_a_request_without_a_unique_branch_is_matched_by_its_fields(branch: str | None) -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(branch=branch, via_params=";rport"))
    ringing = response(transaction.request, 180)
    layer.respond(transaction, ringing, now=0.1)

    repeated = layer.receive_request(request(branch=branch, via_params=";rport"), UDP, now=0.5)

    assert repeated == [Transmit(bytes(ringing), UDP, transaction)]
    assert accept(layer, request(branch=branch, cseq=2)) is not transaction


def test_an_rfc2543_ack_to_a_refusal_ends_its_repetitions() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(branch=LEGACY))
    layer.respond(transaction, response(transaction.request, 486, tag="bob"), now=0.1)

    assert layer.receive_request(request("ACK", branch=LEGACY, to_tag="bob"), UDP, now=0.2) == []
    assert transaction.state is State.CONFIRMED
    assert run_until_silent(layer) == []
    assert set(layer.sizes.values()) == {0}


def test_an_rfc2543_ack_with_another_to_tag_is_not_ours() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(branch=LEGACY))
    layer.respond(transaction, response(transaction.request, 486, tag="bob"), now=0.1)
    ack = request("ACK", branch=LEGACY, to_tag="carol")

    assert layer.receive_request(ack, UDP, now=0.2) == [Ack(ack, UDP)]
    assert transaction.state is State.COMPLETED


def test_an_rfc2543_ack_is_matched_with_the_response_that_was_sent_and_not_one_that_was_dropped() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(branch=LEGACY))
    layer.respond(transaction, response(transaction.request, 486, tag="bob"), now=0.1)
    layer.respond(transaction, response(transaction.request, 603, tag="dropped"), now=0.1)

    assert layer.receive_request(request("ACK", branch=LEGACY, to_tag="bob"), UDP, now=0.2) == []
    assert transaction.state is State.CONFIRMED


def test_an_rfc2543_ack_to_a_2xx_is_the_dialogs() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(branch=LEGACY))
    layer.respond(transaction, response(transaction.request, 200, tag="bob"), now=0.1)
    ack = request("ACK", branch=LEGACY, to_tag="bob")

    assert layer.receive_request(ack, UDP, now=0.2) == [Ack(ack, UDP)]
    assert transaction.state is State.ACCEPTED


def test_an_rfc2543_cancel_finds_its_invite() -> None:
    layer = TransactionLayer()
    invite = accept(layer, request(branch=LEGACY))

    assert accept(layer, request("CANCEL", branch=LEGACY)).invite is invite
    assert accept(layer, request("CANCEL", branch=LEGACY, uri="sip:carol@192.0.2.99")).invite is None


def test_an_rfc2543_reinvite_differs_from_the_first_by_its_to_tag() -> None:
    layer = TransactionLayer()
    first = accept(layer, request("OPTIONS", branch=LEGACY))
    inside = accept(layer, request("OPTIONS", branch=LEGACY, to_tag="bob"))

    assert first is not inside
