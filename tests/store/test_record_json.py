"""Records as text and back."""

import json
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.calls.record import CallRecord, Happening, Quality
from sipflow.store.record_json import from_json, history_json, in_utc, time_text, to_json
from tests.store.records import BEGUN, OVER, STARTED

# What JSON can hold, broken UTF-8 from the wire among it.
TEXTS = st.text(st.characters(codec=None), max_size=20) | st.just('\udcff\x00\n\t"\\')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=8,
)


def there_and_back(record: CallRecord) -> CallRecord:
    return from_json(to_json(record), history_json(record))


def test_the_sample_has_a_value_in_every_field() -> None:
    """So that a field that is added to records is not forgotten here."""
    unset = [
        each.name
        for each in fields(CallRecord)
        if each.default is not MISSING and getattr(OVER, each.name) == each.default
    ]

    assert unset == []


def test_every_field_comes_back() -> None:
    assert there_and_back(OVER) == OVER
    assert there_and_back(BEGUN) == BEGUN


def test_it_is_one_line_of_ascii_without_tabs() -> None:
    record = replace(OVER, from_number="a\nb\tc\udcff", name="\x00é")

    for text in (to_json(record), history_json(record)):
        assert text.isascii()
        assert text.isprintable()
    assert there_and_back(record) == record


@settings(max_examples=40, deadline=None)
@given(
    name=TEXTS,
    variables=st.dictionaries(TEXTS, TEXTS),
    extra=st.dictionaries(TEXTS, VALUES),
    details=st.dictionaries(TEXTS, VALUES),
)
def test_whatever_is_json_comes_back(
    name: str, variables: dict[str, str], extra: dict[str, object], details: dict[str, object]
) -> None:
    history = (Happening(STARTED, name, details),)
    record = replace(OVER, name=name, variables=variables, extra=extra, history=history)

    assert there_and_back(record) == record


def test_what_is_no_json_is_kept_as_well_as_can_be() -> None:
    circle: list[object] = []
    circle.append(circle)
    extra = {"set": {1}, "when": STARTED, "worst": float("nan"), "what": ValueError("no"), "circle": circle}

    back = there_and_back(replace(OVER, extra=extra, quality=Quality(float("inf"), 1.0, 2.0, 4.0)))

    assert back.extra is not None
    assert {**back.extra, "circle": "..."} == {
        "set": [1], "when": "2024-05-01T12:00:00+00:00", "worst": None, "what": "no", "circle": "..."
    }  # fmt: skip
    assert back.quality == Quality(None, 1.0, 2.0, 4.0)  # type: ignore[arg-type]


def test_times_are_utc_whatever_zone_they_were_told_in() -> None:
    berlin = timezone(timedelta(hours=2))

    assert time_text(STARTED.astimezone(berlin)) == "2024-05-01T12:00:00+00:00"
    assert time_text(datetime(2024, 5, 1, 12, 0, 0, 5)) == "2024-05-01T12:00:00.000005+00:00"  # noqa: DTZ001
    assert in_utc(STARTED.astimezone(berlin)).tzinfo is UTC


@settings(deadline=None)
@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=5), st.datetimes(timezones=st.just(UTC)))
def test_times_are_written_as_python_writes_them_whatever_was_written_before(
    before: list[datetime], at: datetime
) -> None:
    for each in [*before, at, at.replace(microsecond=0), at.replace(microsecond=999_999)]:
        assert time_text(each) == each.isoformat()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"id":"1"}', to_json(OVER)[:-40], to_json(OVER).replace("hung_up", "sung_up")],
)
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_json(text)


def test_what_is_not_set_takes_no_room() -> None:
    assert sorted(json.loads(to_json(BEGUN))) == [
        "agent", "direction", "from_number", "id", "number", "sip_call_id", "started_at", "to_number", "trunk",
    ]  # fmt: skip
