import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.scalars import (
    parse_content_length,
    parse_expires,
    parse_max_forwards,
    parse_min_expires,
    parse_number,
    parse_retry_after,
)

NO_NUMBERS = ["", "+5", "-5", "1_0", "٣", "²", "0x1", "1.5", "five", " 5", "5 "]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_only_ascii_digits_are_a_number(value: str) -> None:
    assert parse_number(value, 1000) is None


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("0068", 68), ("0" * 5000 + "7", 7), ("999", 999)])
def test_leading_zeros_do_not_count(value: str, number: int) -> None:
    assert parse_number(value, 1000) == number


@pytest.mark.parametrize("value", ["1000", "1001", "9" * 12, "9" * 5000])
def test_a_number_at_its_limit_is_refused(value: str) -> None:
    assert parse_number(value, 1000) is None


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_every_number_below_its_limit_is_read(number: int, limit: int) -> None:
    assert parse_number(str(number), limit) == (number if number < limit else None)


def test_max_forwards_above_255_is_as_if_absent() -> None:
    assert [parse_max_forwards(value) for value in ("0", "70", "255", "256", "9" * 5000)] == [0, 70, 255, None, None]


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_max_forwards_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_max_forwards(value)


def test_expires_is_3600_when_it_is_malformed_or_absurd() -> None:
    assert [parse_expires(value) for value in ("0", "60", "4294967295", "4294967296", "9" * 5000, "soon", "-1")] == [
        0,
        60,
        4294967295,
        3600,
        3600,
        3600,
        3600,
    ]
    assert [parse_min_expires(value) for value in ("60", "soon", "9" * 50)] == [60, None, None]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("18000;duration=3600", 18000),
        ("120 (I'm in a meeting)", 120),
        ("5", 5),
        ("949302838503028349304023988", None),
        ("9" * 5000, None),
        ("-5", None),
        ("5x", None),
        ("1.5", None),
        ("", None),
        ("Fri, 01 Jan 2010 16:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_without_its_comment(value: str, seconds: int | None) -> None:
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize(("value", "length"), [("0", 0), ("65535", 65535), ("0000000000000100", 100)])
def test_content_length_is_read(value: str, length: int) -> None:
    assert parse_content_length(value, 65535) == length


@pytest.mark.parametrize("value", [*NO_NUMBERS, "5, 5", "5;5"])
def test_content_length_is_nothing_but_digits(value: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_content_length(value, 65535)
    assert caught.value.status == 400


@pytest.mark.parametrize("value", ["65536", "9" * 30, "9" * 5000])
def test_a_huge_content_length_is_too_large(value: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_content_length(value, 65535)
    assert caught.value.status == 413
