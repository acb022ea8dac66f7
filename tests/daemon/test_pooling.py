"""Pools and limits in a daemon that runs as a process: kept, reloaded, held."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sipflow.agents.spec import AgentSpec
from sipflow.calls.limits import LimitSettings
from sipflow.calls.routes import Router
from sipflow.calls.toll_rules import Budget, TollSettings
from sipflow.calls.tolls import Tolls
from sipflow.daemon.outgoing import Outgoing
from sipflow.daemon.pooling import Pooling
from sipflow.errors import Conflict, LimitReached
from sipflow.numbers.inventory import Inventory, Number
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.store.database import Database
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings
from sipflow.trunks.table import TrunkTable
from tests.daemon.api_client import Api
from tests.interop.daemon import ANSWERED, Caller, Daemon, call
from tests.interop.free_ports import free_sip_port
from tests.interop.waiting import wait_until

TALK = ("--seconds", "60")
OURS = "+12065550101"


def test_the_second_call_to_a_number_of_one_call_hears_busy_until_a_reload_allows_two(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configuration["numbers"][ANSWERED]["max_calls"] = 1
    with daemon, Caller(tmp_path / "live.log", daemon.uri(), *TALK) as live:
        daemon.wait_said("^call in")
        second = call(tmp_path, daemon.uri())
        (said,) = daemon.said("^call refused")
        daemon.configuration["numbers"][ANSWERED]["max_calls"] = 2
        daemon.save()
        daemon.reload()
        (reloaded,) = daemon.said("^configuration reloaded")
        after = call(tmp_path, daemon.uri(), "--seconds", "0.2")
        live._program.stop(5)

    assert (second.status, after.status) == (486, 200)
    assert said["why"] == f"number {ANSWERED} has 1 call up, which is as many as it may (numbers.{ANSWERED}.max_calls)"
    assert reloaded["changes"] == "limits: changed numbers.*"


def test_pools_and_what_is_known_of_numbers_outlive_the_process_that_is_killed(tmp_path: Path) -> None:
    api, nobody = Api(), free_sip_port()
    daemon = Daemon(tmp_path, api=api.section)
    daemon.configuration["trunks"]["far"] = {"sip_domain": f"127.0.0.1:{nobody}"}
    daemon.configuration["numbers"][OURS] = {"trunk": "far"}
    with daemon:
        with api.wait(daemon):
            api.ask("POST", "/pools", {"name": "sales", "numbers": [OURS], "calls_per_day": 1})
            agent = {"type": "outbound", "name": "caller", "agent": {}, "handler": "echo", "pool": "sales"}
            model_id = api.ask("POST", "/assistants", agent)["response"]["model_id"]
            order = {"model_id": model_id, "phone": "+12065550177", "name": "Ada"}
            api.ask("POST", "/calls", order)
            refused = api.ask("POST", "/calls", order, status=429)["detail"]["description"]
            before = state_of(api)
        wait_until(lambda: _kept(tmp_path / "sipflow.db"), "the use of the number in the store")
        daemon.program.kill()
    with daemon, api.wait(daemon):
        after = state_of(api)
        api.ask("POST", "/calls", order, status=429)

    assert before == after == ("day_full", 1)
    assert refused.startswith("pool sales: none of its 1 numbers can be called from now: 1 have had their calls of")


def state_of(api: Api) -> tuple[str, int]:
    (number,) = api.ask("GET", "/pools/sales")["response"]["numbers"]
    return str(number["state"]), int(number["calls_today"])


def _kept(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as connection:
        return bool(connection.execute("select count(*) from number_use").fetchone()[0])


def _tolls(outgoing: Outgoing) -> Tolls:
    router = Router(TrunkTable(secret=b"0123456789abcdef"), Inventory())
    limits = outgoing.limits
    return Tolls(TollSettings(whole=Budget(calls_per_day=1)), router, clock=lambda: limits.now, day=lambda: limits.day)


async def test_what_is_known_when_it_stops_is_there_when_it_starts_again(tmp_path: Path) -> None:
    settings = Settings(encryption_keys=("a key for the tests, of many characters",))
    standings: list[tuple[str, int, bool, int, str | None]] = []
    for _ in range(2):
        database = await Database.open(settings, folder=tmp_path)
        outgoing, directory = Outgoing(LimitSettings()), Directory()
        outgoing.tolls = tolls = _tolls(outgoing)
        directory.declare(trunks={}, numbers=[Number(OURS, outbound_agents=("bot",))], agents=[("bot", "echo", {})])
        outgoing.apply(LimitSettings(), {}, [AgentSpec("bot", "echo", pool="sales")], directory)
        pooling = Pooling(outgoing, database, dict)
        await pooling.open()
        if not standings:
            sales = PoolSettings("sales", strategy=("sticky", "round_robin"), members=(Member(OURS),))
            await pooling.desk.shelf.add(sales)
            outgoing.admission.undo(outgoing.admission.choose("bot", "+12065550177"))
            tolls.take("a call", "pbx")
        with pytest.raises(LimitReached, match="the budget of sipflow is used up: 1 calls a day"):
            tolls.take("one more", "pbx")
        (found,) = pooling.desk.standings(outgoing.pools.named["sales"], limit=9, offset=0)
        callee = outgoing.pools.named["sales"].callees.number_of("+12065550177")
        standings.append((found.number, found.today, found.used_at is not None, found.live, callee))
        with pytest.raises(Conflict, match="bot would have no numbers to call from"):
            await pooling.desk.shelf.remove("sales")
        await pooling.close()
        await outgoing.close()
        await database.close()

    assert standings == [(OURS, 1, True, 0, OURS)] * 2
