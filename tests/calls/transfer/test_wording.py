import pytest

from sipflow.calls.identity import Caller
from sipflow.calls.transfer.wording import caller_for, check_caller_id, check_headers, fill_headers
from sipflow.errors import LocalProtocolError
from sipflow.testing import FakeCall

PERSON, OURS = "+12065550123", "+12065550100"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Subject", "x"),
        ("X-", "x"),
        ("X-A B", "x"),
        ("X-A:", "x"),
        ("X-A", "a\r\nVia: b"),
        ("X-A", "a\0"),
        ("X-Ä", "x"),
    ],
)
def test_only_x_headers_of_one_line_go_out_with_a_transfer(name: str, value: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^headers: "):
        check_headers({name: value})


def test_headers_are_filled_with_what_the_call_knows_and_empty_ones_are_left_out() -> None:
    call = FakeCall(
        headers={"X-Order": "77"}, variables={"plan": "gold", "evil": "a\r\nX-B: 1", "results.data.name": "Ada"}
    )
    templates = {
        "X-Order": "{X-Order}/{plan}",
        "X-Who": "{results.data.name} {from_phone_number} {to_phone_number} {call_id} {agent}",
        "X-Evil": "{evil}",
        "X-None": "{nothing}",
        "X-Brace": "{{plan}}",
    }
    check_headers(templates)

    assert fill_headers(templates, call) == {
        "X-Order": "77/gold",
        "X-Who": f"Ada {PERSON} {OURS} fake agent",
        "X-Evil": "a  X-B: 1",
        "X-Brace": "{plan}",
    }


@pytest.mark.parametrize(
    ("caller_id", "shown"),
    [
        ("", ""),
        ("original", PERSON),
        ("agent", OURS),
        ("+12065550155", "+12065550155"),
        ('"Desk" <sip:100@pbx.example.com>', '"Desk" <sip:100@pbx.example.com>'),
        ("header:X-Customer", "+4930123456"),
        ("header:P-Asserted-Identity", "+12065550188"),
        ("header:X-Missing", ""),
        ("header:X-Hostile", "a  X-Evil"),
    ],
)
def test_who_is_shown_is_the_caller_or_us_or_what_a_header_says(caller_id: str, shown: str) -> None:
    headers = {
        "X-Customer": "+4930123456",
        "P-Asserted-Identity": '"Ada" <sip:+12065550188@carrier.example>',
        "X-Hostile": "<sip:a%0d%0aX-Evil%00@carrier.example>",
    }
    call = FakeCall(headers=headers)

    check_caller_id(caller_id)
    assert caller_for(call, caller_id, OURS) == Caller(OURS, original=PERSON, shown=shown)


def test_of_a_call_out_the_person_is_whom_we_called() -> None:
    call = FakeCall(direction="outbound", caller=OURS, callee=PERSON)
    assert caller_for(call, "original", OURS).shown == PERSON


@pytest.mark.parametrize("caller_id", ["a\r\nb", "header:", "x" * 300])
def test_a_caller_id_that_can_be_nobodys_is_refused(caller_id: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^caller_id: "):
        check_caller_id(caller_id)
