"""Calls that come in for a call that is there already: one that was sent for, and one that takes another's place."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from sipflow.calls.bridge import bridge
from sipflow.calls.inbound import InboundCall
from sipflow.calls.routes import NoRoute, Route
from sipflow.calls.transfer.referring import Referred, address_for, leave, refer
from sipflow.calls.transfer.targets import Target
from sipflow.errors import CallEnded, LocalProtocolError
from sipflow.numbers.inventory import Number
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.uri import SipUri
from sipflow.sip.usage.invite import InviteUsage

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard

PREFIX = "0875704225"  # what dialplans know such calls by, in the recipe for Asterisk
_RETURN_S = 10.0  # how long an exchange has to place a call to us, which takes it a fraction of a second
_CODE_BYTES = 8


class Claim(NamedTuple):
    """Where such a call goes.

    Attributes:
        route: for its record.
        came: told the call instead of an agent.
    """

    route: Route
    came: Callable[[InboundCall], None]


class Returns:
    """The calls that are expected, and whose place a call may take."""

    def __init__(self, board: "Switchboard") -> None:
        self._board = board
        self._expected: dict[str, tuple[Call, asyncio.Future[InboundCall]]] = {}

    def __len__(self) -> int:
        """How many calls are waited for."""
        return len(self._expected)

    def claim(self, request: Request, hop: Hop, replaced: InviteUsage | None) -> Claim | NoRoute | None:
        """Say whether an INVITE belongs to a call that is there already; None for any other."""
        if replaced is not None:
            return self._take_over(request, hop, replaced)
        if not self._expected:
            return None
        uri = request.request_uri
        expected = self._expected.get(uri.unescaped_user) if isinstance(uri, SipUri) else None
        if expected is None:
            return None
        call, came = expected
        match = self._board.doorkeeper.router.match(request, hop)
        if match.trunk is None or match.trunk.name != call.record.trunk:
            name = match.trunk.name if match.trunk is not None else ""
            return NoRoute(403, "such a call was expected, but by another trunk", name)
        route = Route(match.trunk, Number(call.record.number), call.record.agent, (*match.why, f"for call {call.id}"))
        return Claim(route, lambda back: None if came.done() else came.set_result(back))

    def _take_over(self, request: Request, hop: Hop, replaced: InviteUsage) -> Claim | NoRoute:
        """Let a call take the place of another of its trunk, if that lets its far end send calls on (RFC 3891 §3)."""
        match = self._board.doorkeeper.router.match(request, hop)
        old, trunk = replaced.app, match.trunk
        name = trunk.name if trunk is not None else ""
        known = trunk is not None and getattr(old, "trunk", None) is trunk
        if trunk is None or not known or trunk.refer.receive != "follow":
            return NoRoute(603, "calls are not replaced here (refer.receive)", name)
        call: Call = old  # type: ignore[assignment]
        if not call.answered:
            return NoRoute(603, "the call that is to be replaced is not answered", name)
        if call._sent_on is not None and call._sent_on.said:
            return NoRoute(603, "the call that is to be replaced has been transferred", name)
        route = Route(trunk, Number(call.record.number), call.record.agent, (*match.why, f"in place of call {call.id}"))
        return Claim(route, lambda new: self._replace(call, new))

    def _replace(self, old: "Call", new: InboundCall) -> None:
        self._board.tasks.spawn(self._replaced(old, new), name=f"call {new.id} in place of {old.id}")

    async def _replaced(self, old: "Call", new: InboundCall) -> None:
        try:
            await new.answer()
        except CallEnded:
            return
        new.handed_over = True
        old.note("replaced", by=new.id)
        joint = old.joint
        if joint is None:
            self._board.agents.start(new, old.record.agent)
        else:
            partner = joint.partner(old)
            old.disown(partner)  # it may be the one that this one was placed for
            new.adopt(partner)  # type: ignore[arg-type]
            joint.swap(old, new)
        old.end("another call has taken its place")

    async def hand_back(
        self, call: "Call", leg: "OutboundCall", *, prefix: str = "", wait_s: float = _RETURN_S
    ) -> Referred:
        """Give a caller to a person who has answered, by way of an exchange that knows REFER and no Replaces.

        The far end is told to transfer the caller to a code of ours (`prefix` and random digits), which its dialplan
        sends back to us as a call; that one is joined with `leg`, and the call that the exchange has transferred ends.
        The agent is out of it, and the exchange knows of the transfer.

        Args:
            call: the caller's, answered.
            leg: the person's, answered, and placed on behalf of `call`.
            prefix: of the code, as the dialplan has it.
            wait_s: how long the call may take to come back.

        Returns:
            What came of the REFER; it is `ok` where the call came back too, and caller and person are joined.

        Raises:
            CallEnded: the caller hung up meanwhile.
            LocalProtocolError: nobody can be referred to by such a code.

        Where the trunk says `refer.final`, a call whose REFER was taken and came to nothing ends: the caller is gone.
        Cancelling leaves both calls as they are.
        """
        board, prefix = self._board, prefix or PREFIX
        code = prefix + "".join(str(int(char, 16) % 10) for char in board.ua.ids.token(_CODE_BYTES))
        refer_to, lines = address_for(Target(code, code, external=False), call, call.trunk)
        came: asyncio.Future[InboundCall] = asyncio.get_running_loop().create_future()
        self._expected[code] = (call, came)
        asked = board.tasks.spawn(
            refer(board, call, refer_to, patience_s=wait_s, headers=lines), name=f"REFER to a code in call {call.id}"
        )
        try:
            await asyncio.wait((came, asked), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not came.done():
                outcome = asked.result()
                if not outcome.ok:
                    leave(call, outcome)
                    return outcome
                await asyncio.wait((came,), timeout=wait_s)
            if not came.done():
                why = f"the call did not come back in {wait_s:g} s: see to it that {prefix}* leads to us"
                if call.trunk is not None and call.trunk.refer.final and call.ending is None:
                    call.end(why)
                raise LocalProtocolError(why)
            back = came.result()
            await back.answer()
            call.disown(leg)
            back.adopt(leg)
            board.tasks.spawn(bridge(back, leg), name=f"bridge of call {back.id}")
            return await asked
        finally:
            del self._expected[code]
            if not asked.done():
                asked.cancel()
