"""The messages of a call, as the API shows them."""

from datetime import datetime

from pydantic import Field

from sipflow.api.envelope import Answer, Ask


class RungShown(Answer):
    """One message: an arrow of the ladder."""

    at: datetime = Field(description="UTC.")
    after_s: float = Field(description="Seconds since the first message.")
    source: str = Field(description="`sipflow`, or the address of a far end.")
    target: str
    label: str = Field(description="Such as `INVITE (sdp)` or `200 OK to INVITE`.")
    repeated: bool = Field(description="Whether it is a retransmission.")
    text: str = Field(description="The message; passwords, digest proofs, media keys and digits are hidden.")


class TraceShown(Answer):
    """The messages of a call, of all its attempts and of the calls on its behalf, in order."""

    call_id: str
    messages: list[RungShown]
    why: str = Field(description='Why there are none, "" where there are.')
    capturing: bool = Field(description="Whether its audio packets are being kept.")
    captured_packets: int = Field(description="How many are kept.")


class StartCapture(Ask):
    """What is to be kept."""

    seconds: float | None = Field(
        None, ge=1, le=3600, description="The last so many seconds are kept; `trace.media_s` where nothing is said."
    )


class CaptureShown(Answer):
    """What is being kept."""

    seconds: float
