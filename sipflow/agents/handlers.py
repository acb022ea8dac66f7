"""Which handler names there are, and what each needs: the built-in ones and `module:function`."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sipflow.agents.spec import AgentSpec, HandOver
from sipflow.errors import AgentError

Handler = Callable[[Any], Awaitable[HandOver | None]]  # takes a `Call`; a user's may say that it takes one kind alone
Options = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A handler that ships with sipflow: a module of this room, loaded when an agent first names it.

    Attributes:
        name: of the module, and of the coroutine function in it. Its `check` raises AgentError where options cannot
            work; its `refers_to`, if it has one, names the agent, or several, that they say may take over.
    """

    name: str

    @property
    def run(self) -> Handler:
        """The agent."""
        handler: Handler = getattr(self._module, self.name)
        return handler

    def check(self, options: Options) -> None:
        """Refuse options that cannot work.

        Raises:
            AgentError: they cannot.
        """
        self._module.check(options)

    def refers_to(self, options: Options) -> tuple[str, ...]:
        """Name the agents that may take over, in the order in which they would."""
        said: str | tuple[str, ...] = self._module.refers_to(options) if hasattr(self._module, "refers_to") else ()
        return (said,) if isinstance(said, str) and said else tuple(said)

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(f"sipflow.agents.{self.name}")


_NAMES = ("echo", "announce", "stream", "audiosocket", "sip_endpoint", "forward", "voicemail")
BUILT_IN = {name: BuiltIn(name) for name in _NAMES}


def load(spec: AgentSpec) -> Handler:
    """Find the handler of an agent and check its options.

    Raises:
        AgentError: no such handler, no such module or function, not an async function, or options that cannot work;
            the sentence names the agent.
    """
    built_in = BUILT_IN.get(spec.handler)
    if built_in is not None:
        try:
            built_in.check(spec.options)
        except AgentError as error:
            raise AgentError(f"agent {spec.name}: {error}") from error
        return built_in.run
    module_name, colon, function_name = spec.handler.partition(":")
    if not colon or not module_name or not function_name:
        names = ", ".join(BUILT_IN)
        raise AgentError(f"agent {spec.name}: handler {spec.handler!r} is none of {names}, nor module:function")
    return _import(spec.name, module_name, function_name)


def check_references(specs: Mapping[str, AgentSpec]) -> None:
    """See to it that every agent that may take over exists, and that none takes over from itself.

    Raises:
        AgentError: one does not, or one does; the sentence names the agent.
    """
    for name in specs:
        problem = wrong_reference(name, specs)
        if problem:
            raise AgentError(f"agent {name}: {problem}")


def wrong_reference(name: str, specs: Mapping[str, AgentSpec]) -> str:
    """Say what is wrong with the agents that take over from this one, "" if nothing is."""
    for other in refers_to(specs[name]):
        if other not in specs:
            return f"its fallback {other} is no agent"
    ring = _way_back(name, name, specs, (name,))
    return f"its fallback ends in itself: {' -> '.join(ring)}" if ring else ""


def _way_back(name: str, home: str, specs: Mapping[str, AgentSpec], passed: tuple[str, ...]) -> tuple[str, ...]:
    """Find a way from an agent back to `home` by those that take over; () where there is none."""
    for other in refers_to(specs[name]):
        if other == home:
            return (*passed, other)
        if other in specs and other not in passed:
            ring = _way_back(other, home, specs, (*passed, other))
            if ring:
                return ring
    return ()


def refers_to(spec: AgentSpec) -> tuple[str, ...]:
    """Name the agents that may take over from this one."""
    built_in = BUILT_IN.get(spec.handler)
    return built_in.refers_to(spec.options) if built_in is not None else ()


def _import(agent: str, module_name: str, function_name: str) -> Handler:
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's module may raise, or exit, while it is imported
        why = f"{type(error).__name__}: {error}{_remedy(error, module_name)}"
        raise AgentError(f"agent {agent}: cannot import {module_name}: {why}") from error
    handler = getattr(module, function_name, None)
    if not inspect.iscoroutinefunction(handler):
        what = "has no" if handler is None else "must be `async def`:"
        found = getattr(module, "__file__", None)  # another than the user means, where names are the same
        raise AgentError(f"agent {agent}: module {module_name} {what} {function_name}{f' ({found})' if found else ''}")
    if not _takes_a_call(handler):
        raise AgentError(f"agent {agent}: {module_name}:{function_name} must take one argument, the call")
    checked: Handler = handler
    return checked


def _remedy(error: BaseException, module_name: str) -> str:
    """Say where a module is expected to be, or which line of the user's code failed."""
    if isinstance(error, ModuleNotFoundError) and error.name == module_name.partition(".")[0]:
        return f"; put {error.name}.py beside the configuration"
    if isinstance(error, SyntaxError):
        return ""  # names its line itself
    lines = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith("<frozen")][1:]
    place = f" ({lines[-1].filename}, line {lines[-1].lineno})" if lines else ""
    if isinstance(error, ModuleNotFoundError):
        return f"{place}; install what has it for {sys.executable}"
    return place


def _takes_a_call(handler: Callable[..., object]) -> bool:
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        return False
    return True
