"""What the directory refuses, in words: each refusal says which field, or what stands in the way."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sipflow.errors import Conflict, LocalProtocolError, NotFound
from sipflow.numbers.number import guess, read
from sipflow.store.entries import AGENT_TYPES, INBOUND, OUTBOUND, AgentEntry, slug_of
from sipflow.store.merged import Merged
from sipflow.store.stored import plain_json
from sipflow.trunks.fields import PROVIDERS

_LONGEST_NUMBER = 40
_LONGEST_TEXT = 200
_LONGEST_JSON = 256 * 1024  # characters of an agent's options or fields: prompts are long, books are not prompts
_LIMITS = ("max_calls", "calls_per_second", "calls_per_day")
_IDENTIFIER = re.compile(rf"[+]?[A-Za-z0-9._*#-]{{1,{_LONGEST_NUMBER - 1}}}")
_TRUNK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


# Numbers


def provider_of(name: str) -> str:
    """Return the name of a provider.

    Raises:
        LocalProtocolError: there is none of this name.
    """
    if name not in PROVIDERS:
        raise LocalProtocolError(f"provider_name: {name[:40]!r} is not one of {', '.join(PROVIDERS)}")
    return name


def number(text: str, provider: str) -> str:
    """Return the name under which a number is kept.

    Raises:
        LocalProtocolError: it is not E.164, and its provider has nothing else.
    """
    known = PROVIDERS[provider_of(provider)]
    reading = read(text, region=None)
    if reading.kept.startswith("+") and reading.e164 is not None:
        return reading.e164
    if known.any_identifier and _IDENTIFIER.fullmatch(text):
        return text
    meant = guess(reading.kept)
    hint = f": did you mean {meant}?" if meant is not None else ": + and country code, as in +12065550100"
    raise LocalProtocolError(f"phone_number: {text[:_LONGEST_NUMBER]!r} is not E.164{hint}")


def text(value: str, key: str, *, longest: int = _LONGEST_TEXT) -> str:
    """Return a short text for people.

    Raises:
        LocalProtocolError: it is too long or holds characters that do not print.
    """
    if len(value) > longest:
        raise LocalProtocolError(f"{key}: it has {len(value)} characters; {longest} are allowed")
    if not value.isprintable():
        raise LocalProtocolError(f"{key}: it holds a line end or another character that does not print")
    return value


def limits(given: Mapping[str, float]) -> dict[str, float]:
    """Return the limits of a number.

    Raises:
        LocalProtocolError: one is unknown or not a positive number.
    """
    for key, value in given.items():
        if key not in _LIMITS:
            raise LocalProtocolError(f"limits.{key[:40]}: is unknown; there are {', '.join(_LIMITS)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
            raise LocalProtocolError(f"limits.{key}: it must be a number above 0")
        if key != "calls_per_second" and value != int(value):
            raise LocalProtocolError(f"limits.{key}: it must be a whole number")
    return dict(given)


def number_is_free(name: str, merged: Merged) -> None:
    """Refuse a number that is there.

    Raises:
        Conflict: it is, or another one has its slug.
    """
    if name in merged.declared.numbers:
        raise Conflict(f"the number {name} {_declared(merged)}")
    if name in merged.stored.numbers:
        raise Conflict(f"the number {name} is imported already")
    try:
        other = merged.name_of(slug_of(name))
    except NotFound:
        return
    raise Conflict(f"the number {name} would have the same slug as {other}, which is there")


def number_is_ours(name: str, merged: Merged) -> None:
    """Refuse to change a declared number.

    Raises:
        Conflict: it is.
    """
    if name in merged.declared.numbers:
        raise Conflict(f"the number {name} {_declared(merged)}")


# Trunks


def trunk_name(name: str) -> str:
    """Return the name of a trunk of its own.

    Raises:
        LocalProtocolError: it is none.
    """
    if _TRUNK.fullmatch(name) is None:
        raise LocalProtocolError(
            "name: a trunk's name has 1 to 64 letters, digits, dots, dashes and underscores, and begins with one of "
            "the first two"
        )
    return name


def trunk_is_free(name: str, merged: Merged) -> None:
    """Refuse a name that another trunk has.

    Raises:
        Conflict: one has.
    """
    if name in merged.declared.trunks:
        raise Conflict(f"the trunk {name} {_declared(merged)}")
    if name in merged.stored.trunks:
        raise Conflict(f"there is a trunk {name} already")


def trunk_exists(name: str, merged: Merged) -> None:
    """Refuse the name of a trunk that is not there.

    Raises:
        LocalProtocolError: it is not.
    """
    if name not in merged.declared.trunks and name not in merged.stored.trunks:
        raise LocalProtocolError(f"trunk: there is no trunk {name[:80]!r}")


def trunk_is_ours(name: str, merged: Merged) -> None:
    """Refuse to change a declared trunk, or one that belongs to a number.

    Raises:
        Conflict: it is one of these.
    """
    if name in merged.declared.trunks:
        raise Conflict(f"the trunk {name} {_declared(merged)}")
    if name in merged.stored.numbers:
        raise Conflict(f"the trunk {name} belongs to the number {name}; change that number")


def trunk_is_unused(name: str, merged: Merged) -> None:
    """Refuse to remove a trunk that numbers need.

    Raises:
        Conflict: some do.
    """
    using = [number for number in merged.stored.numbers.values() if number.trunk == name]
    if using:
        first = ", ".join(each.number for each in using[:5]) + (" ..." if len(using) > 5 else "")
        raise Conflict(f"the trunk {name} is used by {first}; give these numbers another trunk first")


# Agents


def agent(entry: AgentEntry) -> AgentEntry:
    """Return an agent whose fields are right.

    Raises:
        LocalProtocolError: one is not.
    """
    if not entry.name.strip():
        raise LocalProtocolError("name: is missing")
    text(entry.name, "name")
    if entry.type not in AGENT_TYPES:
        raise LocalProtocolError(f"type: {entry.type[:40]!r} is not one of {', '.join(AGENT_TYPES)}")
    if not entry.handler or len(entry.handler) > _LONGEST_TEXT:
        raise LocalProtocolError("handler: is missing" if not entry.handler else "handler: it is too long")
    options, fields = _json(entry.options, "options"), _json(entry.fields, "fields")
    return replace(entry, options=options, fields=fields)


def _json(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    try:
        made: dict[str, Any] = plain_json(value)
        written = json.dumps(made, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise LocalProtocolError(f"{key}: they must be JSON values") from None
    if len(written) > _LONGEST_JSON:
        raise LocalProtocolError(f"{key}: they have {len(written)} characters; {_LONGEST_JSON} are allowed")
    if "\\u0000" in written:  # PostgreSQL keeps no such text
        raise LocalProtocolError(f"{key}: they hold a character NUL")
    return made


def agent_is_ours(model_id: str, merged: Merged) -> AgentEntry:
    """Return an agent that may be changed.

    Raises:
        NotFound: there is none.
        Conflict: it is declared.
    """
    entry = merged.agent(model_id)
    if entry.declared:
        raise Conflict(f"the agent {model_id} {_declared(merged)}")
    return entry


# Who has which


def role_of(entry: AgentEntry) -> str:
    """Say what an agent does with the numbers it is given.

    Raises:
        LocalProtocolError: agents of its type have none.
    """
    if entry.type not in (INBOUND, OUTBOUND):
        raise LocalProtocolError(f"type: agent {entry.model_id} is of type {entry.type}, which has no phone numbers")
    return entry.type


def can_attach(name: str, model_id: str, role: str, merged: Merged) -> bool:
    """Say whether a number is still to be attached to an agent.

    Raises:
        Conflict: another agent answers it.
        LocalProtocolError: there is no such role.
    """
    if role not in (INBOUND, OUTBOUND):
        raise LocalProtocolError(f"role: {role[:40]!r} is not one of {INBOUND}, {OUTBOUND}")
    inbound, outbound = merged.agents_of(name)
    if role == OUTBOUND:
        return model_id not in outbound
    if inbound is None or inbound == model_id:
        return inbound is None
    if inbound == _declared_inbound(name, merged):
        raise Conflict(f"that agent {inbound} answers the number {name} {_declared(merged)}")
    raise Conflict(f"the number {name} is answered by agent {inbound} already; detach it from that agent first")


def roles_to_detach(name: str, model_id: str, role: str, merged: Merged) -> list[str]:
    """Return the roles in which a number is to be detached.

    Raises:
        NotFound: the agent does not have it.
        Conflict: it has it by declaration only.
    """
    kept = [its for agent, its in merged.stored.attached.get(name, ()) if agent == model_id and role in ("", its)]
    if kept:
        return kept
    inbound, outbound = merged.agents_of(name)
    has = [its for its, there in ((INBOUND, inbound == model_id), (OUTBOUND, model_id in outbound)) if there]
    if role in has or (has and not role):
        raise Conflict(f"that agent {model_id} has the number {name} {_declared(merged)}")
    raise NotFound(f"agent {model_id} does not have the number {name}")


def _declared_inbound(name: str, merged: Merged) -> str | None:
    declared = merged.declared.numbers.get(name)
    return declared.inbound_agent if declared is not None else None


def _declared(merged: Merged) -> str:
    where = merged.declared.where or "the configuration"
    return f"is declared in {where}, and so cannot be changed over the API: change it there, and send SIGHUP"
