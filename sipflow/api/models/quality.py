"""How a call's audio fared over its time, as the API shows it."""

from datetime import datetime

from pydantic import Field

from sipflow.api.envelope import Answer


class QualityPointShown(Answer):
    """What was heard of the far end since the point before."""

    at: datetime = Field(description="UTC.")
    packets: int = Field(description="That came.")
    loss_percent: float | None = Field(description="Of those that should have come; null where none should.")
    jitter_ms: float
    round_trip_ms: float | None
    mos: float | None = Field(description="1 to 4.5, by the E-model, over the call so far.")


class QualityTrack(Answer):
    """A point every five seconds; of a long call further apart."""

    call_id: str
    points: list[QualityPointShown]
