"""What there is: declared by the configuration or created by the API, as one. Never changes; a change makes another."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import structlog

from sipflow.errors import NotFound
from sipflow.numbers.inventory import Inventory, Number
from sipflow.store.entries import INBOUND, OUTBOUND, AgentEntry, NumberEntry, TrunkEntry, slug_of
from sipflow.store.stored import Stored, StoredNumber
from sipflow.trunks.fields import TrunkFields, fields_of
from sipflow.trunks.trunk import Trunk

log = structlog.get_logger("sipflow.store")


class DeclaredAgent(NamedTuple):
    """An agent of the configuration."""

    name: str
    handler: str
    options: Mapping[str, Any]
    fields: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Declared:
    """What the configuration declares.

    Attributes:
        trunks, numbers, agents: by name.
        since: when each was first read, by kind and name.
        where: name of the file, "" for none.
    """

    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    agents: Mapping[str, DeclaredAgent] = field(default_factory=dict)
    since: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    where: str = ""

    @classmethod
    def of(
        cls,
        trunks: Mapping[str, Trunk],
        numbers: Iterable[Number],
        agents: Iterable[tuple[Any, ...]],
        *,
        before: "Declared",
        now: datetime,
        where: str = "",
    ) -> "Declared":
        """Take what the configuration says now; what `before` had keeps its age."""
        by_number = {number.number: number for number in numbers}
        by_name = {agent.name: agent for agent in (DeclaredAgent(*each) for each in agents)}
        kinds = (("trunk", trunks), ("number", by_number), ("agent", by_name))
        keys = [(kind, name) for kind, named in kinds for name in named]
        return cls(dict(trunks), by_number, by_name, {key: before.since.get(key, now) for key in keys}, where)


class Merged:
    """One view of both. Of two with one name the declared one counts, and the stored one waits until it is gone."""

    def __init__(self, declared: Declared, stored: Stored) -> None:
        self.declared = declared
        self.stored = stored

    # The whole, as routing, trunks and agents take it

    @cached_property
    def trunks(self) -> Mapping[str, Trunk]:
        """Every trunk that can be used, declared ones first."""
        created = {name: each.trunk for name, each in self.stored.trunks.items() if each.trunk is not None}
        declared = self.declared.trunks
        return MappingProxyType({**declared, **{k: v for k, v in created.items() if k not in declared}})

    @cached_property
    def numbers(self) -> Inventory:
        """Every number."""
        return Inventory(self._number(name) for name in self.names)

    @cached_property
    def limits(self) -> Mapping[str, Mapping[str, float]]:
        """The limits of the numbers that were created, as far as they have some."""
        kept, declared = self.stored.numbers, self.declared.numbers
        return {name: number.limits for name, number in kept.items() if number.limits and name not in declared}

    @cached_property
    def agents(self) -> Mapping[str, AgentEntry]:
        """Every agent, declared ones first."""
        declared = {name: self._declared_agent(agent) for name, agent in self.declared.agents.items()}
        return MappingProxyType({**declared, **{k: v for k, v in self.stored.agents.items() if k not in declared}})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every number by name, declared ones first."""
        return tuple(dict.fromkeys((*self.declared.numbers, *self.stored.numbers)))

    @cached_property
    def _by_slug(self) -> Mapping[str, str]:
        return {slug_of(name): name for name in reversed(self.names)}

    @cached_property
    def _by_agent(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for name in self.names:
            inbound, outbound = self.agents_of(name)
            for agent, role in ((inbound, INBOUND), *((agent, OUTBOUND) for agent in outbound)):
                if agent is not None:
                    found.setdefault(agent, []).append((name, role))
        return {agent: tuple(pairs) for agent, pairs in found.items()}

    # One by one

    def name_of(self, slug_or_number: str) -> str:
        """Return the name of a number.

        Raises:
            NotFound: there is no such number.
        """
        for name in (slug_or_number, f"+{slug_or_number}"):  # most are found without a table of all slugs
            if name in self.declared.numbers or name in self.stored.numbers:
                return name
        found = self._by_slug.get(slug_or_number)
        if found is None:
            raise NotFound(f"there is no number {slug_or_number[:80]!r}")
        return found

    def number(self, slug_or_number: str) -> NumberEntry:
        """Return a number.

        Raises:
            NotFound: there is no such number.
        """
        name = self.name_of(slug_or_number)
        declared = self.declared.numbers.get(name)
        inbound, outbound = self.agents_of(name)
        kept = self._kept(declared) if declared is not None else self.stored.numbers[name]
        given, has_password = self._fields_of(kept.trunk)
        return NumberEntry(
            number=name,
            slug=kept.slug,
            friendly_name=kept.friendly_name,
            provider_name=kept.provider_name,
            workspace_id=kept.workspace_id,
            trunk=kept.trunk,
            trunk_fields=given,
            has_password=has_password,
            declared=declared is not None,
            created_at=kept.created_at,
            updated_at=kept.updated_at,
            inbound_agent=inbound,
            outbound_agents=outbound,
            limits=kept.limits,
        )

    def agents_of(self, name: str) -> tuple[str | None, tuple[str, ...]]:
        """Name the agent that answers a number, and those that may call from it; those that are gone do not count."""
        declared = self.declared.numbers.get(name)
        inbound = declared.inbound_agent if declared is not None else None
        first = declared.outbound_agents if declared is not None else ()
        if name not in self.stored.attached:
            return inbound, first
        known = self.agents
        kept = self.stored.inbound_of(name)
        inbound = inbound or (kept if kept in known else None)
        more = (agent for agent in self.stored.outbound_of(name) if agent in known)
        return inbound, tuple(dict.fromkeys((*first, *more)))

    def has_inbound(self, name: str) -> bool:
        """Whether an agent answers a number."""
        return self.agents_of(name)[0] is not None

    def trunk(self, name: str) -> TrunkEntry:
        """Return a trunk.

        Raises:
            NotFound: there is no such trunk.
        """
        given, has_password = self._fields_of(name)
        if given is None:
            raise NotFound(f"there is no trunk {name[:80]!r}")
        if name in self.declared.trunks:
            return TrunkEntry(name, given, has_password, declared=True, created_at=self.declared.since["trunk", name])
        kept = self.stored.trunks[name]
        return TrunkEntry(name, given, has_password, False, kept.created_at, kept.updated_at)

    def trunk_names(self) -> tuple[str, ...]:
        """Every trunk by name, declared ones first."""
        return tuple(dict.fromkeys((*self.declared.trunks, *self.stored.trunks)))

    def agent(self, model_id: str) -> AgentEntry:
        """Return an agent.

        Raises:
            NotFound: there is no such agent.
        """
        found = self.agents.get(model_id)
        if found is None:
            raise NotFound(f"there is no agent {model_id[:80]!r}")
        return found

    def numbers_of(self, model_id: str) -> tuple[tuple[str, str], ...]:
        """Return the numbers of an agent with the role that it has on each."""
        return self._by_agent.get(model_id, ())

    def shadowed(self) -> Iterator[tuple[str, str]]:
        """Give kind and name of everything stored that a declared thing hides."""
        for kind, stored, declared in (
            ("trunk", self.stored.trunks, self.declared.trunks),
            ("number", self.stored.numbers, self.declared.numbers),
            ("agent", self.stored.agents, self.declared.agents),
        ):
            for name in stored:
                if name in declared:
                    yield kind, name

    # What these are made of

    def _number(self, name: str) -> Number:
        declared = self.declared.numbers.get(name)
        inbound, outbound = self.agents_of(name)
        if declared is not None:
            if name not in self.stored.attached:
                return declared
            return replace(declared, inbound_agent=inbound, outbound_agents=outbound)
        kept = self.stored.numbers[name]
        return Number(name, kept.friendly_name, kept.trunk, inbound, outbound)

    def _kept(self, number: Number) -> StoredNumber:
        since = self.declared.since["number", number.number]
        slug = slug_of(number.number)
        return StoredNumber(number.number, slug, number.friendly_name, "custom", "", number.trunk, {}, since)

    def _fields_of(self, trunk: str | None) -> tuple[TrunkFields | None, bool]:
        """Return the fields of a trunk without its password, and whether it has one."""
        if trunk is None:
            return None, False
        declared = self.declared.trunks.get(trunk)
        if declared is not None:
            return fields_of(declared), bool(declared.password)
        kept = self.stored.trunks.get(trunk)
        if kept is None:
            return None, False
        return replace(kept.fields, password=""), bool(kept.fields.password)

    def _declared_agent(self, agent: DeclaredAgent) -> AgentEntry:
        since = self.declared.since["agent", agent.name]
        kind = OUTBOUND if agent.name in self._only_calling else INBOUND
        return AgentEntry(
            agent.name, agent.name, kind, agent.handler, agent.options, agent.fields, declared=True, created_at=since
        )

    @cached_property
    def _only_calling(self) -> frozenset[str]:
        """Declared agents that numbers name for calls out and none for answering."""
        numbers = self.declared.numbers.values()
        calling = {agent for number in numbers for agent in number.outbound_agents}
        return frozenset(calling - {number.inbound_agent for number in numbers})
