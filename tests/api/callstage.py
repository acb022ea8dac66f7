"""An edge with its API on a port, a real store behind it, and a far end that calls it and is called."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from sipflow.agents.conduct import Conduct
from sipflow.agents.runner import Runner
from sipflow.agents.spec import AgentSpec
from sipflow.api.app import create_app
from sipflow.api.auth import Door
from sipflow.api.call_desk import CallDesk
from sipflow.api.context import Context
from sipflow.api.measures import Measures
from sipflow.api.server import ApiServer
from sipflow.api.settings import Settings
from sipflow.api.trace_desk import TraceDesk
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.originator import Originator
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.recorder import Recorder
from sipflow.calls.recorder import Settings as RecordingSettings
from sipflow.calls.routes import Router
from sipflow.calls.settings import Settings as CallSettings
from sipflow.daemon.build import Edge, build
from sipflow.daemon.desk import open_desk
from sipflow.daemon.storage import Records
from sipflow.daemon.watching import Watching
from sipflow.net.acl import Networks
from sipflow.net.tracers import Settings as TraceSettings
from sipflow.numbers.inventory import Inventory, Number
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri
from sipflow.store.database import Database
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings as StoreSettings
from sipflow.store.tokens import Tokens
from sipflow.store.writer import RecordWriter
from sipflow.tasks import Tasks
from sipflow.trunks.runner import RegistrationStatus
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import Behaviour, OneNumber, answers, loopback_media, one_port
from tests.calls.stage import LOCAL, SECRET, WAIT_S, OneAgent

ADMIN = "a token that opens everything"
OURS, SECOND, CALLEE, LEAD = "+12065550100", "+12065550101", "+12065550123", "+12065550199"


async def wait_for_the_end(call: Call) -> None:
    """Be the agent of every call: answer it, if that is not done, and stay."""
    if isinstance(call, InboundCall):
        await call.answer()
    await call.ended()


@dataclass
class CallStage:
    """What tests act on.

    Attributes:
        client: sends requests with the token `ADMIN`, over a real connection.
        near: the edge that the API belongs to.
        far: the edge that calls it, and is called.
        behaviour: what the far end does with calls to it.
        taken: calls that the far end has taken.
        watching: traces and counters of the near end.
        states: of the registrations that the near end is said to have.
    """

    client: httpx.AsyncClient
    near: Edge
    far: Edge
    desk: CallDesk
    database: Database
    directory: Directory
    numbers: OneNumber
    writer: RecordWriter
    server: ApiServer
    watching: Watching
    states: list[RegistrationStatus]
    behaviour: Behaviour = answers
    taken: list[InboundCall] = field(default_factory=list)

    async def token(self, *scopes: str) -> dict[str, str]:
        """Make a token with these scopes; returns the header that carries it."""
        return {"Authorization": f"Bearer {(await Tokens(self.database).create('test', scopes))[1]}"}

    async def ask(self, method: str, path: str, *, status: int = 200, **arguments: Any) -> Any:
        """Send a request; return the body of the answer, whose status must be this."""
        answer = await self.client.request(method, path, **arguments)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get(self, path: str, *, status: int = 200, **arguments: Any) -> Any:
        return await self.ask("GET", path, status=status, **arguments)

    async def post(self, path: str, body: object = None, *, status: int = 200, **arguments: Any) -> Any:
        return await self.ask("POST", path, status=status, json=body, **arguments)

    async def refused(self, method: str, path: str, *, status: int, **arguments: Any) -> str:
        """Send a request that is refused with this status; return the sentence."""
        body = await self.ask(method, path, status=status, **arguments)
        assert set(body) == {"detail"}
        assert set(body["detail"]) == {"status", "description", "request_id", "category"}
        return str(body["detail"]["description"])

    async def one(self, call_id: str) -> Any:
        """Show a call."""
        (call,) = (await self.get(f"/v2/calls/{call_id}"))["response"]["calls"]
        return call

    async def place(self, **fields: object) -> str:
        """Have a call placed over the API; returns its id."""
        body = {"model_id": "desk", "phone": CALLEE, "name": "Ada Lovelace", **fields}
        return str((await self.post("/v2/calls", body))["response"]["call_id"])

    async def answered(self, **fields: object) -> str:
        """Have a call placed, and wait until it is answered."""
        call_id = await self.place(**fields)
        await self.happened(call_id, "answered")
        return call_id

    async def happened(self, call_id: str, name: str) -> None:
        """Wait for a line in a live call's history."""
        found = self.desk.live_one(call_id)
        assert found is not None, f"call {call_id} is over"
        with self.near.switchboard.history.listening(call_id) as listener:
            if any(line.name == name for line in found.record.history):
                return
            async with asyncio.timeout(WAIT_S):
                async for _, happening in listener:
                    if happening.name == name:
                        return

    async def over(self, call_id: str) -> None:
        """Wait until a call is over."""
        async with asyncio.timeout(WAIT_S):
            while self.desk.live_one(call_id) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def plan(self, number: str = OURS, *, headers: tuple[tuple[str, str], ...] = ()) -> RequestPlan:
        """Plan a call of the far end to a number of ours."""
        uri = SipUri("sip", number, None, "127.0.0.1", self.near.endpoint.ports["udp"])
        return RequestPlan(
            method="INVITE",
            uri=uri,
            destination=uri,
            from_=NameAddr.parse(f"<sip:{LEAD}@127.0.0.1>;tag={self.far.ua.ids.tag()}"),
            to=NameAddr("", uri),
            call_id=self.far.ua.ids.call_id(),
            cseq=1,
            contact_user="caller",
            headers=headers,
        )

    async def call_in(self, number: str = OURS, *, headers: tuple[tuple[str, str], ...] = ()) -> OutboundCall:
        """Let the far end call a number of ours, and wait for the answer."""
        call = await self.far.switchboard.place(self.plan(number, headers=headers))
        async with asyncio.timeout(WAIT_S):
            await call.wait_answered()
        return call

    async def called_in(self, number: str = OURS, **arguments: Any) -> tuple[str, OutboundCall]:
        """The same; returns the call's id here, too."""
        before = set(self.near.switchboard.calls)
        call = await self.call_in(number, **arguments)
        (call_id,) = set(self.near.switchboard.calls) - before
        return call_id, call


@asynccontextmanager
async def callstage(
    store: StoreSettings,
    folder: Path,
    *,
    recordings: RecordingSettings | None = None,
    conduct: Conduct | None = None,
    sounds: str = "",
    tracing: TraceSettings | None = None,
) -> AsyncIterator[CallStage]:
    """Open both edges, the store and the API; close them whatever happens."""
    async with AsyncExitStack() as stack:
        database = await Database.open(store, folder=folder)
        stack.push_async_callback(database.close)
        stages: list[CallStage] = []

        async def behave(call: InboundCall) -> None:
            stages[0].taken.append(call)
            await stages[0].behaviour(call)

        far = await _open(stack, _far_end(behave))
        trunk = _trunk_to(far)
        writer = RecordWriter(folder / "journal", every_s=0.05)
        await writer.open(database)
        stack.push_async_callback(writer.close)
        recorders: list[Recorder] = []

        def agents(tasks: Tasks) -> Runner:
            recorders.append(Recorder(recordings or RecordingSettings(folder=str(folder / "recordings")), tasks))
            return _runner(tasks, recorders[0], conduct or Conduct())

        directory = await _directory(database, trunk)
        watching = Watching(tracing or TraceSettings(), directory)
        records = Records(writer)
        near = await _open(stack, _near_end(trunk, agents, records, sounds, watching))
        watching.open(near, records.on_saved)
        stack.callback(watching.close)
        given = OneNumber(trunk="local")
        desk = await open_desk(
            switchboard=near.switchboard,
            originator=Originator(near.switchboard, numbers=given),
            database=database,
            recorder=recorders[0],
            writer=writer,
            sounds=sounds,
        )
        stack.push_async_callback(desk.once.close)
        states: list[RegistrationStatus] = []
        traces = TraceDesk(ring=watching.tracers.ring, captures=watching.captures)
        context = Context(directory=directory, database=database, calls=desk, traces=traces)
        context.quality = watching.quality
        context.measures = _measures(near, watching, writer, states)
        server = await _serve(stack, context, desk)
        headers = {"Authorization": f"Bearer {ADMIN}"}
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=server.url, headers=headers, timeout=WAIT_S, verify=False)
        )
        stages.append(CallStage(client, near, far, desk, database, directory, given, writer, server, watching, states))
        yield stages[0]


def _trunk_to(far: Edge) -> Trunk:
    place = f"127.0.0.1:{far.endpoint.ports['udp']}"
    return Trunk("local", accept_from=Networks(["127.0.0.0/8"]), region="US", sip_domain=place)


def _numbers() -> list[Number]:
    return [Number(OURS, inbound_agent="desk", trunk="local"), Number(SECOND, trunk="local")]


def _far_end(behave: Behaviour) -> Edge:
    return build(
        router=Router(TrunkTable((LOCAL,), secret=SECRET), Inventory((Number("*", inbound_agent="agent"),))),
        agents=lambda tasks: OneAgent(tasks, behave),
        net=one_port(),
        media=loopback_media(),
        calls=CallSettings(),
    )


def _near_end(
    trunk: Trunk, agents: Callable[[Tasks], Runner], records: Records, sounds: str, watching: Watching
) -> Edge:
    return build(
        router=Router(TrunkTable((trunk,), secret=SECRET), Inventory(_numbers())),
        agents=agents,
        net=one_port(),
        media=loopback_media(),
        calls=CallSettings(sounds=sounds),
        records=records,
        tracers=watching.tracers,
    )


def _measures(near: Edge, watching: Watching, writer: RecordWriter, states: list[RegistrationStatus]) -> Measures:
    return Measures(
        switchboard=near.switchboard,
        endpoint=near.endpoint,
        ua=near.ua,
        media=near.desk,
        limits=near.switchboard.limits,
        tally=watching.tally,
        tracers=watching.tracers,
        pulse=watching.pulse,
        started_at=watching.started_at,
        waiting=lambda: 0,
        registrations=lambda: states,
        healths=list,
        writer=writer,
        place="a store",
        now=time.monotonic,
        wall=lambda: datetime.now(UTC),
    )


def _runner(tasks: Tasks, recorder: Recorder, conduct: Conduct) -> Runner:
    runner = Runner(tasks, recorder=recorder)
    runner._agents = {name: (AgentSpec(name, "test", conduct=conduct), wait_for_the_end) for name in ("desk", "other")}
    return runner


async def _directory(database: Database, trunk: Trunk) -> Directory:
    directory = Directory()
    agents: list[tuple[str, str, dict[str, object]]] = [("desk", "echo", {}), ("other", "echo", {})]
    directory.declare(trunks={"local": trunk}, numbers=_numbers(), agents=agents)
    await directory.load(database)
    return directory


async def _serve(stack: AsyncExitStack, context: Context, desk: CallDesk) -> ApiServer:
    server = ApiServer(create_app(context, Door(Tokens(context.database), [ADMIN])), Settings(port=0))
    server.on_closing = desk.events.close
    await server.start()
    stack.push_async_callback(server.close)
    return server


async def _open(stack: AsyncExitStack, edge: Edge) -> Edge:
    await edge.open()

    async def close() -> None:
        edge.switchboard.hang_up_all()
        await asyncio.sleep(0.02)
        await edge.close()

    stack.push_async_callback(close)
    return edge
