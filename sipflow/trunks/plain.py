"""Turns the plain values of JSON into the settings of a trunk, by the type that each has there, and back."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def read(key: str, value: object, kind: Any) -> object:
    """Return a value as a setting of type `kind`.

    Args:
        key: its name, dotted below another one, for errors.
        value: a text, number, boolean, list of texts, or a mapping where the setting has several parts; true and false
            stand for such a setting as it is by default, and for none.
        kind: of a dataclass's field.

    Raises:
        LocalProtocolError: it is another kind of value; the sentence begins with `key`.
    """
    optional = get_origin(kind) in (Union, types.UnionType)
    inner = next(each for each in get_args(kind) if each is not type(None)) if optional else kind
    if value is None and optional:
        return None
    if inner is Networks:
        return _networks(key, value)
    if get_origin(inner) is tuple:
        return _texts(key, value)
    if is_dataclass(inner):
        return _parts(key, value, inner, optional=optional)
    return _plain(key, value, inner)


def _plain(key: str, value: object, kind: Any) -> object:
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise LocalProtocolError(f"{key}: it must be {_WORDS[kind]}")
    return float(value) if kind is float and isinstance(value, int) else value


def _texts(key: str, value: object) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise LocalProtocolError(f"{key}: it must be a list of texts")
    return tuple(items)


def _networks(key: str, value: object) -> Networks:
    try:
        return Networks(_texts(key, value))
    except LocalProtocolError as error:
        raise LocalProtocolError(f"{key}: {str(error).removeprefix(f'{key}: ')}") from None


def _parts(key: str, value: object, kind: Any, *, optional: bool) -> object:
    if isinstance(value, bool) and optional:
        return kind() if value else None
    if not isinstance(value, Mapping):
        raise LocalProtocolError(f"{key}: it must have parts, as in {{{fields(kind)[0].name}: ...}}")
    hints = get_type_hints(kind)
    known = [each.name for each in fields(kind)]
    given = {}
    for name, part in value.items():
        if name not in known:
            raise LocalProtocolError(f"{key}.{str(name)[:40]}: is unknown; there are {', '.join(known)}")
        given[name] = read(f"{key}.{name}", part, hints[name])
    return kind(**given)


def shown(value: object) -> object:
    """Return a setting as a plain value; of one with several parts, those that are not as by default."""
    if isinstance(value, Networks):
        return str(value).split(", ") if value else []
    if is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: (getattr(value, each.name), each.default) for each in fields(value)}
        return {name: shown(part) for name, (part, default) in parts.items() if default is MISSING or part != default}
    if isinstance(value, Mapping):
        return {key: shown(part) for key, part in value.items()}
    return [shown(part) for part in value] if isinstance(value, list | tuple) else value
