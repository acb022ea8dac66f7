"""Numbers in the shapes of the reference: imported, listed, shown, changed."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from sipflow.api.envelope import Answer, Ask, Pagination
from sipflow.api.models.values import JsonObject, Line, Phone, Secret
from sipflow.trunks.fields import LONGEST_REGISTER_S, SHORTEST_REGISTER_S
from sipflow.trunks.snapshot import RegistrationSnapshot

Provider = Literal["custom", "twilio", "telnyx", "vonage", "ring_central", "ringcx", "zoom", "five9"]
Expires = Annotated[
    int,
    Field(
        ge=SHORTEST_REGISTER_S,
        le=LONGEST_REGISTER_S,
        description="For how long a registration is asked to last, in whole seconds.",
    ),
]
_DOMAIN = "SIP domain: where calls go. One of these names is enough: `termination_uri`, `sip_term_uri`, `sip_domain`."
_DOMAINS = ("termination_uri", "sip_term_uri", "sip_domain")
PASSWORD: dict[str, JsonValue] = {"format": "password", "writeOnly": True}


class _Trunk(Ask):
    """What import and change have together. A field that is left out, or null, is not set."""

    friendly_name: Line | None = Field(None, description="For people.")
    provider_name: Provider | None = Field(None, description="`custom` where nothing is said.")
    trunk_username: Line | None = Field(None, description="The account. Needed with `uac_enabled`.")
    trunk_pwd: Secret | None = Field(
        None, repr=False, json_schema_extra=PASSWORD, description="Needed with `uac_enabled`. Never given back."
    )
    termination_uri: Line | None = Field(None, description=_DOMAIN, examples=["pbx.example.com"])
    sip_term_uri: Line | None = Field(None, description=_DOMAIN)
    sip_domain: Line | None = Field(None, description=_DOMAIN)
    sip_outbound_proxy: Line | None = Field(
        None,
        description="Goes before the SIP domain as the destination of every call and registration: "
        "`sip:host:port`, `host:port`, `sip:host;transport=tcp`.",
        examples=["sip:10.0.0.5:5065;transport=tcp"],
    )
    sip_auth_username: Line | None = Field(None, description="Answers challenges where it is not `trunk_username`.")
    uac_enabled: bool | None = Field(None, description="Whether we register with the carrier or PBX.")
    uac_register_expires: Expires | None = None
    trunk: Line | None = Field(
        None, description="Ours: name of a trunk that is there, instead of all fields of one in this request."
    )
    trunk_settings: JsonObject | None = Field(
        None,
        description="Ours: further settings of the trunk, by the names that the configuration gives them, such as "
        '`{"transport": "tcp", "region": "US", "accept_from": ["198.51.100.0/24"]}`.',
    )
    limits: "Limits | None" = Field(None, description="Ours: in the place of all limits of the number.")

    @model_validator(mode="after")
    def _says_one_domain(self) -> Self:
        """Two names of one field must not say two things."""
        given = {name: value for name in _DOMAINS if (value := getattr(self, name))}
        if len(set(given.values())) > 1:
            raise ValueError(f"{' and '.join(given)}: these are names of one field, and say different things")
        return self

    @property
    def domain(self) -> str | None:
        """The SIP domain under whichever name it came; "" where it is to be none."""
        given = [each for name in _DOMAINS if (each := getattr(self, name)) is not None]
        return next((each for each in given if each), "" if given else None)


class Limits(Ask):
    """What one number may do; a limit that is left out is none."""

    max_calls: Annotated[int, Field(ge=1, le=100_000)] | None = Field(None, description="At once.")
    calls_per_second: Annotated[float, Field(gt=0, le=10_000)] | None = None
    calls_per_day: Annotated[int, Field(ge=1, le=10_000_000)] | None = None


class ImportNumber(_Trunk):
    """A number to import, and the trunk it is reached by."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "workspace_id": "main",
                    "phone_number": "+33782990580",
                    "friendly_name": "Front desk",
                    "termination_uri": "pbx.example.com",
                    "trunk_username": "2001",
                    "trunk_pwd": "the password of the account",
                    "uac_enabled": True,
                }
            ]
        }
    )

    workspace_id: Line = Field("", description="Kept and given back; there is one workspace here.")
    phone_number: Phone = Field(
        description="E.164, with +. `five9` and `zoom` also take identifiers that are none.", examples=["+33782990580"]
    )


class ChangeNumber(_Trunk):
    """The fields to change; those that are not named stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"friendly_name": "Night desk"}]})

    phone_number: Phone | None = Field(
        None, description="May be said, and is the number as it is: a number cannot become another one."
    )


class Imported(Answer):
    """The number that was imported."""

    key: str = Field(description="A UUID, the same for the same number.")
    phone_number: str
    slug: str = Field(description="Ours: how the number stands in paths.")
    registration: "Registration"


class Registration(Answer):
    """Whether the trunk of a number is registered, and if not, why."""

    state: Literal["registered", "registering", "failed", "unregistering", "off"]
    why: str = Field(description="A sentence for a person.")
    until: datetime | None = Field(description="When it runs out unless it is renewed.")
    retry_at: datetime | None = Field(description="When it is tried next, where it failed.")

    @classmethod
    def of(cls, snapshot: RegistrationSnapshot) -> Self:
        """Show how a registration stands."""
        return cls.model_validate(
            {
                "state": snapshot.state,
                "why": snapshot.sentence,
                "until": snapshot.until,
                "retry_at": snapshot.retry_at,
            }
        )


class NumberLine(Answer):
    """A number in a list."""

    number: str
    sid: str | None = Field(description="Null: it is of no use here.")
    is_available: bool = Field(description="Whether no inbound agent has it.")
    slug: str
    friendly_name: str
    provider_name: str
    declared: bool = Field(description="Whether the configuration declares it, so that the API cannot change it.")
    registration: Registration


class NumberList(Answer):
    """A page of numbers."""

    pagination: Pagination
    phone_numbers: list[NumberLine]


class NumberDetail(Answer):
    """A number with all that is known of it; flat, as in the reference, without an envelope."""

    slug: str = Field(description="The number without the leading +.")
    address_requirement: str
    phone_number: str
    friendly_name: str
    is_sms_capable: bool
    is_voice_capable: bool
    iso_country: str = Field(description="Two letters, or empty where the number tells none.")
    locality: str
    sip_auth_username: str | None
    sip_outbound_proxy: str | None
    sip_term_uri: str
    uac_enabled: bool
    uac_register_expires: int | None
    sid: str | None
    provider_name: str
    region: str
    is_available: bool
    agency_workspace_id: str | None
    workspace_id: str
    created_at: datetime
    updated_at: datetime | None
    assistants: list[str] = Field(description="`model_id` of every agent it is attached to.")

    declared: bool = Field(description="Whether the configuration declares it, so that the API cannot change it.")
    registration: Registration
    inbound_agent: str | None = Field(description="Who answers it.")
    outbound_agents: list[str] = Field(description="Who may call from it.")
    trunk: str | None = Field(description="Name of its trunk; null for any.")
    trunk_username: str | None
    has_password: bool
    trunk_settings: dict[str, Any]
    origination_uri: str = Field(description="Where the far end sends its calls to us.")
    limits: dict[str, float]
