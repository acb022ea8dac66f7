"""The whole schema at a glance: every key with its type, its default and its meaning, and a JSON Schema for editors.

Nothing is written down twice: keys, types, bounds and defaults are those of the models that read the file, and each
meaning is the line about the key in the docstring of its model, or of the settings that the model is made of.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sipflow.config.agent_section import AgentModel, ConductModel, HookModel
from sipflow.config.api_section import ApiModel
from sipflow.config.call_section import CallsModel, LogModel, TopModel
from sipflow.config.fields import short_for
from sipflow.config.limit_section import LimitsModel
from sipflow.config.meanings import meanings
from sipflow.config.media_section import MediaModel
from sipflow.config.number_section import NumberModel
from sipflow.config.pool_section import PoolModel
from sipflow.config.recording_section import RecordingModel
from sipflow.config.resolve import is_secret
from sipflow.config.sip_section import SipModel
from sipflow.config.store_section import StoreModel
from sipflow.config.toll_section import TollsModel
from sipflow.config.trace_section import TraceModel
from sipflow.config.trunk_section import TRUNK_KEYS, TrunkModel
from sipflow.config.webhook_section import WebhookModel

Models = tuple[type[BaseModel], ...]

# What the file holds, in the order in which it is best read. `<...>` stands for names that the operator chooses.
FILE: Mapping[str, Models] = {
    "trunks.<name>": (TrunkModel,),
    "numbers.<number>": (NumberModel,),
    "agents.<name>": (AgentModel, ConductModel, HookModel),
    "pools.<name>": (PoolModel,),
    "sip": (SipModel,),
    "media": (MediaModel,),
    "calls": (CallsModel,),
    "limits": (LimitsModel,),
    "tolls": (TollsModel,),
    "webhooks": (WebhookModel,),
    "recordings": (RecordingModel,),
    "store": (StoreModel,),
    "api": (ApiModel,),
    "trace": (TraceModel,),
    "log": (LogModel,),
    "": (TopModel,),
}
_ALSO = {"numbers.<number>": TRUNK_KEYS}  # a number may have a trunk of its own: these keys are told once
_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the file.

    Attributes:
        path: as in errors, with `<name>` where the operator chooses: `trunks.<name>.register.expires`.
        kind: what may stand there, in words.
        default: what it is when nothing is said, as YAML; "" for nothing.
        meaning: a sentence or two; "" if nobody has written one.
        default_value: the default itself.
        choices: the only words that may stand there, if it has such.
        is_mapping: it has keys of its own, which follow.
    """

    path: str
    kind: str
    default: str
    meaning: str
    default_value: object = None
    choices: tuple[str, ...] = ()
    is_mapping: bool = False


def keys() -> Iterator[Key]:
    """Yield every key that a file may have, section by section; a trunk's keys are not repeated for numbers."""
    for section, models in FILE.items():
        for model in models:
            yield from _keys_of(model, section, without=_ALSO.get(section, frozenset()))


def json_schema() -> dict[str, Any]:
    """Return the schema of a configuration file for editors (JSON Schema, draft 2020-12).

    Values may be variables, numbers may be in quotes and text need not be, as in the file itself. What a built-in
    handler or a function takes beside an agent's own keys is not in it.
    """
    fields: dict[str, Any] = {}
    for section, models in FILE.items():
        name, dot, _ = section.partition(".")
        if name:
            made = models[0] if len(models) == 1 else create_model(f"{models[0].__name__}s", __base__=models)
            fields[name] = (dict[str, made] if dot else made, {})  # type: ignore[valid-type]
    schema = create_model("File", __base__=TopModel, **fields).model_json_schema(by_alias=True)
    for name, below in schema["$defs"].items():
        below.pop("description", None)
        if name.startswith(AgentModel.__name__):
            below["additionalProperties"] = True
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_loosened(schema),
        "title": "A configuration of sipflow",
    }


def _keys_of(model: type[BaseModel], path: str, *, without: frozenset[str] = frozenset()) -> Iterator[Key]:
    said = meanings(model)
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in without:
            continue
        whole = f"{path}.{key}" if path else key
        below, named = _model_in(field.annotation)
        yield Key(
            whole,
            _kind(field, secret=is_secret(*whole.split(".")), mapping=below is not None),
            _default(field, mapping=below is not None),
            said.get(name, ""),
            None if field.default is PydanticUndefined else field.default,
            _choices(field.annotation),
            below is not None,
        )
        if below is not None:
            yield from _keys_of(below, f"{whole}.<number>" if named else whole)


def _model_in(annotation: object) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that a field holds, and whether it holds several by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is dict:
        found = get_args(annotation)[1]
        return (found, True) if isinstance(found, type) and issubclass(found, BaseModel) else (None, False)
    if get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            found, named = _model_in(each)
            if found is not None:
                return found, named
    return None, False


def _plain(annotation: object) -> object:
    """Return an annotation without `| None` and without what hangs on it."""
    if get_origin(annotation) in (Union, UnionType):
        return _plain(next(each for each in get_args(annotation) if each is not type(None)))
    return _plain(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else annotation


def _choices(annotation: object) -> tuple[str, ...]:
    plain = _plain(annotation)
    return tuple(map(str, get_args(plain))) if get_origin(plain) is Literal else ()


def _kind(field: FieldInfo, *, secret: bool, mapping: bool) -> str:
    shorts = [each.key for each in field.metadata if isinstance(each, short_for)]
    if mapping:
        return f"mapping; one value alone is `{shorts[0]}`" if shorts else "mapping"
    choices, plain = _choices(field.annotation), _plain(field.annotation)
    if choices:
        return ", ".join(choices[:-1]) + f" or {choices[-1]}"
    if get_origin(plain) is tuple:
        return "list of text, or one" + ("; a secret" if secret else "")
    if get_origin(plain) is dict:
        return "mapping of text"
    if secret or plain is SecretStr:
        return "text; a secret: `file:PATH` or `${NAME}`"
    return _WORDS.get(plain, "text") + _bounds(field)  # type: ignore[call-overload,no-any-return]


def _bounds(field: FieldInfo) -> str:
    """Say between what a number must be; the bounds stand beside the field or inside `Annotated[...] | None`."""
    hung = list(field.metadata)
    for each in (field.annotation, *get_args(field.annotation)):
        for below in getattr(each, "__metadata__", ()):
            hung += getattr(below, "metadata", [])
    found = {name: getattr(each, name) for each in hung for name in ("ge", "gt", "le") if hasattr(each, name)}
    first = f"{found['ge']} to " if "ge" in found else f"more than {found['gt']}, up to " if "gt" in found else ""
    return f", {first or 'up to '}{found['le']}" if "le" in found else ""


def _default(field: FieldInfo, *, mapping: bool) -> str:
    if field.is_required():
        return "must be there"
    return "" if mapping or isinstance(field.default, SecretStr) else as_yaml(field.default)


def as_yaml(value: object) -> str:
    """Write a value as it may stand in the file; "" for nothing."""
    match value:
        case None | "" | ():
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.10g}"
        case tuple():
            return f"[{', '.join(map(as_yaml, value))}]"
        case dict():
            return "{" + ", ".join(f"{name}: {as_yaml(each)}" for name, each in value.items()) + "}" if value else ""
        case _:
            return str(value)


def _loosened(schema: Any) -> Any:
    """Let it take what the reader takes: `${NAME}` for any value, 2001 for text, nothing for mappings and lists."""
    if isinstance(schema, list):
        return [_loosened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {name: _loosened(each) for name, each in schema.items() if name not in ("default", "title", "writeOnly")}
    kind = loose.get("type")
    if "enum" in loose or "const" in loose:
        words = loose.pop("enum", None) or [loose.pop("const")]
        loose.pop("type", None)
        numbers = [float(word) for word in words if isinstance(word, str) and re.fullmatch(r"[0-9]+\.[0-9]+", word)]
        return loose | {"anyOf": [{"enum": [*words, *numbers]}, _VARIABLE]}
    if kind in ("integer", "number", "boolean"):
        kept = {name: loose.pop(name) for name in list(loose) if name != "description"}
        return loose | {"anyOf": [kept, {"type": "string"}]}
    if kind == "string":
        return {name: each for name, each in loose.items() if name != "format"} | {
            "type": ["string", "number", "boolean"]
        }
    return loose | {"type": [kind, "null"]} if kind in ("object", "array") else loose


_VARIABLE = {"type": "string", "pattern": r"\$\{"}
