"""Limits, pools and numbers of calls out follow the directory."""

from datetime import UTC, datetime

import pytest

from sipflow.agents.spec import AgentSpec
from sipflow.calls.limits import Limit, LimitSettings
from sipflow.daemon.outgoing import Outgoing
from sipflow.errors import Conflict, LimitReached
from sipflow.numbers.inventory import Number
from sipflow.numbers.pool_settings import Member, PoolSettings
from sipflow.numbers.use import Caps
from sipflow.store.directory import Directory
from sipflow.store.merged import Merged
from sipflow.store.stored import Stored, StoredNumber
from sipflow.trunks.runner import HealthChecks
from tests.calls.outstage import answers
from tests.calls.outstage import outgoing as calls_out

AT = datetime(2026, 11, 21, tzinfo=UTC)
ONE, TWO, THREE = "+12065550111", "+12065550112", "+12065550113"
CALLEE = "+12065550199"


def directory(*numbers: Number, limits: dict[str, float] | None = None) -> Directory:
    made = Directory()
    made.declare(trunks={}, numbers=numbers, agents=[("sales", "echo", {}), ("desk", "echo", {})])
    if limits is not None:
        stored = Stored()
        stored.numbers[THREE] = StoredNumber(THREE, THREE[1:], "", "custom", "", None, limits, AT)
        stored.attach(THREE, "desk", "outbound")
        made._merged = Merged(made._merged.declared, stored)
    return made


async def test_agent_calls_from_its_numbers_or_from_its_pool() -> None:
    outgoing = Outgoing(LimitSettings())
    pools = {"pool": PoolSettings(name="pool", members=(Member(TWO),))}
    numbers = (Number(ONE, outbound_agents=("desk",)), Number(TWO))
    outgoing.apply(
        LimitSettings(),
        pools,
        [AgentSpec("desk", "echo"), AgentSpec("sales", "echo", pool="pool")],
        directory(*numbers),
    )

    chosen = [outgoing.admission.choose(agent, CALLEE).number for agent in ("desk", "sales")]
    outgoing.apply(LimitSettings(), pools, [AgentSpec("desk", "echo")], directory(Number(ONE)))

    assert chosen == [ONE, TWO]
    with pytest.raises(Conflict):
        outgoing.admission.choose("desk", CALLEE)


async def test_limits_of_numbers_and_agents_hold_whoever_brought_them() -> None:
    outgoing = Outgoing(LimitSettings())
    specs = [AgentSpec("desk", "echo", max_calls=5)]
    outgoing.apply(LimitSettings(numbers={ONE: Caps(max_calls=2)}), {}, specs, directory(limits={"max_calls": 1}))
    outgoing.admission.choose("desk", CALLEE)

    with pytest.raises(LimitReached, match="have as many calls up as they may"):
        outgoing.admission.choose("desk", CALLEE)

    assert outgoing.limits.settings.numbers == {ONE: Caps(max_calls=2), THREE: Caps(max_calls=1)}
    assert outgoing.limits.settings.agents == {"desk": Limit(max_calls=5)}


async def test_no_order_is_taken_while_the_loop_comes_late_to_everything() -> None:
    async with calls_out(answers) as stage:
        board = stage.near.switchboard
        out, brake = Outgoing(LimitSettings()), stage.near.endpoint.brake
        assert brake is not None
        out.open(board, HealthChecks(board, ids=board.ua.ids))
        before = out.originator.busy_s()
        for beat in range(4):
            brake.late(0.6, now=board.now - 1.8 + 0.6 * beat)
        after = out.originator.busy_s()
        await out.close()

    assert (before, 0.0 < after <= 5.0) == (0.0, True)
