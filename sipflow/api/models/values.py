"""The kinds of values in requests: bounded texts that print, and JSON that passes through us whole."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

_DEEPEST = 20
_MOST_VALUES = 5000
_LONGEST_WORDS = 20_000
URL, NAME = r"^(https?://[!-~]+)?$", r"^[A-Za-z0-9+._-]+$"


def _printable(text: str) -> str:
    """Let only texts pass that fit one line of a log and a header of SIP."""
    if not text.isprintable():
        raise ValueError("holds a line end or another character that does not print")
    return text.strip()


def _writable(text: str) -> str:
    """Let texts of several lines pass, without what databases refuse."""
    if "\0" in text:
        raise ValueError("holds a NUL character")
    if len(text) > _LONGEST_WORDS:
        raise ValueError(f"is longer than {_LONGEST_WORDS} characters")
    return text


def storable(value: Any) -> Any:
    """Let pass what every database and every JSON reader takes: not too deep, no NUL, no NaN, no half a character."""
    rest: list[tuple[Any, int]] = [(value, 0)]
    count = 0
    while rest:
        each, depth = rest.pop()
        count += 1
        if depth > _DEEPEST or count > _MOST_VALUES:
            raise ValueError(f"is too deep or too large: {_DEEPEST} levels and {_MOST_VALUES} values at most")
        if isinstance(each, Mapping):
            rest.extend((part, depth + 1) for pair in each.items() for part in pair)
        elif isinstance(each, list | tuple):
            rest.extend((part, depth + 1) for part in each)
        elif isinstance(each, float) and not math.isfinite(each):
            raise ValueError("holds NaN or an infinite number")
        elif isinstance(each, str) and ("\0" in each or any("\ud800" <= character <= "\udfff" for character in each)):
            raise ValueError("holds a NUL character, or half of a character")
    return value


def in_utc(at: datetime) -> datetime:
    """Give a moment in UTC; one without a zone is taken for UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside of the years 1 to 9999") from None


Line = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
Phone = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_printable)]
Secret = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
Words = Annotated[str, AfterValidator(_writable)]
Json = Annotated[Any, AfterValidator(storable)]
JsonObject = Annotated[dict[str, Any], AfterValidator(storable)]
Url = Annotated[str, StringConstraints(max_length=2000, pattern=URL)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NAME)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[ -~]+$")]
