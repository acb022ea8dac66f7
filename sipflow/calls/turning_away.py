"""Calls that are refused before they are any: the same sentence goes to the peer, into the log, and into a record."""

from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog

from sipflow.calls.arrivals import arrival, ei_tokens, turned_away
from sipflow.calls.explain import story
from sipflow.calls.record import record_id
from sipflow.calls.refusals import log_refused, steps_to
from sipflow.calls.routes import NoRoute, Route
from sipflow.errors import RemoteProtocolError
from sipflow.net.flood import SourceBuckets
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Refused
from sipflow.sip.usage.uas import UasInvite

if TYPE_CHECKING:
    from sipflow.calls.switchboard import Switchboard

log = structlog.get_logger("sipflow.calls")
_RECORDS_PER_S, _AT_ONCE = 1.0, 300.0  # of each trunk: a flood that is refused must not fill the store
_BUSY_AT_ONCE = 20.0  # of calls that are refused because there is no time: a record takes some
_NO_CALLS = frozenset({401, 407, 482})  # asked for a password; a second copy of a call that is there
_OVERLOADED = 503
_REMEMBERED = 64


class TurningAway:
    """Refuses calls for the switchboard, and keeps records of those that are refused.

    Strangers get none: they could fill the store. Of a trunk's calls so many have one that nobody misses any; of a
    flood one a second has, which says how many before it have none.

    Attributes:
        unkept: calls that left no record because there were too many.
    """

    def __init__(self, board: "Switchboard") -> None:
        self.unkept = 0
        self._board = board
        self._room = SourceBuckets(rate=_RECORDS_PER_S, burst=_AT_ONCE)
        self._busy_room = SourceBuckets(rate=_RECORDS_PER_S, burst=_BUSY_AT_ONCE)
        self._left_out: dict[str, int] = {}  # by trunk, since its last record
        self._busy: OrderedDict[str, None] = OrderedDict()  # Call-IDs of the last ones: each may come several times

    def refuse(
        self, usage: UasInvite, route: Route | NoRoute, status: int, why: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Refuse a call that the user agent has let in."""
        board, request = self._board, usage.request
        steps = story(board.doorkeeper, request, usage.hop, why)
        call_id = self._id(request, _trunk_of(route)) if route.trunk else ""
        known = {"steps": steps, **({"call": call_id} if call_id else {})}
        log.warning("call refused", source=str(usage.hop), to=request.uri, status=status, why=why, **known)
        board.apply(usage.reject(status, now=board.now, headers=headers, why=why))
        if call_id:
            self._keep(request, call_id, route, status, why, steps)

    def refused(self, event: Refused) -> None:
        """Take note of what the user agent has refused by itself; a call of a trunk's leaves a record."""
        board = self._board
        if board.strangers is not None and board.strangers.note(event):
            return
        call_id, route = "", self._refused_call(event)
        if route is not None and event.request is not None:
            call_id = self._id(event.request, route.trunk)
        steps = log_refused(event, board.doorkeeper, call_id)
        if route is not None and event.request is not None and call_id:
            self._keep(event.request, call_id, route, event.status, event.why, steps)

    def _refused_call(self, event: Refused) -> NoRoute | None:
        """Say which trunk's call it was that was refused; None where it was no call, or a stranger's."""
        request = event.request
        if request is None or request.method != "INVITE" or event.status < 300 or event.status in _NO_CALLS:
            return None
        return self._of_trunk(request, event.hop, event.status, event.why)

    def _of_trunk(self, request: Request, hop: Hop, status: int, why: str) -> NoRoute | None:
        try:
            if request.to.tag is not None:  # in the middle of a call, which has a record of its own
                return None
            _ = request.call_id  # without which a record, and the messages that belong to it, could not be found
            trunk = self._board.doorkeeper.match(request, hop).trunk
        except RemoteProtocolError:  # it was refused because what tells this cannot be read
            return None
        return NoRoute(status, why, trunk.name) if trunk is not None else None

    def busy(self, request: Request, hop: Hop, why: str) -> None:
        """Take note of a call that was refused unseen, because more come than can be handled."""
        board = self._board
        if request.call_id in self._busy or not self._busy_room.allow("", now=board.now):
            return
        self._busy[request.call_id] = None
        if len(self._busy) > _REMEMBERED:
            self._busy.popitem(last=False)
        route = self._of_trunk(request, hop, _OVERLOADED, why)
        if route is not None:
            call_id = record_id(board.ua.ids.token())
            self._keep(request, call_id, route, _OVERLOADED, why, steps_to(board.doorkeeper, request, hop, why))

    def _id(self, request: Request, trunk: str) -> str:
        """Give a refused call an id, and have its messages kept apart; "" where it is to have no record."""
        board = self._board
        if not self._room.allow(trunk, now=board.now):
            self.unkept += 1
            self._left_out[trunk] = self._left_out.get(trunk, 0) + 1
            return ""
        call_id = record_id(board.ua.ids.token())
        if board.trace is not None:
            board.trace.claim(request.call_id, call_id)
        return call_id

    def _keep(
        self, request: Request, call_id: str, route: Route | NoRoute, status: int, why: str, steps: tuple[str, ...]
    ) -> None:
        trunk = _trunk_of(route)
        left_out = self._left_out.pop(trunk, 0)
        if left_out:
            steps = (*steps, f"{left_out} calls of trunk {trunk} were refused since the last one that has a record")
        record = arrival(request, call_id, route, ei_tokens(request))
        turned_away(record, status, why, steps)
        self._board.keep(record)


def _trunk_of(route: Route | NoRoute) -> str:
    return route.trunk.name if isinstance(route, Route) else route.trunk
