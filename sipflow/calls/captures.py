"""Which calls have their audio packets kept, and what is kept of them."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sipflow.calls.record import CallRecord, Happening
from sipflow.errors import Conflict, LimitReached, LocalProtocolError
from sipflow.media.capture import CapturedPacket, PacketCapture
from sipflow.media.session import MediaSession

if TYPE_CHECKING:
    from sipflow.calls.call import Call

_LONGEST_S = 3600.0
_BEGINNINGS = frozenset({"started", "ringing", "progress", "answered", "trying"})  # when a call may have new media


class Captures:
    """The captures of one edge: of live calls, and of those that ended last.

    As an `Ear` of the history it keeps to a call that gets another media session, as the next attempt of a call out
    does, and begins with every call where that is wanted.
    """

    def __init__(
        self, live: Mapping[str, "Call"], *, seconds: float = 60.0, most: int = 20, every_call: bool = False
    ) -> None:
        """Keep nothing yet.

        Args:
            live: the calls that are up, by id.
            seconds: kept of a call where nothing else is asked for.
            most: calls at a time.
            every_call: whether each call is captured from its beginning, the newest `most` of them.
        """
        self._live = live
        self._seconds = seconds
        self._most = most
        self._every_call = every_call
        self._kept: OrderedDict[str, PacketCapture] = OrderedDict()
        self._running: dict[str, MediaSession | None] = {}

    def start(self, call: "Call", seconds: float | None = None) -> float:
        """Keep the audio packets of a live call from now on; returns how many seconds of them are kept.

        Raises:
            LocalProtocolError: it cannot be so many seconds.
            Conflict: it is being done.
            LimitReached: as many live calls as may be are captured already.
        """
        wanted = self._seconds if seconds is None else seconds
        if not 1 <= wanted <= _LONGEST_S:
            raise LocalProtocolError(f"seconds: it is not in 1..{_LONGEST_S:g}")
        if call.id in self._running:
            raise Conflict(f"the audio packets of call {call.id} are being kept already")
        if len(self._running) >= self._most:
            text = f"the audio packets of {len(self._running)} calls are being kept, which is as many as may be"
            raise LimitReached(f"{text} (trace.media_calls)", limit="trace.media_calls", retry_after_s=30)
        self._begin(call, wanted)
        return wanted

    def stop(self, call_id: str) -> bool:
        """Keep no more; what is kept stays for a while. Says whether there was something to stop."""
        if call_id not in self._running:
            return False
        session = self._running.pop(call_id)
        if session is not None:
            session.capture(None)
        return True

    def running(self, call_id: str) -> bool:
        """Whether packets of this call are being kept."""
        return call_id in self._running

    def of(self, call_id: str) -> tuple[CapturedPacket, ...]:
        """Give what is kept of a call, in order."""
        kept = self._kept.get(call_id)
        return kept.packets() if kept is not None else ()

    def offer(self, record: CallRecord, happening: Happening) -> None:
        """Take note of what happens in a call."""
        if happening.name == "ended":
            self.stop(record.id)
        elif happening.name in _BEGINNINGS and (self._every_call or record.id in self._running):
            call = self._live.get(record.id)
            if call is not None:
                self._keep_to(call)

    def _keep_to(self, call: "Call") -> None:
        if call.id in self._running:
            self._attach(call)
        elif len(self._running) < self._most and call.id not in self._kept:
            self._begin(call, self._seconds)

    def _begin(self, call: "Call", seconds: float) -> None:
        self._kept.pop(call.id, None)
        self._kept[call.id] = PacketCapture(seconds)
        self._running[call.id] = None
        self._attach(call)
        while len(self._kept) > self._most:
            over = next((call_id for call_id in self._kept if call_id not in self._running), None)
            if over is None:
                return
            del self._kept[over]

    def _attach(self, call: "Call") -> None:
        """Take what the session of this moment sends and receives."""
        session = call.media.session if call.media is not None else None
        if session is not None and session is not self._running[call.id]:
            session.capture(self._kept[call.id])
            self._running[call.id] = session
