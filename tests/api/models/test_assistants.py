import pytest
from pydantic import ValidationError

from sipflow.api.models.assistants import AgentSettings, AttachNumbers, CreateAssistant


def test_what_we_do_not_know_of_an_agent_is_kept() -> None:
    settings = AgentSettings.model_validate({"llm": "gpt-5", "brand_new": {"a": [1]}})

    assert settings.model_dump(exclude_unset=True) == {"llm": "gpt-5", "brand_new": {"a": [1]}}


@pytest.mark.parametrize("value", ["a\0b", float("inf"), "half \ud800"])
def test_what_no_database_keeps_is_refused_there_too(value: object) -> None:
    with pytest.raises(ValidationError):
        AgentSettings.model_validate({"brand_new": value})


@pytest.mark.parametrize(("name", "good"), [("Europe/Berlin", True), ("UTC", True), ("Europe/Atlantis", False)])
def test_a_time_zone_must_be_one(name: str, good: bool) -> None:
    try:
        AgentSettings.model_validate({"timezone": name})
    except ValidationError:
        assert not good
    else:
        assert good


def test_options_stand_in_no_repr() -> None:
    body = {"type": "inbound", "name": "x", "options": {"url": "wss://a secret"}}

    assert "a secret" not in repr(CreateAssistant.model_validate(body))


def test_numbers_are_named_in_one_way() -> None:
    assert AttachNumbers.model_validate({"phone_numbers": ["+1206"]}).named == ["+1206"]
    assert AttachNumbers.model_validate({"phone_number_slugs": ["1206"], "phone_numbers": None}).named == ["1206"]
    with pytest.raises(ValidationError, match="not both and not none"):
        AttachNumbers.model_validate({})
