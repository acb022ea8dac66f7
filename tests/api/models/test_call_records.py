import json
from datetime import UTC, datetime, timedelta

from sipflow.api.models.call_records import item, shown, talk_s
from sipflow.calls.ending import Ending
from sipflow.calls.record import Attempt, CallRecord, Quality

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def call(**changes: object) -> CallRecord:
    record = CallRecord("c0ffee", "sip", "inbound", "+12065550199", "+12065550100", "pbx", "+12065550100", "desk", NOON)
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def finished() -> CallRecord:
    return call(
        direction="outbound",
        from_number="+12065550100",
        to_number="+12065550123",
        ringing_at=NOON + timedelta(seconds=1),
        answered_at=NOON + timedelta(seconds=4),
        ended_at=NOON + timedelta(seconds=94.6),
        ending=Ending.of("remote", 200, "the far end hung up"),
        name="Ada",
        variables={"a": "x"},
        quality=Quality(0.5, 3.25, None, 4.2),
        attempts=(Attempt("pbx", "udp:10.0.0.5:5060", 200, "answered", NOON, NOON + timedelta(seconds=4)),),
        recording="recordings/c0ffee.wav",
        recording_s=90.5,
        extra={
            "timezone": "Europe/Paris",
            "labels": ["a"],
            "custom_end_call_reason": "done",
            "transcript": "bot: hello",
            "collected_variables": {"desk": {"age": {"value": 7, "collected": True}}},
        },
    )


def test_a_finished_call_has_every_figure_in_the_unit_of_the_reference() -> None:
    one = shown(finished(), now=NOON, base_url="https://sip.example.com").model_dump()

    assert {name: one[name] for name in (
        "duration", "recording_duration", "telephony_duration", "telephony_ringing_duration", "start_time",
        "telephony_start", "telephony_end", "recording_url", "timezone", "labels", "custom_end_call_reason",
        "lead_phone_number", "agent_phone_number", "lead_name", "prompt_variables", "transcript", "collected_variables",
    )} == {
        "duration": 91,
        "recording_duration": 90.5,
        "telephony_duration": 94600,
        "telephony_ringing_duration": 3000,
        "start_time": "1795262400000",
        "telephony_start": "2026-11-21T12:00:00+00:00",
        "telephony_end": "2026-11-21T12:01:34.600000+00:00",
        "recording_url": "https://sip.example.com/v2/calls/c0ffee/recording",
        "timezone": "Europe/Paris",
        "labels": ["a"],
        "custom_end_call_reason": "done",
        "lead_phone_number": "+12065550123",
        "agent_phone_number": "+12065550100",
        "lead_name": "Ada",
        "prompt_variables": {"a": "x"},
        "transcript": "bot: hello",
        "collected_variables": {"desk": {"age": {"value": 7, "collected": True}}},
    }  # fmt: skip
    assert one["sipflow"]["quality"] == {"loss_percent": 0.5, "jitter_ms": 3.25, "round_trip_ms": None, "mos": 4.2}
    assert one["sipflow"]["attempts"][0]["target"] == "udp:10.0.0.5:5060"


def test_a_live_call_has_a_duration_so_far_and_no_end() -> None:
    record = call(answered_at=NOON + timedelta(seconds=2))
    live = item(record, now=NOON + timedelta(seconds=62.2), base_url="").model_dump()

    assert (live["call_status"], live["duration"], live["telephony_end"]) == ("in-progress", 60, None)
    assert (live["sipflow"]["live"], live["sipflow"]["ending"], live["end_call_reason"]) == (True, None, None)


def test_a_status_and_an_error_may_be_given_from_outside() -> None:
    one = shown(call(), now=NOON, base_url="", status="registered", error="it never came")

    assert (one.status, one.error_message) == ("registered", "it never came")


def test_talk_is_counted_from_the_answer_and_never_below_nothing() -> None:
    assert talk_s(call(), NOON) == 0.0
    assert talk_s(call(answered_at=NOON), NOON + timedelta(seconds=5)) == 5.0
    assert talk_s(call(answered_at=NOON), NOON - timedelta(seconds=5)) == 0.0


def test_what_an_agent_left_with_a_live_call_is_told_as_it_will_be_kept_whatever_it_is() -> None:
    left = {"at": NOON, "worst": float("nan"), "what": {1}, "nul": "a\x00b"}
    record = call(extra={"executed_actions": left, "collected_variables": left, "transcript": object()})
    one = json.loads(item(record, now=NOON, base_url="").model_dump_json())
    kept = {"at": "2026-11-21T12:00:00+00:00", "worst": None, "what": [1], "nul": "a\ufffdb"}

    assert (one["executed_actions"], one["collected_variables"], one["transcript"]) == (kept, kept, None)
