"""What clients say about calls, in the shapes of the reference: ordered, announced, acted on."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from sipflow.api.envelope import Answer, Ask
from sipflow.api.models.values import Id, Line, Phone, Url, Words
from sipflow.calls.announced import Announced

_X_HEADER = re.compile(r"[Xx]-[A-Za-z0-9_-]{1,60}")  # what the reference lets pass
_MOST_VARIABLES = 100
_MOST_HEADERS = 30


def _x_headers(headers: dict[str, str]) -> dict[str, str]:
    for name in headers:
        if _X_HEADER.fullmatch(name) is None:
            raise ValueError(f"{name[:60]!r} is no name for a header of yours: X-, then letters, digits, - or _")
    return headers


def _pairs(value: Any) -> Any:
    """Take `{name: value}` for `[{key, value}]`: one endpoint of the reference has the one, another the other."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [{"key": key, "value": each} for key, each in value.items()]
    return value


def _text(value: Any) -> Any:
    """Take numbers and truth values for the texts that variables are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


_Value = Annotated[str, BeforeValidator(_text), StringConstraints(max_length=4000)]
_VariableName = Annotated[Line, Field(min_length=1)]


class Variable(Ask):
    """What an agent is told about a call: one name and its value."""

    key: _VariableName
    value: _Value


_MAPPING = {"type": "object", "additionalProperties": {"type": "string"}}


class _ByName:
    """Says in the OpenAPI document that a mapping of names to values does as well, and null for none."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), _MAPPING, {"type": "null"}]}


_Variables = Annotated[list[Variable], BeforeValidator(_pairs), Field(max_length=_MOST_VARIABLES), _ByName()]
_Headers = Annotated[
    dict[str, Annotated[Line, Field(min_length=1)]], AfterValidator(_x_headers), Field(max_length=_MOST_HEADERS)
]


class PlaceCall(Ask):
    """A call to somebody."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model_id": "front-desk",
                    "phone": "+12065550199",
                    "name": "Ada Lovelace",
                    "from_phone_number": "+12065550100",
                    "custom_variables": [{"key": "appointment", "value": "Tuesday at ten"}],
                }
            ]
        }
    )

    model_id: Id = Field(description="The agent that talks once the call is answered.")
    phone: Phone = Field(description="Whom to call, in E.164.")
    name: Line = Field(description="Of the person called; agents and records have it.")
    from_phone_number: Phone | None = Field(
        default=None, description="One of the agent's numbers; left out, one is chosen."
    )
    custom_variables: _Variables = Field(default_factory=list, description="`[{key, value}]`; `{key: value}` does too.")
    lead_email: Line | None = None
    lead_timezone: Line | None = None
    prompt: Words | None = None
    greeting: Words | None = None
    external_webhook_url: Url | None = Field(
        default=None, description="Told when the call is over, instead of the agent's."
    )
    ring_timeout_seconds: float | None = Field(default=None, ge=1, le=600, description="Ours: how long it may ring.")
    queue_seconds: float = Field(
        default=0, ge=0, le=3600, description="Ours: how long it may wait where a limit refuses it for now; else 429."
    )
    headers: _Headers = Field(default_factory=dict, description="Ours: further `X-*` lines of the INVITE.")
    privacy: bool = Field(default=False, description="Ours: the callee does not see who calls (RFC 3323).")
    labels: Annotated[list[Line], Field(max_length=50)] = Field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """The custom variables; of a name that comes twice the last counts."""
        return {each.key: each.value for each in self.custom_variables}

    @property
    def passed(self) -> dict[str, object]:
        """What passes through us into the record."""
        names = ("lead_email", "lead_timezone", "prompt", "greeting", "external_webhook_url", "labels")
        return {name: value for name in names if (value := getattr(self, name))}


class PlacedCall(Answer):
    """What became of the order."""

    answer: str
    call_id: str


class Placed(Answer):
    """The call is under way."""

    status: str = "ok"
    response: PlacedCall
    eta: int = Field(
        default=0, description="Seconds until it begins at the latest: 0, or `queue_seconds` while it waits."
    )


class PrepareInbound(Ask):
    """A call that will come."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from_number": "+12065550199",
                    "to_number": "+12065550100",
                    "model_id": "front-desk",
                    "workspace_id": "main",
                    "custom_variables": {"customer": "Ada Lovelace"},
                }
            ]
        }
    )

    from_number: Phone
    to_number: Phone = Field(description="The number of ours that the INVITE will name.")
    model_id: Id = Field(description="The agent that takes the call, whatever agent the number has.")
    workspace_id: Line = ""
    custom_variables: _Variables = Field(default_factory=list, description="`{key: value}`; `[{key, value}]` does too.")
    expires_in_seconds: int = Field(default=600, ge=1, le=86_400, description="Ours: when the INVITE must be here.")

    @property
    def variables(self) -> dict[str, str]:
        """The custom variables."""
        return {each.key: each.value for each in self.custom_variables}


class PreparedInbound(Answer):
    """A call that is expected: the record of the reference, in which nothing has happened yet."""

    call_status: str = Field(default="registered", description="`registered`: send the INVITE with `X-EI: S.<id>;`.")
    synthflow_call_id: str = Field(description="Goes into X-EI, and is the call's id from now on.")
    call_id: str = Field(description="Ours: the same.")
    x_ei: str = Field(description="Ours: the value of the header as it is to be sent.")
    expires_at: datetime = Field(description="Ours: an INVITE that comes later is a call like any other.")
    direction: str = "inbound"
    model_id: str
    workspace_id: str
    custom_variables: dict[str, str]
    lead_phone_number: str
    phone_number_from: str
    phone_number_to: str
    agent_phone_number: str
    type_of_call: str = "inbound"
    start_time: str | None = None
    duration: None = None
    end_call_reason: None = None
    is_voicemail: None = None
    timeline: None = None
    twilio_call_sid: None = None
    executed_actions: None = None
    prompt_variables: dict[str, str] | None = None
    recording_url: None = None
    recording_duration: None = None
    transcript: None = None
    error_message: None = None
    judge_results: None = None
    collected_variables: None = None
    labels: list[str] | None = None
    lead_name: str | None = None
    name: str | None = None
    timezone: str | None = None
    telephony_hangup: None = None
    telephony_disconnect_reason: None = None
    telephony_duration: None = None
    telephony_ringing_duration: None = None
    telephony_start: None = None
    telephony_end: None = None

    @classmethod
    def of(cls, call: Announced) -> Self:
        """Write an announcement."""
        return cls(
            synthflow_call_id=call.id,
            call_id=call.id,
            x_ei=f"S.{call.id};",
            expires_at=call.expires_at,
            model_id=call.agent,
            workspace_id=call.workspace_id,
            custom_variables=dict(call.variables),
            lead_phone_number=call.from_number,
            phone_number_from=call.from_number,
            phone_number_to=call.to_number,
            agent_phone_number=call.to_number,
        )


class HangUp(Ask):
    """Why a call is ended."""

    reason: Annotated[Line, Field(max_length=150)] = Field(
        default="hung up over the API",
        description="For the record, and for the far end, in a Reason header (RFC 3326).",
    )
    custom_end_call_reason: Line | None = Field(
        default=None, description="Your own word; the call's `end_call_reason` is `custom_end_call` then."
    )
    sip_status: int = Field(
        default=603, ge=400, le=699, description="What a caller gets whose call has not been answered, such as 486."
    )


class SendDigits(Ask):
    """Keys to press."""

    digits: Annotated[str, StringConstraints(pattern=r"^[0-9*#A-Da-d]{1,64}$")] = Field(examples=["1234#"])


class PlaySound(Ask):
    """What to play."""

    file: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\\\x00-\x1f]+$")] = Field(
        description="Name of a sound file below the folder that `calls.sounds` names in the configuration.",
        examples=["menu.wav"],
    )
    interrupt: bool = Field(default=False, description="Whether what is queued is dropped first.")
