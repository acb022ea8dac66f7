"""Where calls come in: which agent each of them goes to, whether there is room for it, and if not, what it is told."""

from typing import TYPE_CHECKING

import structlog

from sipflow.calls.announced import Announced
from sipflow.calls.arrivals import arrival, ei_tokens
from sipflow.calls.inbound import InboundCall
from sipflow.calls.limits import inbound_status
from sipflow.calls.record import CallRecord, record_id
from sipflow.calls.returns import Claim
from sipflow.calls.routes import NoRoute, Route
from sipflow.calls.variables import printable
from sipflow.errors import LimitReached, MediaError, PortsExhausted, RemoteProtocolError
from sipflow.sip.admission import Refusal, warning
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.session_timer import is_too_small
from sipflow.sip.usage.invite import InviteUsage
from sipflow.sip.usage.uas import UasInvite

if TYPE_CHECKING:
    from sipflow.calls.switchboard import Switchboard

log = structlog.get_logger("sipflow.calls")
_RETRY_AFTER = ("Retry-After", "5")  # seconds; a restart or a burst of calls is over by then


class Reception:
    """Takes INVITEs in for the switchboard: each becomes a call with an agent, or is refused with the reason."""

    def __init__(self, board: "Switchboard") -> None:
        self._board = board

    def take(self, usage: UasInvite, request: Request, hop: Hop, replaced: InviteUsage | None) -> None:
        """Make a call of an INVITE and hand it to its agent, or refuse it; `replaced` is whose place it is to take."""
        board = self._board
        tokens = ei_tokens(request)
        announced = self._expected(tokens["S"], hop) if "S" in tokens else None
        claim = board.returns.claim(request, hop, replaced)
        if claim is None:
            route = board.doorkeeper.route(request, hop, agent=announced.agent if announced is not None else "")
        else:
            route = claim.route if isinstance(claim, Claim) else claim
        if "S" in tokens and board.announced is not None and not board.announced.read:
            why = "announced calls are not known yet: sipflow has just started"
            board.turning_away.refuse(usage, route, 503, why, (_RETRY_AFTER,))
            return
        if isinstance(route, NoRoute):
            board.turning_away.refuse(usage, route, route.status, route.why)
            return
        behind = board.loops.behind(request.call_id)
        refusal = self._refusal(request, route, behind)
        if refusal is not None:
            board.turning_away.refuse(usage, route, refusal.status, refusal.why, refusal.headers)
            return
        try:
            named, undecided = (route.trunk.name, route.number.number, route.agent), board.steers(route.agent)
            permit = board.limits.admit_inbound(*named, undecided=undecided)
        except LimitReached as error:
            status = inbound_status(error)
            headers = (("Retry-After", str(error.retry_after_s)),) if status == 503 else ()
            board.turning_away.refuse(usage, route, status, str(error), headers)
            return
        call: InboundCall | None = None
        try:
            call_id = announced.id if announced is not None else record_id(board.ua.ids.token())
            record = arrival(request, call_id, route, tokens, announced)
            call = self._admit(usage, hop, route, record)
            call.numbers_behind = (*behind, route.number.number)
            if announced is not None and board.announced is not None:
                board.announced.came(call.id)
            board.permits[call.id] = permit
        except PortsExhausted as error:
            board.turning_away.refuse(usage, route, 503, str(error), (_RETRY_AFTER,))
        except RemoteProtocolError as error:
            board.turning_away.refuse(usage, route, error.status, str(error), (warning(str(error), error.warning),))
        except MediaError as error:
            board.turning_away.refuse(usage, route, 500, str(error))
        else:
            board.began(call.record)
            self._announce(call)
            if isinstance(claim, Claim):
                claim.came(call)
            else:
                board.agents.start(call, route.agent)
        finally:
            if call is None:
                permit.release()

    def _refusal(self, request: Request, route: Route, behind: tuple[str, ...]) -> Refusal | None:
        """Say why a call that has found its agent is refused all the same; None if it is not."""
        if route.number.number in behind:
            return Refusal(482, "it was sent on from this number, and has come back to it")
        session = route.trunk.session
        if session.on and is_too_small(request, session):
            why = f"the session would have to be refreshed more often than every {session.min_s} s"
            return Refusal(422, why, (("Min-SE", str(session.min_s)),))
        return Refusal(503, closed, (_RETRY_AFTER,)) if (closed := self._board.closed) else None

    def _expected(self, call_id: str, hop: Hop) -> Announced | None:
        """Find the announcement that an INVITE refers to; without one the call is taken as any other."""
        expected = self._board.announced
        announced = expected.expected(call_id) if expected is not None else None
        if announced is None:
            why = "nobody announced such a call, it has come already, or its time is over"
            log.warning("X-EI ignored", id=printable(call_id), source=str(hop), why=why)
        return announced

    def _admit(self, usage: UasInvite, hop: Hop, route: Route, record: CallRecord) -> InboundCall:
        board = self._board
        # Challenges to our BYE are answered only where the operator named the realm: whoever calls us could ask.
        accounts = route.trunk.accounts if route.trunk.realm else ()
        usage.adopt(advertise=route.trunk.advertise, accounts=accounts, session=route.trunk.session)
        media = board.media_for(hop, route.trunk, record.id, codecs=route.trunk.codecs)
        call = InboundCall(board, usage, record, media)
        try:
            call.prepare()
        except RemoteProtocolError:
            media.close()
            raise
        board.calls[call.id] = call
        board.claim(record.sip_call_id, record.id)
        return call

    def _announce(self, call: InboundCall) -> None:
        """Log that a call came, once the store has noted it: what the log tells of is not lost when we are killed."""
        record = call.record
        # Not `call.log`: a logger of the call's own costs 5 us, which calls that nobody logs anything of need not pay.
        self._board.call_log.info(
            "call in",
            call=call.id,
            caller=call.caller,
            number=record.number,
            trunk=record.trunk,
            agent=record.agent,
        )
