import pytest

from sipflow.sip.hop import Hop
from sipflow.sip.message import make_response
from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction.invite_client import InviteClient
from sipflow.sip.transaction.invite_server import InviteServer
from sipflow.sip.transaction.machine import NO_REQUEST, State
from sipflow.sip.transaction.machine_outputs import Send
from sipflow.sip.transaction.non_invite_client import NonInviteClient
from sipflow.sip.transaction.non_invite_server import NonInviteServer
from sipflow.sip.transaction.records import ClientTransaction, ServerTransaction
from tests.sip.transaction.playing import UDP, request


@pytest.mark.parametrize(("method", "machine"), [("INVITE", InviteClient), ("CANCEL", NonInviteClient)])
def test_the_method_chooses_the_client_machine(method: str, machine: type) -> None:
    record = ClientTransaction(request(method), UDP, ("z9hG4bK-1", method), DEFAULT_TIMERS)

    assert type(record.machine) is machine
    assert (record.request.method, record.hop, record.owner) == (method, UDP, None)


@pytest.mark.parametrize(("method", "machine"), [("INVITE", InviteServer), ("CANCEL", NonInviteServer)])
def test_the_method_chooses_the_server_machine(method: str, machine: type) -> None:
    record = ServerTransaction(request(method), UDP, None, DEFAULT_TIMERS)

    assert type(record.machine) is machine
    assert (record.request.method, record.hop, record.fallback, record.invite, record.owner) == (
        method, UDP, None, None, None,
    )  # fmt: skip


def test_a_transaction_shows_where_it_stands() -> None:
    client = ClientTransaction(request("INVITE"), UDP, ("z9hG4bK-1", "INVITE"), DEFAULT_TIMERS)
    server = ServerTransaction(request("BYE"), UDP, None, DEFAULT_TIMERS)

    assert (client.state, repr(client)) == (State.CALLING, "<client INVITE CALLING to udp:192.0.2.1:5060>")
    assert (server.state, repr(server)) == (State.TRYING, "<server BYE TRYING to udp:192.0.2.1:5060>")


def test_an_answered_transaction_without_its_request_still_repeats_its_answer() -> None:
    bye = ServerTransaction(request("BYE"), UDP, None, DEFAULT_TIMERS)
    bye.owner = "somebody"
    bye.machine.start(now=0.0)
    bye.machine.respond(make_response(bye.request, 200), now=0.0)
    sent = bye.machine.last_response

    bye.forget_request()

    assert (bye.request, bye.machine.request, bye.owner) == (NO_REQUEST, NO_REQUEST, None)
    assert bye.machine.receive(request("BYE"), now=1.0) == [Send(sent)]
    assert bye.machine.deadline == 32.0


@pytest.mark.parametrize(("hop", "kept"), [(UDP, False), (UDP._replace(transport="tcp"), True)])
def test_a_2xx_that_nothing_sends_again_is_forgotten_with_the_request(hop: Hop, *, kept: bool) -> None:
    invite = ServerTransaction(request("INVITE"), hop, None, DEFAULT_TIMERS)
    invite.machine.respond(make_response(invite.request, 200), now=0.0)

    invite.forget_request()

    assert bool(invite.machine.last_response) is kept
    assert invite.machine.receive(request("INVITE"), now=1.0) == []
