"""A caller, an edge whose agent transfers it, and the people who may be called: all in this process on loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sipflow.audio.tones import sine
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.record import CallRecord
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.calls.transfer.outcome import TransferAttempt, TransferOutcome
from sipflow.daemon.build import Edge, build
from sipflow.errors import CallEnded
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Inventory, Number
from sipflow.sip import outputs as sip
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri
from sipflow.tasks import Tasks
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import loopback_media, one_port
from tests.calls.stage import LOCAL, NUMBER, SECRET, WAIT_S, Kept, OneAgent
from tests.interop.phone import steady_dbfs

CALLER_HZ, AGENT_HZ, PERSON_HZ, WHISPER_HZ, MUSIC_HZ = 700, 500, 1100, 1900, 300
LOUD_DBFS = -12.0
FOLLOWING = replace(LOCAL, refer=ReferSettings(receive="follow"))  # lets calls be replaced
ELSEWHERE = Networks(["192.0.2.1"])
Behaviour = Callable[[InboundCall], Awaitable[None]]
OnRefer = Callable[["Scene", sip.ReferReceived], Coroutine[Any, Any, None]]


def tone(hz: int, seconds: float = 20.0) -> bytes:
    return sine(hz, int(1000 * seconds), level_dbfs=LOUD_DBFS)


class Ear:
    """Hears one end of a call from when it is made on."""

    def __init__(self, call: Call) -> None:
        self.pcm = bytearray()
        self._task = asyncio.create_task(self._listen(call))  # the ear of a test, kept here

    async def _listen(self, call: Call) -> None:
        async for frame in call.frames(sample_rate_hz=8000):
            self.pcm += frame.pcm

    async def hears(self, milliseconds: int = 300, *, skip_ms: int = 160) -> set[int]:
        """Say which of the pitches are heard from now on, once what is on its way has passed."""
        begin = len(self.pcm) + 16 * skip_ms
        end = begin + 16 * milliseconds
        async with asyncio.timeout(WAIT_S):
            while len(self.pcm) < end:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return pitches(bytes(self.pcm[begin:end]))

    async def comes_to_hear(self, *hz: int) -> None:
        """Wait until just these pitches are heard."""
        async with asyncio.timeout(WAIT_S):
            while await self.hears(200, skip_ms=0) != set(hz):
                pass


async def both(one: Ear, other: Ear, milliseconds: int = 300) -> list[set[int]]:
    """Say which pitches two ears hear at the same time."""
    return list(await asyncio.gather(one.hears(milliseconds), other.hears(milliseconds)))


def pitches(pcm: bytes) -> set[int]:
    """Say which of the pitches of a scene are in it."""
    return {
        hz for hz in (CALLER_HZ, AGENT_HZ, PERSON_HZ, WHISPER_HZ, MUSIC_HZ) if steady_dbfs(pcm, hz) > LOUD_DBFS - 15
    }


@dataclass
class Scene:
    """Everything on stage.

    Attributes:
        near: the edge whose agent transfers.
        home: the caller's edge.
        far: edges of people by name; `people` are who answer there.
        kept: records of the near edge.
        outcomes: of the transfers of the agent, as they end.
        refers: REFERs that came to the caller.
    """

    near: Edge
    home: Edge
    far: dict[str, Edge]
    people: dict[str, OneAgent]
    kept: Kept
    agent: OneAgent
    outcomes: list[TransferOutcome] = field(default_factory=list)
    refers: list[sip.ReferReceived] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)

    def uri(self, name: str) -> str:
        """The address of a person."""
        return f"sip:{name}@127.0.0.1:{self.ports[name]}"

    async def call(
        self, *, headers: tuple[tuple[str, str], ...] = (), hz: int = CALLER_HZ, max_forwards: int = 70
    ) -> OutboundCall:
        """The caller calls, and goes on talking."""
        uri = SipUri("sip", NUMBER, None, "127.0.0.1", self.near.endpoint.ports["udp"])
        ids = self.home.ua.ids
        plan = RequestPlan(
            method="INVITE",
            uri=uri,
            destination=uri,
            from_=NameAddr.parse(f"<sip:+12065550199@127.0.0.1>;tag={ids.tag()}"),
            to=NameAddr("", uri),
            call_id=ids.call_id(),
            cseq=1,
            headers=headers,
            contact_user="caller",
            max_forwards=max_forwards,
        )
        call = await self.home.switchboard.place(plan)
        async with asyncio.timeout(WAIT_S):
            await call.wait_answered()
        self.home.tasks.spawn(talk(call, hz), name="the caller's voice")
        return call

    async def person(self, name: str, *, answered: bool = True) -> InboundCall:
        """Wait until somebody's telephone rings, or has been answered."""
        async with asyncio.timeout(WAIT_S):
            while not self.people[name].calls or (answered and not self.people[name].calls[-1].answered):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return self.people[name].calls[-1]

    async def outcome(self) -> TransferOutcome:
        async with asyncio.timeout(WAIT_S):
            while not self.outcomes:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return self.outcomes[-1]

    async def quiet(self) -> None:
        """Wait until no call is left anywhere."""
        async with asyncio.timeout(WAIT_S):
            for edge in (self.near, self.home, *self.far.values()):
                while edge.switchboard.calls or edge.ua.counts["dialogs"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    @property
    def record(self) -> CallRecord:
        """The caller's record at the near edge."""
        return self.agent.calls[-1].record


def tried(outcome: TransferOutcome | tuple[TransferAttempt, ...]) -> list[tuple[str, int, str | None, str]]:
    """The attempts, as method, status, failed_reason and who decided; each has its times."""
    attempts = outcome.attempts if isinstance(outcome, TransferOutcome) else outcome
    assert all(each.started_at <= each.ended_at and each.why for each in attempts)
    return [
        (
            each.method.value,
            each.status,
            each.failed_reason.value if each.failed_reason else None,
            each.decided_by.value,
        )
        for each in attempts
    ]


async def talk(call: Call, hz: int) -> None:
    """Make a call's own voice heard until it is over."""
    try:
        while True:
            await call.play(tone(hz))
    except CallEnded:
        pass  # it has said enough


def talks(hz: int = PERSON_HZ) -> Behaviour:
    """Somebody who answers, and talks until the call is over."""

    async def behaviour(call: InboundCall) -> None:
        await call.ring()
        await call.answer()
        await talk(call, hz)

    return behaviour


@asynccontextmanager
async def scene(
    agent: Callable[[Scene, Call], Awaitable[None]],
    *,
    on_refer: OnRefer | None = None,
    refer: ReferSettings | None = None,
    trunks: Callable[[dict[str, int]], tuple[Trunk, ...]] | None = None,
    domain: str = "",
    **people: Behaviour,
) -> AsyncIterator[Scene]:
    """Open everything.

    Args:
        agent: that has the caller; it is given the scene, and hangs up when it returns.
        on_refer: what the caller's telephone does with a REFER; None does not know the method.
        refer: of the caller's trunk; without it none is sent unless `on_refer` is there to take it.
        trunks: makes further trunks of the near edge, of the ports of the people.
        domain: the person at whose edge the far end of the caller's trunk is; "" for none.
        people: what each does with a call.
    """
    stages: list[Scene] = []

    async def run(call: Call) -> None:
        await agent(stages[0], call)

    async with AsyncExitStack() as stack:
        far: dict[str, Edge] = {}
        answering: dict[str, OneAgent] = {}
        for name, behaviour in people.items():
            far[name], answering[name] = await stack.enter_async_context(_end(behaviour))
        ports = {name: edge.endpoint.ports["udp"] for name, edge in far.items()}
        host = f"127.0.0.1:{ports[domain]}" if domain else ""
        line = Trunk(
            "line",
            sip_domain=host,
            accept_from=Networks(["127.0.0.0/8"]),
            region="US",
            refer=refer or ReferSettings(send="auto" if on_refer is not None else "never"),
        )
        kept = Kept()
        near, nears = await stack.enter_async_context(
            _end(run, trunks=(line, *(trunks(ports) if trunks is not None else ())), number=NUMBER, kept=kept)
        )
        home, _ = await stack.enter_async_context(_end(talks()))
        stages.append(Scene(near, home, far, answering, kept, nears, ports=ports))
        _listen_for_refers(stages[0], on_refer)
        yield stages[0]


def _listen_for_refers(stage: Scene, on_refer: OnRefer | None) -> None:
    board = stage.home.switchboard
    otherwise = board.on_event

    def on_event(event: object) -> None:
        if isinstance(event, sip.ReferReceived) and on_refer is not None:
            stage.refers.append(event)
            stage.home.tasks.spawn(on_refer(stage, event), name="the caller's telephone")
        else:
            otherwise(event)

    board.on_event = on_event  # type: ignore[method-assign]


@asynccontextmanager
async def _end(
    behaviour: Callable[..., Awaitable[None]],
    *,
    trunks: tuple[Trunk, ...] = (FOLLOWING,),
    number: str = "*",
    kept: Kept | None = None,
) -> AsyncIterator[tuple[Edge, OneAgent]]:
    agents: list[OneAgent] = []

    def make(tasks: Tasks) -> OneAgent:
        agents.append(OneAgent(tasks, behaviour))
        return agents[-1]

    edge = build(
        router=Router(TrunkTable(trunks, secret=SECRET), Inventory((Number(number, inbound_agent="agent"),))),
        agents=make,
        net=one_port(),
        media=loopback_media(),
        calls=CallSettings(),
        records=kept,
    )
    await edge.open()
    try:
        yield edge, agents[0]
    finally:
        edge.switchboard.hang_up_all()
        await asyncio.sleep(0.02)
        await edge.close()


Agent = Callable[[Scene, Call], Awaitable[None]]


def transfers(name: str = "bob", **how: object) -> Agent:
    """An agent that talks all the time, transfers in between, and is there again if that fails."""

    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        stage.near.tasks.spawn(talk(call, AGENT_HZ), name="the agent's voice")
        stage.outcomes.append(await call.transfer(stage.uri(name), **how))  # type: ignore[arg-type]
        await call.ended()

    return agent


async def is_back_with_the_agent(stage: Scene, ear: Ear) -> None:
    """Measure that caller and agent hear each other, and hang up."""
    agents_ear = Ear(stage.agent.calls[-1])
    assert await both(ear, agents_ear) == [{AGENT_HZ}, {CALLER_HZ}]
    stage.home.switchboard.hang_up_all()
    stage.home.switchboard.draining = False
    await stage.quiet()
