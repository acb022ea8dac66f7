"""Phone books: lists of people to transfer to, each with the condition for it."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from sipflow.api.envelope import Answer, Ask
from sipflow.api.models.values import Line, Words


class CreatePhoneBook(Ask):
    """A phone book to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Sales"}]})

    name: Annotated[Line, Field(min_length=1)]
    workspace_id: Line = ""


class CreateEntry(Ask):
    """Somebody to transfer to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"phone_number": "+12065550199", "transfer_condition": "The caller wants to buy."}]
        }
    )

    phone_number: Annotated[Line, Field(min_length=1)] = Field(description="E.164, or a SIP URI.")
    transfer_condition: Words


class Key(Answer):
    """The id of what was made."""

    key: str


class PhoneBook(Answer):
    """A phone book."""

    phone_book_id: str
    workspace_id: str
    name: str
    entry_count: int
    agents: list[str] = Field(description="`model_id` of every agent whose options or fields name it.")


class PhoneBookPage(Answer):
    """A page of phone books."""

    total: int
    page_size: int
    page_number: int
    items: list[PhoneBook]


class Entry(Answer):
    """Somebody to transfer to."""

    entry_id: str
    phone_number: str
    transfer_condition: str
    created_at: datetime


class EntryList(Answer):
    """All entries of a phone book, the oldest first; ours, the reference has no way to see them."""

    items: list[Entry]
