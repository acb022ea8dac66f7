"""A REFER of a far end in the middle of a call: refused, left to the agent, or followed, as its trunk says."""

import asyncio
from typing import TYPE_CHECKING

from sipflow.calls.failover import is_home
from sipflow.calls.header_policy import without_places
from sipflow.calls.variables import printable
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, MediaError, TransportError
from sipflow.sip.headers.refer_to import ReferTo
from sipflow.sip.outputs import ReferReceived
from sipflow.sip.uri import SipUri
from sipflow.sip.usage.referred import Referred

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard

_PATIENCE_S = 20.0  # how long an agent has to decide; the far end waits for 32 s
_FAREWELL_S = 5.0  # how long a far end that was told of its success has to hang up
_DECLINE = 603


class ReferAsked:
    """The far end asks that whom it talks with be connected to somebody else; the agent decides.

    Nobody need: what is not accepted within 20 s is refused.

    Attributes:
        target: whom, as an address.
        referred_by: who wants that, "" where nobody says (RFC 3892).
        replaces: whether it is the end of an attended transfer (RFC 3891).
    """

    def __init__(self, board: "Switchboard", event: ReferReceived) -> None:
        """Wait for the agent; refuse when it takes too long."""
        self.target = printable(str(event.refer_to.uri))
        self.referred_by = printable(str(event.referred_by or ""))
        self.replaces = event.refer_to.replaces is not None
        self._board = board
        self._referred: Referred = event.referred
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._forgotten)

    def accept(self) -> None:
        """Say that we try (202); tell what becomes of it with `progress` and `finish`.

        Raises:
            LocalProtocolError: it is decided already.
        """
        self._timer.cancel()
        self._board.apply(self._referred.accept(now=self._board.now))

    def refuse(self, status: int = _DECLINE, why: str = "the agent declines") -> None:
        """Refuse; the call goes on.

        Raises:
            LocalProtocolError: it is decided already, or the status is no refusal.
        """
        self._timer.cancel()
        self._board.apply(self._referred.refuse(status, why, now=self._board.now))

    def progress(self, status: int, reason: str = "") -> None:
        """Report that the other one rings (100 to 199).

        Raises:
            LocalProtocolError: it is not accepted, or the status is no provisional one.
        """
        self._board.apply(self._referred.progress(status, reason, now=self._board.now))

    def finish(self, status: int, reason: str = "") -> None:
        """Report the end: 200 is success.

        Raises:
            LocalProtocolError: it is not accepted, or the status is no final one.
        """
        self._board.apply(self._referred.finish(status, reason, now=self._board.now))

    def _forgotten(self) -> None:
        if self._referred.undecided:
            self._board.apply(self._referred.refuse(_DECLINE, "nobody decided in time", now=self._board.now))


def refer_came(board: "Switchboard", event: ReferReceived) -> None:
    """Do with a REFER what the trunk of its call says: `trunks.<name>.refer.receive`."""
    call = event.usage.app if event.usage is not None else None
    trunk = getattr(call, "trunk", None)
    policy = trunk.refer.receive if trunk is not None else "refuse"
    if call is None or policy == "refuse":
        _refuse(board, event, "calls are not sent on at the wish of a far end (refer.receive: refuse)")
        return
    caller: Call = call  # type: ignore[assignment]
    if policy == "offer":
        if not caller.refer_asked(ReferAsked(board, event)):
            _refuse(board, event, "the agent of this call does not listen for such wishes")
        return
    why = _not_followed(event.refer_to, caller)
    if why:
        _refuse(board, event, why, 403)
        return
    board.apply(event.referred.accept(now=board.now))
    board.tasks.spawn(_Following(board, caller, event).run(), name=f"REFER in call {caller.id}")


def _refuse(board: "Switchboard", event: ReferReceived, why: str, status: int = _DECLINE) -> None:
    if event.referred.undecided:
        board.apply(event.referred.refuse(status, why, now=board.now))


def _not_followed(refer_to: ReferTo, call: "Call") -> str:
    """Say why a REFER is not followed; a far end may send calls to its own trunk alone, or it could call the world."""
    if refer_to.method != "INVITE":
        return f"Refer-To asks for {refer_to.method}, and only calls are placed"
    trunk = call.trunk
    if trunk is None or not isinstance(refer_to.uri, SipUri) or not is_home(refer_to.uri, trunk):
        return "Refer-To leads away from the trunk that the call came by"
    return ""


class _Following:
    """Calls whom a REFER names, and joins them with whom its sender talked with."""

    def __init__(self, board: "Switchboard", call: "Call", event: ReferReceived) -> None:
        self._board = board
        self._call = call
        self._event = event

    async def run(self) -> None:
        """Call, report, join, and let the sender of the REFER go."""
        call, referred, board = self._call, self._event.referred, self._board
        call.note("refer_received", target=printable(str(self._event.refer_to.uri)))
        try:
            leg = await self._place()
        except (TransportError, MediaError, LocalProtocolError, CallFailed, CallEnded) as error:
            status = error.status if isinstance(error, CallFailed) else 503
            self._report(status, without_places(str(error)))
            return
        leg.on_progress = lambda status, reason: board.apply(referred.progress(status, reason, now=board.now))
        try:
            await leg.wait_answered()
        except CallFailed as failed:
            self._report(failed.status, without_places(failed.reason))
            return
        self._join(leg)
        self._report(200, "OK")
        await self._let_go()

    async def _place(self) -> "OutboundCall":
        call, event = self._call, self._event
        lines = dict(event.refer_to.headers)
        for name in tuple(lines):
            if name.lower() not in ("replaces", "require") and not name.lower().startswith("x-"):
                del lines[name]
        if event.referred_by is not None:
            lines["Referred-By"] = str(event.referred_by)
        parent = call.joint.partner(call) if call.joint is not None else call
        leg = await parent.dial(str(event.refer_to.uri), trunk=call.record.trunk, headers=lines)
        if call.joint is None:
            call.disown(leg)  # the sender of the REFER is going to leave, and this one stays
        return leg

    def _join(self, leg: "OutboundCall") -> None:
        """Put the new call in the place of the one that sent the REFER; without another far end the agent goes on."""
        call = self._call
        joint = call.joint
        if joint is None:
            self._board.agents.start(leg, call.record.agent)
            return
        partner = joint.partner(call)
        call.disown(partner)  # type: ignore[arg-type]  # it may be the one that this one was placed for
        joint.swap(call, leg)

    def _report(self, status: int, reason: str) -> None:
        self._call.note("refer_followed" if status < 300 else "refer_failed", status=status, why=reason)
        self._board.apply(self._event.referred.finish(status, reason, now=self._board.now))

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._call.ended()
        except TimeoutError:
            self._call.end("the far end was transferred, as it had asked")
