"""Says what pydantic found wrong in the words of the configuration: no type names, no secret, the nearest valid key."""

import re
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails

from sipflow.config.meanings import describe
from sipflow.config.problems import nearest, shown, suggestion
from sipflow.config.tree import Leaf, Node
from sipflow.config.walk import masked, written

MAPPING = "must be a mapping: lines of key: value"
_BOOL = "must be true or false"
_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_LIST = "must be a list"
_KINDS = {
    "bool_parsing": _BOOL,
    "bool_type": _BOOL,
    "dict_type": MAPPING,
    "finite_number": _NUMBER,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "list_type": _LIST,
    "missing": "is missing",
    "model_attributes_type": MAPPING,
    "model_type": MAPPING,
    "string_type": "must be one value, not a list or a mapping",
    "tuple_type": _LIST,
}


class Model(BaseModel):
    """Base of the schema: unknown keys are errors, and no message quotes a value."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False, json_schema_extra=describe
    )


def sentence(detail: ErrorDetails, node: Node, model: type[Model]) -> str:
    """Return what is wrong with `node` and what would be right.

    Args:
        detail: one of pydantic's, made without the input.
        node: the value, or the nearest one above it that the file has.
        model: what the whole was read as.
    """
    kind, context = detail["type"], detail.get("ctx", {})
    keys = tuple(str(part) for part in detail["loc"])
    if kind == "extra_forbidden":
        return "unknown key" + suggestion(keys[-1], keys_at(model, keys[:-1]))
    if kind == "missing":
        return _KINDS[kind]
    if isinstance(node, Leaf) and node.text is None:
        return "has no value"
    if kind == "value_error":
        return masked(str(context["error"]), node)
    if kind == "literal_error":
        return _one_of(re.findall(r"'([^']*)'", str(context["expected"])), written(node))
    text = _KINDS.get(kind) or re.sub(r"^.*?\bshould\b", "must", str(detail["msg"]))
    return f"{text}, not {shown(written(node))!r}" if written(node) and kind != "string_type" else text


def keys_at(model: type[BaseModel], keys: Iterable[str] = ()) -> list[str]:
    """Return the valid keys of the mapping at `keys` below `model`."""
    found: type[BaseModel] | None = model
    for key in keys:
        fields = found.model_fields.items() if found else ()
        found = next((_model_in(field.annotation) for name, field in fields if (field.alias or name) == key), None)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _one_of(valid: list[str], wrong: str) -> str:
    names = ", ".join(valid[:-1]) + (" or " if len(valid) > 1 else "") + valid[-1]
    near = nearest(wrong, valid)
    return (
        f"must be {names}" + (f", not {shown(wrong)!r}" if wrong else "") + (f"; did you mean {near}?" if near else "")
    )


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model in an annotation, also in one such as `Tls | None`."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
