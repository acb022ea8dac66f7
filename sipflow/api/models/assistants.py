"""Agents in the shapes of the reference, where they are called assistants: created, changed, listed, shown."""

from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sipflow.api.envelope import Answer, Ask, Pagination
from sipflow.api.models.values import JsonObject, Line, Phone, Url, Words, storable

AgentType = Literal["inbound", "outbound", "widget"]
DEFAULT_TIMEZONE = "Europe/Berlin"
_Seconds = Annotated[float, Field(ge=0, le=3600)]
_HANDLER = (
    "Ours: what answers: `echo`, `announce`, `stream`, `audiosocket`, `sip_endpoint`, or a `module:function` that an "
    "agent of the configuration has, too. Left out: handler and options of the agent that `api.default_agent` names, "
    "else `echo`."
)
_OPTIONS = (
    "Ours: what the handler gets, as under `agents:` in the configuration, such as "
    '`{"url": "wss://bot.example.com/media", "dialect": "twilio"}`. Texts that may be secrets are shown as `***`.'
)


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _timezone(name: str) -> str:
    if _timezones() and name not in _timezones():
        raise ValueError("is no time zone; write it as in Europe/Berlin")
    return name


class BackgroundNoise(Ask):
    """Noise behind the agent's voice."""

    enabled: bool | None = None
    type: Literal["cafe", "office"] | None = None
    volume: int | None = Field(None, ge=0, le=100)


class EndCallReason(Ask):
    """When the agent is to end a call, and with which words."""

    reason: Words
    closing_message_mode: Literal["static", "prompt", "none"] | None = None
    closing_message: Words | None = None


class AgentSettings(BaseModel):
    """How the agent speaks and listens. What is not named here is kept and given back as it came."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, allow_inf_nan=False)

    prompt: Words | None = None
    timezone: Annotated[Line, AfterValidator(_timezone)] | None = Field(None, examples=[DEFAULT_TIMEZONE])
    language: Line | None = None
    llm: Line | None = None
    voice_id: Line | None = None
    ring_pause_seconds: _Seconds | None = Field(None, description="How long it rings before the agent answers.")
    initial_pause_seconds: _Seconds | None = Field(None, description="Silence between the answer and the first word.")
    allowed_idle_time_seconds: _Seconds | None = Field(None, description="Silence after which the agent hangs up.")
    send_user_idle_reminders: bool | None = None
    reminder_after_idle_time_seconds: _Seconds | None = None
    reminder_after_idle_message: Words | None = None
    greeting_message: Words | None = None
    greeting_message_mode: Literal["human", "agent_static", "agent_dynamic"] | None = None
    greeting_message_human_talk_timeout: _Seconds | None = None
    background_noise: BackgroundNoise | None = None
    noise_cancellation: Literal["standard", "advanced"] | None = None
    suppression_level: float | None = None
    interruption_fade_out: int | None = Field(None, ge=0, le=1000, description="In frames of 20 ms.")
    min_words_to_interrupt: Literal["0", "1", "2", "3", "4", "5"] | None = None
    end_call_reasons: list[Words] | None = Field(None, max_length=100, json_schema_extra={"deprecated": True})
    end_call_reasons_v2: list[EndCallReason] | None = Field(None, max_length=100)
    consent_message: Words | None = None
    is_consent_enabled: bool | None = None
    redact_pii: bool | None = None
    is_transcript_disabled: bool | None = None
    voice_volume: float | None = None
    voice_speed: float | None = None

    @model_validator(mode="after")
    def _rest_can_be_kept(self) -> Self:
        storable(self.model_extra)
        return self


class MaxDuration(Ask):
    """How long a call may last."""

    duration_seconds: int | None = Field(None, ge=1, le=86_400)
    is_enabled: bool | None = None


class VoicemailMessage(Ask):
    """What is said to a machine that answers."""

    enabled: bool | None = None
    mode: Literal["exact_message", "prompt"] | None = None
    exact_message: Words | None = None
    prompt: Words | None = None


class _Assistant(Ask):
    """What create and change have together."""

    description: Words | None = None
    phone_number: Line | None = Field(None, description="A number of ours, to attach to the agent.")
    external_webhook_url: Url | None = Field(None, description="Told of each call when it is over.")
    inbound_call_webhook_url: Url | None = Field(None, description="Asked about each call that comes in.")
    events_webhook_url: Url | None = Field(None, description="Told what happens in its calls. Ours.")
    is_recording: bool | None = None
    max_duration: MaxDuration | None = None
    voicemail_message: VoicemailMessage | None = None
    end_call_reasons: list[Words] | None = Field(None, max_length=100, json_schema_extra={"deprecated": True})
    handler: Line | None = Field(None, description=_HANDLER, examples=["stream"])
    pool: Line | None = Field(None, description="Ours: the pool it calls from; empty for its own numbers in turn.")
    max_calls: int | None = Field(None, ge=1, le=100_000, description="Ours: its calls at once, in and out.")
    options: JsonObject | None = Field(
        None, repr=False, description=_OPTIONS, examples=[{"url": "wss://bot.example.com/media", "dialect": "twilio"}]
    )


class CreateAssistant(_Assistant):
    """A new agent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "inbound",
                    "name": "Front desk",
                    "agent": {"timezone": "Europe/Berlin", "greeting_message": "Good morning!"},
                    "handler": "stream",
                    "options": {"url": "wss://bot.example.com/media", "dialect": "twilio"},
                }
            ]
        }
    )

    type: AgentType
    name: Annotated[Line, Field(min_length=1)]
    agent: AgentSettings = Field(default_factory=lambda: AgentSettings.model_validate({}))


class ChangeAssistant(_Assistant):
    """The fields to change; those that are not named stay as they are, those of `agent` too."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"agent": {"ring_pause_seconds": 2}}]})

    type: AgentType | None = None
    name: Annotated[Line, Field(min_length=1)] | None = None
    agent: AgentSettings | None = None


class ModelId(Answer):
    """The agent's id."""

    model_id: str


class Details(Answer):
    """What the reference tells of an agent beside its id."""

    phone: str = Field(description="The first number attached to it, or empty.")
    voice: str


class CreatedAssistant(Answer):
    """The agent is there."""

    status: Literal["ok"] = "ok"
    response: ModelId
    details: Details


class DeletedAssistant(Answer):
    """The agent is gone."""

    answer: str


class AttachedNumber(Answer):
    """A number of an agent."""

    number: str
    sid: str | None = Field(description="Null: it is of no use here.")
    slug: str


class Assistant(BaseModel):
    """An agent. Fields of the reference that the client never set are left out."""

    model_config = ConfigDict(extra="allow")

    model_id: str
    type: AgentType
    name: str
    description: str
    phone_number: str
    agent: dict[str, Any]
    attached_phone_numbers: list[AttachedNumber]
    handler: str
    options: dict[str, Any]
    declared: bool = Field(description="Whether the configuration declares it, so that the API cannot change it.")
    created_at: datetime
    updated_at: datetime | None


class AssistantList(Answer):
    """A page of agents; one that was asked for by its id is an array of one, as in the reference."""

    pagination: Pagination
    assistants: list[Assistant]


class AttachNumbers(Ask):
    """Which numbers an agent is to have besides those it has: by number or by slug, not both."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"phone_numbers": ["+16286666348", "+12131231214"]}]})

    phone_numbers: list[Phone] | None = Field(None, min_length=1, max_length=1000)
    phone_number_slugs: list[Phone] | None = Field(None, min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.phone_numbers is None) == (self.phone_number_slugs is None):
            raise ValueError("give either phone_numbers or phone_number_slugs, not both and not none")
        return self

    @property
    def named(self) -> list[str]:
        """The numbers, whichever way they are named."""
        return self.phone_numbers or self.phone_number_slugs or []
