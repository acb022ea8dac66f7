"""Why a call is answered or refused, in the shapes of the API."""

from typing import Self

from pydantic import Field, model_validator

from sipflow.api.envelope import Answer, Ask
from sipflow.calls.explain import Explanation


class AskWhy(Ask):
    """One of `to`, `invite` and `call_id` says which call."""

    to: str = Field("", max_length=200, description="A number, as the far end writes it; goes with `from_address`.")
    from_address: str = Field(
        "",
        max_length=100,
        description="Where it comes from, as `198.51.100.7` or `tls:198.51.100.7:5061`; left out it is this machine, "
        "or where the topmost Via of `invite` says.",
        examples=["198.51.100.7"],
    )
    invite: str = Field("", max_length=60_000, description="The text of an INVITE; goes with `from_address`.")
    call_id: str = Field("", max_length=80, description="A call that was, or is.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.to, self.invite, self.call_id))) != 1:
            raise ValueError("say one of to, invite and call_id")
        return self


class WhyStep(Answer):
    """One step."""

    part: str = Field(description="`trunk`, `admission`, `number`, `agent`, `limits`, `audio`, `answer` and others.")
    text: str
    good: bool = Field(description="False where the call fails of it, or may.")


class Why(Answer):
    """What would be answered, or was, and why."""

    answered: bool
    status: int = Field(description="SIP status of the final answer; 0 where nothing is answered.")
    why: str
    trunk: str
    number: str
    agent: str
    codec: str
    steps: list[WhyStep]

    @classmethod
    def of(cls, found: Explanation) -> Self:
        """Write an explanation down."""
        return cls(
            answered=found.answered,
            status=found.status,
            why=found.why,
            trunk=found.trunk,
            number=found.number,
            agent=found.agent,
            codec=found.codec,
            steps=[WhyStep(part=step.part, text=step.text, good=step.good) for step in found.steps],
        )
