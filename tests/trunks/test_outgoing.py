"""Settings of calls out of a trunk."""

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.numbers.writing import FORMS
from sipflow.trunks.outgoing import NUMBER_FORMS, OutboundSettings


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"identity": "pai"}, "outbound.identity: 'pai' is not one of none, asserted, preferred, remote_party"),
        ({"redirects": "yes"}, "outbound.redirects: 'yes' is not one of reject, same_host, known_trunks, anywhere"),
        ({"ring_s": 0.0}, "outbound.ring_s: 0.0 is not in 1..3600 seconds"),
        ({"silent_s": 33.0}, "outbound.silent_s: 33.0 is not in 0.5..32 seconds"),
        ({"max_redirects": 11}, "outbound.max_redirects: 11 is not in 0..10"),
        ({"failover": ("b", "b")}, "outbound.failover: it names a trunk twice"),
        ({"caller_id": ""}, "outbound.caller_id: it is empty; write number, original, or a number to show"),
        (
            {"prefix": "9\r\n"},
            "outbound.prefix: it is too long, or holds a character that does not print",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_name(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as told:
        OutboundSettings(**fields)  # type: ignore[arg-type]

    assert str(told.value) == sentence


def test_numbers_can_be_written_in_every_form_that_a_trunk_may_ask_for() -> None:
    assert NUMBER_FORMS == FORMS
