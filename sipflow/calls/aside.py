"""A call whose agent stands aside: while a person talks with the caller, the agent neither hears nor is heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sipflow.calls.events import CallEvent, DigitPressed, Mailbox
from sipflow.calls.hearing import Hearing
from sipflow.calls.speaking import Speaking
from sipflow.media.play_queue import Samples
from sipflow.media.player import Source


class Aside(Hearing, Speaking):
    """The part of a call that keeps its agent out; see `Call`.

    Whatever the agent's code does meanwhile harms nobody: `play` waits, `write` drops, readers of audio and
    subscriptions hear nothing, and digits are not for it. All of that ends by itself when the agent is back.
    """

    _back: asyncio.Future[None] | None = None
    _agents_mailboxes: tuple[Mailbox[Any], ...] = ()
    _before: tuple[bool, bool] = (False, False)  # whether it was paused, and muted

    @property
    def aside(self) -> bool:
        """Whether somebody else has the call: what is played to it is not the agent's."""
        return self._back is not None

    @property
    def minded(self) -> bool:
        """Whether the agent talks, or listens, at this moment: to audio, or for digits and other events."""
        media = self.media
        live = media is not None and (media.session.read or media.session.queue.queued_ms > 0)
        return live or self._digit_waiter is not None or bool(self._mailboxes)

    def step_aside(self) -> None:
        """Keep the agent out, at once: the next packet is without it. Twice is once."""
        if self._back is not None:
            return
        self._back = asyncio.get_running_loop().create_future()
        self._agents_mailboxes = self._mailboxes
        media = self.media
        if media is None or media.agreed is None:
            return
        session = media.session
        self._before = (session.queue.paused, session.muted)
        if self._feed is not None:
            self._feed.cleared()
        session.clear()
        session.queue.resume()
        session.muted = False
        session.send_readers_away()

    def step_back(self) -> None:
        """Let the agent hear and be heard again. No error if it never was away."""
        back, self._back = self._back, None
        if back is None:
            return
        self._agents_mailboxes = ()
        if not back.done():
            back.set_result(None)
        media = self.media
        if media is None or media.session.closed:
            return
        session = media.session
        session.let_readers_back()
        paused, session.muted = self._before
        if paused:
            session.queue.pause()
        self._before = (False, False)

    async def _have_the_call(self) -> None:
        while self._back is not None:
            with self._lifetime.scope():
                await asyncio.shield(self._back)

    # What the agent does

    async def play(self, source: Source) -> int:
        """Play to the far end, once the agent has the call; see `Speaking.play`."""
        if self._back is not None:
            await self._have_the_call()
        return await super().play(source)

    @asynccontextmanager
    async def playing(self, source: Source) -> AsyncIterator[None]:
        """Play while the block runs; nothing of it where the block begins without the call. See `Speaking.playing`."""
        if self._back is not None:
            self._lifetime.check()
            yield
            return
        async with super().playing(source):
            yield

    def write(self, pcm: Samples, *, sample_rate_hz: int | None = None) -> int:
        """Queue samples; see `Speaking.write`. While somebody else has the call they are dropped."""
        if self._back is not None:
            self._lifetime.check()
            return 0
        return super().write(pcm, sample_rate_hz=sample_rate_hz)

    def clear(self) -> int:
        """Drop what the agent has queued; see `Speaking.clear`."""
        if self._back is not None:
            self._lifetime.check()
            return 0
        return super().clear()

    async def mark(self) -> bool:
        """Wait until what is queued now has been sent; see `Speaking.mark`. Without the call nothing is queued."""
        if self._back is not None:
            self._lifetime.check()
            return True
        return await super().mark()

    def pause(self) -> None:
        """Hold back what is queued; see `Speaking.pause`."""
        if self._back is not None:
            self._lifetime.check()
            self._before = (True, self._before[1])
            return
        super().pause()

    def resume(self) -> None:
        """Go on with what is queued; see `Speaking.resume`."""
        if self._back is not None:
            self._lifetime.check()
            self._before = (False, self._before[1])
            return
        super().resume()

    # What it would hear

    def digit_pressed(self, digit: str, kind: str = "") -> None:
        """Queue a digit of the far end, unless it is not for the agent."""
        if self._back is None:
            super().digit_pressed(digit, kind)
        else:
            self._publish(DigitPressed(digit, kind))

    def _publish(self, event: CallEvent) -> None:
        for ear in self._ears:
            ear.offer(event)
        agents = self._agents_mailboxes
        for mailbox in self._mailboxes:
            if not agents or mailbox not in agents:
                mailbox.offer(event)
