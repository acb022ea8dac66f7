"""What watches the edge of one daemon: traces, counters, captures, the pulse of its loop."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sipflow.calls.captures import Captures
from sipflow.calls.quality_tracks import QualityTracks
from sipflow.calls.record import CallRecord
from sipflow.calls.tally import CallTally
from sipflow.daemon.build import Edge
from sipflow.daemon.pulse import Pulse
from sipflow.media.desk import MediaDesk
from sipflow.net.tracers import Settings, Tracers
from sipflow.sip.brake import Brake
from sipflow.store.directory import Directory


class Watching:
    """Everything that looks on, from the first message on.

    Attributes:
        tracers: see every SIP message.
        tally: counts calls that are over.
        pulse: measures the loop.
        captures: keep audio packets; there once `open` was called.
        quality: how the audio of calls fares over their time; so is that.
        started_at: UTC wall clock.
    """

    def __init__(self, settings: Settings, directory: Directory) -> None:
        """Begin to look; the edge is built with `tracers`."""
        self.tracers = Tracers(settings)
        self.tally = CallTally(
            trunks=lambda name: name in directory.trunks,
            agents=lambda name: name in directory.agents,
            numbers=lambda number: directory.numbers.get(number) is not None,
        )
        self.pulse = Pulse()
        self.captures: Captures
        self.quality: QualityTracks
        self.started_at = datetime.now(UTC)
        self._settings = settings
        self._brake: Brake | None = None
        self._media: MediaDesk

    def open(self, edge: Edge, on_saved: list[Callable[[CallRecord], None]]) -> None:
        """Look on as calls come and go."""
        its, board = self._settings, edge.switchboard
        self.captures = Captures(board.calls, seconds=its.media_s, most=its.media_calls, every_call=its.media)
        board.history.tell(self.captures)
        on_saved.append(self.tally.over)
        self.quality = QualityTracks(board.calls)
        self._brake, self._media = edge.endpoint.brake, edge.desk
        self.pulse.also = self._beat
        self.pulse.start()

    def _beat(self) -> None:
        if self._brake is not None:
            self._brake.late(self.pulse.last_s, now=time.monotonic())
        self._media.tidy()
        self.quality.beat()

    def close(self) -> None:
        """Look no more."""
        self.pulse.stop()
        self.tracers.close()
