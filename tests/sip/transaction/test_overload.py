import pytest

from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.parser import parse_datagram
from sipflow.sip.transaction.layer import TransactionLayer
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.outputs import Ack, Transmit
from sipflow.sip.transaction.overload import Busy, acknowledges_refusal, refuse_statelessly
from tests.sip.transaction.playing import UDP, accept, place, request, response


def refusal(**changes: str) -> Response:
    parsed = parse_datagram(refuse_statelessly(request(**changes), 7))  # type: ignore[arg-type]
    assert isinstance(parsed, Response)
    return parsed


def test_the_refusal_is_a_503_that_says_when_to_come_back() -> None:
    answer = refusal()

    assert (answer.status, answer.headers.get("Retry-After"), answer.branch) == (503, "7", "z9hG4bK-1")
    assert answer.to.tag is not None


def test_every_copy_of_a_request_is_refused_in_the_same_words() -> None:
    assert bytes(refusal()) == bytes(refusal())


@pytest.mark.parametrize("change", [{"branch": "z9hG4bK-2"}, {"call_id": "call-2"}, {"from_tag": "carol"}])
def test_each_request_gets_a_tag_of_its_own(change: dict[str, str]) -> None:
    assert refusal().to.tag != refusal(**change).to.tag


def test_the_ack_to_the_refusal_is_known_again_without_any_memory() -> None:
    assert acknowledges_refusal(request("ACK", to_tag=refusal().to.tag))


@pytest.mark.parametrize("tag", [None, "bob", "busy-", "busy-0123456789abcdef"])
def test_any_other_ack_is_not(tag: str | None) -> None:
    assert not acknowledges_refusal(request("ACK", to_tag=tag))


def test_an_ack_that_cannot_be_read_is_not() -> None:
    ack = request("ACK", to_tag=refusal().to.tag)
    ack.headers.remove("CSeq")

    assert not acknowledges_refusal(ack)


def test_above_its_limit_the_layer_refuses_without_state() -> None:
    layer = TransactionLayer(max_transactions=2, retry_after_s=9)
    for number in range(2):
        accept(layer, request(branch=f"z9hG4bK-{number}", call_id=f"call-{number}"))

    late = request(branch="z9hG4bK-late", via="SIP/2.0/UDP 10.0.0.5:5070", call_id="late")
    (output,) = layer.receive_request(late, UDP, now=0.1)

    assert isinstance(output, Transmit)
    assert (output.transaction, output.hop, len(layer)) == (None, UDP._replace(port=5070), 2)
    assert output.data.startswith(b"SIP/2.0 503 ")
    assert b"\r\nRetry-After: 9\r\n" in output.data
    assert b";received=192.0.2.1\r\n" in output.data


def test_the_ack_to_a_stateless_refusal_is_dropped_and_the_dialogs_are_not() -> None:
    layer = TransactionLayer(max_transactions=0)
    (output,) = layer.receive_request(request(), UDP, now=0.0)
    assert isinstance(output, Transmit)
    tag = output.data.split(b"\r\nTo: ")[1].split(b"\r\n")[0].split(b";tag=")[1].decode()
    ack = request("ACK", branch="z9hG4bK-ack", to_tag="bob")

    assert layer.receive_request(request("ACK", to_tag=tag), UDP, now=0.1) == []
    assert layer.receive_request(ack, UDP, now=0.1) == [Ack(ack, UDP)]


def test_calls_can_still_end_while_new_ones_are_refused() -> None:
    layer = TransactionLayer(max_transactions=16)
    for number in range(16):
        accept(layer, request(branch=f"z9hG4bK-{number}", call_id=f"call-{number}"))

    (refused,) = layer.receive_request(request(branch="z9hG4bK-new", call_id="new"), UDP, now=0.1)
    assert isinstance(refused, Transmit)
    accept(layer, request("CANCEL", branch="z9hG4bK-3", call_id="call-3"))
    accept(layer, request("BYE", branch="z9hG4bK-bye", to_tag="bob"))
    outputs = [
        *layer.receive_request(request(branch="z9hG4bK-new", call_id="new"), UDP, now=0.1),
        *layer.receive_request(request("BYE", branch="z9hG4bK-bye-2", to_tag="bob"), UDP, now=0.1),
    ]

    assert [type(output) for output in outputs] == [Transmit, Transmit]
    assert len(layer) == 18


def test_what_is_known_is_served_above_the_limit_and_our_own_requests_go_out() -> None:
    layer = TransactionLayer(max_transactions=1)
    transaction = accept(layer, request("OPTIONS"))
    ok = response(transaction.request, 200)
    layer.respond(transaction, ok, now=0.1)

    assert layer.receive_request(request("OPTIONS"), UDP, now=0.2) == [Transmit(bytes(ok), UDP, transaction)]
    assert place(layer, request("BYE", branch="z9hG4bK-ours")).state is State.TRYING


def test_a_guard_puts_off_new_requests_before_they_cost_a_transaction() -> None:
    layer, asked = TransactionLayer(), []

    def guard(request: Request, hop: Hop) -> Busy | None:
        asked.append((request.method, hop))
        return Busy(30, "too many")

    layer.guard = guard
    outputs = layer.receive_request(request(), UDP, now=0.0)

    (output,) = outputs
    assert isinstance(output, Transmit)
    answer = parse_datagram(output.data)
    assert isinstance(answer, Response)
    assert (answer.status, answer.headers.get("Retry-After"), answer.headers.get("Warning")) == (
        503,
        "30",
        '399 sipflow "too many"',
    )
    assert (len(layer), asked) == (0, [("INVITE", UDP)])


def test_a_guard_may_have_nothing_said_at_all() -> None:
    layer = TransactionLayer()
    layer.guard = lambda _request, _hop: Busy(0, "")

    assert (layer.receive_request(request(), UDP, now=0.0), len(layer)) == ([], 0)


def test_a_guard_is_not_asked_about_repetitions_cancels_and_requests_in_a_call() -> None:
    layer, asked = TransactionLayer(), []
    layer.guard = lambda request, _hop: asked.append(request.method)
    layer.receive_request(request(), UDP, now=0.0)
    layer.receive_request(request(), UDP, now=0.5)
    layer.receive_request(request("CANCEL"), UDP, now=0.6)
    layer.receive_request(request("BYE", to_tag="bob", branch="z9hG4bK-bye"), UDP, now=0.7)

    assert asked == ["INVITE"]
