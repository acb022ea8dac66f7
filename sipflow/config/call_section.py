"""`calls:`, `log:` and what stands alone at the top become the settings of calls and logs."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from sipflow.calls.settings import Settings
from sipflow.calls.stranger_settings import StrangerSettings
from sipflow.config.fields import Texts
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.config.sip_section import SipModel

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]
_DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged and how.

    Attributes:
        level: the least serious line that is written.
        format: `json` for machines, `console` for people, `auto` for `console` on a terminal and `json` elsewhere.
        mask_numbers: whether telephone numbers are written with their middle hidden, and digits not at all.
    """

    level: LogLevel = "info"
    format: LogFormat = "auto"
    mask_numbers: bool = False


class LogModel(Model):
    """What is logged and how.

    Attributes:
        level: the least serious line that is written; `debug` shows every SIP message.
        format: `json` for machines, `console` for people, `auto` for `console` on a terminal and `json` elsewhere.
        mask_numbers: whether the middle of telephone numbers is hidden, and digits altogether.
    """

    level: LogLevel = "info"
    format: LogFormat = "auto"
    mask_numbers: bool = False


class CallsModel(Model):
    """All calls.

    Attributes:
        max_calls: live calls of all trunks together; one more is refused with 503.
        answer_timeout_s: how long an agent may leave an incoming call unanswered.
        keep_digits: whether the history of a call says which keys were pressed, and not only that some were.
        sounds: folder of the sound files that may be played into live calls over the API; nothing said allows none.
        speak: a program and its arguments that reads a text on its standard input and gives a WAV file on its standard
            output; it speaks the texts of transfers that are begun over the API.
    """

    max_calls: Annotated[int, Field(ge=1, le=100_000)] = _DEFAULTS.max_calls
    answer_timeout_s: Annotated[float, Field(gt=0, le=3600)] = _DEFAULTS.answer_timeout_s
    keep_digits: bool = _DEFAULTS.keep_digits
    sounds: str = ""
    speak: Texts = ()


class TopModel(Model):
    """What stands beside the sections.

    Attributes:
        drain_s: how long live calls may go on once the daemon is told to stop.
    """

    drain_s: Annotated[float, Field(ge=0, le=86_400)] = _DEFAULTS.drain_s


def log_settings(section: Section) -> LogSettings | None:
    """Return the logs' settings, or None once their problems are reported."""
    model = section.validate(LogModel)
    return LogSettings(model.level, model.format, model.mask_numbers) if model is not None else None


def call_settings(
    section: Section, sip: SipModel, top: TopModel, *, strangers: StrangerSettings = _DEFAULTS.strangers
) -> Settings | None:
    """Return the calls' settings, or None once their problems are reported.

    Args:
        section: `calls:`.
        sip: `sip:`, where an operator looks for what concerns strangers and our name.
        top: the keys beside the sections.
        strangers: `sip.strangers`, as it was read.
    """
    model = section.validate(CallsModel)
    if model is None:
        return None
    return Settings(
        unknown_source=sip.unknown_source,
        strangers=strangers,
        drain_s=top.drain_s,
        max_calls=model.max_calls,
        answer_timeout_s=model.answer_timeout_s,
        keep_digits=model.keep_digits,
        sounds=str(section.folder / model.sounds) if model.sounds else "",
        speak=model.speak,
        user_agent=sip.user_agent or _DEFAULTS.user_agent,
    )
