"""`agents:` becomes what the agents' runner loads: a handler and the options it gets."""

import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated

from sipflow.agents.conduct import FIELDS as CONDUCT
from sipflow.agents.conduct import NOTHING, Conduct
from sipflow.agents.handlers import BUILT_IN, BuiltIn
from sipflow.agents.spec import AgentSpec
from sipflow.config.fields import short_for
from sipflow.config.limit_section import MaxCalls
from sipflow.config.problems import nearest
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.config.webhook_section import HOOKS, check_url

_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
_HANDLER = frozenset({"handler", "pool", "max_calls"})
FILE_OPTIONS = ("file", "fallback_file", "ca_file", "folder")  # paths from the folder of the configuration


class AgentModel(Model):
    """What every agent has; all other keys belong to its handler.

    Attributes:
        handler: what answers: a built-in handler, or module:function for a coroutine of yours.
        pool: the pool of numbers that it calls from.
        max_calls: at a time; nothing said is `limits.each_agent`.
    """

    handler: str
    pool: str = ""
    max_calls: MaxCalls = None


class MaxDurationModel(Model):
    """As the API has it; a number alone is the seconds.

    Attributes:
        duration_seconds: from the answer on; then the call is ended.
        is_enabled: whether calls are ended so at all.
    """

    duration_seconds: float | None = None
    is_enabled: bool = True


class ConductModel(Model):
    """How calls of an agent go.

    Attributes:
        is_recording: whether its calls are recorded; nothing said is `recordings.automatic`.
        max_duration: how long an answered call may last.
        ring_pause_seconds: how long the caller hears ringing before the answer, at least.
        ring_timeout_seconds: how long a call that is placed for this agent may go unanswered.
        initial_pause_seconds: how long nothing is said after the answer.
        allowed_idle_time_seconds: how long nobody may say anything; then the call is ended. Hold does not count.
    """

    is_recording: bool | None = None
    max_duration: Annotated[MaxDurationModel | None, short_for("duration_seconds")] = None
    ring_pause_seconds: float | None = None
    ring_timeout_seconds: float | None = None
    initial_pause_seconds: float | None = None
    allowed_idle_time_seconds: float | None = None


class HookModel(Model):
    """Where an agent wants its webhooks.

    Attributes:
        external_webhook_url: is told of each of its calls once that is over.
        inbound_call_webhook_url: is asked about each call to it before it is answered.
        events_webhook_url: is told what happens in its calls while they are up.
    """

    external_webhook_url: str = ""
    inbound_call_webhook_url: str = ""
    events_webhook_url: str = ""


def agent_spec(section: Section, name: str) -> AgentSpec | None:
    """Return the agent, or None once its problems are reported."""
    model = section.only(_HANDLER).validate(AgentModel)
    if model is None:
        return None
    said = section.only(CONDUCT).validate(ConductModel) or ConductModel()
    conduct = section.attempt(partial(Conduct.of, said.model_dump()))
    hooks = section.only(HOOKS).validate(HookModel) or HookModel()
    for key in sorted(HOOKS):
        section.attempt(partial(check_url, getattr(hooks, key)), at=(key,))
    options = section.without(_HANDLER | CONDUCT | HOOKS).options()
    built_in = BUILT_IN.get(model.handler)
    if built_in is None:
        if _FUNCTION.fullmatch(model.handler) is None:
            near = nearest(model.handler, BUILT_IN)
            text = f"must be {', '.join(sorted(BUILT_IN))} or module:function"
            section.report(text + (f"; did you mean {near}?" if near else ""), "handler")
            return None
    else:
        for key in FILE_OPTIONS:
            file = options.get(key)
            if isinstance(file, str) and file:
                options[key] = str(section.folder / file)
        if not section.attempt(partial(_accepts, built_in, options)):
            return None
    return AgentSpec(
        name,
        model.handler,
        MappingProxyType(options),
        section.line_of("handler"),
        conduct or NOTHING,
        pool=model.pool,
        max_calls=model.max_calls,
        fields=MappingProxyType(hooks.model_dump(exclude_defaults=True)),
    )


def _accepts(built_in: BuiltIn, options: Mapping[str, object]) -> bool:
    built_in.check(options)
    return True
