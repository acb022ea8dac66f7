"""What the directory says is acted on: at once, and only where something has changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sipflow.agents.runner import Runner
from sipflow.agents.spec import AgentSpec
from sipflow.calls.routes import Router
from sipflow.config.configuration import Configuration
from sipflow.daemon.build import Edge, build
from sipflow.daemon.created import HandlerCheck
from sipflow.daemon.live import Live, owner_in
from sipflow.daemon.outgoing import Outgoing
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as NetSettings
from sipflow.numbers.inventory import Inventory, Number
from sipflow.store.database import Database
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings as StoreSettings
from sipflow.tasks import Tasks
from sipflow.trunks.addresses import Addresses
from sipflow.trunks.fields import TrunkFields
from sipflow.trunks.runner import HealthChecks, Registrations
from sipflow.trunks.snapshot import OFF
from sipflow.trunks.table import TrunkTable
from tests.daemon.registrar import Registrar
from tests.interop.free_ports import free_media_ports

ONE, TWO = "+12065550161", "+12065550162"
SECRET = b"0123456789abcdef"
KEY = "a key for the tests, of many characters"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Live, Edge]]:
    """A directory in a new store, and an edge that acts on it."""
    database = await Database.open(StoreSettings(encryption_keys=(KEY,)), folder=folder)
    directory, table = Directory(database, check=HandlerCheck(folder)), TrunkTable(secret=SECRET)
    router, outgoing, media = Router(table, Inventory()), Outgoing(Configuration().limits), free_media_ports(10)
    runners: list[Runner] = []

    def runner(tasks: Tasks) -> Runner:
        runners.append(Runner(tasks))
        return runners[0]

    edge = build(
        router=router,
        agents=runner,
        net=NetSettings(listen=(ListenAddress("udp", "127.0.0.1", 0),)),
        media=MediaSettings(port_low=media.start, port_high=media.stop - 1, bind_host="127.0.0.1"),
        calls=Configuration().calls,
        limits=outgoing.limits,
    )
    await edge.open()
    board, ids = edge.switchboard, edge.ua.ids
    registrations = Registrations(board, ids=ids, secret=SECRET)
    health, addresses = HealthChecks(board, ids=ids), Addresses(edge.endpoint, table)
    outgoing.open(board, health)
    live = Live(
        directory=directory,
        folder=folder,
        configuration=Configuration(),
        table=table,
        router=router,
        runner=runners[0],
        outgoing=outgoing,
        registrations=registrations,
        health=health,
        addresses=addresses,
    )
    directory.on_change = live.changed
    await directory.load()
    try:
        yield live, edge
    finally:
        await registrations.stop()
        await health.stop()
        await addresses.stop()
        await edge.close()
        await database.close()


async def until(there: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not there():  # noqa: ASYNC110  (what is waited for is told nobody)
            await asyncio.sleep(0.01)


def line(registrar: Registrar, name: str) -> TrunkFields:
    return TrunkFields(
        sip_domain="pbx.example.com",
        outbound_proxy=f"127.0.0.1:{registrar.port}",
        username=name,
        password="open-sesame-92",
        uac_enabled=True,
    )


async def test_number_added_at_run_time_registers_at_once_and_is_routed(tmp_path: Path) -> None:
    with Registrar() as registrar:
        async with running(tmp_path) as (live, _edge):
            before = live.registration_of(ONE)
            agent = await live.directory.add_agent(name="Desk", type="inbound", handler="echo")
            await live.directory.add_number(ONE, line(registrar, "2001"))
            first = live.registration_of(ONE)
            await live.directory.attach(agent.model_id, [ONE])
            await until(lambda: live.registration_of(ONE).state == "registered")
            await until(lambda: live.router.numbers.get(ONE) != Number(ONE, trunk=ONE))
            registered = live.registration_of(ONE)
            number = live.router.numbers.get(ONE)
            trunk = live.table.get(ONE)
            await live.directory.remove_number(ONE)
            await until(lambda: live.table.get(ONE) is None)
            after = live.registration_of(ONE)

    assert (before, after, first.state) == (OFF, OFF, "registering")
    assert (registered.sentence, registered.until is not None) == ("calls reach us", True)
    assert number == Number(ONE, trunk=ONE, inbound_agent=agent.model_id)
    assert trunk is not None
    assert live.runner.knows(agent.model_id)


async def test_changes_that_come_fast_are_brought_together(tmp_path: Path) -> None:
    async with running(tmp_path) as (live, _edge):
        live.router = counting = Counting(live.router.trunks)
        live.apply()
        live._not_before = asyncio.get_running_loop().time() + 1.0  # as after a change that took its time
        for last in range(10, 20):
            await live.directory.add_number(f"+120655501{last}", TrunkFields(sip_domain="127.0.0.1"))
        before = list(counting.told)
        await until(lambda: live.router.numbers.get("+12065550119") is not None)

    assert (before, counting.told) == ([], [10])


async def test_who_waits_for_a_change_finds_it_running_and_nobody_waits_for_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (live, _edge):
        live._not_before = asyncio.get_running_loop().time() + 0.2  # as after a change that took its time
        agent = await live.directory.add_agent(name="Ada", type="outbound", handler="echo", fields={"pool": "sales"})
        at_once = (live.runner.knows(agent.model_id), live.outgoing.agents_of("sales"))
        await live.settled()
        settled = (live.runner.knows(agent.model_id), live.outgoing.agents_of("sales"))
        await live.settled()
        await live.directory.change_agent(agent.model_id, fields={"pool": ""})
        left = live.outgoing.agents_of("sales")

    assert (at_once, settled) == ((False, (agent.model_id,)), (True, (agent.model_id,)))
    assert left == ()


class Counting(Router):
    """Remembers how many numbers it was told to lead calls by, each time."""

    def __init__(self, trunks: TrunkTable) -> None:
        self.told: list[int] = []
        super().__init__(trunks, Inventory())

    def __setattr__(self, name: str, value: object) -> None:
        if name == "numbers" and isinstance(value, Inventory) and len(value):
            self.told.append(len(value))
        super().__setattr__(name, value)


async def test_agent_of_the_configuration_that_stops_working_leaves_all_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path) as (live, _edge):
        agent = await live.directory.add_agent(name="Desk", type="inbound", handler="echo")
        await until(lambda: live.runner.knows(agent.model_id))
        live.configuration = broken()
        live.changed()
        await until(lambda: "agents stay as they were" in capsys.readouterr().out)

    assert live.runner.knows(agent.model_id)


def broken() -> Configuration:
    return Configuration(agents={"desk": AgentSpec("desk", "no_such_module:run")})


def test_owner_of_a_number_is_its_trunk() -> None:
    router = Router(TrunkTable(secret=SECRET), Inventory([Number(ONE, trunk="pbx"), Number("200")]))
    owner = owner_in(router)

    assert [owner(dialled, "US") for dialled in (ONE, "2065550161", "200", "201")] == ["pbx", "pbx", None, None]
    router.numbers = Inventory([Number(ONE, trunk="backup")])
    assert owner(ONE, None) == "backup"
