"""Tokens: made, listed; the text of one is told once."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from sipflow.api.envelope import Answer, Ask
from sipflow.api.models.values import Line, in_utc


class CreateToken(Ask):
    """A token to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "CRM", "scopes": ["calls:write"]}]})

    name: Annotated[Line, Field(min_length=1)]
    scopes: list[Line] = Field(min_length=1, max_length=20)
    expires_at: Annotated[AwareDatetime, AfterValidator(in_utc)] | None = Field(None, description="Null: never.")


class TokenLine(Answer):
    """A token without its text."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Noted every few minutes.")
    revoked_at: datetime | None


class CreatedToken(TokenLine):
    """A token that was just made."""

    token: str = Field(description="What stands behind `Bearer`. It is told this once and kept nowhere.")


class TokenList(Answer):
    """Every token, revoked ones too, the oldest first."""

    tokens: list[TokenLine]
