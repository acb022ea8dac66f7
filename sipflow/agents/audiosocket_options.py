"""What the configuration says about an agent with `handler: audiosocket`, checked and ready to use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

from sipflow.agents.audiosocket_wire import AUDIO_KINDS
from sipflow.errors import AgentError

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,64})\]|([^\s:\[\]/@]{1,253})):([0-9]{1,5})", re.ASCII)
_TEXTS = ("fallback", "fallback_file")
_NUMBERS = {"connect_timeout_s": (0.1, 60.0), "drop_s": (0.1, 7200.0)}  # option -> lowest and highest
_ANSWERS = ("connected", "at_once")
_CLOSES = ("hangup", "fallback")
_OPTIONS = frozenset({"address", "sample_rate_hz", "answer", "on_close", "fallback_status", *_TEXTS, *_NUMBERS})


@dataclass(frozen=True, slots=True)
class AudioSocketOptions:
    """Where a call's audio goes, and how.

    Attributes:
        host, port: of the bot.
        sample_rate_hz: of the audio that it is sent; what it sends may have any.
        answer: when the call is answered: once the bot is there ("connected"), or before ("at_once").
        connect_timeout_s: how long it is tried to reach the bot.
        drop_s: how long the bot may read nothing.
        on_close: what a bot means that closes the connection without a word: "hangup" or "fallback".
        fallback: the agent that takes over, "" for none.
        fallback_file: what is played before hanging up, "" for nothing.
        fallback_status: what an unanswered call is refused with.
    """

    host: str
    port: int
    sample_rate_hz: int = 8000
    answer: str = "connected"
    connect_timeout_s: float = 2.5
    drop_s: float = 30.0
    on_close: str = "hangup"
    fallback: str = ""
    fallback_file: str = ""
    fallback_status: int = 503

    @property
    def address(self) -> str:
        """The bot's host and port, as one would write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_options(options: Mapping[str, object]) -> AudioSocketOptions:
    """Check the options and fill in what they leave out.

    Raises:
        AgentError: one cannot work.
    """
    for name in sorted(options.keys() - _OPTIONS):
        raise _wrong(f"takes no option {name}: it has {', '.join(sorted(_OPTIONS))}")
    host, port = _address(options.get("address"))
    given: dict[str, object] = {name: _text(name, options[name]) for name in _TEXTS if name in options}
    given |= {name: _number(name, options[name]) for name in _NUMBERS if name in options}
    given |= {name: _status(options[name]) for name in ("fallback_status",) if name in options}
    for name, words in (("answer", _ANSWERS), ("on_close", _CLOSES)):
        if name in options:
            given[name] = _one_of(name, options[name], words)
    if "sample_rate_hz" in options:
        given["sample_rate_hz"] = _one_of("sample_rate_hz", options["sample_rate_hz"], tuple(AUDIO_KINDS))
    _check_fallback(options)
    return AudioSocketOptions(host, port, **given)  # type: ignore[arg-type]  # each was checked above


def _wrong(what: str) -> AgentError:
    return AgentError(f"handler audiosocket {what}")


def _address(value: object) -> tuple[str, int]:
    if value is None:
        raise _wrong("needs `address`: host and port of the bot, such as bot.example.com:9092")
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 0 < int(match[3]) < 65536:
        raise _wrong(f"has address {value!r}, not host:port")
    return match[1] or match[2], int(match[3])


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(f"has {name} {value!r}, not a text")
    return value


def _number(name: str, value: object) -> float:
    lowest, highest = _NUMBERS[name]
    if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest < inf:
        raise _wrong(f"has {name} {value!r}, not a number from {lowest:g} to {highest:g}")
    return float(value)


def _status(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 300 <= value <= 699:
        raise _wrong(f"has fallback_status {value!r}, not one from 300 to 699")
    return value


def _one_of(name: str, value: object, words: tuple[object, ...]) -> object:
    if value not in words or isinstance(value, bool):
        raise _wrong(f"has {name} {value!r}, not one of {', '.join(map(str, words))}")
    return value


def _check_fallback(options: Mapping[str, object]) -> None:
    named = [name for name in ("fallback", "fallback_file", "fallback_status") if name in options]
    if len(named) > 1:
        raise _wrong(f"has {' and '.join(named)}, which exclude each other")
    if "fallback_file" in named and not Path(str(options["fallback_file"])).is_file():
        raise _wrong(f"has fallback_file {options['fallback_file']}, which is no file")
    if options.get("on_close") == "fallback" and not named:
        raise _wrong("has on_close fallback, and there is no fallback")
