"""What clients say about transfers of live calls, in our words or those of the reference's LIVE_TRANSFER."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from sipflow.api.envelope import Answer, Ask
from sipflow.api.models.values import Json, Line, Words
from sipflow.calls.transfer.hours import Hours, read_hours
from sipflow.calls.transfer.outcome import TransferAttempt
from sipflow.calls.transfer.request import Mode
from sipflow.calls.transfer.targets import PHONE_BOOK

_Target = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_Targets = Annotated[
    list[_Target], BeforeValidator(lambda given: [given] if isinstance(given, str) else given), Field(max_length=32)
]
_Sound = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\\\x00-\x1f]+$")]
_Music = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\\\x00-\x1f]+$")]
_MODES: dict[str, Mode] = {
    "cold_transfer": "blind",
    "warm_transfer": "warm",
    "warm_transfer_with_context": "warm",
    "blind": "blind",
    "warm": "warm",
    "attended": "attended",
}
# What belongs to the agent's own conversation: it is let pass, and the answer says that nothing came of it.
_THE_AGENTS = ("goodbye_msg", "instructions", "summarization_prompt")


class Day(Ask):
    """When somebody is there on one weekday."""

    weekday: Annotated[str, StringConstraints(max_length=20)]
    interval: Annotated[list[Json], Field(max_length=20)] = Field(description='`[{"from": "09:00", "to": "17:30"}]`')


class Availability(Ask):
    """When somebody is there."""

    timezone: Annotated[str, StringConstraints(max_length=80)] = Field(examples=["Europe/Berlin"])
    schedule: Annotated[list[Day], Field(max_length=50)] = Field(default_factory=list)
    active: bool = True
    unavailable_message: Words | None = None


class TransferCall(Ask):
    """Whom a call is to be transferred to, and how; the fields of the reference's action have its names."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"phone": "+12065550177", "transfer_mode": "warm_transfer", "timeout": 30, "screened": True},
                {"target": ["sip:anna@pbx.example.com", "200"], "mode": "warm", "whisper": "a-caller.wav"},
            ]
        }
    )

    phone: Line | None = Field(default=None, description="Whom to call: E.164, an extension, `sip:` or `tel:`.")
    phone_book_id: Annotated[str, StringConstraints(max_length=80, pattern=r"^[A-Za-z0-9-]+$")] | None = None
    target: _Targets = Field(default_factory=list, description="Ours: one or several, tried in turn.")
    transfer_mode: Literal["cold_transfer", "warm_transfer", "warm_transfer_with_context"] | None = None
    mode: Mode | None = Field(default=None, description="Ours: `blind` unless somebody is to be asked, else `warm`.")
    timeout: float | None = Field(default=None, gt=0, le=3600, description="Seconds that each target may ring.")
    digits: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="", description="Keys to press once it is answered; `w` is half a second, a comma two."
    )
    message_to_transfer_target: Words | None = Field(
        default=None,
        description="What whoever answers is told, with `{variables}`, by `calls.speak`; `whisper` takes its place.",
    )
    whisper: _Sound | None = Field(
        default=None, description="Ours: a sound file (`calls.sounds`) for whoever answers, before the caller is there."
    )
    whisper_pause: float = Field(default=0, ge=0, le=60, description="Ours: seconds of silence before it.")
    enable_background_music: bool = False
    music: _Music | None = Field(
        default=None, description="Ours: a sound file that the caller hears meanwhile, or the https URL of one."
    )
    screened: bool = Field(default=False, description="Whoever answers takes the call with a key.")
    accept: Annotated[str, StringConstraints(pattern=r"^(digit|[0-9*#A-D])$")] | None = Field(
        default=None, description="Ours: the key; `digit` is 1."
    )
    accept_seconds: float | None = Field(default=None, gt=0, le=1800, description="Ours: how long that may take.")
    human_detection: bool = False
    human_detection_timeout_seconds: float = Field(default=30, ge=1, le=1800)
    preserve_caller_id: bool = Field(default=False, description="The target sees the caller's number.")
    caller_id: Annotated[Line, Field(max_length=200)] = Field(
        default="", description="Ours: `original`, `agent`, `header:X-Name`, a number; or as the trunk says."
    )
    headers: dict[str, Annotated[str, StringConstraints(max_length=1024)]] = Field(
        default_factory=dict, description="Ours: `X-*` lines of the INVITE, with `{variables}`."
    )
    human_availability: Availability | None = None
    after_hours: _Targets = Field(default_factory=list, description="Ours: who is called when nobody is there.")
    stop_recording_after_transfer: bool = False
    simultaneous: bool = Field(default=False, description="Ours: all targets ring at once.")
    hand_back: bool = Field(default=False, description="Ours: the caller is back with the agent after the person.")
    fallback_on_refer: bool = Field(default=True, description="Ours: call the target ourselves where REFER fails.")
    trunk: Annotated[Line, Field(max_length=64)] = Field(default="", description="Ours: by which the target is called.")
    raw: bool = Field(default=False, description="Ours: take targets as they are, for PBXs with names of their own.")
    initiating_msg: Words | None = Field(
        default=None, description="What the caller is told first, with `{variables}`, by `calls.speak`."
    )
    goodbye_msg: Words | None = None
    failed_msg: Words | None = Field(default=None, description="What the caller is told when nobody took the call.")
    instructions: Words | None = None
    summarization_prompt: Words | None = None

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.phone and not self.phone_book_id and not self.target:
            raise ValueError("phone: it is missing; say `phone`, `phone_book_id` or `target`")
        return self

    @property
    def targets(self) -> list[str]:
        """Everybody who may be called, in order."""
        book = [f"{PHONE_BOOK}{self.phone_book_id}"] if self.phone_book_id else []
        return [*([self.phone] if self.phone else []), *book, *self.target]

    @property
    def wanted_mode(self) -> Mode:
        """The mode in our words; without one, warm if somebody is to be asked, else blind."""
        if self.mode or self.transfer_mode:
            return _MODES[self.mode or self.transfer_mode or ""]
        asks = self.whisper or self.screened or self.accept or self.human_detection or self.message_to_transfer_target
        return "warm" if asks else "blind"

    @property
    def key(self) -> str | None:
        """What accepts."""
        return self.accept or ("digit" if self.screened else None)

    @property
    def shown(self) -> str:
        """The caller id."""
        return self.caller_id or ("original" if self.preserve_caller_id else "")

    @property
    def hours(self) -> Hours | None:
        """When somebody is there; None is always.

        Raises:
            LocalProtocolError: there is no such time zone, weekday or time.
        """
        there = self.human_availability
        if there is None or not there.active:
            return None
        return read_hours(there.timezone, [each.model_dump() for each in there.schedule])

    @property
    def left_to_the_agent(self) -> list[str]:
        """Name the fields that were said and of which nothing comes here."""
        return [name for name in _THE_AGENTS if getattr(self, name)]


class TransferAttemptShown(Answer):
    """One try to have one target take the call."""

    target: str
    method: str = Field(description="`REFER` or `INVITE`.")
    sip_status: int = Field(description="What the target's side gave; 200 for one that answered, 0 where nothing came.")
    why: str
    decided_by: str = Field(description="`destination`, `carrier`, `caller`, `agent` or `sipflow`.")
    failed_reason: str | None
    started_at: datetime
    ended_at: datetime

    @classmethod
    def of(cls, attempt: TransferAttempt) -> Self:
        """Write an attempt."""
        fields: dict[str, Any] = attempt._asdict()
        fields["sip_status"] = fields.pop("status")
        return cls(**fields)


class TransferShown(Answer):
    """A transfer as it is now."""

    call_id: str
    phase: str = Field(description="`begun`, `referring`, `asking`, `connected` or `over`.")
    mode: str
    targets: list[str]
    target: str = Field(description="Who is tried now, or has the call.")
    status: str = Field(description="`transfer-started`, `transfer-success`, `transfer-failed-busy` and so on.")
    failed_reason: str | None
    human_connected_at: datetime | None
    attempts: list[TransferAttemptShown]
    not_done: list[str] = Field(default_factory=list, description="What was asked for and is not done here, and why.")
