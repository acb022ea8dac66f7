"""An edge that places calls for agents, and the far ends that it calls, all in this process on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from sipflow.agents.conduct import Conduct
from sipflow.agents.runner import Runner
from sipflow.agents.spec import AgentSpec
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.order import CallOrder, Choice, Place
from sipflow.calls.originator import Originator
from sipflow.calls.record import CallRecord
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.daemon.build import Edge, build
from sipflow.errors import Conflict
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as NetSettings
from sipflow.numbers.inventory import Inventory, Number
from sipflow.tasks import Tasks
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import LOCAL, SECRET, WAIT_S, Kept, OneAgent
from tests.interop.free_ports import free_media_ports

OURS, CALLEE = "+12065550100", "+12065550123"
Behaviour = Callable[[InboundCall], Awaitable[None]]


@dataclass
class OneNumber:
    """Gives one number to everybody, and remembers what came of it."""

    trunk: str = "a"
    given: list[tuple[str, str, str]] = field(default_factory=list)
    freed: list[tuple[str, str]] = field(default_factory=list)
    undone: int = 0
    line: asyncio.Future[Choice] | None = None

    def choose(self, agent: str, callee: str, from_number: str = "", *, token: str = "") -> Choice:
        if from_number not in ("", OURS):
            raise Conflict(f"{from_number} is none of the numbers of agent {agent}")
        self.given.append((agent, callee, from_number))
        return Choice(OURS, self.trunk, ("it is the only one",))

    def join(
        self, agent: str, callee: str, from_number: str = "", *, at_most_s: float, token: str = ""
    ) -> Place | Choice:
        if self.line is None:
            return self.choose(agent, callee, from_number, token=token)
        return InLine(self.line, at_most_s)

    def free(self, choice: Choice, record: CallRecord) -> None:
        self.freed.append((choice.number, record.ending.word if record.ending is not None else ""))

    def undo(self, choice: Choice) -> None:
        self.undone += 1


@dataclass
class InLine:
    """One place in a line of one."""

    line: asyncio.Future[Choice]
    at_most_s: float

    async def wait(self) -> Choice:
        return await self.line

    def cancel(self) -> None:
        self.line.cancel()


@dataclass
class Outgoing:
    """The near edge, what it has, and the far ends by the name of the trunk that leads there."""

    near: Edge
    originator: Originator
    numbers: OneNumber
    kept: Kept
    far: Mapping[str, Edge]
    calls: Mapping[str, OneAgent]

    def order(self, to: str = CALLEE, **more: object) -> CallRecord:
        return self.originator.order(CallOrder(to, "talker", **more))  # type: ignore[arg-type]

    async def over(self, record: CallRecord) -> CallRecord:
        """Wait until an ordered call is over and its number is free."""
        async with asyncio.timeout(WAIT_S):
            while record.id in self.originator.live:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert self.kept.records == [record]
        return record

    async def happened(self, record: CallRecord, name: str) -> None:
        """Wait for a line of the call's history."""
        with self.near.switchboard.history.listening(record.id) as listener:
            if any(line.name == name for line in record.history):
                return
            async with asyncio.timeout(WAIT_S):
                async for _, happening in listener:
                    if happening.name == name:
                        return

    def port(self, trunk: str) -> int:
        return self.far[trunk].endpoint.ports["udp"]


def tries(record: CallRecord) -> list[tuple[str, int, str]]:
    """The attempts of a call, as trunk, status and why."""
    assert all(each.ended_at is not None and each.ended_at >= each.started_at for each in record.attempts)
    return [(each.trunk, each.status, each.why) for each in record.attempts]


def story(record: CallRecord) -> list[str]:
    """What happened in a call, by name."""
    return [each.name for each in record.history]


def one_port(transport: str = "udp") -> NetSettings:
    return NetSettings(listen=tuple(ListenAddress(each, "127.0.0.1", 0) for each in dict.fromkeys((transport, "tcp"))))


def loopback_media() -> MediaSettings:
    ports = free_media_ports(40)
    return MediaSettings(port_low=ports.start, port_high=ports.stop - 1, bind_host="127.0.0.1", drain_s=0.0)


@asynccontextmanager
async def outgoing(
    *far: Behaviour,
    agent: Callable[[Call], Awaitable[None]] | None = None,
    outbound: OutboundSettings | None = None,
    conduct: Conduct | None = None,
    trunks: Callable[[dict[str, int]], tuple[Trunk, ...]] | None = None,
    settings: CallSettings | None = None,
) -> AsyncIterator[Outgoing]:
    """Open the far ends, named a, b, c ..., each behaving as told, and the near end with a trunk to each.

    Args:
        far: what each far end does with a call.
        agent: that talks at the near end once it is answered; it hangs up if there is none.
        outbound: settings of trunk a, whose calls go on by the others; each other trunk has its own defaults.
        conduct: of the agent.
        trunks: makes other trunks, of the ports of the far ends.
        settings: of the calls of the near end.
    """
    names = [chr(ord("a") + index) for index in range(len(far))]
    kept, numbers = Kept(), OneNumber()
    async with AsyncExitStack() as stack:
        edges: dict[str, Edge] = {}
        agents: dict[str, OneAgent] = {}
        for name, behaviour in zip(names, far, strict=True):
            edges[name] = await stack.enter_async_context(_far_end(behaviour, agents, name))
        ports = {name: edge.endpoint.ports["udp"] for name, edge in edges.items()}
        made = trunks(ports) if trunks is not None else _trunks(ports, outbound)

        def runner(tasks: Tasks) -> Runner:
            made = Runner(tasks)
            made._agents = {"talker": (AgentSpec("talker", "test", conduct=conduct or Conduct()), agent or _hang_up)}
            return made

        near = build(
            router=Router(TrunkTable(made, secret=SECRET), Inventory()),
            agents=runner,
            net=one_port(),
            media=loopback_media(),
            calls=settings or CallSettings(),
            records=kept,
        )
        await stack.enter_async_context(_opened(near))
        originator = Originator(near.switchboard, numbers=numbers)
        yield Outgoing(near, originator, numbers, kept, edges, agents)


def _trunks(ports: dict[str, int], outbound: OutboundSettings | None) -> tuple[Trunk, ...]:
    others = tuple(name for name in ports if name != "a")
    settings = outbound or OutboundSettings(failover=others)
    return tuple(
        Trunk(
            name, sip_domain=f"127.0.0.1:{port}", region="US", outbound=settings if name == "a" else OutboundSettings()
        )
        for name, port in ports.items()
    )


async def _hang_up(call: Call) -> None:
    """Do nothing, which hangs up."""


@asynccontextmanager
async def _far_end(behaviour: Behaviour, agents: dict[str, OneAgent], name: str) -> AsyncIterator[Edge]:
    def make(tasks: Tasks) -> OneAgent:
        agents[name] = OneAgent(tasks, behaviour)
        return agents[name]

    edge = build(
        router=Router(TrunkTable((LOCAL,), secret=SECRET), Inventory((Number("*", inbound_agent="agent"),))),
        agents=make,
        net=one_port(),
        media=loopback_media(),
        calls=CallSettings(),
    )
    async with _opened(edge):
        yield edge


@asynccontextmanager
async def _opened(edge: Edge) -> AsyncIterator[Edge]:
    await edge.open()
    try:
        yield edge
    finally:
        edge.switchboard.hang_up_all()
        await asyncio.sleep(0.02)
        await edge.close()


# What far ends do


async def answers(call: InboundCall) -> None:
    await call.ring()
    await call.answer()
    await call.ended()


async def rings_on(call: InboundCall) -> None:
    await call.ring()
    await call.ended()


def refuses(status: int, reason: str = "", **headers: str) -> Behaviour:
    async def behaviour(call: InboundCall) -> None:
        await call.reject(status, reason, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return behaviour


@asynccontextmanager
async def deaf_port() -> AsyncIterator[int]:
    """A UDP port at which somebody listens and never says a word."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
