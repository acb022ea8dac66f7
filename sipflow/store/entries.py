"""What the directory says of trunks, numbers and agents, whoever brought them: the configuration or the API.

No entry holds a secret: passwords and the options of agents are told to those who need them in other ways.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sipflow.trunks.fields import TrunkFields

INBOUND, OUTBOUND = "inbound", "outbound"
AGENT_TYPES = (INBOUND, OUTBOUND, "widget")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TrunkEntry:
    """A trunk.

    Attributes:
        name: of a trunk that a number brought along, the number.
        fields: without password.
        has_password: whether there is one.
        declared: whether the configuration declares it, so that the API cannot change it.
        created_at, updated_at: UTC wall clock; of a declared one, when it was first read.
    """

    name: str
    fields: TrunkFields
    has_password: bool
    declared: bool
    created_at: datetime
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NumberEntry:
    """A number.

    Attributes:
        number: E.164, an extension, a range, or the identifier of a provider that has no E.164.
        slug: how it stands in paths: without the leading +.
        friendly_name: for people.
        provider_name: one of `trunks.fields.PROVIDERS`.
        workspace_id: as the client gave it.
        trunk: name of its trunk; None for any.
        trunk_fields: of that trunk, without password; None where there is none, or none of that name.
        has_password: whether that trunk has one.
        declared: whether the configuration declares it, so that the API cannot change it.
        created_at, updated_at: UTC wall clock; of a declared one, when it was first read.
        inbound_agent: `model_id` of the agent that answers it.
        outbound_agents: `model_id` of those that may call from it.
        limits: `max_calls`, `calls_per_second`, `calls_per_day`, as far as they are set.
    """

    number: str
    slug: str
    friendly_name: str
    provider_name: str
    workspace_id: str
    trunk: str | None
    trunk_fields: TrunkFields | None
    has_password: bool
    declared: bool
    created_at: datetime
    updated_at: datetime | None = None
    inbound_agent: str | None = None
    outbound_agents: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=lambda: _NOTHING)

    @property
    def is_available(self) -> bool:
        """Whether no agent answers it yet."""
        return self.inbound_agent is None

    @property
    def agents(self) -> tuple[str, ...]:
        """Every agent it is attached to, the one that answers first; each once."""
        first = (self.inbound_agent,) if self.inbound_agent else ()
        return tuple(dict.fromkeys((*first, *self.outbound_agents)))


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent.

    Attributes:
        model_id: what numbers and calls refer to; of a declared one, its name.
        name: for people.
        type: one of `AGENT_TYPES`.
        handler: a built-in handler or `module:function`.
        options: what the handler gets; may hold secrets, appears in no repr and must not be shown (`shown_options`).
        fields: what else the client said of it, such as `external_webhook_url`.
        declared: whether the configuration declares it, so that the API cannot change it.
        created_at, updated_at: UTC wall clock; of a declared one, when it was first read.
    """

    model_id: str
    name: str
    type: str
    handler: str
    options: Mapping[str, Any] = field(repr=False)
    fields: Mapping[str, Any]
    declared: bool
    created_at: datetime
    updated_at: datetime | None = None

    @property
    def shown_options(self) -> Mapping[str, Any]:
        """The options without what may be a secret: numbers, booleans and the texts that only name files and agents."""
        return {key: value if _harmless(key, value) else "***" for key, value in self.options.items()}


_OPEN_TEXTS = frozenset({"file", "fallback_file", "fallback", "trunk", "dialect", "to", "codec", "encoding", "listen"})


def _harmless(key: str, value: object) -> bool:
    return value is None or isinstance(value, bool | int | float) or (key in _OPEN_TEXTS and isinstance(value, str))


def slug_of(number: str) -> str:
    """Return how a number stands in paths: without the leading +."""
    return number.removeprefix("+")
