"""Lines of the log, as the API shows them."""

from datetime import datetime

from pydantic import Field

from sipflow.api.envelope import Answer


class LogLineShown(Answer):
    """One line."""

    number: int = Field(description="Counts from 1 since sipflow was started.")
    at: datetime = Field(description="UTC.")
    level: str = Field(description="`debug`, `info`, `warning` or `error`.")
    event: str
    call: str = Field(description="`call_id` of the call it is about, or empty.")
    fields: dict[str, str] = Field(description="The rest of what it says; passwords and tokens are hidden.")


class LogTail(Answer):
    """The last lines, oldest first."""

    last: int = Field(description="Number of the newest line there is; ask for what comes `after` it.")
    lines: list[LogLineShown]
