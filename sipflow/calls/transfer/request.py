"""What a transfer is asked for with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypedDict

from sipflow.calls.transfer.extension import Step, read_extension
from sipflow.calls.transfer.hours import Hours
from sipflow.calls.transfer.targets import PHONE_BOOK, Target, read_target
from sipflow.calls.transfer.wording import check_caller_id, check_headers
from sipflow.errors import LocalProtocolError
from sipflow.media.player import Source

if TYPE_CHECKING:
    from sipflow.calls.outbound import OutboundCall

Mode = Literal["blind", "warm", "attended"]
Whisper = Source | Callable[["OutboundCall"], Awaitable[None]]
Accept = str | Callable[["OutboundCall"], Awaitable[bool]]
Who = Callable[["OutboundCall"], Awaitable[str]]

MODES: tuple[Mode, ...] = ("blind", "warm", "attended")
PERSON, VOICEMAIL, PHONE_MENU = "person", "voicemail", "phone_menu"  # what `who` may say of the far side
_KEYS = frozenset("0123456789*#ABCD")
_LONGEST_RING_S = 3600.0
_LONGEST_WAIT_S = 1800.0
_MOST_TARGETS = 32
_DIGIT_S, _SPEECH_S = 20.0, 120.0
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class TransferOptions(TypedDict, total=False):
    """How a call is handed on; what is left out is as `TransferRequest` has it.

    Attributes:
        mode: "blind" (the default), "warm" or "attended".
        trunk: by which the target is called; "" is the one that carries the number chosen for it, or else that of this
            call; an address of elsewhere is called directly.
        whisper: what whoever answers hears before the caller is there: a sound, or an async function that is given the
            call to them.
        whisper_pause_s: silence before it.
        accept: how they take the call: "digit" for the key 1, another key, or an async function that is given the call
            to them and returns whether they do. None: by answering.
        accept_s: how long they may take; 20 seconds for a key, counted from the end of the whisper, else 120.
        who: an async function that is given the call to them and returns "person", "voicemail" or "phone_menu".
        who_s: how long it may take; then it is a person.
        caller_id: whom they see: "original" (the caller), "agent" (our number), "header:X-Name" (what stands in a
            header of this call's INVITE), a number or an address; "" is as the trunk says.
        headers: `X-` headers of the INVITE, or of the call that the far end makes; with `{variables}`.
        ring_s: how long each target may ring; None is as the trunk says.
        extension: keys to press once it is answered: `w` is a pause of half a second, `W` of one, a comma of two.
        music: what the caller hears meanwhile, again and again; a text that begins with https:// is where it is fetched
            from. None is ringing for a blind transfer, and for the others the agent, or ringing once it has neither
            talked nor listened for four seconds.
        simultaneous: call all targets at once; the first to accept has the call, the others are cancelled.
        hours: when somebody is there; outside of them nobody is called, or who is named for then.
        fallback_on_refer: whether the target is called by us where REFER does not help.
        hand_back: whether the caller is back with the agent when the person hangs up first; else the call ends then.
        stop_recording: whether a recording of the call ends when the person is there.
    """

    mode: Mode
    trunk: str
    whisper: Whisper | None
    whisper_pause_s: float
    accept: Accept | None
    accept_s: float | None
    who: Who | None
    who_s: float
    caller_id: str
    headers: Mapping[str, str]
    ring_s: float | None
    extension: str
    music: Source | None
    simultaneous: bool
    hours: Hours | None
    fallback_on_refer: bool
    hand_back: bool
    stop_recording: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """A transfer that is wanted; see `TransferOptions` for what each field means.

    Raises:
        LocalProtocolError: a field cannot be used; the sentence begins with its name.
    """

    targets: tuple[Target, ...]
    mode: Mode = "blind"
    trunk: str = ""
    whisper: Whisper | None = None
    whisper_pause_s: float = 0.0
    accept: Accept | None = None
    accept_s: float | None = None
    who: Who | None = None
    who_s: float = 30.0
    caller_id: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    ring_s: float | None = None
    extension: str = ""
    music: Source | None = None
    simultaneous: bool = False
    hours: Hours | None = None
    after_hours: tuple[Target, ...] = ()
    fallback_on_refer: bool = True
    hand_back: bool = False
    stop_recording: bool = False

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise LocalProtocolError(f"mode: {self.mode!r} is not one of {', '.join(MODES)}")
        if not self.targets:
            raise LocalProtocolError("target: there is none")
        if max(len(self.targets), len(self.after_hours)) > _MOST_TARGETS:
            raise LocalProtocolError(f"target: there are more than {_MOST_TARGETS}")
        check_headers(self.headers)
        check_caller_id(self.caller_id)
        self._check_times()
        self._check_accept()
        read_extension(self.extension)

    def _check_times(self) -> None:
        for name, value, most in (
            ("ring_s", self.ring_s, _LONGEST_RING_S),
            ("accept_s", self.accept_s, _LONGEST_WAIT_S),
            ("who_s", self.who_s, _LONGEST_WAIT_S),
        ):
            if value is not None and not 0 < value <= most:
                raise LocalProtocolError(f"{name}: {value:g} is not more than 0 and at most {most:g} seconds")
        if not 0 <= self.whisper_pause_s <= 60 < inf:
            raise LocalProtocolError(f"whisper_pause_s: {self.whisper_pause_s:g} is not in 0..60 seconds")

    def _check_accept(self) -> None:
        accept = self.accept
        if self.mode == "blind" and (self.whisper is not None or accept is not None or self.who is not None):
            raise LocalProtocolError("mode: a blind transfer asks nobody; a whisper or acceptance needs warm")
        if isinstance(accept, str) and accept != "digit" and not (len(accept) == 1 and accept in _KEYS):
            raise LocalProtocolError(f"accept: {accept[:40]!r} is none: digit, a key such as 1, or an async function")

    @property
    def key(self) -> str:
        """The key that accepts; "" where none does."""
        return "" if not isinstance(self.accept, str) else "1" if self.accept == "digit" else self.accept

    @property
    def patience_s(self) -> float:
        """How long a target that has answered may take to accept."""
        return self.accept_s or (_DIGIT_S if isinstance(self.accept, str) else _SPEECH_S)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The keys to press once a target has answered."""
        return read_extension(self.extension)

    @property
    def asks(self) -> bool:
        """Whether somebody who answers is asked anything before the caller is there."""
        return self.who is not None or self.whisper is not None or self.accept is not None


def read_targets(
    given: str | Target | Sequence[str | Target], *, region: str | None = None, raw: bool = False
) -> tuple[Target, ...]:
    """Read one target or several; `phonebook:<id>` and `phonebook:<id>/<entry>` are read when they are called.

    Raises:
        LocalProtocolError: one of them cannot be called; the sentence begins with `target:`.
    """
    several = [given] if isinstance(given, str | Target) else list(given)
    return tuple(each if isinstance(each, Target) else _read(each, region, raw) for each in several)


def _read(text: str, region: str | None, raw: bool) -> Target:
    if not isinstance(text, str):
        raise LocalProtocolError(f"target: {text!r} is no text")
    if text.startswith(PHONE_BOOK):
        return Target(text, text, external=False)
    return read_target(text, region=region, raw=raw)
