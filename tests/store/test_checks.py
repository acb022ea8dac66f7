"""What is refused before it reaches the store. How these read as answers is in test_directory.py."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.store import checks
from sipflow.store.entries import AgentEntry


@pytest.mark.parametrize(
    ("text", "provider", "name"),
    [
        ("+12065550100", "custom", "+12065550100"),
        ("+1 (206) 555-0100", "twilio", "+12065550100"),
        ("+442079460000", "zoom", "+442079460000"),
        ("4711", "zoom", "4711"),
        ("agent-7", "five9", "agent-7"),
    ],
)
def test_number_is_kept_as_e164_or_as_its_provider_has_it(text: str, provider: str, name: str) -> None:
    assert checks.number(text, provider) == name


@pytest.mark.parametrize(
    ("text", "provider", "sentence"),
    [
        ("12065550100", "custom", "phone_number: '12065550100' is not E.164: did you mean +12065550100?"),
        ("200", "custom", "phone_number: '200' is not E.164: + and country code, as in +12065550100"),
        ("+1206", "custom", "phone_number: '+1206' is not E.164"),
        ("", "custom", "phone_number: '' is not E.164"),
        ("a b", "zoom", "phone_number: 'a b' is not E.164"),
        ("x" * 41, "five9", f"phone_number: '{'x' * 40}' is not E.164"),
        ("+12065550100", "acme", "provider_name: 'acme' is not one of custom,"),
    ],
)
def test_other_numbers_are_refused(text: str, provider: str, sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        checks.number(text, provider)

    assert str(refusal.value).startswith(sentence)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"calls": 1}, "limits.calls: is unknown; there are max_calls, calls_per_second, calls_per_day"),
        ({"max_calls": 0}, "limits.max_calls: it must be a number above 0"),
        ({"max_calls": True}, "limits.max_calls: it must be a number above 0"),
        ({"calls_per_day": float("nan")}, "limits.calls_per_day: it must be a number above 0"),
        ({"max_calls": 1.5}, "limits.max_calls: it must be a whole number"),
    ],
)
def test_wrong_limits_are_refused(given: dict[str, float], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refusal:
        checks.limits(given)

    assert str(refusal.value) == sentence


@pytest.mark.parametrize("name", ["", "+12065550100", "a b", "-a", "x" * 65, "a\n"])
def test_trunks_name_is_a_word_that_is_no_number(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^name: "):
        checks.trunk_name(name)


def test_text_is_short_and_prints() -> None:
    assert checks.text("Línea 4", "friendly_name") == "Línea 4"
    for wrong in ("x" * 201, "a\nb", "a\0"):
        with pytest.raises(LocalProtocolError, match=r"^friendly_name: "):
            checks.text(wrong, "friendly_name")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": " "}, "name: is missing"),
        ({"type": "robot"}, "type: 'robot' is not one of inbound, outbound, widget"),
        ({"handler": ""}, "handler: is missing"),
        ({"handler": "x" * 201}, "handler: it is too long"),
        ({"options": {"x": object()}}, "options: they must be JSON values"),
        ({"fields": {"x": float("nan")}}, "fields: they must be JSON values"),
        ({"fields": {"x": "\0"}}, "fields: they hold a character NUL"),
        ({"fields": {"x": "y" * 300_000}}, "fields: they have 300009 characters; 262144 are allowed"),
    ],
)
def test_agent_with_a_wrong_field_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    good = AgentEntry("1", "Desk", "inbound", "echo", {}, {}, False, datetime(2026, 11, 21, tzinfo=UTC))
    with pytest.raises(LocalProtocolError) as refusal:
        checks.agent(replace(good, **wrong))

    assert str(refusal.value) == sentence
    assert checks.agent(replace(good, options={"a": (1, {})})).options == {"a": [1, {}]}
