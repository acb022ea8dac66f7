"""Digits in INFO, as the world sends them."""

import pytest

from sipflow.sip.dtmf_info import PLAIN, RELAY, InfoDigit, read_digit, write_digit
from sipflow.sip.message import Request


def info(body: bytes, content_type: str) -> Request:
    request = Request("INFO", "sip:b")
    if content_type:
        request.headers.add("Content-Type", content_type)
    request.body = body
    return request


@pytest.mark.parametrize(
    ("body", "digit"),
    [
        (b"Signal=5\r\nDuration=160\r\n", InfoDigit("5", 160)),
        (b"Signal= 5\r\nDuration= 160", InfoDigit("5", 160)),
        (b"SIGNAL = *\nduration=250\n", InfoDigit("*", 250)),
        (b"Duration=100\r\nSignal=#\r\n", InfoDigit("#", 100)),
        (b"signal=a", InfoDigit("A")),
        (b"Signal=10\r\n", InfoDigit("*")),
        (b"Signal=11\r\n", InfoDigit("#")),
        (b"Signal=15\r\n", InfoDigit("D")),
        (b"Signal=7;Duration=80", InfoDigit("7", 80)),
        (b"Signal: 3\r\nDuration: 60", InfoDigit("3", 60)),
        (b"Signal=1\r\nDuration=forever", InfoDigit("1")),
        (b"Signal=1\r\nDuration=999999999", InfoDigit("1", 60_000)),
        (b"5", InfoDigit("5")),  # one body under the other's type
    ],
)
def test_a_dtmf_relay_body_is_read_as_it_comes(body: bytes, digit: InfoDigit) -> None:
    assert read_digit(info(body, RELAY)) == digit


@pytest.mark.parametrize(
    ("body", "digit"),
    [(b"5", "5"), (b"5\r\n", "5"), (b" # ", "#"), (b"b", "B"), (b"10", "*"), (b"11\r\n", "#"), (b"Signal=9\r\n", "9")],
)
def test_a_dtmf_body_is_a_bare_digit(body: bytes, digit: str) -> None:
    assert read_digit(info(body, PLAIN)) == InfoDigit(digit)


def test_the_type_is_matched_without_regard_to_case_or_parameters() -> None:
    assert read_digit(info(b"1", "Application/DTMF; charset=utf-8")) == InfoDigit("1")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"Signal=16\r\n", RELAY),  # hook flash
        (b"Signal=!\r\n", RELAY),
        (b"Signal=hf", RELAY),
        (b"Signal=", RELAY),
        (b"Signal=12345", RELAY),
        (b"", RELAY),
        (b"", PLAIN),
        (b"123", PLAIN),
        (b"\xff\x00\xb2", PLAIN),
        ("\u0665".encode(), PLAIN),
        (b"5" * 600, PLAIN),
        (b"Signal=" + b" " * 490 + b"=", RELAY),
        (b"Signal=5", "text/plain"),
        (b"Signal=5", ""),
        (b"Signal=5", "not a type"),
    ],
)
def test_what_is_no_digit_is_none(body: bytes, content_type: str) -> None:
    assert read_digit(info(body, content_type)) is None


def test_what_we_write_is_what_others_read() -> None:
    assert write_digit("a", duration_ms=100) == b"Signal=A\r\nDuration=100\r\n"
    assert read_digit(info(write_digit("*", duration_ms=100), RELAY)) == InfoDigit("*", 100)
