import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sipflow.api.models.values import Id, Json, Line, Name, Phone, Url, Words, storable


def taken(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Line, ["", "x" * 200, "Grüße"], ["x" * 201, "a\nb", "a\0b", "a\u2028b"]),
        (Words, ["", "a\nb\tc", "x" * 20_000], ["a\0b", "x" * 20_001]),
        (Phone, ["+12065550100", "*21#"], ["", "x" * 41, "+1\r\n2"]),
        (Url, ["", "https://example.com/a?b=c", "http://[::1]:80/"], ["ftp://example.com", "https://a b", "https://"]),
        (Name, ["pbx", "+12065550100", "a.b-c_d"], ["", "two words", "a/b", "x" * 65]),
        (Id, ["0ae2859d-c25c", "front desk"], ["", "a\nb", "é", "x" * 81]),
    ],
)
def test_texts_are_bounded_and_fit_where_they_go(kind: Any, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not taken(kind, value)] == []
    assert [value for value in bad if taken(kind, value)] == []


def test_a_line_loses_the_space_around_it() -> None:
    assert TypeAdapter(Line).validate_python("  pbx.example.com ") == "pbx.example.com"


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "half \udc00", {"a\0b": 1}, json.loads("[" * 30 + "]" * 30), list(range(6000))],
)
def test_values_that_no_database_keeps_are_refused(value: object) -> None:
    assert not taken(Json, value)


def test_every_other_json_value_passes_whole() -> None:
    value = {"a": [1, 2.5, None, True, "Grüße\n"], "b": {"c": {}}}

    assert storable(value) == value
