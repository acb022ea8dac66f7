"""What each key of the configuration means, read off the docstrings of the models and settings that declare it."""

import inspect
import re
from typing import Any

from pydantic import BaseModel

_ATTRIBUTE = re.compile(r"^    ([a-z_0-9, ]+): +(.*(?:\n {8,}.*)*)", re.MULTILINE)


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return a sentence or two about each field of a model, by its name; a base's where the model has none of its own.

    A field's own `description` goes before the line about it under "Attributes:". What nobody has written about is
    left out.
    """
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        text = inspect.cleandoc(each.__dict__.get("__doc__") or "").partition("Attributes:\n")[2].partition("\n\n")[0]
        for names, meaning in _ATTRIBUTE.findall(text):
            found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    found |= {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: _sentence(found[name]) for name in model.model_fields if name in found}


def describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put the meaning of every key into the JSON Schema of a model, for editors to show."""
    said = meanings(model)
    for name, field in model.model_fields.items():
        below = schema.get("properties", {}).get(field.alias or name)
        if below is not None and name in said:
            below["description"] = said[name]


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
