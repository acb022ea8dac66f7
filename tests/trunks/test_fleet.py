import asyncio
from collections.abc import Callable
from dataclasses import replace

import uvloop
from structlog.testing import capture_logs

from sipflow.errors import TransportError
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.trunks.fleet import Fleet
from sipflow.trunks.outputs import StateChanged
from sipflow.trunks.registration import Registration
from sipflow.trunks.settings import RegisterSettings
from sipflow.trunks.trunk import Trunk
from tests.trunks.registrar import SECRET, granted, pbx, silence
from tests.trunks.virtual_time import run


class Wire:
    """Sends nothing: remembers when what was sent, and answers after a while.

    Attributes:
        sent: (seconds since the start, trunk name and expiry).
    """

    def __init__(self, delay_s: float = 0.01) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self.delay_s = delay_s
        self.sent: list[tuple[float, str]] = []
        self.under_way = 0
        self.most_under_way = 0
        self.cancelled = 0
        self.answer: Callable[[RequestPlan], Outcome] = granted

    async def request(self, plan: RequestPlan) -> Outcome:
        expires = plan.contact_header_params.partition("=")[2]
        self.sent.append((round(self.loop.time() - self.began, 3), f"{plan.to.uri.host} {expires}"))  # type: ignore[union-attr]
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        return self.answer(plan)


def trunk(name: str, **fields: object) -> Trunk:
    return pbx(name=name, sip_domain=f"{name}.example.com", **fields)


def fleet(wire: Wire, *, concurrency: int = 100, changes: list[str] | None = None) -> Fleet[Registration]:
    def build(trunk: Trunk) -> Registration:
        token = trunk.registration_token(SECRET)
        return Registration(trunk, call_id=trunk.name, tag="tag", token=token, jitter=lambda: 1.0)

    def note(machine: Registration, change: StateChanged) -> None:
        if changes is not None:
            changes.append(f"{machine.name} {change.state}")

    return Fleet(wire, build=build, key=lambda trunk: trunk.registers_as, on_change=note, concurrency=concurrency)


def test_a_thousand_trunks_register_within_five_seconds_with_at_most_a_hundred_outstanding() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=0.2)
        ships = fleet(wire)
        ships.apply(trunk(f"t{number}") for number in range(1000))
        await asyncio.sleep(5.0)

        assert [machine.state for machine in ships.machines.values()] == ["registered"] * 1000
        assert wire.most_under_way <= 100
        assert (len(wire.sent), ships.outstanding) == (1000, 0)
        await ships.stop(2.0)

    run(scenario)


def test_a_single_trunk_registers_at_once() -> None:
    async def scenario() -> None:
        wire = Wire()
        ships = fleet(wire)
        ships.apply([trunk("a")])
        await asyncio.sleep(0.02)

        assert wire.sent == [(0.0, "a.example.com 300")]
        assert ships.machines["a"].state == "registered"
        await ships.stop(2.0)

    run(scenario)


def test_trunks_that_nobody_answers_do_not_keep_the_others_waiting() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=32.0)
        ships = fleet(wire, concurrency=10)
        ships.apply(trunk(f"dead{number}") for number in range(50))
        await asyncio.sleep(0.5)
        ships.apply([*[trunk(f"dead{number}") for number in range(50)], trunk("live")])
        await asyncio.sleep(5.6)

        assert wire.sent[-1][1] == "live.example.com 300"
        assert wire.sent[-1][0] < 6.0
        assert wire.most_under_way == 51
        await ships.stop(0.0)

    run(scenario)


def test_it_runs_on_uvloop_in_real_time_too() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=0.001)
        ships = fleet(wire)
        ships.apply(trunk(f"t{number}") for number in range(50))
        await asyncio.sleep(0.3)

        assert [machine.state for machine in ships.machines.values()] == ["registered"] * 50
        await ships.stop(2.0)
        assert [machine.state for machine in ships.machines.values()] == []

    uvloop.run(scenario())


def test_refreshes_come_by_themselves() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=0.0)
        ships = fleet(wire)
        ships.apply([trunk("a"), trunk("b", register=RegisterSettings(expires=60))])
        await asyncio.sleep(200.0)

        assert wire.sent == [
            (0.0, "a.example.com 300"),
            (0.002, "b.example.com 60"),
            (39.002, "b.example.com 60"),
            (78.002, "b.example.com 60"),
            (117.002, "b.example.com 60"),
            (156.002, "b.example.com 60"),
            (195.0, "a.example.com 300"),
            (195.002, "b.example.com 60"),
        ]
        await ships.stop(2.0)

    run(scenario)


def test_a_reload_touches_only_what_has_changed() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=0.1)
        ships = fleet(wire)
        before = [trunk("stays"), trunk("goes"), trunk("changes"), trunk("retuned")]
        ships.apply(before)
        await asyncio.sleep(1.0)
        kept = {name: ships.machines[name] for name in ("stays", "retuned")}
        wire.sent.clear()

        retuned = replace(before[3], codecs=("PCMA",))
        ships.apply([before[0], replace(before[2], password="other"), retuned, trunk("new")])
        await asyncio.sleep(1.0)

        assert wire.sent == [
            (1.0, "goes.example.com 0"),
            (1.0, "changes.example.com 0"),
            (1.0, "new.example.com 300"),
            (1.1, "changes.example.com 300"),
        ]
        assert {name: ships.machines[name] for name in kept} == kept
        assert ships.machines["retuned"].trunk is retuned
        assert [(name, machine.state.value) for name, machine in ships.machines.items()] == [
            ("stays", "registered"), ("retuned", "registered"), ("changes", "registered"), ("new", "registered"),
        ]  # fmt: skip
        await ships.stop(2.0)

    run(scenario)


def test_a_changed_trunk_waits_two_seconds_at_most_for_a_dead_registrar() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=32.0)
        ships = fleet(wire)
        ships.apply([trunk("a")])
        await asyncio.sleep(1.0)

        ships.apply([trunk("a", outbound_proxy="10.0.0.9")])
        await asyncio.sleep(40.0)

        assert wire.sent == [(0.0, "a.example.com 300"), (3.0, "a.example.com 300")]
        assert ships.machines["a"].state == "registered"
        await ships.stop(0.0)

    run(scenario)


def test_a_trunk_removed_and_brought_back_registers_after_it_was_un_registered() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=0.5)
        ships = fleet(wire)
        ships.apply([trunk("a")])
        await asyncio.sleep(1.0)
        ships.apply([])
        await asyncio.sleep(0.1)
        ships.apply([trunk("a")])
        await asyncio.sleep(0.1)
        ships.apply([trunk("a", password="other")])
        await asyncio.sleep(5.0)

        assert wire.sent == [(0.0, "a.example.com 300"), (1.0, "a.example.com 0"), (1.5, "a.example.com 300")]
        assert ships.machines["a"].trunk.password == "other"
        await ships.stop(2.0)

    run(scenario)


def test_a_trunk_removed_before_its_turn_is_never_sent_for() -> None:
    async def scenario() -> None:
        wire = Wire()
        ships = fleet(wire)
        ships.apply([trunk("a"), trunk("b")])
        ships.apply([trunk("b")])
        await asyncio.sleep(1.0)

        assert wire.sent == [(0.002, "b.example.com 300")]
        await ships.stop(2.0)

    run(scenario)


def test_stopping_un_registers_all_and_returns_as_soon_as_that_is_done() -> None:
    async def scenario() -> None:
        changes: list[str] = []
        wire = Wire(delay_s=0.2)
        ships = fleet(wire, changes=changes)
        ships.apply([trunk("a"), trunk("b")])
        await asyncio.sleep(1.0)
        wire.sent.clear()

        await ships.stop(2.0)

        assert wire.sent == [(1.0, "a.example.com 0"), (1.0, "b.example.com 0")]
        assert wire.loop.time() - wire.began < 1.3
        assert changes[-2:] == ["a unregistered", "b unregistered"]
        assert len(asyncio.all_tasks()) == 1

    run(scenario)


def test_stopping_never_waits_longer_than_it_may_and_leaves_no_task_behind() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=0.2)
        ships = fleet(wire, concurrency=2)
        ships.apply(trunk(f"t{number}") for number in range(10))
        await asyncio.sleep(5.0)
        wire.delay_s = 32.0
        began = wire.loop.time()

        with capture_logs() as logs:
            await ships.stop(2.0)

        assert wire.loop.time() - began == 2.0
        assert logs == [
            {
                "event": "requests of trunks are dropped unanswered",
                "left": 10,
                "after_s": 2.0,
                "log_level": "warning",
            }
        ]
        assert len(asyncio.all_tasks()) == 1
        await asyncio.sleep(100.0)
        assert wire.under_way == 0

    run(scenario)


def test_stopping_in_the_middle_of_starting_takes_back_what_was_sent_and_sends_nothing_new() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=0.5)
        ships = fleet(wire, concurrency=2)
        ships.apply(trunk(f"t{number}") for number in range(5))
        await asyncio.sleep(0.1)

        await ships.stop(2.0)

        assert wire.sent == [
            (0.0, "t0.example.com 300"),
            (0.002, "t1.example.com 300"),
            (0.5, "t0.example.com 0"),
            (0.502, "t1.example.com 0"),
        ]

    run(scenario)


def test_a_request_that_cannot_be_sent_is_a_failure_like_any_other() -> None:
    async def scenario() -> None:
        wire = Wire()

        def refuse(plan: RequestPlan) -> Outcome:
            raise TransportError("no address for a.example.com")

        wire.answer = refuse
        ships = fleet(wire)
        ships.apply([trunk("a")])
        await asyncio.sleep(0.1)

        error = "trunk a: REGISTER as 2001 to sip:a.example.com: no address for a.example.com"
        assert (ships.machines["a"].state, ships.machines["a"].last_error) == ("failed", error)
        await ships.stop(2.0)

    run(scenario)


def test_a_bug_below_is_told_once_and_the_trunk_tried_again() -> None:
    async def scenario() -> None:
        wire = Wire()

        def stumble(plan: RequestPlan) -> Outcome:
            raise ZeroDivisionError("oops")

        wire.answer = stumble
        ships = fleet(wire)
        with capture_logs() as logs:
            ships.apply([trunk("a")])
            await asyncio.sleep(0.1)
        wire.answer = granted
        await asyncio.sleep(1.0)

        assert [(entry["event"], entry["method"], repr(entry["exc_info"])) for entry in logs] == [
            ("a request of a trunk failed", "REGISTER", "ZeroDivisionError('oops')")
        ]
        assert ships.machines["a"].state == "registered"
        await ships.stop(2.0)

    run(scenario)


def test_an_outcome_that_never_comes_does_not_lose_the_trunk() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=1e9)
        ships = fleet(wire)
        ships.apply([trunk("a")])
        await asyncio.sleep(599.0)
        wire.delay_s = 0.1
        await asyncio.sleep(3.0)

        assert (wire.cancelled, ships.machines["a"].state) == (1, "registered")
        await ships.stop(2.0)

    run(scenario)


def test_silence_is_played_through() -> None:
    async def scenario() -> None:
        wire = Wire(delay_s=32.0)
        wire.answer = silence
        ships = fleet(wire)
        ships.apply([trunk("a")])
        await asyncio.sleep(70.0)

        assert [at for at, _ in wire.sent] == [0.0, 32.5, 65.5]
        await ships.stop(0.0)

    run(scenario)
