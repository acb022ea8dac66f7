"""`agents:` becomes what the agents' runner loads: a handler and the options it gets."""

import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from sipflow.agents.handlers import BUILT_IN, BuiltIn
from sipflow.agents.spec import AgentSpec
from sipflow.config.problems import nearest
from sipflow.config.section import Section
from sipflow.config.sentences import Model

_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
_HANDLER = frozenset({"handler"})
_FILES = ("file", "fallback_file", "ca_file")  # options that are paths, relative to the configuration's folder


class AgentModel(Model):
    """What every agent has; all other keys belong to its handler."""

    handler: str


def agent_spec(section: Section, name: str) -> AgentSpec | None:
    """Return the agent, or None once its problems are reported."""
    model = section.only(_HANDLER).validate(AgentModel)
    if model is None:
        return None
    options = section.without(_HANDLER).options()
    built_in = BUILT_IN.get(model.handler)
    if built_in is None:
        if _FUNCTION.fullmatch(model.handler) is None:
            near = nearest(model.handler, BUILT_IN)
            text = f"must be {', '.join(sorted(BUILT_IN))} or module:function"
            section.report(text + (f"; did you mean {near}?" if near else ""), "handler")
            return None
    else:
        for key in _FILES:
            file = options.get(key)
            if isinstance(file, str) and file:
                options[key] = str(section.folder / file)
        if not section.attempt(partial(_accepts, built_in, options)):
            return None
    return AgentSpec(name, model.handler, MappingProxyType(options), section.line_of("handler"))


def _accepts(built_in: BuiltIn, options: Mapping[str, object]) -> bool:
    built_in.check(options)
    return True
