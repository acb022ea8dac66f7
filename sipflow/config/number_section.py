"""`numbers:`, and the numbers that trunks declare, become the inventory."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BeforeValidator

from sipflow.config.fields import Texts
from sipflow.config.limit_section import CallsPerDay, CallsPerSecond, MaxCalls
from sipflow.config.problems import Problems, shown, suggestion
from sipflow.config.section import Section
from sipflow.config.trunk_section import TRUNK_KEYS, TrunkFields
from sipflow.errors import ConfigError
from sipflow.numbers.inventory import Number, is_wildcard
from sipflow.numbers.number import guess, read


def _one_agent(value: object) -> object:
    if isinstance(value, list):
        raise ValueError("a number has one inbound agent, not a list")
    return value


class NumberModel(TrunkFields):
    """What can be said of a number; with any of a trunk's fields it has a trunk of its own.

    Attributes:
        friendly_name: for people.
        trunk: calls to it come by this trunk only, and calls from it leave by it; nothing said is any trunk.
        inbound_agent: who answers.
        outbound_agents: who may call from it.
        max_calls: at a time; nothing said is `limits.each_number`.
        calls_per_second: placed from it.
        calls_per_day: placed from it; days begin at midnight of `limits.time_zone`.
    """

    friendly_name: str = ""
    trunk: str = ""
    inbound_agent: Annotated[str, BeforeValidator(_one_agent)] = ""
    outbound_agents: Texts = ()
    max_calls: MaxCalls = None
    calls_per_second: CallsPerSecond = None
    calls_per_day: CallsPerDay = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A number and where it stands.

    Attributes:
        number: as the inventory will list it.
        line: of its key under `numbers:`, or of the trunk's `phone_number`.
        path: of the same.
        by_trunk: it is a trunk's `phone_number`, and may stand under `numbers:` as well.
        own_trunk: it declares a trunk in place.
    """

    number: Number
    line: int
    path: tuple[str, ...]
    by_trunk: bool = False
    own_trunk: bool = False


def number_name(text: str, region: str | None) -> str:
    """Return the name under which a number is listed.

    Args:
        text: as the operator wrote it: E.164, an extension, a code, a user's name, or a wildcard such as `+1206555*`.
        region: country of its trunk.

    Raises:
        ConfigError: it looks like a telephone number and is not E.164; the sentence has the E.164 form.
    """
    if is_wildcard(text):
        return text
    reading = read(text, region=region)
    if reading.kept.startswith("+"):
        if reading.e164 is None:
            raise ConfigError(
                "is not a possible telephone number: + and country code, too few or too many digits follow"
            )
        return reading.e164
    meant = reading.e164 or guess(reading.kept)
    if meant is not None:
        raise ConfigError(f"is not E.164; write it with + and country code: {meant!r}")
    return reading.kept


def declare_number(section: Section, text: str, regions: Mapping[str, str]) -> tuple[Declared, NumberModel] | None:
    """Return the number that a key under `numbers:` declares, or None once its problems are reported.

    Args:
        section: below the key.
        text: the key.
        regions: country of each trunk that has one.
    """
    model = section.validate(NumberModel)
    if model is None:
        return None
    name = section.attempt(number_name, text, regions.get(model.trunk, "") or model.region)
    if name is None:
        return None
    own = TRUNK_KEYS.intersection(section.keys)
    if own and model.trunk:
        section.report(f"names a trunk and has {min(own)} of its own; one of the two must go", "trunk")
    number = Number(
        name,
        friendly_name=model.friendly_name,
        trunk=model.trunk or (name if own else None),
        inbound_agent=model.inbound_agent or None,
        outbound_agents=model.outbound_agents,
    )
    return Declared(number, section.line, section.path, own_trunk=bool(own) and not model.trunk), model


def check_names(section: Section, declared: Declared, trunks: Collection[str], agents: Collection[str]) -> None:
    """Report the trunks and agents that a number names and that do not exist."""
    number = declared.number
    if number.trunk is not None and not declared.own_trunk:
        _check_name(section, "trunk", number.trunk, trunks, ("trunk",))
    if number.inbound_agent is not None:
        _check_name(section, "agent", number.inbound_agent, agents, ("inbound_agent",))
    for index, agent in enumerate(number.outbound_agents):
        _check_name(section, "agent", agent, agents, ("outbound_agents", str(index)))


def _check_name(section: Section, what: str, name: str, known: Collection[str], keys: tuple[str, ...]) -> None:
    if name not in known:
        section.report(f"there is no {what} {shown(name)!r}" + suggestion(name, known), *keys)


def merge(declared: Iterable[Declared], problems: Problems) -> list[Number]:
    """Return one number each; a number declared twice is reported with both lines."""
    found: dict[str, Declared] = {}
    for each in sorted(declared, key=lambda each: (each.by_trunk, each.line)):
        first = found.get(each.number.number)
        if first is None:
            found[each.number.number] = each
        elif not each.by_trunk or first.by_trunk:
            problems.add(_twice(first, each), line=each.line, path=each.path)
        elif first.number.trunk not in (None, each.number.trunk):
            text = (
                f"{each.number.number} belongs to trunk {shown(each.number.trunk or '')} (line {each.line}) "
                f"and to trunk {shown(first.number.trunk or '')} (line {first.line}); one of the two must go"
            )
            problems.add(text, line=each.line, path=each.path)
        else:
            found[each.number.number] = replace(first, number=replace(first.number, trunk=each.number.trunk))
    return [each.number for each in sorted(found.values(), key=lambda each: each.line)]


def _twice(first: Declared, second: Declared) -> str:
    text = f"{second.number.number} is already on line {first.line}"
    if second.path[-1] != first.path[-1] and not first.by_trunk:
        text += f", written {shown(first.path[-1])}"
    agents = first.number.inbound_agent, second.number.inbound_agent
    if None not in agents and agents[0] != agents[1]:
        text += (
            f"; a number has one inbound agent, and here are two: {shown(agents[0] or '')} (line {first.line}) "
            f"and {shown(agents[1] or '')} (line {second.line})"
        )
    return text + "; one of the two must go"
