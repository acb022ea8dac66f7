from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from sipflow.api.models.numbers import ChangeNumber, ImportNumber, Registration
from sipflow.trunks.snapshot import OFF, RegistrationSnapshot

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", ["termination_uri", "sip_term_uri", "sip_domain"])
def test_the_domain_is_found_under_each_of_its_names(name: str) -> None:
    assert ChangeNumber.model_validate({name: "pbx.example.com"}).domain == "pbx.example.com"


def test_names_of_one_field_may_say_the_same() -> None:
    both = {"sip_domain": "a.example.com", "termination_uri": "a.example.com", "sip_term_uri": ""}

    assert ChangeNumber.model_validate(both).domain == "a.example.com"
    assert ChangeNumber.model_validate({}).domain is None


def test_no_password_stands_in_a_repr() -> None:
    assert "a secret" not in repr(ImportNumber.model_validate({"phone_number": "+1", "trunk_pwd": "a secret"}))


@pytest.mark.parametrize(
    "limits", [{"max_calls": 0}, {"max_calls": 1.5}, {"calls_per_second": 0}, {"calls_per_day": -1}]
)
def test_limits_are_above_nothing(limits: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ChangeNumber.model_validate({"limits": limits})


def test_a_registration_is_shown_as_it_stands() -> None:
    shown = Registration.of(RegistrationSnapshot("registered", "calls reach us", until=AT))

    assert shown == Registration(state="registered", why="calls reach us", until=AT, retry_at=None)
    assert Registration.of(OFF).state == "off"
