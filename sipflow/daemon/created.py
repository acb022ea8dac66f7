"""Agents that were created at run time, as the agents room takes them."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from sipflow.agents.conduct import Conduct
from sipflow.agents.handlers import BUILT_IN, load, refers_to, wrong_reference
from sipflow.agents.spec import AgentSpec
from sipflow.config.agent_section import FILE_OPTIONS
from sipflow.errors import AgentError, LocalProtocolError
from sipflow.store.entries import AgentEntry


def spec_of(agent: AgentEntry, folder: Path) -> AgentSpec:
    """Return what the runner takes. Paths of files start at `folder`, as in the configuration.

    Raises:
        AgentError: its fields say something that cannot work; the sentence begins with the field's name.
    """
    options = dict(agent.options)
    for key in FILE_OPTIONS if agent.handler in BUILT_IN else ():
        file = options.get(key)
        if isinstance(file, str) and file:
            options[key] = str(folder / file)
    pool, max_calls = agent.fields.get("pool"), agent.fields.get("max_calls")
    if pool is not None and not isinstance(pool, str):
        raise AgentError("pool: it is the name of a pool")
    if max_calls is not None and (isinstance(max_calls, bool) or not isinstance(max_calls, int) or max_calls < 1):
        raise AgentError("max_calls: it is a whole number above 0")
    return AgentSpec(
        agent.model_id,
        agent.handler,
        MappingProxyType(options),
        conduct=Conduct.of(agent.fields),
        pool=pool or "",
        max_calls=max_calls,
    )


def specs_of(agents: Iterable[AgentEntry], folder: Path) -> list[AgentSpec]:
    """Return those of the agents that were created; one whose fields cannot work any more goes without them."""
    specs = []
    for agent in agents:
        if agent.declared:
            continue
        try:
            specs.append(spec_of(agent, folder))
        except AgentError:  # it was checked when it came; a later version may be stricter
            specs.append(AgentSpec(agent.model_id, agent.handler, MappingProxyType(dict(agent.options))))
    return specs


class HandlerCheck:
    """Says whether an agent will work, before it is taken in (store.directory.AgentCheck).

    Args:
        folder: where relative paths of files start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def check(self, agent: AgentEntry, agents: Mapping[str, AgentEntry]) -> None:
        """Refuse an agent that cannot work among `agents`.

        Raises:
            AgentError: its handler cannot be loaded, or its options cannot work.
            LocalProtocolError: one of its fields cannot work.
        """
        try:
            spec = spec_of(agent, self._folder)
        except AgentError as error:
            raise LocalProtocolError(str(error)) from error
        await asyncio.to_thread(load, spec)  # a module may take seconds to import, and calls go on meanwhile
        problem = wrong_reference(spec.name, _plain(agents) | {spec.name: spec})
        if problem:
            raise AgentError(problem)

    def needed_by(self, model_id: str, agents: Mapping[str, AgentEntry]) -> tuple[str, ...]:
        """Name the agents that would not work without this one."""
        return tuple(name for name, spec in _plain(agents).items() if model_id in refers_to(spec))


def _plain(agents: Mapping[str, AgentEntry]) -> dict[str, AgentSpec]:
    return {name: AgentSpec(name, agent.handler, agent.options) for name, agent in agents.items()}
