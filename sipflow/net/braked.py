"""Says in the log when new calls begin to be refused because there are too many, and when that is over."""

import structlog

from sipflow.sip.brake import Brake

_log = structlog.get_logger("sipflow.net")


class Braked:
    """Looks at a brake once a second."""

    def __init__(self) -> None:
        self._on = False
        self._refused = self._unread = 0

    def look(self, brake: Brake, *, now: float) -> None:
        """Say what has changed.

        Args:
            now: of the clock that the brake goes by.
        """
        on = brake.on(now=now)
        if on and not self._on:
            why = f"what comes waits for {brake.worst_s:.1f} s before it is read: new calls get 503 and Retry-After"
            _log.warning("more calls come in than can be handled", why=why)
        elif not on and (self._on or brake.unread != self._unread):
            refused, unread = brake.refused - self._refused, brake.unread - self._unread
            what = "all calls are taken again" if self._on else "old requests were left unread: nobody waits for them"
            _log.warning(what, refused=refused, unread=unread, waited_s=round(brake.worst_s, 1))
        if not on:
            self._refused, self._unread = brake.refused, brake.unread
            brake.worst_s = 0.0
        self._on = on
