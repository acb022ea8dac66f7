"""How an agent behaves on every call, whatever its handler: ring and pause first, record, end what lasts too long."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import isfinite

from sipflow.audio.tones import level_dbfs
from sipflow.calls.call import Call
from sipflow.calls.ending import Word
from sipflow.calls.events import CallEvent, Subscription
from sipflow.calls.recorder import Recorder
from sipflow.errors import AgentError, CallEnded, Conflict, MediaError
from sipflow.media.speech import SpeechStarted, SpeechStopped
from sipflow.tasks import Tasks

FIELDS = frozenset(
    {
        "is_recording",
        "max_duration",
        "ring_pause_seconds",
        "ring_timeout_seconds",
        "initial_pause_seconds",
        "allowed_idle_time_seconds",
    }
)
_LONGEST_PAUSE_S = 3600.0
_LONGEST_RING_S = 3600.0
_LONGEST_CALL_S = 86_400.0
_LOOK_S = 0.5  # how often silence is measured
_LOUD_DBFS = -40.0  # speech on a telephone, where no detector is installed to tell it from noise


@dataclass(frozen=True, slots=True)
class Conduct:
    """What is done around a handler; all times in seconds, 0 is not at all.

    Attributes:
        is_recording: whether calls are recorded; None leaves that to `recordings.automatic`.
        max_duration_s: from the answer on; then the call is ended.
        ring_pause_s: how long the caller hears ringing before the answer, at least.
        ring_timeout_s: how long a call that is placed for this agent may go unanswered.
        initial_pause_s: how long nothing is said after the answer; what the handler plays meanwhile waits.
        allowed_idle_s: how long nobody may say anything; then the call is ended. Hold does not count.
    """

    is_recording: bool | None = None
    max_duration_s: float = 0.0
    ring_pause_s: float = 0.0
    ring_timeout_s: float = 0.0
    initial_pause_s: float = 0.0
    allowed_idle_s: float = 0.0

    def __bool__(self) -> bool:
        """Whether anything is done at all."""
        return self != NOTHING

    @classmethod
    def of(cls, fields: Mapping[str, object]) -> "Conduct":
        """Read it out of an agent's fields, as the API and the configuration have them.

        `is_recording` and `max_duration` (seconds, or `duration_seconds` and `is_enabled`) stand at the top; the
        others there or, as in the API, below `agent`. What is null counts as not said.

        Raises:
            AgentError: a value cannot work; the sentence begins with the field's name.
        """
        below = fields.get("agent")
        merged = {**(below if isinstance(below, Mapping) else {}), **fields}
        is_recording = merged.get("is_recording")
        if is_recording is not None and not isinstance(is_recording, bool):
            raise AgentError("is_recording: it is true or false")
        return cls(
            is_recording=is_recording,
            max_duration_s=_max_duration(merged.get("max_duration")),
            ring_pause_s=_seconds(merged, "ring_pause_seconds", _LONGEST_PAUSE_S),
            ring_timeout_s=_seconds(merged, "ring_timeout_seconds", _LONGEST_RING_S),
            initial_pause_s=_seconds(merged, "initial_pause_seconds", _LONGEST_PAUSE_S),
            allowed_idle_s=_seconds(merged, "allowed_idle_time_seconds", _LONGEST_CALL_S),
        )


NOTHING = Conduct()


def _max_duration(value: object) -> float:
    if isinstance(value, Mapping):
        enabled = value.get("is_enabled", True)
        if not isinstance(enabled, bool):
            raise AgentError("max_duration: is_enabled is true or false")
        return _seconds(value, "duration_seconds", _LONGEST_CALL_S, "max_duration") if enabled else 0.0
    return _seconds({"max_duration": value}, "max_duration", _LONGEST_CALL_S)


def _seconds(fields: Mapping[str, object], name: str, most: float, within: str = "") -> float:
    value = fields.get(name)
    if value is None:
        return 0.0
    good = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and 0 <= value <= most
    if not good or not isinstance(value, int | float):
        raise AgentError(f"{within or name}: it is {'seconds' if not within else name}, 0 to {most:g}")
    return float(value)


class Conducting:
    """One call under its agent's conduct: what the runner begins with the handler, and closes after it.

    Args:
        call: the call; its `answer` asks this first, and tells it after.
        conduct: the agent's.
        recorder: makes recordings; None records nothing.
        tasks: owner of the watch over silence.
    """

    def __init__(self, call: Call, conduct: Conduct, *, recorder: Recorder | None, tasks: Tasks) -> None:
        self._call = call
        self._conduct = conduct
        self._recorder = recorder
        self._tasks = tasks
        self._begun = False
        self._timers: list[asyncio.TimerHandle] = []
        self._watch: asyncio.Task[None] | None = None
        self._may_answer_at = asyncio.get_running_loop().time() + conduct.ring_pause_s
        call.manners = self

    async def begin(self) -> None:
        """Do what comes before the handler: ring; or, on a call that is answered already, what comes after that.

        Raises:
            CallEnded: the call is over.
        """
        if self._call.answered:
            await self.after_answer()
        elif self._conduct.ring_pause_s:
            await self._call.ring()

    async def before_answer(self) -> None:
        """Let it ring for as long as it must."""
        await asyncio.sleep(self._may_answer_at - asyncio.get_running_loop().time())

    async def after_answer(self) -> None:
        """Record, be silent, and count the seconds; once, whoever tells."""
        if self._begun:
            return
        self._begun = True
        conduct, call, loop = self._conduct, self._call, asyncio.get_running_loop()
        if conduct.max_duration_s:
            end = partial(self._end, f"max_duration: the call has lasted {conduct.max_duration_s:g} s")
            self._timers.append(loop.call_later(conduct.max_duration_s, end))
        if conduct.initial_pause_s:
            call.pause()
            self._timers.append(loop.call_later(conduct.initial_pause_s, self._speak))
        if conduct.allowed_idle_s:
            self._watch = self._tasks.spawn(
                _watch_silence(call, conduct.allowed_idle_s, self._end), name=f"silence of call {call.id}"
            )
        await self._record()

    async def _record(self) -> None:
        recorder = self._recorder
        if recorder is None or not recorder.wanted(self._conduct.is_recording):
            return
        try:
            await recorder.start(self._call)
        except Conflict:
            pass  # the handler, or an agent before this one, records it already
        except MediaError as error:  # a full disk is no reason to hang up on somebody
            self._call.log.error("the call is not recorded", why=str(error))

    def _speak(self) -> None:
        with suppress(CallEnded):
            self._call.resume()

    def _end(self, why: str) -> None:
        if self._call.aside:
            return  # it is a person's call now
        self._call.end_for(Word.TIMED_OUT, why, status=408)

    def close(self) -> None:
        """Let the call be; it is over, or another agent goes on with it."""
        for timer in self._timers:
            timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._call.manners is self:
            self._call.manners = None


class _Loud:
    """Hears whether anything is said at all, where no detector of speech is installed (`media.playout.Sink`)."""

    def __init__(self) -> None:
        self.heard = False

    def put(self, pcm: bytes) -> None:
        self.heard = self.heard or level_dbfs(pcm) > _LOUD_DBFS

    def switch(self, sample_rate_hz: int) -> None:
        """Learn nothing: loud is loud at any rate."""

    def end(self) -> None:
        """Hear nothing more."""


class _Silence:
    """How long nobody has said anything on one call."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._played_ms = call.played_ms
        self._speaking = False
        self._loud: _Loud | None = None
        self.events: Subscription[CallEvent] = call.events
        if call.media is not None and (call.speech_settings is None or not call.speech_settings.possible):
            self._loud = _Loud()
            call.media.session.listen(self._loud)

    def take(self, event: CallEvent) -> None:
        """Note that something happened."""
        if isinstance(event, SpeechStarted | SpeechStopped):
            self._speaking = isinstance(event, SpeechStarted)

    def broken(self) -> bool:
        """Whether somebody has spoken since this was last asked, or cannot: hold is not silence."""
        call, loud = self._call, self._loud
        played, self._played_ms = self._played_ms, call.played_ms
        heard = loud is not None and loud.heard
        if loud is not None:
            loud.heard = False
        away = call.held or call.holding or call.aside  # what a person says to the caller is not heard here
        return self._speaking or heard or played != call.played_ms or away

    def close(self) -> None:
        """Listen no more."""
        self.events.close()
        if self._loud is not None and self._call.media is not None:
            self._call.media.session.forget(self._loud)


async def _watch_silence(call: Call, allowed_s: float, end: Callable[[str], None]) -> None:
    """End a call on which nobody has said anything for too long; a digit counts as said."""
    silence, clock = _Silence(call), asyncio.get_running_loop().time
    step_s = min(_LOOK_S, allowed_s / 4)
    until = clock() + allowed_s
    try:
        while clock() < until:
            try:
                async with asyncio.timeout(step_s):
                    silence.take(await anext(silence.events))
            except TimeoutError:
                happened = silence.broken()
            except StopAsyncIteration:
                return
            else:
                happened = True
            if happened:
                until = clock() + allowed_s
    finally:
        silence.close()
    end(f"allowed_idle_time_seconds: nobody has said anything for {allowed_s:g} s")
