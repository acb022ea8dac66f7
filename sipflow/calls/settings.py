"""What an operator can set about calls."""

from dataclasses import dataclass, field
from typing import Literal

from sipflow import __version__
from sipflow.calls.stranger_settings import StrangerSettings

UnknownSource = Literal["reject", "silent"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of every call of one daemon.

    Attributes:
        unknown_source: what a caller gets who belongs to no trunk: a 403 (`reject`) or nothing at all (`silent`).
        strangers: how much such a source may try.
        drain_s: how long live calls may go on after SIGTERM.
        max_calls: live calls of all trunks together; one more is refused with 503 and Retry-After.
        answer_timeout_s: how long an agent may leave an incoming call unanswered.
        keep_digits: whether the history of a call says which keys were pressed, and not only that some were.
        sounds: folder of the sound files that may be played into live calls over the API; "" allows none.
        speak: a program and its arguments that reads a text and gives a WAV file; () for none.
        user_agent: text of the User-Agent and Server headers.
    """

    unknown_source: UnknownSource = "reject"
    strangers: StrangerSettings = field(default_factory=StrangerSettings)
    drain_s: float = 30.0
    max_calls: int = 1000
    answer_timeout_s: float = 180.0
    keep_digits: bool = False
    sounds: str = ""
    speak: tuple[str, ...] = ()
    user_agent: str = f"sipflow/{__version__}"
