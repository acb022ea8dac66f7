"""Telephone numbers and digits in log lines, hidden for those who must not keep them."""

import re
from typing import Any

_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])(\+?[0-9]{3})[0-9]{2,28}([0-9]{2})(?![A-Za-z0-9_])")  # seven digits and more
_IDS = frozenset({"call", "leg", "call_id", "request_id", "delivery", "token"})  # of ours; never a number
_DIGITS = frozenset({"digit", "digits"})
_HIDDEN = "***"


def hide_numbers(text: str) -> str:
    """Hide the middle of every number with seven digits or more: `+12065550100` becomes `+120***00`."""
    return _NUMBER.sub(rf"\1{_HIDDEN}\2", text)


def mask_numbers(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Hide numbers and digits in all that a line says; a structlog processor."""
    for key, value in event.items():
        if key in _DIGITS:
            event[key] = _HIDDEN
        elif key not in _IDS:
            event[key] = _hidden(value)
    return event


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return hide_numbers(value)
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    return value
