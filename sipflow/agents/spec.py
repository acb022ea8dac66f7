"""What the configuration says about one agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sipflow.agents.conduct import NOTHING, Conduct


@dataclass(frozen=True, slots=True)
class HandOver:
    """What an agent returns so that another one goes on with the call, instead of hanging up.

    The other one finds the call as it is: `answer` and `ring` do nothing on a call that is answered already.

    Attributes:
        agent: the other one's name in the configuration.
        why: one sentence for the log.
        then: the agents that go on where that one raises, leaves the call unanswered, or is gone; the first of them
            that works has the call.
    """

    agent: str
    why: str = ""
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent: a name, the code that runs, and the options that code gets.

    Attributes:
        name: what numbers refer to.
        handler: a built-in handler (`echo`, `announce`) or `module:function`.
        options: every other key of the agent; never shown, for there may be secrets in it.
        line: where the configuration names the handler, for errors; 0 where there is none.
        conduct: what is done around the handler.
        pool: name of the pool whose numbers it calls from; "" for its own numbers, in turn.
        max_calls: that it may have at once; None for what `limits.each_agent` says.
        fields: what else is said of it, by the names that the API has, such as `external_webhook_url`.
    """

    name: str
    handler: str
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    line: int = field(default=0, compare=False)
    conduct: Conduct = NOTHING
    pool: str = ""
    max_calls: int | None = None
    fields: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
