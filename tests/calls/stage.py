"""A whole edge in this process on loopback, and calls to it from another one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sipflow.agents.runner import Runner
from sipflow.agents.spec import AgentSpec
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.record import CallRecord
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.daemon.build import Edge, build
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.acl import Networks
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as NetSettings
from sipflow.numbers.inventory import Inventory, Number
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri
from sipflow.tasks import Tasks
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.interop.free_ports import free_media_ports

SECRET = b"0123456789abcdef"
NUMBER = "+12065550100"
LOCAL = Trunk(name="local", accept_from=Networks(["127.0.0.0/8", "::1"]), region="US")
WAIT_S = 10.0  # how long a test waits for what must happen; machines are slow


@dataclass
class Kept:
    """A record store that remembers."""

    records: list[CallRecord] = field(default_factory=list)
    begun: list[CallRecord] = field(default_factory=list)

    def started(self, record: CallRecord) -> None:
        self.begun.append(record)

    def save(self, record: CallRecord) -> None:
        self.records.append(record)


class OneAgent:
    """Runs one function for every call, as the daemon's runner does; remembers the calls."""

    def __init__(self, tasks: Tasks, agent: Callable[[InboundCall], Awaitable[None]]) -> None:
        self.runner = Runner(tasks)
        self.runner._agents = {"agent": (AgentSpec("agent", "test"), agent)}
        self.calls: list[InboundCall] = []
        self.placed: list[OutboundCall] = []

    def start(self, call: InboundCall | OutboundCall, agent: str) -> None:
        if isinstance(call, InboundCall):
            self.calls.append(call)
        else:
            self.placed.append(call)
        self.runner.start(call, agent)

    def knows(self, agent: str) -> bool:
        return self.runner.knows(agent)

    def ring_s(self, agent: str) -> float | None:
        return self.runner.ring_s(agent)


async def answer_and_wait(call: InboundCall) -> None:
    await call.answer()
    await call.ended()


@dataclass
class Stage:
    """The called edge, the calling edge, and what they kept."""

    callee: Edge
    caller: Edge
    agent: OneAgent
    kept: Kept

    @property
    def port(self) -> int:
        return self.callee.endpoint.ports["udp"]

    def plan(self, user: str = NUMBER, **changes: object) -> RequestPlan:
        uri = SipUri("sip", user, None, "127.0.0.1", self.port)
        fields: dict[str, object] = {
            "method": "INVITE",
            "uri": uri,
            "destination": uri,
            "from_": NameAddr.parse(f"<sip:caller@127.0.0.1>;tag={self.caller.ua.ids.tag()}"),
            "to": NameAddr("", uri),
            "call_id": self.caller.ua.ids.call_id(),
            "cseq": 1,
            "contact_user": "caller",
        }
        return RequestPlan(**(fields | changes))  # type: ignore[arg-type]

    async def call(self, user: str = NUMBER, **changes: object) -> OutboundCall:
        """Place a call and wait for the answer."""
        call = await self.caller.switchboard.place(self.plan(user, **changes))
        async with asyncio.timeout(WAIT_S):
            await call.wait_answered()
        return call

    async def quiet(self) -> None:
        """Wait until no call is left on either side."""
        async with asyncio.timeout(WAIT_S):
            for edge in (self.callee, self.caller):
                while edge.switchboard.calls or edge.ua.counts["dialogs"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


@asynccontextmanager
async def staged(
    agent: Callable[[InboundCall], Awaitable[None]] = answer_and_wait,
    *,
    trunks: tuple[Trunk, ...] = (LOCAL,),
    numbers: tuple[Number, ...] = (Number(NUMBER, inbound_agent="agent"),),
    calls: CallSettings | None = None,
    ports: int = 100,
    rtp_timeout_s: float = 60.0,
    caller_sends_silence: bool = True,
) -> AsyncIterator[Stage]:
    """Open both edges, the called one with so many media ports; close them whatever happens."""
    kept, agents = Kept(), []
    callees, callers = free_media_ports(ports), free_media_ports(max(ports, 100))

    def make(tasks: Tasks) -> OneAgent:
        agents.append(OneAgent(tasks, agent))
        return agents[-1]

    net = NetSettings(listen=(ListenAddress("udp", "127.0.0.1", 0), ListenAddress("tcp", "127.0.0.1", 0)))
    media = MediaSettings(
        port_low=callees.start,
        port_high=callees.stop - 1,
        bind_host="127.0.0.1",
        drain_s=0.0,
        rtp_timeout_s=rtp_timeout_s,
    )
    calling = MediaSettings(
        port_low=callers.start,
        port_high=callers.stop - 1,
        bind_host="127.0.0.1",
        drain_s=0.0,
        send_silence=caller_sends_silence,
    )
    callee = build(
        router=Router(TrunkTable(trunks, secret=SECRET), Inventory(numbers)),
        agents=make,
        net=net,
        media=media,
        calls=calls or CallSettings(),
        records=kept,
    )
    caller = build(
        router=Router(TrunkTable(secret=SECRET), Inventory()),
        agents=make,
        net=net,
        media=calling,
        calls=CallSettings(),
    )
    await callee.open()
    await caller.open()
    try:
        yield Stage(callee, caller, agents[0], kept)
    finally:
        for edge in (caller, callee):
            edge.switchboard.hang_up_all()
        await asyncio.sleep(0.05)
        await caller.close()
        await callee.close()
