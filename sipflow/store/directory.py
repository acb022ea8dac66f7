"""The directory: trunks, numbers, agents and who has which, declared by the configuration or created by the API.

Everything is in memory, so that calls are routed without asking the database; a change is first in the database, then
in memory, then told to whoever acts on it. What the configuration declares is read-only here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import structlog

from sipflow.errors import AgentError, Conflict, LocalProtocolError, StoreError
from sipflow.numbers.inventory import Inventory, Number
from sipflow.store import checks, own_trunk
from sipflow.store.entries import INBOUND, AgentEntry, NumberEntry, TrunkEntry, slug_of
from sipflow.store.merged import Declared, Merged
from sipflow.store.stored import Stored, StoredNumber, StoredTrunk
from sipflow.trunks.fields import TrunkFields, trunk_from_fields
from sipflow.trunks.trunk import Trunk

if TYPE_CHECKING:  # loading the database's library takes half a second, which the first call need not wait for
    from sipflow.store.database import Database
    from sipflow.store.rows import Change, Rows

log = structlog.get_logger("sipflow.store")


class AgentCheck(Protocol):
    """Whoever can tell if an agent will work; the daemon asks the agents room."""

    async def check(self, agent: AgentEntry, agents: Mapping[str, AgentEntry]) -> None:
        """Refuse an agent that cannot work among `agents`, which hold it already.

        Raises:
            AgentError: its handler cannot be loaded, or its options cannot work.
            LocalProtocolError: one of its fields cannot work; the sentence begins with its name.
        """

    def needed_by(self, model_id: str, agents: Mapping[str, AgentEntry]) -> tuple[str, ...]:
        """Name the agents that would not work without this one."""


class Directory:
    """Trunks, numbers and agents of one edge.

    Attributes:
        on_change: called after each change, of whatever came of it.
        check: asked before an agent is taken in; None takes every one.
    """

    def __init__(
        self,
        database: "Database | None" = None,
        *,
        check: AgentCheck | None = None,
        on_change: Callable[[], None] | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.check = check
        self.on_change = on_change
        self._database = database
        self._wall = wall
        self._merged = Merged(Declared(), Stored())
        self._rows: Rows | None = None
        self._lock = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the store has been read, so that what is not here does not exist."""
        return self._rows is not None

    def declare(
        self,
        *,
        trunks: Mapping[str, Trunk],
        numbers: Iterable[Number],
        agents: Iterable[tuple[Any, ...]],
        where: str = "",
    ) -> None:
        """Take what the configuration declares in the place of what it declared before; `on_change` is not called.

        Args:
            trunks: by name.
            numbers: all of them.
            agents: name, handler and options of each (see `merged.DeclaredAgent`).
            where: name of its file, for refusals.
        """
        before = self._merged.declared
        declared = Declared.of(trunks, numbers, agents, before=before, now=self._wall(), where=where)
        self._merged = Merged(declared, self._merged.stored)
        self._say_shadowed()

    async def load(self, database: "Database | None" = None) -> None:
        """Read what the API created before, and take changes from now on.

        Raises:
            StoreError: there is no database, or it cannot be read.
        """
        from sipflow.store.rows import Rows

        self._database = database or self._database
        if self._database is None:
            raise StoreError("the directory has no store")
        rows = Rows(self._database)
        self._take(await rows.load())
        self._rows = rows
        self._say_shadowed()
        self._tell()

    async def refresh(self) -> bool:
        """Read the store again if another process has changed it; returns whether it has."""
        rows = self._open_rows()
        async with self._lock:
            if await rows.revision() == self._merged.stored.revision:
                return False
            self._take(await rows.load())
        self._tell()
        return True

    # What there is

    @property
    def trunks(self) -> Mapping[str, Trunk]:
        """Every trunk by name."""
        return self._merged.trunks

    @property
    def numbers(self) -> Inventory:
        """Every number."""
        return self._merged.numbers

    @property
    def agents(self) -> Mapping[str, AgentEntry]:
        """Every agent by `model_id`."""
        return self._merged.agents

    @property
    def limits(self) -> Mapping[str, Mapping[str, float]]:
        """The limits of the numbers that the API created, as far as they have some."""
        return self._merged.limits

    def number(self, slug_or_number: str) -> NumberEntry:
        """Return a number by slug or by itself.

        Raises:
            NotFound: there is no such number.
        """
        return self._merged.number(slug_or_number)

    def list_numbers(
        self, *, is_available: bool | None = None, limit: int | None = None, offset: int = 0
    ) -> tuple[int, list[NumberEntry]]:
        """Return how many there are, and a page of them: declared ones first, then by age.

        Args:
            is_available: only those that no agent answers, or only those that one does.
            limit: how many at most; None for all.
            offset: how many to leave out at the beginning.
        """
        names: Sequence[str] = self._merged.names
        if is_available is not None:
            names = [name for name in names if self._merged.has_inbound(name) is not is_available]
        return len(names), [self._merged.number(name) for name in _page(names, limit, offset)]

    def agent(self, model_id: str) -> AgentEntry:
        """Return an agent.

        Raises:
            NotFound: there is no such agent.
        """
        return self._merged.agent(model_id)

    def list_agents(self, *, limit: int | None = None, offset: int = 0) -> tuple[int, list[AgentEntry]]:
        """Return how many there are, and a page of them: declared ones first, then by age."""
        agents = list(self.agents.values())
        return len(agents), list(_page(agents, limit, offset))

    def numbers_of(self, model_id: str, role: str = "") -> tuple[str, ...]:
        """Return the numbers of an agent, in one role or in any; each once."""
        pairs = self._merged.numbers_of(model_id)
        return tuple(dict.fromkeys(number for number, its_role in pairs if role in ("", its_role)))

    def trunk(self, name: str) -> TrunkEntry:
        """Return a trunk.

        Raises:
            NotFound: there is no such trunk.
        """
        return self._merged.trunk(name)

    def list_trunks(self, *, limit: int | None = None, offset: int = 0) -> tuple[int, list[TrunkEntry]]:
        """Return how many there are, and a page of them: declared ones first, then by age."""
        names = self._merged.trunk_names()
        return len(names), [self._merged.trunk(name) for name in _page(names, limit, offset)]

    # Numbers

    async def add_number(
        self,
        number: str,
        given: TrunkFields | None = None,
        *,
        trunk: str = "",
        friendly_name: str = "",
        workspace_id: str = "",
        limits: Mapping[str, float] | None = None,
    ) -> NumberEntry:
        """Import a number.

        Args:
            number: E.164; with some providers any identifier.
            given: of the trunk that it brings along; None for none.
            trunk: name of a trunk that is there, instead.
            friendly_name: for people.
            workspace_id: as the client gave it.
            limits: `max_calls`, `calls_per_second`, `calls_per_day`.

        Raises:
            LocalProtocolError: a field is wrong; the sentence begins with its name in the reference's words.
            Conflict: the number is there already, or is declared in the configuration.
            StoreError: the store cannot be written.
        """
        provider = given.provider_name if given is not None else "custom"
        name = checks.number(number, provider)
        now = self._wall()
        kept = StoredNumber(
            name,
            slug_of(name),
            checks.text(friendly_name, "friendly_name"),
            provider,
            checks.text(workspace_id, "workspace_id", longest=80),
            trunk or None,
            checks.limits(limits or {}),
            now,
        )
        if trunk and given is not None:
            raise LocalProtocolError("trunk: give the name of a trunk or the fields of one, not both")
        own = None if trunk else own_trunk.make(name, given or TrunkFields(), now)
        async with self._changing() as change:
            checks.number_is_free(name, self._now(change))
            if trunk:
                checks.trunk_exists(trunk, self._now(change))
            if own is not None and own.trunk is not None:
                await change.put_trunk(own)
                kept = replace(kept, trunk=name)
            await change.put_number(kept)
        return self.number(name)

    async def change_number(
        self,
        slug: str,
        changes: Mapping[str, Any] | None = None,
        *,
        trunk: str | None = None,
        friendly_name: str | None = None,
        workspace_id: str | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> NumberEntry:
        """Change a number; None leaves a field as it is.

        Args:
            slug: or the number itself.
            changes: fields of `TrunkFields` of the trunk that the number brought along.
            trunk: name of a trunk to use from now on; "" for any.
            friendly_name: for people.
            workspace_id: as the client gives it.
            limits: in the place of all limits.

        Raises:
            NotFound: there is no such number.
            LocalProtocolError: a field is wrong; the sentence begins with its name in the reference's words.
            Conflict: it is declared in the configuration, or uses a trunk that is not its own.
            StoreError: the store cannot be written.
        """
        async with self._changing() as change:
            merged = self._now(change)
            name = merged.name_of(slug)
            checks.number_is_ours(name, merged)
            kept = change.stored.numbers[name]
            if friendly_name is not None:
                kept = replace(kept, friendly_name=checks.text(friendly_name, "friendly_name"))
            if workspace_id is not None:
                kept = replace(kept, workspace_id=checks.text(workspace_id, "workspace_id", longest=80))
            if limits is not None:
                kept = replace(kept, limits=checks.limits(limits))
            if trunk is not None:
                if trunk not in ("", name):
                    checks.trunk_exists(trunk, merged)
                kept = await own_trunk.leave_for(change, kept, trunk)
            if changes:
                kept = await own_trunk.alter(change, kept, changes, self._wall())
            await change.put_number(replace(kept, updated_at=self._wall()))
        return self.number(name)

    async def remove_number(self, slug: str) -> None:
        """Remove a number with the trunk that it brought along, and detach it from every agent.

        Raises:
            NotFound: there is no such number.
            Conflict: it is declared in the configuration.
            StoreError: the store cannot be written.
        """
        async with self._changing() as change:
            name = self._now(change).name_of(slug)
            checks.number_is_ours(name, self._now(change))
            await change.remove_number(name)

    # Trunks of their own

    async def add_trunk(self, name: str, given: TrunkFields) -> TrunkEntry:
        """Create a trunk that numbers can name.

        Raises:
            LocalProtocolError: a field is wrong; the sentence begins with its name.
            Conflict: there is a trunk of this name.
            StoreError: the store cannot be written.
        """
        made = _trunk(checks.trunk_name(name), given, self._wall())
        async with self._changing() as change:
            checks.trunk_is_free(name, self._now(change))
            await change.put_trunk(made)
        return self.trunk(name)

    async def change_trunk(self, name: str, changes: Mapping[str, Any]) -> TrunkEntry:
        """Change fields of a trunk; those not named stay.

        Raises:
            NotFound: there is no such trunk.
            LocalProtocolError: a field is wrong; the sentence begins with its name.
            Conflict: it is declared in the configuration.
            StoreError: the store cannot be written.
        """
        async with self._changing() as change:
            self._now(change).trunk(name)
            checks.trunk_is_ours(name, self._now(change))
            old = change.stored.trunks[name]
            made = _trunk(name, replace(old.fields, **changes), old.created_at)
            await change.put_trunk(replace(made, updated_at=self._wall()))
        return self.trunk(name)

    async def remove_trunk(self, name: str) -> None:
        """Remove a trunk.

        Raises:
            NotFound: there is no such trunk.
            Conflict: it is declared in the configuration, or a number uses it.
            StoreError: the store cannot be written.
        """
        async with self._changing() as change:
            self._now(change).trunk(name)
            checks.trunk_is_ours(name, self._now(change))
            checks.trunk_is_unused(name, self._now(change))
            await change.remove_trunk(name)

    # Agents

    async def add_agent(
        self,
        *,
        name: str,
        type: str,
        handler: str,
        options: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> AgentEntry:
        """Create an agent.

        Args:
            name: for people.
            type: one of `entries.AGENT_TYPES`.
            handler: a built-in handler or `module:function`.
            options: what the handler gets.
            fields: what else the client says of it, JSON values.

        Raises:
            LocalProtocolError: a field is wrong, or the handler cannot be loaded; the sentence begins with its name.
            StoreError: the store cannot be written.
        """
        given = (dict(options or {}), dict(fields or {}))
        agent = checks.agent(AgentEntry(str(uuid4()), name, type, handler, *given, False, self._wall()))
        await self._check(agent)
        async with self._changing() as change:
            await change.put_agent(agent)
        return agent

    async def change_agent(
        self,
        model_id: str,
        *,
        name: str | None = None,
        type: str | None = None,
        handler: str | None = None,
        options: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> AgentEntry:
        """Change an agent; None leaves a field as it is.

        With another type the agent has its numbers in another role.

        Args:
            model_id: of the agent.
            name: for people.
            type: one of `entries.AGENT_TYPES`.
            handler: a built-in handler or `module:function`.
            options: in the place of all options.
            fields: those that change; the others stay.
            settings: what changes below the field `agent`; the rest of that stays.

        Raises:
            NotFound: there is no such agent.
            LocalProtocolError: a field is wrong, or the handler cannot be loaded; the sentence begins with its name.
            Conflict: it is declared in the configuration, or would answer a number that has an agent.
            StoreError: the store cannot be written.
        """
        given: dict[str, Any] = {"name": name, "type": type, "handler": handler, "options": options}
        changes = {key: value for key, value in given.items() if value is not None}
        old = checks.agent_is_ours(model_id, self._merged)
        await self._check(checks.agent(replace(old, **changes, fields=_changed(old.fields, fields, settings))))
        async with self._changing() as change:
            old = checks.agent_is_ours(model_id, self._now(change))
            changed = _changed(old.fields, fields, settings)
            agent = replace(old, **changes, fields=changed, updated_at=self._wall())
            await change.put_agent(checks.agent(agent))
            if agent.type != old.type:
                await self._change_roles(change, agent)
        return self.agent(model_id)

    async def remove_agent(self, model_id: str) -> None:
        """Remove an agent and detach it from its numbers.

        Raises:
            NotFound: there is no such agent.
            Conflict: it is declared in the configuration, or another agent needs it.
            StoreError: the store cannot be written.
        """
        async with self._changing() as change:
            merged = self._now(change)
            checks.agent_is_ours(model_id, merged)
            needed = self.check.needed_by(model_id, merged.agents) if self.check is not None else ()
            if needed:
                raise Conflict(f"agent {model_id} takes over from {', '.join(needed)}; change that first")
            await change.remove_agent(model_id)

    async def _check(self, agent: AgentEntry) -> None:
        if self.check is None:
            return
        try:
            await self.check.check(agent, {**self.agents, agent.model_id: agent})
        except AgentError as error:
            raise LocalProtocolError(f"handler: {str(error).removeprefix(f'agent {agent.model_id}: ')}") from error

    async def _change_roles(self, change: "Change", agent: AgentEntry) -> None:
        """Give an agent that answers now instead of calling its numbers in the new role, and the other way round."""
        role = checks.role_of(agent)
        for number, old in list(change.stored.attachments_of(agent.model_id)):
            if old != role:
                await change.detach(number, agent.model_id, old)
                if checks.can_attach(number, agent.model_id, role, self._now(change)):
                    await change.attach(number, agent.model_id, role, self._wall())

    # Who has which

    async def attach(self, model_id: str, numbers: Sequence[str], role: str = "") -> AgentEntry:
        """Attach numbers to an agent: all of them, or none when one cannot be. What is attached already stays so.

        Args:
            model_id: of the agent.
            numbers: or their slugs.
            role: `inbound`, `outbound`, or "" for what the agent's type says.

        Raises:
            NotFound: there is no such agent, or no such number.
            Conflict: another agent answers one of the numbers.
            LocalProtocolError: agents of this type have no numbers.
            StoreError: the store cannot be written.
        """
        async with self._changing() as change:
            merged = self._now(change)
            agent = merged.agent(model_id)
            role = role or checks.role_of(agent)
            for name in dict.fromkeys(merged.name_of(number) for number in numbers):
                if not checks.can_attach(name, model_id, role, merged):
                    continue
                left_behind = change.stored.inbound_of(name)
                if role == INBOUND and left_behind is not None:  # its agent is gone from the configuration
                    await change.detach(name, left_behind, INBOUND)
                await change.attach(name, model_id, role, self._wall())
        return agent

    async def detach(self, model_id: str, number: str, role: str = "") -> None:
        """Detach a number from an agent, in one role or in both.

        Raises:
            NotFound: there is no such agent or number, or the agent does not have it.
            Conflict: the configuration declares that the agent has it.
            StoreError: the store cannot be written.
        """
        async with self._changing() as change:
            merged = self._now(change)
            name = merged.name_of(number)
            merged.agent(model_id)
            for its_role in checks.roles_to_detach(name, model_id, role, merged):
                await change.detach(name, model_id, its_role)

    # How changes are made

    def _open_rows(self) -> "Rows":
        if self._rows is None:
            raise StoreError("the store is not open; what is declared in the configuration works, and nothing else can")
        return self._rows

    @asynccontextmanager
    async def _changing(self) -> "AsyncIterator[Change]":
        """Make a change: in one transaction with all that it depends on, then in memory, then told.

        While it runs nobody else changes the directory, in this process or in another.
        """
        rows = self._open_rows()
        async with self._lock:
            async with rows.changing(self._merged.stored) as change:
                yield change
            self._take(change.stored)
        self._tell()

    def _now(self, change: "Change") -> Merged:
        """What there is in the middle of a change."""
        return Merged(self._merged.declared, change.stored)

    def _take(self, stored: Stored) -> None:
        self._merged = Merged(self._merged.declared, stored)

    def _tell(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _say_shadowed(self) -> None:
        for kind, name in self._merged.shadowed():
            log.warning(
                f"the configuration declares a {kind} that the API created, too; the declared one counts",
                **{kind: name},
            )


def _trunk(name: str, given: TrunkFields, now: datetime) -> StoredTrunk:
    trunk = trunk_from_fields(name, given)
    if trunk is None:
        raise LocalProtocolError("sip_domain: is missing: the host that calls go to, such as pbx.example.com")
    return StoredTrunk(name, given, trunk, now)


def _changed(
    old: Mapping[str, Any], fields: Mapping[str, Any] | None, settings: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return an agent's fields with these changed, and with these below `agent`."""
    made = {**old, **(fields or {})}
    return made if settings is None else {**made, "agent": {**(old.get("agent") or {}), **settings}}


def _page(items: Sequence[Any], limit: int | None, offset: int) -> Sequence[Any]:
    start = max(0, offset)
    return items[start:] if limit is None else items[start : start + max(0, limit)]
