from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sipflow.calls.transfer.hours import Hours, read_hours
from sipflow.errors import LocalProtocolError

BERLIN = ZoneInfo("Europe/Berlin")


def hours(*days: tuple[str, str, str]) -> Hours:
    schedule = [{"weekday": day, "interval": [{"from": opens, "to": closes}]} for day, opens, closes in days]
    return read_hours("Europe/Berlin", schedule)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_without_any_hours_somebody_is_always_there() -> None:
    assert hours().open_at(at("2026-11-21T03:00"))


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-23T08:59", False),
        ("2026-11-23T09:00", True),
        ("2026-11-23T17:29", True),
        ("2026-11-23T17:30", False),
        ("2026-11-24T10:00", False),
    ],
)
def test_a_day_opens_on_the_minute_and_closes_on_the_minute(moment: str, is_open: bool) -> None:
    assert hours(("monday", "09:00", "17:30")).open_at(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [("2026-11-27T23:00", True), ("2026-11-28T05:59", True), ("2026-11-28T06:00", False), ("2026-11-27T05:00", False)],
)
def test_a_span_may_go_on_after_midnight(moment: str, is_open: bool) -> None:
    assert hours(("friday", "22:00", "06:00")).open_at(at(moment)) is is_open


def test_a_whole_day_is_from_midnight_to_midnight() -> None:
    for closes in ("24:00", "00:00"):
        whole = hours(("sunday", "00:00", closes))
        assert [whole.open_at(at(f"2026-11-22T{clock}")) for clock in ("00:00", "12:00", "23:59")] == [True] * 3
        assert not whole.open_at(at("2026-11-23T00:00"))


def test_the_clock_is_the_zones_whatever_zone_now_is_in_and_whatever_the_season() -> None:
    nine = hours(("monday", "09:00", "10:00"), ("tuesday", "09:00", "10:00"))
    assert nine.open_at(datetime(2026, 11, 23, 8, 30, tzinfo=UTC))  # CET
    assert nine.open_at(datetime(2026, 7, 6, 7, 30, tzinfo=UTC))  # CEST
    assert not nine.open_at(datetime(2026, 7, 6, 8, 30, tzinfo=UTC))


def test_the_next_opening_is_told_in_utc() -> None:
    weekdays = hours(("monday", "09:00", "17:00"), ("friday", "09:00", "17:00"))
    assert weekdays.next_open(at("2026-11-21T12:00")) == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    assert weekdays.next_open(at("2026-11-23T18:00")) == datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
    assert weekdays.next_open(at("2026-11-27T18:00")) == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    assert weekdays.next_open(at("2026-11-23T10:00")) == at("2026-11-23T10:00")


def test_in_the_hour_that_is_left_out_in_spring_it_opens_when_the_clock_is_put_on() -> None:
    half_past_two = hours(("sunday", "02:30", "06:00"))
    assert half_past_two.next_open(at("2026-03-28T12:00")) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert half_past_two.next_open(datetime(2026, 3, 29, 0, 59, 59, 500, tzinfo=UTC)) == datetime(
        2026, 3, 29, 1, 0, tzinfo=UTC
    )
    within = hours(("sunday", "02:10", "02:50"))
    assert within.next_open(at("2026-03-28T12:00")) is None
    assert within.next_open(at("2026-03-29T12:00")) == datetime(2026, 4, 5, 0, 10, tzinfo=UTC)


def test_in_the_hour_that_comes_twice_in_autumn_it_opens_twice() -> None:
    half_past_two = hours(("sunday", "02:30", "06:00"))
    assert half_past_two.next_open(at("2026-10-24T12:00")) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert half_past_two.next_open(datetime(2026, 10, 25, 1, 10, tzinfo=UTC)) == datetime(
        2026, 10, 25, 1, 30, tzinfo=UTC
    )
    until_half_past = hours(("sunday", "01:00", "02:30"))
    assert until_half_past.next_open(datetime(2026, 10, 25, 0, 45, tzinfo=UTC)) == datetime(
        2026, 10, 25, 1, 0, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("zone", "day", "says"),
    [
        ("Europe/Nowhere", {}, "timezone: 'Europe/Nowhere' is no IANA time zone; write one such as Europe/Berlin"),
        ("../../etc/passwd", {}, "timezone: '../../etc/passwd' is no IANA time zone; write one such as Europe/Berlin"),
        (
            "UTC",
            {"weekday": "moonday"},
            "schedule: weekday 'moonday' is none of monday, tuesday, wednesday, thursday, friday, saturday, sunday",
        ),
        (
            "UTC",
            {"weekday": "monday", "interval": [{"from": "9", "to": "17:00"}]},
            "schedule: from of monday must be a time such as 09:00, not '9'",
        ),
        (
            "UTC",
            {"weekday": "monday", "interval": "all"},
            "schedule: the interval of monday must be a list of from and to",
        ),
        ("UTC", {"weekday": "monday", "interval": ["x"]}, "schedule: an interval of monday must have from and to"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_field(zone: str, day: dict[str, object], says: str) -> None:
    with pytest.raises(LocalProtocolError) as error:
        read_hours(zone, [day] if day else [])
    assert str(error.value) == says
