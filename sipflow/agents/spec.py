"""What the configuration says about one agent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class HandOver:
    """What an agent returns so that another one goes on with the call, instead of hanging up.

    The other one finds the call as it is: `answer` and `ring` do nothing on a call that is answered already.

    Attributes:
        agent: the other one's name in the configuration.
        why: one sentence for the log.
    """

    agent: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent: a name, the code that runs, and the options that code gets.

    Attributes:
        name: what numbers refer to.
        handler: a built-in handler (`echo`, `announce`) or `module:function`.
        options: every other key of the agent; never shown, for there may be secrets in it.
        line: where the configuration names the handler, for errors; 0 where there is none.
    """

    name: str
    handler: str
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    line: int = field(default=0, compare=False)
