"""What is special about a provider: facts, each with its source, and the settings of a trunk that follow from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})
# What the configuration calls a field of a trunk otherwise than the code does.
_FIELDS: Mapping[str, str] = MappingProxyType({"session_timer": "session"})


class Aspect(StrEnum):
    """What a fact is about."""

    AUTH = "authentication"
    REGISTRATION = "registration"
    TRANSPORT = "transport and ports"
    HEALTH = "keep-alive"
    REFER = "transfer by REFER"
    NUMBERS = "numbers"
    IDENTITY = "caller's identity"
    SESSION = "session timers"
    CODECS = "codecs"
    DTMF = "digits"
    SRTP = "encrypted audio"
    REQUEST_URI = "Request-URI"
    USELESS = "known useless"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known.

    Attributes:
        aspect: what it is about.
        says: what the provider does or wants, in one or two sentences.
        source: the page or thread that says so: a URL, an RFC, or `repository path` of a published file.
        sets: settings of a trunk that follow, by their dotted key in the configuration; `register: False` registers
            only when told to.
    """

    aspect: Aspect
    says: str
    source: str
    sets: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a provider.

    Attributes:
        name: what the configuration calls it.
        title: what people call it.
        facts: in the order of `Aspect`; an aspect without a fact is one of which nothing was found in public.
        needs: keys that a trunk of this provider cannot do without.
    """

    name: str
    title: str
    facts: tuple[Fact, ...]
    needs: tuple[str, ...] = ()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a trunk gets that does not say otherwise: by dotted key, as in `outbound.number_format`."""
        return {key: value for fact in self.facts for key, value in fact.sets.items()}

    @property
    def nested(self) -> Mapping[str, Any]:
        """The same as the configuration would have it: a mapping below each key that has parts."""
        values: dict[str, Any] = {}
        for dotted, value in self.settings.items():
            key, _, part = dotted.partition(".")
            if part:
                values.setdefault(key, {})[part] = value
            else:
                values[key] = value
        return values

    def fitting(self, *, username: bool, far_end: bool) -> Mapping[str, Any]:
        """Return `nested` without what cannot hold for a trunk.

        Args:
            username: whether it has one; without, none can stand in From.
            far_end: whether it has a domain or an outbound proxy; without, nobody can be asked whether he is there.
        """
        values = {key: dict(value) if isinstance(value, dict) else value for key, value in self.nested.items()}
        if not username and "outbound" in values:
            values["outbound"].pop("from_user", None)
        if not far_end and "sip_domain" not in values:
            values.pop("health", None)
        return values

    def about(self, aspect: Aspect) -> tuple[Fact, ...]:
        """Return what is known of one aspect."""
        return tuple(fact for fact in self.facts if fact.aspect is aspect)

    def overridden(self, trunk: object) -> Iterator[str]:
        """Yield the keys of `settings` that a trunk has otherwise, because its own configuration says so."""
        for key, value in self.settings.items():
            if _normal(_value_of(trunk, key)) != _normal(value):
                yield key


def field_of(key: str) -> str:
    """Return what the code calls the field of a trunk that the configuration calls `key`."""
    return _FIELDS.get(key, key)


def _value_of(trunk: object, key: str) -> object:
    first, _, part = key.partition(".")
    value: object = getattr(trunk, field_of(first))
    if first == "register" and not part:
        return value is not None
    return getattr(value, part, None) if part else value


def _normal(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
