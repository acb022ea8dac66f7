from typing import Annotated

from pydantic import Field

from sipflow.config.meanings import describe, meanings
from sipflow.config.sentences import Model


class Base(Model):
    """What all have.

    Attributes:
        host, port: where it is: one or
            the other.
        weight: of it
    """

    host: str = ""
    port: int = 0
    weight: float = 0.0
    silent: str = ""


class Below(Base):
    """One of them.

    Attributes:
        weight: in kilograms.
        passed: what crosses.

    Nothing: here.
    """

    passed: str = Field(default="", alias="pass")
    said: Annotated[str, Field(description="by itself")] = ""


def test_the_meaning_of_a_key_is_the_line_about_it_in_the_docstring() -> None:
    assert meanings(Below) == {
        "host": "where it is: one or the other.",
        "port": "where it is: one or the other.",
        "weight": "in kilograms.",
        "passed": "what crosses.",
        "said": "by itself.",
    }
    assert list(meanings(Base)) == ["host", "port", "weight"]


def test_a_json_schema_has_the_meanings_under_the_names_of_the_file() -> None:
    schema = {"properties": {"pass": {}, "silent": {}, "weight": {"type": "number"}}}
    describe(schema, Below)

    assert schema["properties"] == {
        "pass": {"description": "what crosses."},
        "silent": {},
        "weight": {"type": "number", "description": "in kilograms."},
    }
