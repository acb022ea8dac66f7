"""What a caller hears while a target is asked: music, ringing, or the target's own early media."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from sipflow.audio.frame import Frame
from sipflow.audio.tones import RINGBACK_EU, RINGBACK_US, ToneSource
from sipflow.calls.lane import Lane
from sipflow.errors import LocalProtocolError, MediaError
from sipflow.media.player import Source, play

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall

_PIECE_MS = 100
_PAUSE_S = 0.2  # between two rounds of what cannot be played at all, or is very short
_NORTH_AMERICA = ("+1",)


class Comfort:
    """Keeps one caller company, from `start` to `stop`.

    A caller whose call is not answered yet hears its own network ring, and needs nothing.
    """

    def __init__(self, call: "Call", source: Source | None) -> None:
        """Prepare; `source` is played again and again, None is ringing."""
        self._call = call
        self._source = source
        self._task: asyncio.Task[None] | None = None
        self._lane: Lane | None = None
        self._leg: OutboundCall | None = None
        self._on = False

    def start(self) -> None:
        """Begin; the agent is not heard from here on. Twice is once."""
        if self._on or not self._call.answered or self._call.media is None:
            return
        self._on = True
        self._call.step_aside()
        self._play()

    def change(self, source: Source) -> None:
        """Play something else from now on, where anything is played."""
        self._source = source
        if self._task is not None:
            self._silence()
            self._play()

    def attach(self, leg: "OutboundCall") -> None:
        """Let the caller hear what a target says before it answers, in the place of music and ringing."""
        if not self._on:
            return
        self.detach()
        self._leg = leg
        loop = asyncio.get_running_loop()
        leg.on_progress = lambda _status, _reason: self._soon(loop)
        self._look()

    def _soon(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon(self._look)  # the progress is told before its SDP is read

    def _look(self) -> None:
        leg = self._leg
        if leg is None or self._lane is not None or leg.ending is not None or self._call.ending is not None:
            return
        if leg.media is not None and leg.media.agreed is not None:
            self._silence()
            self._lane = Lane(leg, self._call)

    def detach(self) -> None:
        """Hear no target any more; music or ringing goes on."""
        leg, self._leg = self._leg, None
        if leg is not None:
            leg.on_progress = lambda _status, _reason: None
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.close()
            self._play()

    def stop(self) -> None:
        """Fall silent at once; whoever has the call next decides about the agent. Twice is once."""
        self._on = False
        self.detach()
        self._silence()

    def _play(self) -> None:
        if self._on and self._task is None and self._call.ending is None:
            self._task = self._call.beside(self._run(), name=f"comfort of call {self._call.id}")

    def _silence(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        media = self._call.media
        assert media is not None
        session = media.session
        while not session.closed:
            try:
                played_ms = await play(session, self._source if self._source is not None else self._ringing())
            except (MediaError, LocalProtocolError) as error:
                self._call.log.warning("callers cannot be played music while they wait", why=str(error))
                self._source, played_ms = None, 0
            if not isinstance(self._source, str | bytes | Frame):
                self._source = None  # an iterator has been read
            if played_ms < 1000 * _PAUSE_S:
                await asyncio.sleep(_PAUSE_S)

    async def _ringing(self) -> AsyncIterator[bytes]:
        """Ring as the caller's network would, without end."""
        american = self._call.caller.startswith(_NORTH_AMERICA) or self._call.callee.startswith(_NORTH_AMERICA)
        tone = ToneSource(RINGBACK_US if american else RINGBACK_EU)
        while True:
            yield tone.read(8 * _PIECE_MS)
