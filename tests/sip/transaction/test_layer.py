import pytest

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.message import make_ack, make_cancel
from sipflow.sip.transaction.layer import TransactionLayer
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.outputs import (
    Ack,
    Expired,
    Failed,
    NewRequest,
    NewResponse,
    StrayResponse,
    Transmit,
)
from tests.sip.transaction.playing import OTHER, TCP, UDP, accept, place, request, response, run_until_silent

# Server side


def test_a_new_request_is_handed_up_with_its_transaction_and_source() -> None:
    layer = TransactionLayer()
    invite = request(via="SIP/2.0/UDP 10.0.0.5", via_params=";rport")

    (output,) = layer.receive_request(invite, UDP, now=0.0)

    assert isinstance(output, NewRequest)
    transaction = output.transaction
    assert output == NewRequest(transaction, invite, UDP, merged=False)
    assert (transaction.request, transaction.hop, transaction.invite) == (invite, UDP, None)
    assert (invite.via.received, invite.via.rport) == ("192.0.2.1", 5060)
    assert (len(layer), transaction.state) == (1, State.PROCEEDING)


def test_a_call_that_is_answered_plays_to_its_end() -> None:
    layer = TransactionLayer()
    invite, ack = request(), request("ACK", branch="z9hG4bK-ack", to_tag="bob")
    transaction = accept(layer, invite)
    answers = [response(invite, 100, tag=None), response(invite, 180), response(invite, 200)]

    sent = [layer.respond(transaction, answer, now=0.1) for answer in answers]

    assert sent == [[Transmit(bytes(answer), UDP, transaction)] for answer in answers]
    assert layer.receive_request(request(), UDP, now=0.2) == []
    assert layer.receive_request(ack, OTHER, now=0.3) == [Ack(ack, OTHER)]
    assert layer.deadline == 32.1
    assert run_until_silent(layer) == []
    assert len(layer) == 0


def test_a_repeated_invite_gets_the_last_provisional_and_never_reaches_the_user() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request())
    ringing = response(transaction.request, 180)

    assert layer.receive_request(request(), UDP, now=0.5) == []
    layer.respond(transaction, ringing, now=0.6)

    assert layer.receive_request(request(), UDP, now=1.5) == [Transmit(bytes(ringing), UDP, transaction)]


def test_a_refused_call_repeats_the_refusal_until_its_ack() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request())
    busy = Transmit(bytes(response(transaction.request, 486)), UDP, transaction)

    assert layer.respond(transaction, response(transaction.request, 486), now=0.0) == [busy]
    assert layer.handle_timer(now=0.5) == [busy]
    assert layer.receive_request(request("ACK", to_tag="bob"), UDP, now=0.6) == []
    assert layer.receive_request(request("ACK", to_tag="bob"), UDP, now=0.7) == []
    assert run_until_silent(layer, now=0.7) == []
    assert len(layer) == 0


def test_a_refusal_whose_ack_is_lost_expires_by_timer_h() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request())
    busy = response(transaction.request, 486)

    played = run_until_silent(layer, layer.respond(transaction, busy, now=0.0))

    assert played == [
        *((at, Transmit(bytes(busy), UDP, transaction))
          for at in (0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)),
        (32.0, Expired(transaction)),
    ]  # fmt: skip
    assert len(layer) == 0


def test_a_2xx_may_be_repeated_through_the_transaction_and_nothing_else() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request())
    ok = response(transaction.request, 200)
    layer.respond(transaction, ok, now=0.0)

    assert layer.respond(transaction, ok, now=0.5) == [Transmit(bytes(ok), UDP, transaction)]
    assert layer.respond(transaction, response(transaction.request, 486), now=0.6) == []
    assert layer.handle_timer(now=32.0) == []
    assert layer.respond(transaction, ok, now=32.1) == []
    assert len(layer) == 0


def test_an_ack_with_its_invites_branch_is_the_dialogs_when_the_invite_was_answered_2xx() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request())
    layer.respond(transaction, response(transaction.request, 200), now=0.0)
    ack = request("ACK", to_tag="bob")

    assert layer.receive_request(ack, UDP, now=0.1) == [Ack(ack, UDP)]
    assert transaction.state is State.ACCEPTED


def test_a_repeated_request_gets_its_final_response_again_wherever_it_comes_from() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request("OPTIONS"))
    ok = response(transaction.request, 200)
    layer.respond(transaction, ok, now=0.1)

    assert layer.receive_request(request("OPTIONS"), OTHER, now=0.5) == [Transmit(bytes(ok), UDP, transaction)]
    assert run_until_silent(layer) == []
    assert len(layer) == 0


def test_a_request_that_nobody_answers_expires_when_its_sender_has_given_up() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request("INFO", to_tag="bob"), now=1.0)

    assert run_until_silent(layer) == [(33.0, Expired(transaction))]
    assert len(layer) == 0


def test_a_request_not_worth_an_answer_can_be_discarded() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request())

    layer.discard(transaction)
    layer.discard(transaction)

    assert (len(layer), set(layer.sizes.values())) == (0, {0})
    assert layer.respond(transaction, response(transaction.request, 200), now=0.1) == []
    assert isinstance(layer.receive_request(request(), UDP, now=0.5)[0], NewRequest)


def test_discarding_an_old_transaction_leaves_the_new_one_of_the_same_branch_alone() -> None:
    layer = TransactionLayer()
    old = accept(layer, request())
    layer.discard(old)
    new = accept(layer, request())

    layer.discard(old)

    assert layer.sizes == {
        "clients": 0, "servers": 1, "legacy": 0, "legacy_invites": 0, "merged": 1, "peers": 0, "deadlines": 0,
    }  # fmt: skip
    assert new.state is State.PROCEEDING


def test_sent_by_tells_equal_branches_apart_and_its_case_does_not() -> None:
    layer = TransactionLayer()
    first = accept(layer, request(via="SIP/2.0/UDP Phone.example.com"))

    assert layer.receive_request(request(via="SIP/2.0/UDP phone.EXAMPLE.com:5060"), UDP, now=0.1) == []
    second = accept(layer, request(via="SIP/2.0/UDP other.example.com", call_id="call-2"))

    assert first is not second


def test_a_request_that_cannot_be_matched_raises_and_leaves_nothing() -> None:
    layer = TransactionLayer()
    broken = request()
    broken.headers.remove("From")

    with pytest.raises(RemoteProtocolError):
        layer.receive_request(broken, UDP, now=0.0)

    assert set(layer.sizes.values()) == {0}


# CANCEL, RFC 3261 §9.2


def test_a_cancel_is_handed_up_with_the_invite_it_names() -> None:
    layer = TransactionLayer()
    invite = accept(layer, request())

    (output,) = layer.receive_request(request("CANCEL"), UDP, now=1.0)

    assert isinstance(output, NewRequest)
    assert (output.transaction.invite, output.merged, invite.state) == (invite, False, State.PROCEEDING)


@pytest.mark.parametrize(("status", "state"), [(200, State.ACCEPTED), (486, State.COMPLETED)])
def test_a_cancel_after_the_final_response_still_finds_its_invite(status: int, state: State) -> None:
    layer = TransactionLayer()
    invite = accept(layer, request())
    layer.respond(invite, response(invite.request, status), now=0.5)

    cancel = accept(layer, request("CANCEL"), now=1.0)

    assert cancel.invite is invite
    assert invite.state is state


@pytest.mark.parametrize("change", [{"branch": "z9hG4bK-2"}, {"via": "SIP/2.0/UDP 192.0.2.2"}])
def test_a_cancel_of_another_branch_or_sender_finds_nothing(change: dict[str, str]) -> None:
    layer = TransactionLayer()
    accept(layer, request())

    assert accept(layer, request("CANCEL", **change)).invite is None  # type: ignore[arg-type]


def test_a_cancel_comes_too_late_when_its_invite_is_gone() -> None:
    layer = TransactionLayer()
    invite = accept(layer, request(), TCP)
    layer.respond(invite, response(invite.request, 486), now=0.5)
    layer.receive_request(request("ACK", to_tag="bob"), TCP, now=0.6)

    assert accept(layer, request("CANCEL"), TCP, now=1.0).invite is None


def test_a_repeated_cancel_gets_its_answer_again() -> None:
    layer = TransactionLayer()
    accept(layer, request())
    cancel = accept(layer, request("CANCEL"))
    ok = response(cancel.request, 200)
    layer.respond(cancel, ok, now=0.1)

    assert layer.receive_request(request("CANCEL"), UDP, now=0.5) == [Transmit(bytes(ok), UDP, cancel)]


# Merged requests, RFC 3261 §8.2.2.2


def test_a_copy_by_another_path_is_marked_while_the_first_is_in_work() -> None:
    layer = TransactionLayer()
    first = accept(layer, request(branch="z9hG4bK-left"))

    (output,) = layer.receive_request(request(branch="z9hG4bK-right"), UDP, now=0.1)

    assert isinstance(output, NewRequest)
    assert output.merged
    layer.discard(output.transaction)
    assert layer.sizes["merged"] == 1  # it is the first one's
    layer.discard(first)
    (again,) = layer.receive_request(request(branch="z9hG4bK-third"), UDP, now=0.2)
    assert isinstance(again, NewRequest)
    assert not again.merged


@pytest.mark.parametrize(
    "change", [{"from_tag": "carol"}, {"call_id": "call-2"}, {"cseq": 2}, {"method": "OPTIONS"}, {"to_tag": "bob"}]
)
def test_only_a_true_copy_is_marked(change: dict[str, str]) -> None:
    layer = TransactionLayer()
    accept(layer, request(branch="z9hG4bK-left"))

    (output,) = layer.receive_request(request(**{"branch": "z9hG4bK-right", **change}), UDP, now=0.1)  # type: ignore[arg-type]

    assert isinstance(output, NewRequest)
    assert not output.merged


def test_the_cancels_of_two_copies_are_not_merged() -> None:
    layer = TransactionLayer()
    for branch in ("z9hG4bK-left", "z9hG4bK-right"):
        accept(layer, request(branch=branch))

    cancels = [
        layer.receive_request(request("CANCEL", branch=b), UDP, now=0.1)[0] for b in ("z9hG4bK-left", "z9hG4bK-right")
    ]

    assert [cancel.merged for cancel in cancels if isinstance(cancel, NewRequest)] == [False, False]


# Client side


def test_a_response_finds_its_transaction_by_branch_and_method() -> None:
    layer = TransactionLayer()
    invite = request()
    transaction = place(layer, invite)
    cancelling = place(layer, make_cancel(invite), now=0.5)
    ringing, gone, ok = response(invite, 180), response(invite, 487), response(cancelling.request, 200)

    assert layer.receive_response(ringing, OTHER, now=0.1) == [NewResponse(transaction, ringing, OTHER)]
    assert layer.receive_response(ok, UDP, now=0.6) == [NewResponse(cancelling, ok, UDP)]
    assert layer.receive_response(gone, UDP, now=0.7) == [
        Transmit(bytes(make_ack(invite, gone)), UDP, transaction),
        NewResponse(transaction, gone, UDP),
    ]
    assert run_until_silent(layer) == []
    assert set(layer.sizes.values()) == {0}


@pytest.mark.parametrize("change", [{"branch": "z9hG4bK-2"}, {"branch": None}, {"method": "OPTIONS"}])
def test_a_response_of_no_transaction_is_a_stray(change: dict[str, str]) -> None:
    layer = TransactionLayer()
    place(layer, request())
    stray = response(request(**change), 200)  # type: ignore[arg-type]

    assert layer.receive_response(stray, OTHER, now=0.1) == [StrayResponse(stray, OTHER)]


def test_every_2xx_is_handed_up_and_one_after_timer_m_is_a_stray() -> None:
    layer = TransactionLayer()
    transaction = place(layer, request())
    ok, forked = response(transaction.request, 200), response(transaction.request, 200, tag="carol")

    played = [layer.receive_response(each, UDP, now=1.0) for each in (ok, ok, forked)]

    assert played == [[NewResponse(transaction, each, UDP)] for each in (ok, ok, forked)]
    assert layer.handle_timer(now=33.0) == []
    assert layer.receive_response(ok, UDP, now=33.1) == [StrayResponse(ok, UDP)]


def test_a_2xx_after_an_acknowledged_refusal_is_a_stray_that_wants_ack_and_bye() -> None:
    layer = TransactionLayer()
    transaction = place(layer, request())
    busy, ringing, ok = (response(transaction.request, status) for status in (486, 180, 200))
    layer.receive_response(busy, UDP, now=1.0)

    assert layer.receive_response(ringing, UDP, now=1.1) == []
    assert layer.receive_response(ok, UDP, now=1.1) == [StrayResponse(ok, UDP)]


@pytest.mark.parametrize("status", [300, 486, 603])
def test_a_repeated_refusal_gets_its_ack_again_and_is_not_handed_up(status: int) -> None:
    layer = TransactionLayer()
    transaction = place(layer, request())
    refusal = response(transaction.request, status)
    layer.receive_response(refusal, UDP, now=1.0)

    assert layer.receive_response(refusal, UDP, now=1.5) == [
        Transmit(bytes(make_ack(transaction.request, refusal)), UDP, transaction)
    ]


def test_a_repeated_final_response_to_another_request_is_absorbed() -> None:
    layer = TransactionLayer()
    transaction = place(layer, request("OPTIONS"))
    ok = response(transaction.request, 200)
    layer.receive_response(ok, UDP, now=1.0)

    assert layer.receive_response(ok, UDP, now=1.5) == []


def test_an_unanswered_request_expires() -> None:
    layer = TransactionLayer()
    transaction, outputs = layer.request(request("REGISTER"), TCP, now=0.0)

    played = run_until_silent(layer, outputs)

    assert played == [(0.0, Transmit(bytes(request("REGISTER")), TCP, transaction)), (32.0, Expired(transaction))]
    assert set(layer.sizes.values()) == {0}


def test_many_transactions_are_served_in_the_order_of_their_deadlines() -> None:
    layer = TransactionLayer()
    second = place(layer, request("OPTIONS", branch="z9hG4bK-b"), now=0.2)
    first = place(layer, request("OPTIONS", branch="z9hG4bK-a"), now=0.1)

    outputs = layer.handle_timer(now=5.0)

    assert outputs == [Transmit(bytes(each.request), UDP, each) for each in (first, second)]


@pytest.mark.parametrize("change", [{"method": "ACK"}, {"branch": None}, {"branch": "1"}, {"branch": "z9hG4bK"}])
def test_what_cannot_make_a_client_transaction_is_refused(change: dict[str, str]) -> None:
    layer = TransactionLayer()

    with pytest.raises(LocalProtocolError):
        layer.request(request(**change), UDP, now=0.0)  # type: ignore[arg-type]

    assert len(layer) == 0


def test_a_branch_carries_each_method_once() -> None:
    layer = TransactionLayer()
    place(layer, request())

    with pytest.raises(LocalProtocolError):
        layer.request(request(), UDP, now=0.0)

    assert len(layer) == 1


def test_an_invite_given_up_after_its_cancel_can_be_discarded() -> None:
    layer = TransactionLayer()
    transaction = place(layer, request())
    layer.receive_response(response(transaction.request, 180), UDP, now=1.0)

    layer.discard(transaction)

    assert set(layer.sizes.values()) == {0}
    assert layer.deadline is None


# Failures of the transport, RFC 3261 §17.1.4, §17.2.4, §18.2.2


def test_a_client_transaction_whose_request_could_not_be_sent_is_over() -> None:
    layer = TransactionLayer()
    transaction = place(layer, request(), TCP)

    assert layer.transport_failed(transaction, now=0.1) == [Failed(transaction)]
    assert layer.transport_failed(transaction, now=0.2) == []
    assert set(layer.sizes.values()) == {0}


def test_a_lost_ack_to_a_refusal_ends_the_transaction_without_a_word() -> None:
    layer = TransactionLayer()
    transaction = place(layer, request())
    layer.receive_response(response(transaction.request, 486), UDP, now=0.1)

    assert layer.transport_failed(transaction, now=0.1) == []
    assert set(layer.sizes.values()) == {0}


def test_a_refusal_that_cannot_be_sent_on_udp_is_tried_again_by_timer_g() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request())
    busy = response(transaction.request, 486)
    layer.respond(transaction, busy, now=0.0)

    assert layer.transport_failed(transaction, now=0.1) == [Failed(transaction)]
    assert layer.handle_timer(now=0.5) == [Transmit(bytes(busy), UDP, transaction)]


def test_a_request_whose_response_cannot_be_sent_on_udp_is_over() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request("OPTIONS"))
    layer.respond(transaction, response(transaction.request, 200), now=0.0)

    assert layer.transport_failed(transaction, now=0.1) == [Failed(transaction)]
    assert set(layer.sizes.values()) == {0}


def test_a_failed_address_ends_every_request_that_waits_for_it() -> None:
    layer = TransactionLayer()
    waiting = [place(layer, request("OPTIONS", branch=f"z9hG4bK-{number}"), UDP) for number in range(3)]
    elsewhere = place(layer, request("OPTIONS", branch="z9hG4bK-else"), OTHER)

    assert layer.hop_failed(UDP, now=1.0) == [Failed(transaction) for transaction in waiting]
    assert layer.hop_failed(UDP, now=1.0) == []
    assert (len(layer), elsewhere.state) == (1, State.TRYING)


def test_a_closed_connection_fails_the_requests_that_it_carried_and_those_that_chose_none() -> None:
    layer = TransactionLayer()
    on_it, on_any, on_another = (
        place(layer, request("OPTIONS", branch=f"z9hG4bK-{number}"), TCP._replace(connection=number))
        for number in (7, 0, 8)
    )

    assert layer.hop_failed(TCP, now=1.0) == [Failed(on_it), Failed(on_any)]
    assert on_another.state is State.TRYING


def test_a_connection_that_cannot_be_opened_leaves_requests_on_open_ones_alone() -> None:
    layer = TransactionLayer()
    on_open = place(layer, request("OPTIONS"), TCP)

    assert layer.hop_failed(TCP._replace(connection=0), now=1.0) == []
    assert on_open.state is State.TRYING


def test_a_ringing_call_survives_its_connection_for_its_answer_may_come_on_another() -> None:
    layer = TransactionLayer()
    transaction = place(layer, request(), TCP)
    layer.receive_response(response(transaction.request, 180), TCP, now=1.0)
    ok = response(transaction.request, 200)

    assert layer.hop_failed(TCP, now=2.0) == []
    assert layer.receive_response(ok, OTHER, now=3.0) == [NewResponse(transaction, ok, OTHER)]


def test_after_its_connection_closed_a_response_goes_to_the_sent_by_port() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(via="SIP/2.0/TCP 10.0.0.5:5070"), TCP)
    ok = response(transaction.request, 200)

    assert layer.hop_failed(TCP, now=1.0) == []
    assert layer.respond(transaction, ok, now=2.0) == [
        Transmit(bytes(ok), TCP._replace(port=5070, connection=0), transaction)
    ]


def test_a_response_that_failed_goes_out_again_to_the_sent_by_port_once() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request("OPTIONS", via="SIP/2.0/TCP 10.0.0.5:5070"), TCP)
    ok = response(transaction.request, 200)
    layer.respond(transaction, ok, now=1.0)
    assert len(layer) == 0  # timer J is zero on a stream

    assert layer.transport_failed(transaction, now=1.1) == [
        Transmit(bytes(ok), TCP._replace(port=5070, connection=0), transaction)
    ]
    assert layer.transport_failed(transaction, now=1.2) == []
    assert set(layer.sizes.values()) == {0}


def test_an_invite_that_cannot_be_answered_says_so_each_time_and_stays() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(via="SIP/2.0/TCP 10.0.0.5:5070"), TCP)
    layer.hop_failed(TCP, now=1.0)
    ok = response(transaction.request, 200)
    layer.respond(transaction, ok, now=2.0)

    assert layer.transport_failed(transaction, now=2.1) == [Failed(transaction)]
    assert layer.hop_failed(TCP._replace(port=5070, connection=0), now=2.2) == [Failed(transaction)]
    assert layer.respond(transaction, ok, now=2.5) != []
    assert run_until_silent(layer) == []
    assert set(layer.sizes.values()) == {0}


@pytest.mark.parametrize("status", [180, 200, 486])
def test_a_caller_that_lost_its_connection_and_says_the_same_on_another_is_answered_there(status: int) -> None:
    layer = TransactionLayer()
    again = request(via="SIP/2.0/TCP 10.0.0.5:5070")
    transaction = accept(layer, request(via="SIP/2.0/TCP 10.0.0.5:5070"), TCP)
    layer.hop_failed(TCP, now=1.0)
    answer = response(transaction.request, status)
    layer.respond(transaction, answer, now=1.1)
    another, stranger = TCP._replace(port=40009, connection=9), TCP._replace(host="192.0.2.66", connection=10)

    assert layer.receive_request(again, another, now=2.0) == [Transmit(bytes(answer), another, transaction)]
    layer.receive_request(again, stranger, now=3.0)  # whoever guessed the branch gets nothing that was not for him
    assert transaction.hop == another
    run_until_silent(layer)
    layer.discard(transaction)
    assert set(layer.sizes.values()) == {0}


def test_the_connection_on_which_a_request_came_again_takes_over_from_the_first_when_that_ends() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(via="SIP/2.0/TCP 10.0.0.5:5070"), TCP)
    another = TCP._replace(port=40009, connection=9)
    ok = response(transaction.request, 200)

    assert layer.receive_request(request(via="SIP/2.0/TCP 10.0.0.5:5070"), another, now=0.5) == []
    assert transaction.hop == TCP
    layer.hop_failed(TCP, now=1.0)
    assert layer.respond(transaction, ok, now=2.0) == [Transmit(bytes(ok), another, transaction)]


def test_the_end_of_a_later_connection_means_nothing_to_a_response_that_chose_none() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(via="SIP/2.0/TCP 10.0.0.5:5070"), TCP)
    layer.hop_failed(TCP, now=1.0)

    assert layer.hop_failed(TCP._replace(port=5070, connection=9), now=2.0) == []
    assert transaction.state is State.PROCEEDING


def test_a_failure_before_there_is_a_response_sends_nothing_and_keeps_the_other_way() -> None:
    layer = TransactionLayer()
    transaction = accept(layer, request(via="SIP/2.0/TCP 10.0.0.5:5070"), TCP)

    assert layer.transport_failed(transaction, now=1.0) == []
    assert (transaction.hop.port, transaction.hop.connection, transaction.fallback) == (5070, 0, None)
