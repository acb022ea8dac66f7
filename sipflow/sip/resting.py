"""The targets that are better left alone for a while: they asked for it, or did not answer."""

from sipflow.sip.headers.scalars import parse_retry_after
from sipflow.sip.hop import Hop
from sipflow.sip.message import Response

SILENT_REST_S = 60.0  # whoever comes back is found again within a minute, and the dead one costs one request a minute
_LONGEST_REST_S = 600.0  # however long a 503 asks us to stay away
_MOST_RESTING = 1024


class Resting:
    """Which targets are tried last (RFC 3261 §21.5.4, RFC 3263 §4.3), whatever request found out."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, int], float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def note(self, hop: Hop, response: Response | None, *, now: float) -> None:
        """Learn from a final response: heed the Retry-After of a 503; any other one says that the target is there."""
        if response is None or response.status != 503:
            if self._until and response is not None:
                self._until.pop(hop[:3], None)
            return
        value = response.headers.get("Retry-After")
        seconds = parse_retry_after(value) if value is not None else None
        if seconds:
            self._rest(hop, now + min(float(seconds), _LONGEST_REST_S))

    def silent(self, hop: Hop, *, now: float) -> None:
        """Learn that a target did not answer, or could not be reached."""
        self._rest(hop, now + SILENT_REST_S)

    def rests(self, hop: Hop, *, now: float) -> bool:
        """Whether a target is better left alone."""
        return self._until.get(hop[:3], 0.0) > now

    def order(self, hops: tuple[Hop, ...], *, now: float, flow: Hop | None = None) -> tuple[Hop, ...]:
        """Put the targets that rest behind those that do not; none is left out, for there may be no other.

        With `flow`, that of a dialog, its host stands first: it may be the only one to know the call.
        """
        if len(hops) < 2 or (flow is None and not self._until):
            return hops
        home = flow.host if flow is not None else ""
        return tuple(sorted(hops, key=lambda hop: (self.rests(hop, now=now), home not in ("", hop.host))))

    def _rest(self, hop: Hop, until: float) -> None:
        if len(self._until) >= _MOST_RESTING:
            self._until.clear()
        self._until[hop[:3]] = until
