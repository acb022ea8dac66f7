"""What the schema is made of: lists that may be one value, short forms, and models made from a room's settings."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_origin, get_type_hints

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from sipflow.config.sentences import Model


def _listed(value: object) -> object:
    return [] if value is None else [value] if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, eq=False)
class also:  # noqa: N801  (it stands in annotations, like a word)
    """Tell editors what else may stand there; whether it does, a validator beside it decides."""

    schema: JsonSchemaValue

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), self.schema]}


_ONE: JsonSchemaValue = {"type": "string"}
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed), also(_ONE)]  # one value stands for a list of one


@dataclass(frozen=True, slots=True)
class short_for:  # noqa: N801  (it stands in annotations, like a word)
    """Let one value stand for a mapping with it at `key`, and nothing for an empty mapping."""

    key: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._expand, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), _ONE]}

    def _expand(self, value: object) -> object:
        return {} if value is None else {self.key: value} if isinstance(value, str) else value


def model_of(settings: type[Any], *, without: frozenset[str] = frozenset(), **extra: tuple[Any, Any]) -> type[Model]:
    """Make the schema of a room's settings, so that a setting added there can be set at once.

    Args:
        settings: a dataclass.
        without: its fields that the file calls something else, or that are not for operators.
        extra: what the file has instead, as (annotation, default).
    """
    hints = get_type_hints(settings)
    own: dict[str, Any] = dict(extra)
    for each in fields(settings):
        if each.name in without:
            continue
        kind: Any = Texts if get_origin(hints[each.name]) is tuple else hints[each.name]
        default = each.default if each.default_factory is MISSING else each.default_factory()
        own[each.name] = (kind, default)
    model: type[Model] = create_model(settings.__name__ + "Model", __base__=Model, **own)
    model.__doc__ = settings.__doc__  # says what each key means
    return model


def given(model: Model) -> Mapping[str, Any]:
    """Return what the file sets of a model, by the name of the field; the rest is left to the room's own defaults."""
    return {name: getattr(model, name) for name in model.model_fields_set}
