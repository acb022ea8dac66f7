import pytest

from sipflow.daemon.log_masks import hide_numbers, mask_numbers


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+12065550100", "+120***00"),
        ("12065550100", "120***00"),
        ("sip:+12065550100@pbx.example.com;user=phone", "sip:+120***00@pbx.example.com;user=phone"),
        ("from +12065550100 to +442071838750.", "from +120***00 to +442***50."),
        ("5550100", "555***00"),
        ("extension 200, line 4, 404 Not Found", "extension 200, line 4, 404 Not Found"),
        ("udp:203.0.113.5:5060", "udp:203.0.113.5:5060"),
        ("z9hG4bK5f3c9a1be0d24c77 a12345678b", "z9hG4bK5f3c9a1be0d24c77 a12345678b"),
    ],
)
def test_the_middle_of_a_number_is_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert hide_numbers(text) == shown


def test_every_value_of_a_line_is_masked_but_ids_and_digits_are_hidden_whole() -> None:
    line = {
        "event": "call of +12065550100",
        "call": "1234567890123456",
        "digit": "5",
        "digits": "1234",
        "steps": ["Request-URI says +12065550100"],
        "status": 404,
        "more": {"to": "12065550100"},
    }

    assert mask_numbers(None, "info", line) == {
        "event": "call of +120***00",
        "call": "1234567890123456",
        "digit": "***",
        "digits": "***",
        "steps": ["Request-URI says +120***00"],
        "status": 404,
        "more": {"to": "120***00"},
    }
