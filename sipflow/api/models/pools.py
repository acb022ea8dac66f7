"""Pools: ours, for the reference has no more of them than the numbers of an agent."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from sipflow.api.envelope import Answer, Ask, Pagination
from sipflow.api.models.values import Name, Phone

Word = Literal[
    "sticky", "same_area", "same_country", "round_robin", "least_recently_used", "weighted"
]  # as in numbers.strategies
Calls = Annotated[int, Field(ge=1, le=100_000)]
PerSecond = Annotated[float, Field(gt=0, le=10_000)]
PerDay = Annotated[int, Field(ge=1, le=1_000_000)]
MOST_NUMBERS = 20_000


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _with_fields(value: object) -> object:
    if isinstance(value, list):
        return [{"phone_number": each} if isinstance(each, str) else each for each in value]
    return value


class Caps(Ask):
    """What one number may do; null for no limit."""

    max_calls: Calls | None = Field(default=None, description="Calls at once, in and out.")
    calls_per_second: PerSecond | None = Field(default=None, description="Calls out; 0.1 is one in ten seconds.")
    calls_per_day: PerDay | None = Field(default=None, description="Calls out.")


class PoolNumber(Caps):
    """A number in a pool; in a list of numbers, its text alone will do."""

    phone_number: Phone = Field(description="A number that is there, or `+1206*` for all that begin so.")
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0


class Rest(Ask):
    """When numbers rest. See docs/pools.md."""

    enabled: bool = True
    for_s: Annotated[float, Field(gt=0, le=31_536_000)] = 3600.0
    at_most_s: Annotated[float, Field(gt=0, le=31_536_000)] = 86_400.0
    after_calls: Annotated[int, Field(ge=1, le=100_000)] = 30
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    probation_calls: Annotated[int, Field(ge=1, le=100_000)] = 10


Strategy = Annotated[
    Annotated[list[Word], Field(min_length=1, max_length=6)],
    BeforeValidator(_listed, json_schema_input_type=Word | list[Word]),
]
Numbers = Annotated[
    Annotated[list[PoolNumber], Field(min_length=1, max_length=MOST_NUMBERS)],
    BeforeValidator(_with_fields, json_schema_input_type=list[Phone | PoolNumber]),
]
Remember = Annotated[int, Field(ge=1, le=10_000_000)]
_STRATEGY = "One word, or several in the order in which they are tried; the last says who is next among equals."


class CreatePool(Caps):
    """A pool. Its caps are those of each of its numbers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "sales",
                    "strategy": ["sticky", "same_area", "least_recently_used"],
                    "numbers": ["+12065550100", {"phone_number": "+13125550100", "weight": 2}],
                    "max_calls": 1,
                    "calls_per_day": 150,
                }
            ]
        }
    )

    name: Name
    strategy: Strategy = Field(["round_robin"], description=_STRATEGY)
    numbers: Numbers
    rest: Rest = Field(default_factory=Rest)
    remember: Remember = Field(100_000, description="Callees whose number is remembered, with `sticky`.")


class ChangePool(Caps):
    """The fields to change; those that are not named stay as they are. `numbers` and `rest` are replaced as a whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"strategy": "weighted"}]})

    strategy: Strategy | None = None
    numbers: Numbers | None = None
    rest: Rest | None = None
    remember: Remember | None = None


class CapsLine(Answer):
    """Caps; null for none."""

    max_calls: int | None
    calls_per_second: float | None
    calls_per_day: int | None


class RestLine(Answer):
    """When numbers rest."""

    enabled: bool
    for_s: float
    at_most_s: float
    after_calls: int
    share: float
    probation_calls: int


State = Literal["free", "probation", "busy", "waiting", "day_full", "resting"]


class NumberState(Answer):
    """How a number of a pool stands."""

    phone_number: str
    slug: str
    weight: float
    caps: CapsLine = Field(description="What holds for it: the strictest of its own and those of all its pools.")
    state: State = Field(
        description="`free`; `probation`: free, after a rest, for one call at a time; `busy`: as many calls up as it "
        "may; `waiting`: just called from; `day_full`: has had its calls of the day; `resting`."
    )
    why: str = Field(description="Why it cannot be called from, or why it rested; empty for nothing to say.")
    free_at: datetime | None = Field(description="When it can be called from again, where that is a matter of time.")
    calls_up: int
    calls_today: int
    last_used_at: datetime | None
    answer_rate: float | None = Field(description="0 to 1, of its latest calls.")


class PoolLine(Answer):
    """A pool."""

    name: str
    strategy: list[str]
    caps: CapsLine = Field(description="Of each of its numbers.")
    rest: RestLine
    remember: int
    declared: bool = Field(description="Whether the configuration declares it, so that the API cannot change it.")
    created_at: datetime | None
    updated_at: datetime | None
    answer_rate: float | None
    number_count: int
    states: dict[str, int] = Field(
        description="How many of its numbers are in each state; those on probation are free."
    )


class PoolDetail(PoolLine):
    """A pool with a page of its numbers, in its order."""

    pagination: Pagination
    numbers: list[NumberState]


class PoolList(Answer):
    """A page of pools."""

    pagination: Pagination
    pools: list[PoolLine]


class AgentPool(Answer):
    """The numbers that an agent calls from."""

    pool: str = Field(description="Name of its pool; empty where it calls from its own numbers in turn.")
    pagination: Pagination
    numbers: list[NumberState]


class LimitsLine(Answer):
    """How many calls are up, and how many wait."""

    calls: int
    waiting: int
    by_trunk: dict[str, int]
    by_agent: dict[str, int]
