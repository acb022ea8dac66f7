import json

import pytest

from sipflow.calls.ending import Ending
from sipflow.errors import RemoteProtocolError
from sipflow.webhooks.payloads import Steer, call_event, call_inbound, post_call, read_call_inbound
from tests.webhooks.records import finished, happenings


def test_the_inbound_request_has_the_shape_of_the_reference_and_what_we_know_beside() -> None:
    record = finished(extra=None)

    assert json.loads(call_inbound(record, variables={"X-Customer": "7"})) == {
        "event": "call_inbound",
        "call_inbound": {
            "model_id": "desk",
            "from_number": "+12065550199",
            "to_number": "+12065550100",
            "call_id": "c1",
            "started_at": "2026-03-01T12:00:00.250Z",
            "trunk": "pbx",
            "diversion": "<sip:+12065550111@example.com>",
            "external_id": "ext-9",
            "custom_variables": {"X-Customer": "7"},
        },
    }


@pytest.mark.parametrize(("number", "told"), [("+1206555*", "2065550100"), ("*", "2065550100"), ("200", "2065550100")])
def test_a_range_of_numbers_is_told_as_it_was_dialled(number: str, told: str) -> None:
    body = json.loads(call_inbound(finished(number=number), variables={}))

    assert body["call_inbound"]["to_number"] == told


@pytest.mark.parametrize(
    ("answer", "steer"),
    [
        ({}, Steer(declined=True)),
        ({"call_inbound": {}}, Steer(declined=True)),
        ({"call_inbound": {"custom_variables": {"a": "b"}}}, Steer(declined=True)),
        ({"call_inbound": {"override_model_id": None}}, Steer(declined=True)),
        ({"call_inbound": {"override_model_id": ""}}, Steer()),
        ({"call_inbound": {"override_model_id": "sales"}, "more": 1}, Steer(agent="sales")),
        (
            {"call_inbound": {"override_model_id": "", "custom_variables": None, "metadata": {"a": [1, None]}}},
            Steer(metadata={"a": [1, None]}),
        ),
        (
            {"call_inbound": {"override_model_id": "", "custom_variables": {"a": "é", "n": 7, "no": None, "l": [1]}}},
            Steer(variables={"a": "é", "n": "7", "no": "", "l": "[1]"}),
        ),
        (
            {"call_inbound": {"override_model_id": "", "custom_variables": [{"key": "a", "value": "b"}]}},
            Steer(variables={"a": "b"}),
        ),
    ],
)
def test_an_answer_says_who_takes_the_call_and_with_what(answer: object, steer: Steer) -> None:
    assert read_call_inbound(json.dumps(answer).encode()) == steer


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the answer is empty"),
        (b" \n", "the answer is empty"),
        (b"<html>", "the answer is not JSON"),
        (b"\xff\xfe", "the answer is not JSON"),
        (b'{"call_inbound":{"override_model_id":NaN}}', "the answer is not JSON"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b"9" * 10_000, "the answer is not JSON"),
        (b"[]", "the answer is no JSON object"),
        (b'{"call_inbound":[]}', "call_inbound: it is no object"),
        (b'{"call_inbound":{"override_model_id":7}}', "call_inbound.override_model_id: it is no text"),
        (b'{"call_inbound":{"override_model_id":"","metadata":"x"}}', "call_inbound.metadata: it is no object"),
        (
            b'{"call_inbound":{"override_model_id":"","custom_variables":"x"}}',
            "call_inbound.custom_variables: it is no object",
        ),
        (
            b'{"call_inbound":{"override_model_id":"","custom_variables":{"":"x"}}}',
            "call_inbound.custom_variables: a name is empty, too long, or not printable",
        ),
        (
            b'{"call_inbound":{"override_model_id":"","custom_variables":{"a":"' + b"x" * 8193 + b'"}}}',
            "call_inbound.custom_variables.a: it is longer than 8192 characters",
        ),
        (
            b'{"call_inbound":{"override_model_id":"","metadata":{"a":"\\u0000"}}}',
            "call_inbound: a text holds a NUL, or half of a character",
        ),
        (
            b'{"call_inbound":{"override_model_id":"","custom_variables":{"a":"\\ud800"}}}',
            "call_inbound: a text holds a NUL, or half of a character",
        ),
        (
            b'{"call_inbound":{"override_model_id":"","metadata":{"a":' + b"[" * 30 + b"]" * 30 + b"}}}",
            "call_inbound: more than 20 levels or 5000 values",
        ),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_in_words(body: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        read_call_inbound(body)

    assert str(refused.value) == why


def test_too_many_variables_are_refused() -> None:
    many = {f"v{n}": n for n in range(201)}

    with pytest.raises(RemoteProtocolError, match="more than 200 of them"):
        read_call_inbound(json.dumps({"call_inbound": {"override_model_id": "", "custom_variables": many}}).encode())


def test_the_post_call_body_has_the_shape_of_the_reference_and_what_we_know_beside() -> None:
    body = json.loads(post_call(finished(), recording_url="https://edge.example.com/r/1"))

    assert body == {
        "event": "post_call",
        "status": "completed",
        "error_message": None,
        "lead": {
            "name": "Zoë",
            "phone_number": "+12065550199",
            "email": "zoe@example.com",
            "prompt_variables": {"X-Customer": "7"},
        },
        "call": {
            "status": "completed",
            "end_call_reason": "human_goodbye",
            "model_id": "desk",
            "timezone": "Europe/Berlin",
            "call_id": "c1",
            "duration": 60,
            "start_time": "2026-03-01T12:00:00.250Z",
            "transcript": None,
            "recording_url": "https://edge.example.com/r/1",
            "diversion": "<sip:+12065550111@example.com>",
            "external_id": "ext-9",
            "type_of_call": "inbound",
            "phone_number_from": "+12065550199",
            "phone_number_to": "2065550100",
            "agent_phone_number": "+12065550100",
            "trunk": "pbx",
            "sip_call_id": "sip-1@example.com",
            "answered_at": "2026-03-01T12:00:02.250Z",
            "end_time": "2026-03-01T12:01:02.250Z",
            "ending": {
                "by": "remote",
                "word": "hung_up",
                "fault": "nobody",
                "sip_status": 200,
                "q850": 16,
                "why": "the caller hung up",
            },
            "quality": {"loss_percent": 0.5, "jitter_ms": 3.0, "round_trip_ms": None, "mos": 4.3},
        },
        "executed_actions": {},
        "analysis": {},
        "metadata": {"queue": 4},
    }


def test_the_lead_of_a_call_out_is_who_was_called() -> None:
    record = finished(direction="outbound", to_number="+12065550177", answered_at=None, quality=None, extra=None)
    record.ending = Ending.of("remote", 486, "Busy Here")
    body = json.loads(post_call(record))

    assert body["lead"]["phone_number"] == "+12065550177"
    assert (body["status"], body["call"]["duration"], body["call"]["recording_url"]) == ("busy", 0, None)
    assert body["call"]["quality"] is None


def test_what_an_agent_has_to_say_of_a_call_passes_through() -> None:
    extra = {
        "transcript": "bot: hello",
        "analysis": {"goal": "true"},
        "executed_actions": {"a": {"name": "a"}},
        "collected_variables": {"desk": {"age": {"value": 7, "collected": True}}},
        "custom_end_call_reason": "wrong person",
        "lead_timezone": "Europe/Paris",
    }
    body = json.loads(post_call(finished(extra=extra)))

    assert (body["call"]["transcript"], body["call"]["timezone"]) == ("bot: hello", "Europe/Paris")
    assert body["call"]["custom_end_call_reason"] == "wrong person"
    assert {name: body[name] for name in ("analysis", "executed_actions", "collected_variables")} == {
        name: extra[name] for name in ("analysis", "executed_actions", "collected_variables")
    }


def test_what_is_no_json_and_no_text_does_not_hold_up_a_body() -> None:
    body = json.loads(post_call(finished(name="\ud83d", extra={"transcript": {1, 2}.__class__})))

    assert body["lead"]["name"] == "?"
    assert body["call"]["transcript"] == "<class 'set'>"


def test_an_event_says_what_happened_in_which_call() -> None:
    record = finished()
    (_, answered) = happenings("started", "answered")

    assert json.loads(call_event(record, answered, event_id="evt_c1_1")) == {
        "event": "call_event",
        "event_id": "evt_c1_1",
        "call_event": {
            "name": "answered",
            "at": "2026-03-01T12:00:01.250Z",
            "details": {"n": 1},
            "call_id": "c1",
            "model_id": "desk",
            "type_of_call": "inbound",
            "phone_number_from": "+12065550199",
            "phone_number_to": "2065550100",
            "external_id": "ext-9",
        },
    }
