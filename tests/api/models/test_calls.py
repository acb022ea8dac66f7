from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from sipflow.api.models.calls import HangUp, PlaceCall, PlaySound, PreparedInbound, PrepareInbound, SendDigits
from sipflow.calls.announced import Announced

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CALL = {"model_id": "desk", "phone": "+12065550123", "name": "Ada"}


@pytest.mark.parametrize(
    "variables",
    [
        [{"key": "a", "value": "x"}, {"key": "b", "value": 2}, {"key": "c", "value": True}],
        {"a": "x", "b": 2, "c": True},
    ],
)
def test_custom_variables_may_be_pairs_or_an_object_and_become_texts(variables: object) -> None:
    assert PlaceCall.model_validate({**CALL, "custom_variables": variables}).variables == {
        "a": "x",
        "b": "2",
        "c": "true",
    }
    announced = {"from_number": "1", "to_number": "2", "model_id": "desk"}
    assert PrepareInbound.model_validate({**announced, "custom_variables": variables}).variables == {
        "a": "x",
        "b": "2",
        "c": "true",
    }


def test_null_is_no_custom_variable() -> None:
    assert PlaceCall.model_validate({**CALL, "custom_variables": None}).variables == {}


def test_what_passes_through_is_what_was_said() -> None:
    said: dict[str, Any] = {"lead_email": "ada@example.com", "prompt": "Be kind.", "labels": ["a"], "greeting": ""}

    assert PlaceCall.model_validate({**CALL, **said}).passed == {
        "lead_email": "ada@example.com",
        "prompt": "Be kind.",
        "labels": ["a"],
    }


@pytest.mark.parametrize("name", ["X-A", "x-a", "X-Campaign_7", "X-" + "a" * 60])
def test_headers_of_the_clients_own_pass(name: str) -> None:
    assert PlaceCall.model_validate({**CALL, "headers": {name: "7"}}).headers == {name: "7"}


@pytest.mark.parametrize("name", ["Via", "X", "X-", "X-A B", "X-A:", "X-Ä", "X-" + "a" * 61, " X-A"])
def test_headers_that_are_not_the_clients_to_write_do_not(name: str) -> None:
    with pytest.raises(ValidationError):
        PlaceCall.model_validate({**CALL, "headers": {name: "7"}})


def test_an_announcement_is_written_with_the_header_that_the_invite_needs() -> None:
    call = Announced("c0ffee", "desk", "+1", "+2", {"a": "x"}, NOON, NOON + timedelta(minutes=10), "main")
    answer = PreparedInbound.of(call)

    assert (answer.x_ei, answer.call_status, answer.direction) == ("S.c0ffee;", "registered", "inbound")
    assert answer.expires_at == NOON + timedelta(minutes=10)


@pytest.mark.parametrize("digits", ["", "0x", "1 2", "1" * 65, "²"])
def test_what_is_no_digit_is_refused(digits: str) -> None:
    with pytest.raises(ValidationError):
        SendDigits(digits=digits)


def test_hanging_up_needs_no_reason_and_refuses_statuses_that_are_no_refusal() -> None:
    assert HangUp().reason == "hung up over the API"
    with pytest.raises(ValidationError):
        HangUp(sip_status=200)


@pytest.mark.parametrize("file", ["", "a\\b", "a\nb"])
def test_a_name_of_a_sound_is_plain(file: str) -> None:
    with pytest.raises(ValidationError):
        PlaySound(file=file)
