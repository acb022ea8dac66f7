"""Trunks: ours, for the reference knows them only as fields of a number."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from sipflow.api.envelope import Answer, Ask, Pagination
from sipflow.api.models.numbers import PASSWORD, Expires, Provider, Registration
from sipflow.api.models.values import JsonObject, Line, Name, Secret


class _Trunk(Ask):
    sip_domain: Line | None = Field(None, description="Where calls go; the domain of the account.")
    username: Line | None = None
    password: Secret | None = Field(None, repr=False, json_schema_extra=PASSWORD, description="Never given back.")
    outbound_proxy: Line | None = Field(None, description="Goes before `sip_domain` as the destination of everything.")
    auth_username: Line | None = Field(None, description="Answers challenges where it is not `username`.")
    origination_uri: Line | None = Field(None, description="Our address as the provider knows it.")
    provider_name: Provider | None = None
    uac_enabled: bool | None = Field(None, description="Whether we register.")
    uac_register_expires: Expires | None = None
    settings: JsonObject | None = Field(
        None,
        description="Further settings by the names that the configuration gives them, such as "
        '`{"transport": "tcp", "accept_from": ["198.51.100.0/24"], "srtp": "optional"}`.',
    )


class CreateTrunk(_Trunk):
    """A trunk for several numbers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "pbx",
                    "sip_domain": "pbx.example.com",
                    "username": "2001",
                    "password": "the password of the account",
                    "uac_enabled": True,
                }
            ]
        }
    )

    name: Name


class ChangeTrunk(_Trunk):
    """The fields to change; those that are not named stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"outbound_proxy": "sip:10.0.0.5:5065"}]})


class TrunkLine(Answer):
    """A trunk without its password."""

    name: str
    sip_domain: str
    username: str
    has_password: bool
    outbound_proxy: str
    auth_username: str
    origination_uri: str
    provider_name: str
    uac_enabled: bool
    uac_register_expires: int | None
    settings: dict[str, Any]
    declared: bool = Field(description="Whether the configuration declares it, so that the API cannot change it.")
    created_at: datetime
    updated_at: datetime | None
    registration: Registration


class TrunkList(Answer):
    """A page of trunks."""

    pagination: Pagination
    trunks: list[TrunkLine]
