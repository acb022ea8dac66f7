"""A REFER of a far end in the middle of a call: refused, left to the agent, or followed, as its trunk says."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from sipflow.calls.ending import Word
from sipflow.calls.failover import is_home
from sipflow.calls.header_policy import without_places
from sipflow.calls.referred import DECLINE, ReferAsked, note_refer
from sipflow.calls.transfer.comfort import Comfort
from sipflow.calls.variables import printable
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, MediaError, TransportError
from sipflow.sip.headers.refer_to import ReferTo
from sipflow.sip.outputs import ReferReceived
from sipflow.sip.uri import SipUri

if TYPE_CHECKING:
    from sipflow.calls.bridge import Joint
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard

_NO_ANSWER, _PENDING = 480, 491
_RING_S = 60.0  # where the trunk is gone meanwhile
_FAREWELL_S = 5.0  # how long a far end that was told of its success has to hang up


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
    if caller._sent_on is not None:
        _refuse(board, event, "another REFER of this call is being followed", _PENDING)
        return
    following = caller._sent_on = _Following(board, caller, event)
    board.apply(event.referred.accept(now=board.now))
    board.tasks.spawn(following.run(), name=f"REFER in call {caller.id}")


def _refuse(board: "Switchboard", event: ReferReceived, why: str, status: int = DECLINE) -> None:
    if event.referred.undecided:
        note_refer(event, "refer_refused", status=status, why=why)
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
    """Calls whom a REFER names, and joins them with whom its sender talked with.

    Attributes:
        said: whether what came of it stands in the records.
        on_over: told once when it does.
    """

    def __init__(self, board: "Switchboard", call: "Call", event: ReferReceived) -> None:
        self._board = board
        self._call = call
        self._event = event
        self._joint = call.joint
        self._partner = self._joint.partner(call) if self._joint is not None else None
        self.said = False
        self.on_over: Callable[[], None] = _nobody

    async def run(self) -> None:
        """Call, report, join, and let the sender of the REFER go, which may leave before that (RFC 5589 §6.1)."""
        call, joint = self._call, self._joint
        call.note("refer_received", target=self._target)
        leg = None
        try:
            leg = await (self._reach() if joint is None else self._reach_for(joint.partner(call), joint))
        finally:
            if leg is None:
                call._sent_on = None  # else whom it talked with has gone on: there is nobody to send on any more
            self.said = True
            self.on_over()
        if leg is not None:
            await self._let_go()

    async def _reach_for(self, partner: "Call", joint: "Joint") -> "OutboundCall | None":
        """Reach somebody for a call that may be alone before they are there: it hears ringing then."""
        call, was_aside, leg = self._call, partner.aside, None
        owned = call.owns(partner)
        call.disown(partner)
        joint.let_go(call)
        comfort = Comfort(partner, self._board.transfers.music)
        lonely = call.beside(_keep_company(call, comfort), name=f"company for call {partner.id}")
        try:
            leg = await self._reach(comfort)
        finally:
            lonely.cancel()
            comfort.stop()
            if not was_aside:
                partner.step_back()
            if leg is None and owned and call.ending is None:
                call.adopt(partner)  # type: ignore[arg-type]  # what it owned was placed by it
            if leg is None:
                joint.keep(call)
        return leg

    async def _reach(self, comfort: Comfort | None = None) -> "OutboundCall | None":
        """Call, report and join; None where that did not come to pass."""
        referred, board = self._event.referred, self._board
        try:
            leg = await self._place()
        except (TransportError, MediaError, LocalProtocolError, CallFailed, CallEnded) as error:
            status = error.status if isinstance(error, CallFailed) else 503
            self._report(status, without_places(str(error)))
            return None
        leg.on_progress = lambda status, reason: board.apply(referred.progress(status, reason, now=board.now))
        try:
            async with asyncio.timeout(self._ring_s):
                await leg.wait_answered()
        except CallFailed as failed:
            self._report(failed.status, without_places(failed.reason))
            return None
        except TimeoutError:
            if not leg.answered:  # else in the same moment
                why = f"nobody answered in {self._ring_s:g} s"
                leg.give_up(why, by="system", word=Word.NO_ANSWER)
                self._report(_NO_ANSWER, why)
                return None
        if comfort is not None:
            comfort.stop()
        self._join(leg)
        self._report(200, "OK")
        return leg

    @property
    def _target(self) -> str:
        return printable(str(self._event.refer_to.uri))

    @property
    def patience_s(self) -> float:
        """How long it may take until it is known what came of it."""
        return self._ring_s

    @property
    def _ring_s(self) -> float:
        trunk = self._call.trunk
        return trunk.outbound.ring_s if trunk is not None else _RING_S

    async def _place(self) -> "OutboundCall":
        call, event = self._call, self._event
        lines = dict(event.refer_to.headers)
        for name in tuple(lines):
            if name.lower() not in ("replaces", "require") and not name.lower().startswith("x-"):
                del lines[name]
        if event.referred_by is not None:
            lines["Referred-By"] = str(event.referred_by)
        parent = self._joint.partner(call) if self._joint is not None else call
        leg = await parent.dial(str(event.refer_to.uri), trunk=call.record.trunk, headers=lines)
        if self._joint is None:
            call.disown(leg)  # the sender of the REFER is going to leave, and this one stays
        return leg

    def _join(self, leg: "OutboundCall") -> None:
        """Put the new call in the place of the one that sent the REFER; without another far end the agent goes on."""
        call, joint = self._call, self._joint
        if joint is None:
            self._board.agents.start(leg, call.record.agent)
        elif call.joint is joint:
            joint.swap(call, leg)
        else:
            leg.end("whom it was placed for is joined with nobody any more")

    def _report(self, status: int, reason: str) -> None:
        name = "refer_followed" if status < 300 else "refer_failed"
        for each in (self._call, self._partner):
            if each is self._call or (each is not None and each.ending is None):
                each.note(name, target=self._target, status=status, why=reason)
        self._board.apply(self._event.referred.finish(status, reason, now=self._board.now))

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._call.ended()
        except TimeoutError:
            self._call.end("the far end was transferred, as it had asked")


def _nobody() -> None:
    """The call goes on: its record is not kept yet."""


async def _keep_company(call: "Call", comfort: Comfort) -> None:
    await call.ended()
    comfort.start()
