"""Calls to targets: from which number, by which trunk, and with what to say of the caller."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipflow.calls.dialling import codecs_like, plan_call
from sipflow.calls.identity import Caller
from sipflow.calls.order import Choice
from sipflow.calls.placing import Placing, Way, failover_of
from sipflow.calls.record import CallRecord, record_id
from sipflow.calls.transfer.request import TransferRequest
from sipflow.calls.transfer.targets import Target
from sipflow.calls.transfer.wording import caller_for, fill_headers
from sipflow.errors import Conflict, NotFound, RemoteProtocolError
from sipflow.sip.uri import SipUri, parse_uri
from sipflow.trunks.trunk import Trunk

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.outbound import OutboundCall
    from sipflow.calls.switchboard import Switchboard


class Legs:
    """Places the calls of one transfer; each lives no longer than the call that is transferred."""

    def __init__(self, board: "Switchboard", call: "Call", request: TransferRequest) -> None:
        self._board = board
        self._call = call
        self._request = request

    @property
    def trunk(self) -> Trunk | None:
        """The trunk of the call that is transferred; None where it has none any more."""
        return self._call.trunk

    async def place(self, target: Target) -> "OutboundCall":
        """Call a target, and return while it rings.

        Raises:
            LimitReached: a limit of ours refuses it for now.
            CallFailed: the call has been sent on too often already (483).
            TransportError: the destination has no address, or sipflow is going down.
            PortsExhausted: no RTP port is free.
            LocalProtocolError: no trunk can carry it, or the caller id is no address.
        """
        choice = self._choice(target)
        leg = await (self._by_trunk(target) if choice is None else self._from_pool(target, choice))
        self._call.adopt(leg)
        self._call.note("transfer_leg", leg=leg.id, target=target.text, trunk=leg.record.trunk, at=leg.where)
        leg.note("transfer_of", call=self._call.id, target=target.text)
        return leg

    def ring_s(self, leg: "OutboundCall") -> float:
        """How long a target may ring: as asked, else as its trunk says, else a minute."""
        trunk = self._board.doorkeeper.router.trunks.get(leg.record.trunk)
        return self._request.ring_s or (trunk.outbound.ring_s if trunk is not None else 60.0)

    # By which number and trunk

    def _choice(self, target: Target) -> Choice | None:
        """Choose a number of the agent's for a telephone number of the world; None where it has none."""
        numbers = self._board.transfers.numbers
        if not target.external or numbers is None or self._request.trunk:
            return None
        try:
            return numbers.choose(self._call.record.agent, target.dial)
        except (Conflict, NotFound):  # an agent without numbers of its own calls by the trunk that the call came by
            return None

    async def _from_pool(self, target: Target, choice: Choice) -> "OutboundCall":
        board, numbers = self._board, self._board.transfers.numbers
        assert numbers is not None
        leg: OutboundCall | None = None
        try:
            trunk = self._known(choice.trunk) if choice.trunk else self.trunk
            record = self._new_record(target, choice)
            way = self._way(target, self._caller(choice.number))
            enter = board.transfers.enter
            leg = await Placing(
                board,
                record,
                way(trunk),
                spare=failover_of(trunk, board.doorkeeper.router.trunks),
                others=way,
                enter=(lambda name: enter(choice, name)) if enter is not None else None,
            ).begin()
        finally:
            if leg is None:
                numbers.undo(choice)
        board.began(leg.record)
        board.tasks.spawn(self._give_back(leg, choice), name=f"number of call {leg.id}")
        return leg

    async def _give_back(self, leg: "OutboundCall", choice: Choice) -> None:
        numbers = self._board.transfers.numbers
        try:
            await leg.ended()
        finally:
            if numbers is not None:
                numbers.free(choice, leg.record)

    def _new_record(self, target: Target, choice: Choice) -> CallRecord:
        call = self._call
        return CallRecord(
            id=record_id(self._board.ua.ids.token()),
            sip_call_id="",
            direction="outbound",
            from_number=choice.number,
            to_number=target.dial,
            trunk=choice.trunk,
            number=choice.number,
            agent=call.record.agent,
            started_at=self._board.transfers.wall(),
            why=(f"transfer of call {call.id}", *choice.why),
        )

    async def _by_trunk(self, target: Target) -> "OutboundCall":
        trunk, call = self._trunk_for(target), self._call
        own = call.record.number if call.record.number.startswith("+") else ""
        way = self._way(target, self._caller(own))
        first = way(trunk)
        return await self._board.place(
            first.plan,
            trunk=trunk,
            codecs=first.codecs,
            agent=call.record.agent,
            others=way if ":" not in target.dial else None,
        )

    def _trunk_for(self, target: Target) -> Trunk | None:
        """The trunk asked for; else that of the call; but an address of elsewhere is called without one."""
        if self._request.trunk:
            return self._known(self._request.trunk)
        trunk = self.trunk
        if ":" not in target.dial:
            return trunk
        return trunk if trunk is not None and _is_of(trunk, target.dial) else None

    def _known(self, name: str) -> Trunk:
        trunk = self._board.doorkeeper.router.trunks.get(name)
        if trunk is None:
            raise NotFound(f"there is no trunk {name[:80]!r}")
        return trunk

    # What it says

    def _caller(self, own: str) -> Caller:
        return caller_for(self._call, self._request.caller_id, own)

    def _way(self, target: Target, caller: Caller) -> Callable[[Trunk | None], Way]:
        headers = fill_headers(self._request.headers, self._call)
        media, behalf = self._call.media, self._call.behalf

        def by(trunk: Trunk | None) -> Way:
            ids = self._board.ua.ids
            plan = plan_call(target.dial, ids=ids, trunk=trunk, caller=caller, headers=headers, behalf=behalf)
            alike = codecs_like(media.codec) if media is not None and (trunk is None or not trunk.codecs) else ()
            return Way(plan, trunk, alike)

        return by


def _is_of(trunk: Trunk, text: str) -> bool:
    """Whether an address is one of the trunk's own: its account is shown to nobody else."""
    try:
        uri = parse_uri(text)
    except RemoteProtocolError:
        return False
    places = [each for each in (trunk.domain, trunk.destination) if each is not None]
    return isinstance(uri, SipUri) and any(
        uri.host.lower() == each.host.lower() and uri.port in (None, each.port or 5060) for each in places
    )
