"""The shapes around every answer: the envelope, its pages, and the two shapes of errors."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
MOST_PER_PAGE = 1000
FURTHEST = 2**31 - 1  # an offset or a page beyond it is a mistake, and no database takes a number of any size

Limit = Annotated[int, Field(ge=1, le=MOST_PER_PAGE, description="How many to return.")]
Offset = Annotated[int, Field(ge=0, le=FURTHEST, description="How many to leave out before them.")]


class Answer(BaseModel):
    """Base of what we answer."""

    model_config = ConfigDict(extra="forbid")


class Ask(BaseModel):
    """Base of what we are asked: a field that we do not know is let pass, as clients of other servers send some.

    No message quotes a value: it may be a password.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, allow_inf_nan=False)


class Done(Answer):
    """It is done, and there is nothing more to say."""

    status: Literal["ok"] = "ok"


class Enveloped(Answer, Generic[T]):
    """`{"status": "ok", "response": ...}`"""

    status: Literal["ok"] = "ok"
    response: T


class Pagination(Answer):
    """Which part of a list this is."""

    total_records: int
    limit: int
    offset: int


class Detail(Answer):
    """What went wrong."""

    status: Literal["error"] = "error"
    description: str = Field(
        description="A sentence for a person: what is wrong and what would be right.",
        examples=["termination_uri: it is missing; a custom trunk needs its SIP domain"],
    )
    request_id: str = Field(description="Also in the header X-Request-Id and in our log.")
    category: str = Field(
        description="A word for a program.",
        examples=["validation_error"],
    )


class ErrorAnswer(Answer):
    """The shape of every error but those of the webhook logs."""

    detail: Detail


class LogsErrorAnswer(Answer):
    """The shape of errors of the webhook logs."""

    error: str = Field(description="A word for a program.")
    message: str = Field(description="A sentence for a person.")
