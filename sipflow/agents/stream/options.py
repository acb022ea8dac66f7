"""What the configuration says about an agent with `handler: stream`, checked and ready to use."""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from sipflow.agents.stream import jambonz, telnyx, vonage
from sipflow.agents.stream.dialect import Dialect
from sipflow.agents.stream.jambonz import Jambonz
from sipflow.agents.stream.messages import Start
from sipflow.agents.stream.telnyx import Telnyx
from sipflow.agents.stream.twilio import RATE_HZ, Twilio
from sipflow.agents.stream.vonage import Vonage
from sipflow.errors import AgentError

DialectName = Literal["twilio", "telnyx", "vonage", "jambonz"]
Answer = Literal["connected", "first_audio", "at_once"]
OnClose = Literal["hangup", "fallback"]

_TEXTS = ("url", "dialect", "sign_secret", "codec", "answer", "on_close", "fallback", "fallback_file", "ca_file")
_NUMBERS = {  # option -> lowest and highest
    "sample_rate_hz": (8000, 48000),
    "connect_timeout_s": (0.1, 60),
    "first_audio_timeout_s": (0.1, 300),
    "ping_s": (0.05, 3600),
    "drop_s": (0.1, 7200),
    "max_message_bytes": (1024, 64 << 20),
    "fallback_status": (300, 699),
}
_WHOLE = ("sample_rate_hz", "max_message_bytes", "fallback_status")
_OPTIONS = frozenset({*_TEXTS, *_NUMBERS, "headers", "parameters"})
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]{1,100}")  # RFC 9110 §5.6.2
_OURS = frozenset(  # what the handshake writes itself (RFC 6455 §4.1)
    {"host", "upgrade", "connection", "content-length", "transfer-encoding"}
)
_SHORTEST_SECRET = 16
_RATES: dict[str, tuple[int, ...]] = {
    "twilio": (RATE_HZ,),
    "telnyx": (8000, 16000, 24000),
    "vonage": vonage.RATES_HZ,
    "jambonz": jambonz.RATES_HZ,
}
_USUAL_RATE = {"twilio": RATE_HZ, "telnyx": RATE_HZ, "vonage": 16000, "jambonz": RATE_HZ}


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Where a call's audio goes, and how.

    Attributes:
        url: ws or wss.
        dialect: whose words are spoken.
        headers: further header lines of the handshake; secrets, mostly.
        sign_secret: "" for a handshake without signature.
        parameters: names and values told to the bot; `{variables}` in them are filled in by call.
        sample_rate_hz: of the audio in both directions.
        codec: of Telnyx' audio.
        answer: when the call is answered.
        connect_timeout_s: how long it is tried to reach the bot.
        first_audio_timeout_s: how long `answer: first_audio` waits for it.
        fallback: the agent that takes over, "" for none.
        fallback_file: what is played before hanging up, "" for nothing.
        fallback_status: what an unanswered call is refused with.
        on_close: what a bot that closes the WebSocket means by it.
        ping_s: between two pings.
        drop_s: how long the bot may be silent.
        max_message_bytes: the longest message it may send.
        ca_file: whom to trust beyond what the system trusts, "" for nobody.
    """

    url: str = field(repr=False)
    dialect: DialectName
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    sign_secret: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    sample_rate_hz: int = RATE_HZ
    codec: str = "PCMU"
    answer: Answer = "connected"
    connect_timeout_s: float = 2.5
    first_audio_timeout_s: float = 10.0
    fallback: str = ""
    fallback_file: str = ""
    fallback_status: int = 503
    on_close: OnClose = "hangup"
    ping_s: float = 10.0
    drop_s: float = 30.0
    max_message_bytes: int = 1 << 20
    ca_file: str = ""

    @property
    def host(self) -> str:
        """The bot's host and port: what may be logged of the URL."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def trust(self) -> ssl.SSLContext | None:
        """Give the TLS context for `wss`, None for `ws`."""
        return trusting(self.ca_file) if self.url.lower().startswith("wss:") else None

    def speak(self, start: Start) -> Dialect:
        """Begin a conversation in the dialect."""
        if self.dialect == "telnyx":
            now = datetime.now(UTC)
            return Telnyx(start, codec=self.codec, sample_rate_hz=self.sample_rate_hz, began_at=now)
        if self.dialect == "vonage":
            return Vonage(start, sample_rate_hz=self.sample_rate_hz)
        if self.dialect == "jambonz":
            return Jambonz(start, sample_rate_hz=self.sample_rate_hz)
        return Twilio(start)


def read_options(options: Mapping[str, object]) -> StreamOptions:
    """Check the options and fill in what they leave out.

    Raises:
        AgentError: one cannot work; the sentence never shows a value that may be a secret.
    """
    for name in sorted(options.keys() - _OPTIONS):
        raise AgentError(f"handler stream takes no option {name}: it has {', '.join(sorted(_OPTIONS))}")
    given: dict[str, object] = {name: _text(name, options[name]) for name in _TEXTS if name in options}
    given |= {name: _number(name, options[name]) for name in _NUMBERS if name in options}
    given |= {name: _pairs(name, options[name]) for name in ("headers", "parameters") if name in options}
    for name, words in (("dialect", DialectName), ("answer", Answer), ("on_close", OnClose)):
        _one_of(name, given, get_args(words))
    given.setdefault("sample_rate_hz", _USUAL_RATE[cast(DialectName, given["dialect"])])
    _check_url(given.get("url"))
    read = StreamOptions(**given)  # type: ignore[arg-type]  # each was checked above
    for check in _CHECKS:
        check(read, options)
    return read


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise AgentError(f"handler stream: {name} must be text")
    return value


def _number(name: str, value: object) -> float:
    lowest, highest = _NUMBERS[name]
    if not isinstance(value, int if name in _WHOLE else int | float) or isinstance(value, bool):
        raise AgentError(f"handler stream: {name} must be a {'whole ' if name in _WHOLE else ''}number")
    number = cast(float, value)
    if not lowest <= number <= highest:
        raise AgentError(f"handler stream: {name} is {number}, not from {lowest} to {highest}")
    return number


def _pairs(name: str, value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise AgentError(f"handler stream: {name} must be names with a value each")
    for key, text in value.items():
        if not isinstance(key, str) or not isinstance(text, str | int | float):
            raise AgentError(f"handler stream: {name}.{key} must be text")
    return MappingProxyType({key: _as_text(text) for key, text in value.items()})


def _as_text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _one_of(name: str, given: Mapping[str, object], words: tuple[str, ...]) -> None:
    if name == "dialect" and name not in given:
        raise AgentError(f"handler stream needs `dialect`: one of {', '.join(words)}")
    if name in given and given[name] not in words:
        raise AgentError(f"handler stream: {name} is {given[name]!r}, not one of {', '.join(words)}")


def _check_url(url: object) -> None:
    if url is None:
        raise AgentError("handler stream needs `url`: where the bot's WebSocket is, such as wss://bot.example.com/ws")
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError as error:
        raise AgentError(f"handler stream: url cannot be read: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname or port == 0:
        raise AgentError("handler stream: url must begin with ws:// or wss:// and name a host")
    if parts.fragment or parts.username is not None:
        raise AgentError("handler stream: url takes no #fragment and no user: give an Authorization among `headers`")
    if not str(url).isascii() or not str(url).isprintable() or " " in str(url):
        raise AgentError("handler stream: url has characters that must be written as %XX")


def _check_headers(read: StreamOptions, options: Mapping[str, object]) -> None:  # noqa: ARG001  (one shape for all)
    for name, value in read.headers.items():
        if _TOKEN.fullmatch(name) is None or not all(c == "\t" or " " <= c <= "~" for c in value):
            raise AgentError(f"handler stream: headers.{name!r} cannot be written as a header line")
        if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
            raise AgentError(f"handler stream: header {name} belongs to the handshake itself")


def _check_secret(read: StreamOptions, options: Mapping[str, object]) -> None:  # noqa: ARG001
    if read.sign_secret and len(read.sign_secret) < _SHORTEST_SECRET:
        raise AgentError(f"handler stream: sign_secret has less than {_SHORTEST_SECRET} characters")


def _check_audio(read: StreamOptions, options: Mapping[str, object]) -> None:
    if "codec" in options and read.dialect != "telnyx":
        raise AgentError(f"handler stream: codec is for dialect telnyx, not {read.dialect}")
    if read.codec not in telnyx.CODECS:
        raise AgentError(f"handler stream: codec is {read.codec!r}, not one of {', '.join(telnyx.CODECS)}")
    rates = _RATES[read.dialect]
    if read.dialect == "telnyx" and read.codec != "L16":
        rates = (RATE_HZ,)
    if read.sample_rate_hz not in rates:
        allowed = " or ".join(map(str, rates))
        raise AgentError(f"handler stream: sample_rate_hz is {read.sample_rate_hz}, and {read.dialect} has {allowed}")
    if read.dialect == "vonage" and (taken := vonage.RESERVED & read.parameters.keys()):
        raise AgentError(f"handler stream: dialect vonage has its own {sorted(taken)[0]}: name the parameter otherwise")


def _check_fallback(read: StreamOptions, options: Mapping[str, object]) -> None:
    named = [name for name in ("fallback", "fallback_file", "fallback_status") if name in options]
    if len(named) > 1:
        raise AgentError(f"handler stream: {' and '.join(named)} exclude each other")
    if read.fallback_file and not Path(read.fallback_file).is_file():
        raise AgentError(f"handler stream: no file {read.fallback_file}")
    if read.on_close == "fallback" and not named:
        raise AgentError("handler stream: on_close is fallback, and there is no fallback")


def _check_times(read: StreamOptions, options: Mapping[str, object]) -> None:  # noqa: ARG001
    if read.drop_s <= read.ping_s:
        raise AgentError(f"handler stream: drop_s ({read.drop_s}) must be more than ping_s ({read.ping_s})")


def _check_trust(read: StreamOptions, options: Mapping[str, object]) -> None:  # noqa: ARG001
    if read.ca_file and read.trust() is None:
        raise AgentError("handler stream: ca_file is for a wss:// url")


@lru_cache(maxsize=64)
def trusting(ca_file: str) -> ssl.SSLContext:
    """Give a context that trusts the system's authorities and those of a file; made once, for it takes long.

    Raises:
        AgentError: the file cannot be used.
    """
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise AgentError(f"handler stream: ca_file {ca_file} cannot be used: {error.strerror or error}") from None
    return context


_CHECKS: tuple[Callable[[StreamOptions, Mapping[str, object]], None], ...] = (
    _check_headers, _check_secret, _check_audio, _check_fallback, _check_times, _check_trust,
)  # fmt: skip
