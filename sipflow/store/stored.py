"""What the API created, as it is kept; see `directory` for how it lives together with what is declared."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from sipflow.errors import LocalProtocolError
from sipflow.store.entries import INBOUND, OUTBOUND, AgentEntry
from sipflow.trunks.fields import TrunkFields, trunk_from_fields
from sipflow.trunks.trunk import Trunk

log = structlog.get_logger("sipflow.store")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164 §6.2.1


@dataclass(frozen=True, slots=True)
class StoredTrunk:
    """A trunk that the API created.

    Attributes:
        fields: with the password.
        trunk: what they make; None where the provider alone decides, or where this installation cannot make it.
    """

    name: str
    fields: TrunkFields
    trunk: Trunk | None
    created_at: datetime
    updated_at: datetime | None = None

    @classmethod
    def revived(cls, name: str, given: TrunkFields, created_at: datetime, updated_at: datetime | None) -> "StoredTrunk":
        """Make it of what was kept; one that cannot be used here is said in the log and stands for nothing."""
        try:
            trunk = trunk_from_fields(name, given, phone_number=e164_or_none(name))
        except LocalProtocolError as error:
            log.error("a trunk in the store cannot be used", trunk=name, why=str(error))
            trunk = None
        return cls(name, given, trunk, created_at, updated_at)


@dataclass(frozen=True, slots=True)
class StoredNumber:
    """A number that the API created; the agents are in `Stored.attached`."""

    number: str
    slug: str
    friendly_name: str
    provider_name: str
    workspace_id: str
    trunk: str | None
    limits: Mapping[str, float]
    created_at: datetime
    updated_at: datetime | None = None


Pairs = tuple[tuple[str, str], ...]  # of agent and role


@dataclass(slots=True)
class Stored:
    """Everything of it at one moment.

    Attributes:
        revision: grows with every change, whoever makes it.
        trunks, numbers, agents: by name, number and `model_id`, oldest first.
        attached: which agents each number has in which role, whoever declared either, oldest first.
    """

    revision: int = 0
    trunks: dict[str, StoredTrunk] = field(default_factory=dict)
    numbers: dict[str, StoredNumber] = field(default_factory=dict)
    agents: dict[str, AgentEntry] = field(default_factory=dict)
    attached: dict[str, Pairs] = field(default_factory=dict)

    def copy(self) -> "Stored":
        """Copy it, so that a change that fails leaves nothing behind."""
        return Stored(
            self.revision, dict(self.trunks), dict(self.numbers), dict(self.agents), dict(self.attached)
        )  # fmt: skip

    def attach(self, number: str, agent: str, role: str) -> None:
        """Note one attachment."""
        pairs = self.attached.get(number, ())
        if (agent, role) not in pairs:
            self.attached[number] = (*pairs, (agent, role))

    def detach(self, number: str, agent: str, role: str) -> None:
        """Forget one attachment."""
        pairs = tuple(pair for pair in self.attached.get(number, ()) if pair != (agent, role))
        if pairs:
            self.attached[number] = pairs
        else:
            self.attached.pop(number, None)

    def attachments_of(self, agent: str) -> Iterator[tuple[str, str]]:
        """Give number and role of each attachment of an agent."""
        for number, pairs in self.attached.items():
            for name, role in pairs:
                if name == agent:
                    yield number, role

    def inbound_of(self, number: str) -> str | None:
        """Name the agent that is to answer a number."""
        return next((agent for agent, role in self.attached.get(number, ()) if role == INBOUND), None)

    def outbound_of(self, number: str) -> tuple[str, ...]:
        """Name the agents that may call from a number."""
        return tuple(agent for agent, role in self.attached.get(number, ()) if role == OUTBOUND)


def e164_or_none(number: str) -> str:
    """Return the number where it is E.164, else ""."""
    return number if _E164.fullmatch(number) else ""


def plain_json(value: Any) -> Any:
    """Return a value with its mappings and lists as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    return [plain_json(item) for item in value] if isinstance(value, list | tuple) else value
