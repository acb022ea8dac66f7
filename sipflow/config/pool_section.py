"""`pools:` becomes the pools of numbers that agents call from."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sipflow.config.fields import Texts, also, given, model_of, short_for
from sipflow.config.limit_section import CapsModel
from sipflow.config.number_section import number_name
from sipflow.config.problems import shown, suggestion
from sipflow.config.section import Section
from sipflow.errors import LocalProtocolError
from sipflow.numbers.inventory import is_wildcard
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.resting import RestSettings

_RestModel = model_of(RestSettings)


class MemberModel(CapsModel):
    """A number in a pool, and how it is used there.

    Attributes:
        weight: how often it is chosen beside the others, with `weighted`.
    """

    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0


def _by_number(value: object) -> object:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {key: {} if below is None else below for key, below in value.items()}
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("must be a list of numbers, or a mapping of numbers to what is to be said of each")
    return {text: {} for text in texts}


class PoolModel(CapsModel):
    """A pool; its caps are those of each of its numbers.

    Attributes:
        strategy: what is tried, in order: of sticky, same_area and same_country any, then one of round_robin,
            least_recently_used and weighted.
        numbers: its numbers in order, or a mapping of them to what is to be said of each; `+1206*` is every listed
            number that begins so.
        rest: when numbers that nobody answers any more rest.
        remember: callees whose number is remembered, with sticky; beyond that the oldest are forgotten.
    """

    strategy: Texts = ("round_robin",)
    numbers: Annotated[
        dict[str, MemberModel],
        BeforeValidator(_by_number),
        also({"type": ["array", "string"], "items": {"type": "string"}}),
    ] = {}  # noqa: RUF012  (pydantic copies it)
    rest: Annotated[_RestModel | None, short_for("enabled")] = None  # type: ignore[valid-type]
    remember: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000


def pool_settings(section: Section, name: str, known: Collection[str]) -> PoolSettings | None:
    """Return a pool, or None once its problems are reported.

    Args:
        section: below its name.
        name: of the pool.
        known: the numbers there are, as they are listed.
    """
    model = section.validate(PoolModel)
    if model is None:
        return None
    members = [_member(section, text, below, known) for text, below in model.numbers.items()]
    if not members and ("numbers" in model.model_fields_set or "numbers" not in section.keys):
        section.report("has no numbers", "numbers")
    rest = section.attempt(partial(_rest, model.rest))
    wanted = tuple(member for member in members if member is not None)
    if rest is None or not members or len(wanted) < len(members):
        return None
    make = partial(PoolSettings, name, model.strategy, wanted, model.caps, rest, model.remember)
    return section.attempt(make)


def _rest(model: Any) -> RestSettings:
    try:
        return RestSettings(**(given(model) if model is not None else {}))
    except LocalProtocolError as error:
        raise LocalProtocolError(f"rest.{error}") from None


def _member(section: Section, text: str, model: MemberModel, known: Collection[str]) -> Member | None:
    listed = section.attempt(number_name, text, "", at=("numbers", text))
    if listed is None:
        return None
    if not is_wildcard(listed) and listed not in known:
        section.report(f"there is no number {shown(listed)!r}" + suggestion(listed, known), "numbers", text)
        return None
    return Member(listed, weight=model.weight, caps=model.caps)
