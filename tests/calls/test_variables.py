"""Variables of a call."""

import pytest

from sipflow.calls.variables import fill, party, printable, variables_of
from sipflow.sip.message import Headers, Request


def headers(*lines: tuple[str, str]) -> Headers:
    made = Headers()
    for name, value in lines:
        made.add_raw(f"{name}: {value}")
    return made


def test_x_headers_keep_name_and_case_and_repeats_are_joined() -> None:
    found = variables_of(headers(("X-One", "1"), ("x-two", "2"), ("X-One", "again"), ("Subject", "no")))

    assert found == {"X-One": "1, again", "x-two": "2"}


def test_session_of_x_ei_is_its_own_variable() -> None:
    assert variables_of(headers(("X-EI", "S.17;"))) == {"X-EI": "S.17;", "ei_session": "17"}


def test_diversion_and_its_like_are_kept_under_their_standard_name() -> None:
    found = variables_of(headers(("diversion", "<sip:1@h>"), ("P-ASSERTED-IDENTITY", "<sip:2@h>")))

    assert found == {"Diversion": "<sip:1@h>", "P-Asserted-Identity": "<sip:2@h>"}


def test_control_characters_and_endless_values_do_not_get_through() -> None:
    assert printable("a\x1b[31mb\x07" + "c" * 5000) == "a [31mb " + "c" * 2040


def test_party_is_the_unescaped_user_or_the_number() -> None:
    request = Request("INVITE", "sip:x@h")
    request.headers.add("From", "<sip:%2B1206@h>;tag=1")
    request.headers.add("To", "<tel:+1-206-555-0100>")

    assert (party(request, "From"), party(request, "To")) == ("+1206", "+1-206-555-0100")


def test_party_of_a_header_that_cannot_be_read_is_empty() -> None:
    request = Request("INVITE", "sip:x@h")
    request.headers.add_raw("From: <")

    assert party(request, "From") == ""


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("{caller}", "+12065550199"),
        ("from {caller} of {X-Customer}!", "from +12065550199 of 42!"),
        ("{nothing}", ""),
        ("{{caller}}", "{caller}"),
        ("{", "{"),
        ("{} {1} { caller }", "{} {1} { caller }"),
        ("{ei_session}", "a{b}"),
    ],
)
def test_variables_of_the_call_take_the_place_of_their_names(text: str, filled: str) -> None:
    known = {"caller": "+12065550199", "X-Customer": "42", "ei_session": "a{b}"}

    assert fill(text, known) == filled
