"""What an agent hears of a call: audio, digits, hold, speech."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from sipflow.calls.events import (
    AudioLost,
    CallEvent,
    DigitPressed,
    Ear,
    HoldChanged,
    Mailbox,
    Subscription,
)
from sipflow.calls.leg import Leg
from sipflow.errors import MediaError
from sipflow.media.reader import FrameReader
from sipflow.media.speech import SpeechDetector, SpeechSettings, SpeechStarted, SpeechStopped

T = TypeVar("T")
_SPEECH = SpeechSettings()
_MAX_DIGITS = 64  # digits nobody has read yet; a stuck key must not fill memory


class Hearing(Leg):
    """The hearing half of a call; see `Call`.

    Attributes:
        speech_settings: how speech is told from silence; set it before `speech` or `events` is used. None is no
            detection: `speech` is refused, and `events` has none.
    """

    # What every call begins with stands here, not in an __init__: a call that nobody listens to never has its own.
    speech_settings: SpeechSettings | None = _SPEECH
    _digit_waiter: asyncio.Future[None] | None = None
    _held_told = False
    _over = False
    _mailboxes: tuple[Mailbox[Any], ...] = ()
    _ears: tuple[Ear, ...] = ()
    _speech_task: asyncio.Task[None] | None = None

    @cached_property
    def _digits(self) -> deque[str]:
        return deque(maxlen=_MAX_DIGITS)

    # Audio

    @property
    def audio(self) -> FrameReader:
        """What the far end says: `async for frame in call.audio`, one frame (20 ms unless agreed otherwise) at a time.

        Frames are 16-bit little-endian mono at `sample_rate_hz`. Each use of `call.audio` is a reader of its own, from
        now on. The queue behind it is bounded to a second: a slow agent loses the oldest audio, is told
        (`reader.lost`, `reader.newly_lost()`, `AudioLost` in `events`), and never slows another call. The iteration
        ends, quietly, with the call. Cancelling a wait loses no frame.

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet, for the call has not been answered.
        """
        return self.frames()

    def frames(self, *, sample_rate_hz: int | None = None) -> FrameReader:
        """Read the far end's audio as `audio` does, at a rate of this reader's own.

        Args:
            sample_rate_hz: 8000, 16000, 24000 or 48000; None is the call's.

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet, or no such rate.
        """
        rate_hz = self._rate(sample_rate_hz)
        reader = self._live_media.session.frames().at(rate_hz)
        reader.on_lost = self._audio_lost
        return reader

    # Digits and hold

    async def read_digit(self, *, timeout: float = 5.0) -> str | None:  # noqa: ASYNC109  (what every IVR calls it)
        """Wait for the next DTMF digit the far end presses.

        Digits come from telephone-event packets (RFC 4733) or SIP INFO, whichever the far end uses. A digit is
        reported once, at its first packet, not at its end.

        Args:
            timeout: seconds, counted from this call.

        Returns:
            One of `0-9 * # A-D`, or None if nothing was pressed in time.

        Raises:
            CallEnded: either side hung up while we waited.

        Cancelling loses no digit: one that arrives later stays queued for the next `read_digit`.
        """
        self._lifetime.check()
        if not self._digits:
            loop = asyncio.get_running_loop()
            self._digit_waiter = loop.create_future()
            try:
                with self._lifetime.scope():
                    async with self._timeout(timeout):
                        await self._digit_waiter
            except TimeoutError:
                return None
            finally:
                self._digit_waiter = None
        return self._digits.popleft()

    @property
    def dtmf(self) -> Subscription[str]:
        """Each digit the far end presses from now on: `async for digit in call.dtmf`. Ends with the call.

        `read_digit` gets the same digits; each subscription has its own bounded queue.
        """
        return self._subscribe(_digit)

    @property
    def hold(self) -> Subscription[bool]:
        """Each change from now on: True when the far end puts us on hold, False when it takes us back."""
        return self._subscribe(_held)

    @property
    def held(self) -> bool:
        """Whether the far end has put us on hold: nothing is sent, and playing stands still."""
        return self.media is not None and self.media.held

    # Speech, and everything together

    @property
    def speech(self) -> Subscription[SpeechStarted | SpeechStopped]:
        """When the far end begins and stops to speak, from now on. Ends with the call.

        Detection runs while somebody subscribes, for about 7 us of CPU per frame; `speech_settings` tunes it. The
        first 160 ms teach it the noise of the line, and are never speech.

        Raises:
            MediaError: the detector is not installed (`pip install 'sipflow[vad]'`), or `speech_settings` is None.
        """
        if self.speech_settings is None:
            raise MediaError("speech is not detected on this call: call.speech_settings is None")
        self.speech_settings.check()
        return self._subscribe(_speech, speech=True)

    @property
    def events(self) -> Subscription[CallEvent]:
        """Everything that happens beside audio, from now on, in order. Ends with the call.

        Speech is among it where a detector is installed and `speech_settings` is not None.
        """
        return self._subscribe(_everything, speech=self.speech_settings is not None and self.speech_settings.possible)

    def _subscribe(self, pick: Callable[[CallEvent], T | None], *, speech: bool = False) -> Subscription[T]:
        mailbox: Mailbox[T] = Mailbox(pick, speech=speech)
        if self._over:
            mailbox.end()
        else:
            self._mailboxes = (*self._mailboxes, mailbox)
            self._heed_speech()
        return Subscription(mailbox, self._detach)

    def _detach(self, mailbox: Mailbox[T]) -> None:
        if mailbox in self._mailboxes:
            self._mailboxes = tuple(other for other in self._mailboxes if other is not mailbox)
            self._heed_speech()

    def tell(self, ear: Ear) -> None:
        """Tell somebody at once of whatever happens, until `untell` or the end of the call."""
        if self._over:
            ear.end()
        else:
            self._ears = (*self._ears, ear)

    def untell(self, ear: Ear) -> None:
        """Tell somebody no more. No error if it was never told."""
        self._ears = tuple(each for each in self._ears if each is not ear)

    def _publish(self, event: CallEvent) -> None:
        for ear in self._ears:
            ear.offer(event)
        for mailbox in self._mailboxes:
            mailbox.offer(event)

    def _heed_speech(self) -> None:
        """Run the detector while somebody wants to hear of speech, and only then."""
        wanted = any(mailbox.speech for mailbox in self._mailboxes)
        if wanted and self._speech_task is None and self.media is not None and self.speech_settings is not None:
            settings = self.speech_settings
            reader = self.media.session.frames().at(settings.detector.sample_rate_hz)
            detection = self._detect(reader, SpeechDetector(settings), slow=settings.detector.slow)
            self._speech_task = self._tasks.spawn(detection, name="speech of a call")
        elif not wanted and self._speech_task is not None:
            self._speech_task.cancel()
            self._speech_task = None

    async def _detect(self, reader: FrameReader, detector: SpeechDetector, *, slow: bool) -> None:
        async for frame in reader:
            lost = reader.newly_lost()
            if lost:
                detector.skip(lost * frame.duration_ms)
            events = await asyncio.to_thread(detector.hear, frame.pcm) if slow else detector.hear(frame.pcm)
            for event in events:
                self._publish(event)

    def _audio_lost(self, frames: int) -> None:
        self._publish(AudioLost(frames))

    # What the switchboard tells

    def digit_pressed(self, digit: str, kind: str = "") -> None:
        """Queue a digit of the far end; the oldest of 64 unread ones is lost."""
        self._digits.append(digit)
        waiter = self._digit_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        self._publish(DigitPressed(digit, kind))

    def media_changed(self) -> None:
        """Note that something was agreed anew about the audio: tell of hold and resume."""
        if self.held != self._held_told:
            self._held_told = self.held
            self._publish(HoldChanged(self._held_told))
        for ear in self._ears:
            ear.agreed_anew()

    def _stop_hearing(self) -> None:
        """End every subscription; readers of audio end with the session."""
        self._over = True
        ears, self._ears = self._ears, ()
        for ear in ears:
            ear.end()
        if not self._mailboxes and self._speech_task is None:
            return
        mailboxes, self._mailboxes = self._mailboxes, ()
        self._heed_speech()
        for mailbox in mailboxes:
            mailbox.end()


def _digit(event: CallEvent) -> str | None:
    return event.digit if isinstance(event, DigitPressed) else None


def _held(event: CallEvent) -> bool | None:
    return event.held if isinstance(event, HoldChanged) else None


def _speech(event: CallEvent) -> SpeechStarted | SpeechStopped | None:
    return event if isinstance(event, SpeechStarted | SpeechStopped) else None


def _everything(event: CallEvent) -> CallEvent:
    return event
