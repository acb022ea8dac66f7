"""What an agent says on a call: sounds, streams, single pieces, digits; and how much of it really was sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.board import Board
from sipflow.calls.digits import DigitOutbox
from sipflow.calls.leg import Leg
from sipflow.errors import MediaError
from sipflow.media.feed import Feed
from sipflow.media.play_queue import Samples
from sipflow.media.player import Source, play
from sipflow.sip.usage.invite import InviteUsage


class Speaking(Leg):
    """The speaking half of a call; see `Call`. All milliseconds count audio, not the silence between it."""

    usage: InviteUsage
    _switchboard: Board
    _feed: Feed | None = None

    if TYPE_CHECKING:

        @cached_property
        def log(self) -> structlog.typing.FilteringBoundLogger:
            """A logger that names the call on every line."""

    async def play(self, source: Source) -> int:
        """Play to the far end, after whatever is already queued, until the last sample has left.

        Args:
            source: 16-bit little-endian mono samples at `sample_rate_hz` as bytes; a `Frame` of any rate; the path of
                any file with sound in it (WAV, MP3, Ogg, FLAC, M4A ...); or an async iterator of frames or bytes,
                faster or slower than real time. Iterators take turns.

        Returns:
            Milliseconds really sent: all of it, unless `clear` ended it.

        Raises:
            CallEnded: either side hung up meanwhile.
            MediaError: the file cannot be read, what the iterator gives is no audio, or more than
                `media.play_queue_s` would wait.
            LocalProtocolError: there is no audio yet, for the call has not been answered.

        Cancelling drops what has not been sent of this source, and nothing else; the packet after is without it. On
        hold and while paused, playing stands still and this waits.
        """
        with self._lifetime.scope():
            return await play(self._live_media.session, source, sample_rate_hz=self._rate())

    @asynccontextmanager
    async def playing(self, source: Source) -> AsyncIterator[None]:
        """Play while the block runs; leaving the block stops the prompt, so barge-in is a block, not a flag.

        Raises:
            MediaError: at the block's end, if the source could not be played.
            CallEnded: from the awaits inside.
            LocalProtocolError: there is no audio yet.
        """
        failures: list[MediaError] = []
        session = self._live_media.session
        rate_hz = self._rate()

        async def prompt() -> None:
            try:
                await play(session, source, sample_rate_hz=rate_hz)
            except MediaError as error:
                self.log.warning("a prompt cannot be played", why=str(error))  # the block may last, or never end well
                failures.append(error)

        task = self._tasks.spawn(prompt(), name="prompt of a call")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
        if failures:
            raise failures[0]

    def write(self, pcm: Samples, *, sample_rate_hz: int | None = None) -> int:
        """Queue samples to be played after what is queued already, and return at once.

        Pieces of any length join without a gap, at any rate. For sources that push; `mark` tells when they were sent.

        Args:
            pcm: 16-bit little-endian mono.
            sample_rate_hz: of `pcm`, 8000, 16000, 24000 or 48000; None is the call's.

        Returns:
            Milliseconds that are queued now.

        Raises:
            CallEnded: the call is over.
            MediaError: half a sample, or more than `media.play_queue_s` would wait; nothing of it is queued then.
            LocalProtocolError: there is no audio yet, or no such rate.
        """
        queue = self._live_media.session.queue
        if self._feed is None:
            self._feed = Feed(queue)
        self._feed.write(pcm, self._rate(sample_rate_hz))
        return queue.queued_ms

    @property
    def queued_ms(self) -> int:
        """Milliseconds of audio that wait to be sent."""
        return self.media.session.queued_ms if self.media is not None else 0

    @property
    def played_ms(self) -> int:
        """Milliseconds of audio that were sent since the call began; good after its end too."""
        return self.media.session.played_ms if self.media is not None else 0

    def clear(self) -> int:
        """Drop everything that is queued, so that the next packet is silent; a `play` that waits returns.

        Returns:
            Milliseconds really sent of the current run: what was queued since the queue was last empty or cleared.

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet.
        """
        session = self._live_media.session
        if self._feed is not None:
            self._feed.cleared()
        return session.clear()

    async def mark(self) -> bool:
        """Wait until what is queued now has been sent.

        Returns:
            True when its last sample has left, at once if nothing is queued; False when it was cleared.

        Raises:
            CallEnded: the call ended before.
            LocalProtocolError: there is no audio yet.

        Cancelling forgets the mark and leaves the audio queued.
        """
        with self._lifetime.scope():
            session = self._live_media.session
            if self._feed is not None:
                self._feed.flush()
            return await session.mark()

    def pause(self) -> None:
        """Send silence from the next packet on and keep what is queued, until `resume`. Twice is once.

        For a caller who may only have coughed: unlike after `clear`, nothing is lost.

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet.
        """
        self._live_media.session.queue.pause()

    def resume(self) -> None:
        """Go on with what is queued, at the very sample where `pause` stopped. No error if nothing is paused.

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet.
        """
        self._live_media.session.queue.resume()

    @property
    def paused(self) -> bool:
        """Whether `pause` holds back what is queued."""
        return self.media is not None and self.media.session.queue.paused

    def mute(self) -> None:
        """Send silence in the place of whatever is played, until `unmute`; what is played meanwhile is not heard later.

        Digits are still sent. Twice is once.

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet.
        """
        self._live_media.session.muted = True

    def unmute(self) -> None:
        """Let the far end hear again. No error if nothing is muted.

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet.
        """
        self._live_media.session.muted = False

    @property
    def muted(self) -> bool:
        """Whether `mute` keeps what is played from the far end."""
        return self.media is not None and self.media.session.muted

    @cached_property
    def outbox(self) -> DigitOutbox:
        """What sends digits, and hears the answers to those in INFO."""
        return DigitOutbox(self._switchboard, self.usage, self._live_media)

    async def send_digits(self, digits: str) -> None:
        """Send DTMF digits, one after the other; returns when the last has left.

        They go as the trunk's `dtmf` says: as telephone-event packets (RFC 4733) where the far end takes them, while
        what is playing pauses; else as tones, after what is playing; or in SIP INFO.

        Raises:
            LocalProtocolError: not digits, there is no audio yet, or the trunk wants RFC 4733 alone and the far end
                takes none.
            MediaError: the far end refuses INFO.
            CallEnded: the call ended meanwhile.

        Cancelling lets the telephone-events that are queued be sent; INFO and tones stop.
        """
        with self._lifetime.scope():
            await self.outbox.send(digits)
