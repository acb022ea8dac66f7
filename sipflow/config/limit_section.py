"""`limits:`, and the limits of single trunks, numbers and agents, become the settings of the limits."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from sipflow.calls.limits import Limit, LimitSettings
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.numbers.use import Caps

MaxCalls = Annotated[int, Field(ge=1, le=100_000)] | None
CallsPerSecond = Annotated[float, Field(gt=0, le=10_000)] | None
CallsPerDay = Annotated[int, Field(ge=1, le=1_000_000)] | None


class LimitModel(Model):
    """The limits of one trunk, or of all calls together.

    Attributes:
        max_calls: at a time, in and out; nothing said is no limit.
        calls_per_second: calls placed a second; nothing said is no limit.
    """

    max_calls: MaxCalls = None
    calls_per_second: CallsPerSecond = None

    @property
    def limit(self) -> Limit:
        """As the calls room has it."""
        return Limit(self.max_calls, self.calls_per_second)


class CapsModel(Model):
    """The limits of one number.

    Attributes:
        max_calls: at a time; nothing said is no limit.
        calls_per_second: calls placed a second; nothing said is no limit.
        calls_per_day: calls placed a day; nothing said is no limit.
    """

    max_calls: MaxCalls = None
    calls_per_second: CallsPerSecond = None
    calls_per_day: CallsPerDay = None

    @property
    def caps(self) -> Caps:
        """As the numbers room has it."""
        return Caps(self.max_calls, self.calls_per_second, self.calls_per_day)


class _AgentModel(Model):
    """The limits of one agent.

    Attributes:
        max_calls: at a time, in and out; nothing said is no limit.
    """

    max_calls: MaxCalls = None


class _TokenModel(Model):
    """The limits of one client of the API.

    Attributes:
        calls_per_second: calls ordered a second; nothing said is no limit.
    """

    calls_per_second: CallsPerSecond = None


class _QueueModel(Model):
    """Calls out that wait for room.

    Attributes:
        calls: how many may wait.
        wait_s: how long one may wait at most, whatever it asks for.
    """

    calls: Annotated[int, Field(ge=0, le=100_000)] = 1000
    wait_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0


class LimitsModel(LimitModel):
    """`limits:`.

    Attributes:
        each_trunk: of trunks that say nothing of their own.
        each_agent: of agents that say nothing of their own.
        each_number: of numbers that say nothing of their own.
        each_token: of each client of the API.
        queue: calls out that may wait for room.
        time_zone: where a number's day begins at midnight.
    """

    each_trunk: LimitModel = LimitModel()
    each_agent: _AgentModel = _AgentModel()
    each_number: CapsModel = CapsModel()
    each_token: _TokenModel = _TokenModel()
    queue: _QueueModel = _QueueModel()
    time_zone: str = "UTC"


def limit_settings(
    section: Section, *, trunks: Mapping[str, Limit], agents: Mapping[str, Limit], numbers: Mapping[str, Caps]
) -> LimitSettings | None:
    """Return the limits, or None once their problems are reported.

    Args:
        section: `limits:`.
        trunks, agents, numbers: those that say something of their own, by name.
    """
    model = section.validate(LimitsModel)
    if model is None:
        return None

    def make() -> LimitSettings:
        return LimitSettings(
            whole=model.limit,
            token_calls_per_second=model.each_token.calls_per_second,
            each_trunk=model.each_trunk.limit,
            each_agent=Limit(model.each_agent.max_calls),
            each_number=model.each_number.caps,
            trunks=MappingProxyType(dict(trunks)),
            agents=MappingProxyType(dict(agents)),
            numbers=MappingProxyType(dict(numbers)),
            queue_calls=model.queue.calls,
            queue_s=model.queue.wait_s,
            time_zone=model.time_zone,
        )

    return section.attempt(make)
