"""One direction of two calls that are joined: packets as they come where that is possible, else samples."""

from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.calls.call import Call
from sipflow.errors import LocalProtocolError
from sipflow.media.feed import Feed
from sipflow.media.relay import Relay
from sipflow.media.session import MediaSession
from sipflow.sdp.agreement import Agreed


class Lane:
    """What is heard of one stream is sent into another.

    Where both legs have agreed on one codec, each packet is sent on as it comes (`Relay`): nothing is decoded, and no
    time is lost. Otherwise, and while the second leg is recorded, samples cross in the tick in which they are played
    out, resampled once and only if the other codec has another rate. That takes the time from one leg's tick to the
    other's, at most a packet time, and two if their packets differ in length or rate: both streams are ticked by one
    clock and every tick gives audio, so a single packet time is cushion enough. The way is chosen anew whenever either
    leg agrees on something else. A lane has no task and no queue of its own.

    Attributes:
        heard, said: the calls it leads from and to.
        relay: passes packets on; None while samples cross.
        muted: whether samples that are heard are dropped for now.
    """

    __slots__ = ("_closed", "_cushion_ms", "_feed", "_from", "_rate_hz", "_size", "_to", "_tried", "heard", "muted",
                 "relay", "said")  # fmt: skip

    def __init__(self, heard: Call, said: Call) -> None:
        """Begin at once; nothing crosses before `said` has audio.

        Raises:
            LocalProtocolError: one of them has no media.
        """
        if heard.media is None or said.media is None:
            raise LocalProtocolError("a call without media cannot be heard or talked to")
        self.heard = heard
        self.said = said
        self.muted = False
        self.relay: Relay | None = None
        self._closed = False
        self._from: MediaSession = heard.media.session
        self._to: MediaSession = said.media.session
        self._feed: Feed | None = None  # made for the first samples: mostly packets cross
        self._rate_hz = self._size = self._cushion_ms = 0
        self._tried: tuple[Agreed | None, Agreed | None] = (None, None)
        self._to.on_tapped = self._choose
        self._from.listen(self)
        self._choose()

    def put(self, pcm: bytes) -> None:
        """Take a packet time of samples, and play it."""
        to = self._to
        if self._from.agreed is not self._tried[0] or to.agreed is not self._tried[1]:
            self._choose()
        if self.relay is not None or to.agreed is None or to.closed or self.muted:
            return
        if len(pcm) != self._size:
            self._measure(len(pcm), to.agreed.ptime_ms)
        if self._feed is None:
            self._feed = Feed(to.queue)
        self._feed.write(pcm, self._rate_hz, cushion_ms=self._cushion_ms)

    def switch(self, sample_rate_hz: int) -> None:
        """Learn the rate of the samples to come."""
        self._rate_hz = sample_rate_hz
        self._size = 0

    def end(self) -> None:
        """Learn that no more will come."""

    def close(self) -> None:
        """Stop, and drop what was not sent."""
        self._closed = True
        self._end_relay()
        self._to.on_tapped = _ignore
        self._from.forget(self)
        self._drop()

    def _choose(self) -> None:
        """Pass packets on if that is possible now."""
        self._tried = (self._from.agreed, self._to.agreed)
        self._end_relay()
        self.relay = Relay.between(self._from, self._to, on_foreign=self._fall_back)
        if self.relay is not None:
            self._drop()
            self._from.forget(self)

    def _drop(self) -> None:
        """Drop the samples that were not sent."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.drop()

    def _fall_back(self) -> None:
        """A packet came that cannot cross: let samples cross, or packets under what has been agreed anew."""
        if (self._from.agreed, self._to.agreed) != self._tried:
            self._choose()
        else:
            self._end_relay()

    def _end_relay(self) -> None:
        relay, self.relay = self.relay, None
        if relay is not None:
            relay.end()
            if not self._closed:
                self._from.listen(self)

    def _measure(self, size: int, said_ms: int) -> None:
        """Have so much wait that packets of one length never run out while those of another are sent."""
        self._size = size
        heard_ms = 1000 * size // (SAMPLE_BYTES * self._rate_hz)
        alike = heard_ms == said_ms and self._rate_hz == self._to.queue.sample_rate_hz
        self._cushion_ms = heard_ms if alike else heard_ms + said_ms


def _ignore() -> None:
    """The lane is closed."""
