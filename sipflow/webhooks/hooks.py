"""Where an agent wants its webhooks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Hooks:
    """The URLs of one agent; "" for none.

    Attributes:
        external_webhook_url: told of every finished call.
        inbound_call_webhook_url: asked what to do with each call that comes in.
        events_webhook_url: told what happens in calls while it happens.
    """

    external_webhook_url: str = ""
    inbound_call_webhook_url: str = ""
    events_webhook_url: str = ""

    @classmethod
    def of(cls, said: Mapping[str, object]) -> "Hooks":
        """Read them out of an agent's fields, as the API and the configuration have them, among others."""
        found = {name: value for name in HOOKS if isinstance(value := said.get(name), str)}
        return cls(**found) if found else _NOWHERE


HOOKS = tuple(each.name for each in fields(Hooks))
_NOWHERE = Hooks()  # asked for with every event of every call
HooksOf = Callable[[str], Hooks]  # of the agent with this name; one that is unknown has none
