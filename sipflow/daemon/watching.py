"""What watches the edge of one daemon: traces, counters, captures, the pulse of its loop."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from sipflow.api.measures import Measures
    from sipflow.api.trace_desk import TraceDesk
    from sipflow.daemon.daemon import Daemon
    from sipflow.webhooks.service import Webhooks


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
            self._brake.lag_s = self.pulse.last_s
        self._media.tidy()
        self.quality.beat()

    def close(self) -> None:
        """Look no more."""
        self.pulse.stop()
        self.tracers.close()

    def traces(self) -> "TraceDesk":
        """Give what the API knows of messages and packets."""
        from sipflow.api.trace_desk import TraceDesk

        return TraceDesk(ring=self.tracers.ring, captures=self.captures)

    def measures(self, daemon: "Daemon", webhooks: "Webhooks | None") -> "Measures":
        """Give the API every figure of a daemon."""
        from sipflow.api.measures import Measures

        edge, outgoing = daemon.edge, daemon.outgoing
        return Measures(
            switchboard=edge.switchboard,
            endpoint=edge.endpoint,
            ua=edge.ua,
            media=edge.desk,
            limits=outgoing.limits,
            tally=self.tally,
            tracers=self.tracers,
            pulse=self.pulse,
            started_at=self.started_at,
            waiting=lambda: len(outgoing.admission.room),
            registrations=daemon.registrations.states,
            healths=daemon.health.states,
            writer=daemon.storage.writer,
            deliveries=webhooks.waiting if webhooks is not None else None,
            delivered=(lambda: dict(webhooks.outbox.counts)) if webhooks is not None else dict,
            place=daemon.storage.place,
            now=time.monotonic,
            wall=lambda: datetime.now(UTC),
        )
