"""What an operator can set about calls."""

from dataclasses import dataclass
from typing import Literal

from sipflow import __version__

UnknownSource = Literal["reject", "silent"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of every call of one daemon.

    Attributes:
        unknown_source: what a caller gets who belongs to no trunk: a 403 (`reject`) or nothing at all (`silent`).
        drain_s: how long live calls may go on after SIGTERM.
        max_calls: live calls of all trunks together; one more is refused with 503 and Retry-After.
        answer_timeout_s: how long an agent may leave an incoming call unanswered.
        user_agent: text of the User-Agent and Server headers.
    """

    unknown_source: UnknownSource = "reject"
    drain_s: float = 30.0
    max_calls: int = 1000
    answer_timeout_s: float = 180.0
    user_agent: str = f"sipflow/{__version__}"
