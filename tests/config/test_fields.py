from dataclasses import dataclass, field
from typing import Annotated

import pytest
from pydantic import ValidationError

from sipflow.config.fields import Texts, given, model_of, short_for
from sipflow.config.sentences import Model, keys_at


@dataclass(frozen=True)
class Settings:
    count: int = 3
    names: tuple[str, ...] = ()
    host: str | None = None
    made: tuple[str, ...] = field(default_factory=lambda: ("a",))
    hidden: int = 0


Read = model_of(Settings, without=frozenset({"hidden"}), extra=(str, "x"))


class Switched(Model):
    enabled: bool = True
    expires: int = 3


class Outer(Model):
    switched: Annotated[Switched | None, short_for("enabled")] = None
    texts: Texts = ()


def test_a_model_has_the_fields_and_defaults_of_the_settings() -> None:
    assert keys_at(Read) == ["extra", "count", "names", "host", "made"]
    assert Read().model_dump() == {"extra": "x", "count": 3, "names": (), "host": None, "made": ("a",)}


def test_only_what_the_file_sets_is_given() -> None:
    assert given(Read.model_validate({"count": "4", "names": "a"})) == {"count": 4, "names": ("a",)}


def test_a_model_refuses_other_keys() -> None:
    with pytest.raises(ValidationError):
        Read.model_validate({"hidden": "1"})


@pytest.mark.parametrize(("value", "expected"), [("a", ("a",)), (["a", "b"], ("a", "b")), (None, ()), ([], ())])
def test_one_value_stands_for_a_list_of_one(value: object, expected: tuple[str, ...]) -> None:
    assert Outer.model_validate({"texts": value}).texts == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("false", Switched(enabled=False)),
        ("true", Switched()),
        ({"expires": "5"}, Switched(expires=5)),
        (None, Switched()),
    ],
)
def test_one_value_stands_for_a_mapping(value: object, expected: Switched) -> None:
    assert Outer.model_validate({"switched": value}).switched == expected
