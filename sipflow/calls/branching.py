"""Second calls that are placed on behalf of a first one, and end with it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sipflow.calls.dialling import codecs_like, plan_call
from sipflow.calls.ending import Ending
from sipflow.calls.header_policy import HOPS, Behalf, crossing, wants_privacy, without_places
from sipflow.calls.identity import Caller
from sipflow.calls.leg import Leg
from sipflow.calls.placing import Way
from sipflow.calls.record import CallRecord
from sipflow.errors import CallFailed, LocalProtocolError
from sipflow.sip.headers.reason import Reason
from sipflow.sip.headers.scalars import parse_max_forwards
from sipflow.sip.message import Headers
from sipflow.trunks.trunk import Trunk

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard
    from sipflow.calls.transfer.referring import Referred

_LONGEST_WHY = 200  # of one leg's end, as the other's far end is told


class Branching(Leg):
    """The part of a call that places others; see `Call`."""

    caller: str
    headers: Headers
    last_words: Headers | None
    record: CallRecord
    numbers_behind: tuple[str, ...] = ()  # its own, and those of the calls that it is a consequence of
    _switchboard: "Switchboard"
    _legs: "list[OutboundCall] | None" = None

    if TYPE_CHECKING:

        @property
        def variables(self) -> Mapping[str, str]: ...

    @property
    def behalf(self) -> Behalf:
        """What an INVITE that is sent on behalf of this call takes over of it.

        Raises:
            CallFailed: this one has been sent on too often already (483, RFC 3261 §16.3).
        """
        if self.record.direction != "inbound":
            return Behalf(variables=self.variables)
        came = self.headers
        left = parse_max_forwards(came.get("Max-Forwards") or "")
        if left == 0:
            raise CallFailed(483, "the call has been sent on too often (Max-Forwards is 0)")
        who = {"caller": self.caller, "callee": self.record.to_number, "call_id": self.record.id}
        return Behalf(came, {**self.variables, **who}, (HOPS if left is None else left) - 1, wants_privacy(came))

    def adopt(self, leg: "OutboundCall") -> None:
        """Let a call that was placed on behalf of this one live no longer than it."""
        trace = self._switchboard.trace
        if trace is not None:
            trace.join(self.record.id, leg.id)
        if self._legs is None:
            self._legs = []
        self._legs.append(leg)
        leg.numbers_behind = self.numbers_behind
        loops = self._switchboard.loops
        loops.on_behalf(leg.record.id, self.numbers_behind)
        loops.launched(leg.record.id, leg.record.sip_call_id)

    async def hand_back(self, leg: "OutboundCall", *, prefix: str = "", wait_s: float = 10.0) -> "Referred":
        """Give the caller to a person who has answered, by way of an exchange that takes REFER but no Replaces.

        The exchange is told to transfer the caller to a code of ours, which its dialplan sends back to us as a call;
        that one is joined with the person, and this one ends.

        Args:
            leg: the person's call, answered, and placed on behalf of this one.
            prefix: of the code, as the dialplan has it; "" is 0875704225.
            wait_s: how long the call may take to come back.

        Returns:
            What came of the REFER. Where it is not `ok`, both calls are as they were, unless the exchange keeps no
            caller whom it was told to send away (`refer.final`): then this one is over.

        Raises:
            CallEnded: the caller hung up meanwhile.
            LocalProtocolError: the exchange took it, and the call did not come back.

        Cancelling leaves both calls as they are.
        """
        return await self._switchboard.returns.hand_back(self, leg, prefix=prefix, wait_s=wait_s)  # type: ignore[arg-type]

    def owns(self, leg: object) -> bool:
        """Whether a call was placed on behalf of this one, and lives no longer than it."""
        return any(each is leg for each in self._legs or ())

    def disown(self, leg: object) -> None:
        """Let a call outlive this one. No error if it was not placed on behalf of this one."""
        self._legs = [each for each in self._legs or () if each is not leg]

    async def dial(
        self,
        uri: str,
        *,
        trunk: str = "",
        caller: str = "",
        headers: Mapping[str, str] | None = None,
        codecs: tuple[str, ...] = (),
    ) -> "OutboundCall":
        """Place a second call on behalf of this one, and return while it rings; `wait_answered` of it comes next.

        It lives no longer than this call: when this one ends, it is cancelled or hung up with the same reason
        (RFC 3326). `sipflow.calls.bridge.bridge(call, leg)` joins the two. Its audio is offered in the codec of this
        call first, and then G.711, unless `codecs` or the trunk say otherwise. A target that cannot carry it is
        followed by the next one, and then by the trunk's `outbound.failover`.

        Args:
            uri: `sip:user@host`, with `;transport=tls` and the like; or a number or user name of the trunk's domain.
            trunk: the name of the trunk whose account, outbound proxy, transport, codecs and encryption are used; ""
                goes straight to where `uri` says, with no account.
            caller: of From, a number or an address; "" is the trunk's own number or username, or `sipflow`.
            headers: further lines of the INVITE.
            codecs: in order of preference, each as a trunk has them.

        Raises:
            CallEnded: this call ended before the other one was placed.
            TransportError: the destination has no address, or sipflow is going down.
            PortsExhausted: no RTP port is free.
            CallFailed: this call has been sent on too often already (483).
            LocalProtocolError: there is no such trunk, the address cannot be called, or a header cannot be written.

        Cancelling before it returns places no call.
        """
        with self._lifetime.scope():
            board, found, behalf = self._switchboard, self._trunk(trunk), self.behalf
            who, ids = Caller(caller, original=self.caller), board.ua.ids
            plan = plan_call(uri, ids=ids, trunk=found, caller=who, headers=headers, behalf=behalf)
            if not codecs and not (found is not None and found.codecs) and self.media is not None:
                codecs = codecs_like(self.media.codec)

            def by(other: Trunk) -> Way:
                other_plan = plan_call(uri, ids=ids, trunk=other, caller=who, headers=headers, behalf=behalf)
                return Way(other_plan, other, codecs)

            is_number = ":" not in uri or uri[:4].lower() == "tel:"
            leg = await board.place(
                plan, trunk=found, codecs=codecs, agent=self.record.agent, others=by if is_number else None
            )
        self.adopt(leg)
        board.call_log.info("call out", call=self.record.id, leg=leg.id, to=str(plan.uri), at=leg.where, trunk=trunk)
        return leg

    def _trunk(self, name: str) -> Trunk | None:
        found = self._switchboard.doorkeeper.router.trunks.get(name) if name else None
        if name and found is None:
            raise LocalProtocolError(f"there is no trunk {name!r}")
        return found

    def _end_legs(self, ending: Ending) -> None:
        """End the calls that were placed on behalf of this one."""
        legs, self._legs = self._legs, None
        for leg in legs or ():
            if leg.ending is None:
                end_like(leg, ending, self.last_words)


def end_like(call: "Call", ending: Ending, came: Headers | None = None) -> None:
    """End a call because another one, joined with it, has ended: with the same reason (RFC 3326).

    An answered call gets BYE, one of ours that rings CANCEL; a call in that is not answered is refused with the status
    of the ending, or 480 where that was no refusal. Nothing is done about one that is over already.

    Args:
        call: to end.
        ending: of the other one. Addresses in its sentence stay here.
        came: headers of the message that ended the other one; what the trunk of `call` lets pass goes along.
    """
    if call.ending is not None:
        return
    why = without_places(ending.why)[:_LONGEST_WHY]
    lines = crossing(came, call.trunk) if came is not None else ()
    if not any(name.lower() == "reason" for name, _ in lines):
        lines = (("Reason", str(Reason("Q.850", ending.q850, why))), *lines)
    status = ending.status if ending.status >= 300 else 480
    call.end(f"the other leg is over: {why}", headers=lines, status=status)
