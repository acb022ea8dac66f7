from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction.machine_outputs import Deliver, Send, TimedOut, TransportFailed
from sipflow.sip.transaction.outputs import Ack, Expired, Failed, NewRequest, NewResponse, StrayResponse, Transmit
from sipflow.sip.transaction.records import ClientTransaction, ServerTransaction
from tests.sip.transaction.playing import UDP, request, response

INVITE = request()
OK = response(INVITE, 200)
CLIENT = ClientTransaction(INVITE, UDP, ("z9hG4bK-1", "INVITE"), DEFAULT_TIMERS)
SERVER = ServerTransaction(INVITE, UDP, None, DEFAULT_TIMERS)


def test_outputs_of_different_kinds_are_never_equal() -> None:
    outputs = [
        Send(b""), Deliver(INVITE), TimedOut(), TransportFailed(),
        Transmit(b"", UDP, CLIENT), NewRequest(SERVER, INVITE, UDP), Ack(INVITE, UDP), NewResponse(CLIENT, OK, UDP),
        StrayResponse(OK, UDP), Expired(CLIENT), Failed(CLIENT),
    ]  # fmt: skip

    assert [[one == other for other in outputs] for one in outputs] == [
        [one is other for other in outputs] for one in outputs
    ]


def test_outputs_of_one_kind_are_equal_when_they_say_the_same() -> None:
    assert TimedOut() == TimedOut()
    assert Send(b"a") == Send(b"a") != Send(b"b")
    assert NewRequest(SERVER, INVITE, UDP) == NewRequest(SERVER, INVITE, UDP, merged=False)
    assert Expired(SERVER) != Expired(CLIENT)
