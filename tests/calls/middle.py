"""A caller's edge, ours in the middle, and the edge that ours calls: what two legs are joined between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sipflow.audio.tones import measure_tone, sine
from sipflow.calls.b2bua import Unreached, connect
from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.net.acl import Networks
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, staged

CALLER_HZ, CALLEE_HZ, DBFS = 700, 1100, -10.0
OUT = Trunk(name="out", accept_from=Networks(["192.0.2.1"]), sip_domain="carrier.example", region="US")


@dataclass
class Middle:
    """Both stages, and what became of the second leg.

    Attributes:
        near: the caller and the edge in the middle.
        far: whom that one calls.
        legs: second legs, in order.
        ends: what `connect` gave.
    """

    near: Stage
    far: Stage
    legs: list[OutboundCall] = field(default_factory=list)
    ends: list[Unreached | None] = field(default_factory=list)

    @property
    def inbound(self) -> InboundCall:
        """The caller's call as the middle sees it."""
        return self.near.agent.calls[0]

    @property
    def callee(self) -> InboundCall:
        """The second call as its callee sees it."""
        return self.far.agent.calls[0]

    async def quiet(self) -> None:
        await self.near.quiet()
        await self.far.quiet()


async def talks(call: Call) -> None:
    """Answer, and play the callee's tone until it is over."""
    await call.answer()
    while call.ending is None:
        await call.play(sine(CALLEE_HZ, 1000, level_dbfs=DBFS))


@asynccontextmanager
async def middle(
    callee: Callable[[InboundCall], Awaitable[None]] = talks,
    *,
    near: Trunk | None = None,
    out: Trunk | None = None,
    far: Trunk = LOCAL,
    ring_s: float = 10.0,
    to: str = "",
) -> AsyncIterator[Middle]:
    """Join every caller with `callee`, by the trunk `out`."""

    async def agent(call: InboundCall) -> None:
        async def place() -> OutboundCall:
            leg = await call.dial(to or f"sip:{NUMBER}@127.0.0.1:{far_stage.port}", trunk="out")
            stages.legs.append(leg)
            return leg

        stages.ends.append(await connect(call, place, ring_s=ring_s))
        unreached = stages.ends[-1]
        if unreached is not None:
            unreached.end(call)

    async with (
        staged(callee, trunks=(far,)) as far_stage,
        staged(agent, trunks=(near or LOCAL, out or OUT)) as near_stage,
    ):
        stages = Middle(near_stage, far_stage)
        yield stages


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WAIT_S):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def hears(call: Call, hz: int, *, milliseconds: int = 300) -> bool:
    """Whether a tone is heard in most pieces of some 40 ms in a row, within 5 s: machines that are busy stall."""
    loud: list[bool] = []
    wanted = milliseconds // 40
    try:
        async with asyncio.timeout(5.0):
            async for frame in call.frames(sample_rate_hz=8000):
                loud = [*loud[-2 * wanted + 1 :], measure_tone(frame.pcm, hz, 8000) > DBFS - 3]
                if len(loud) == 2 * wanted and sum(loud) > wanted:
                    return True
    except TimeoutError:
        pass
    return False


async def comes(call: Call, *, seconds: float = 0.3) -> int:
    """How many packets come in the next moment."""
    assert call.statistics is not None
    before = call.statistics.packets_received
    await asyncio.sleep(seconds)
    return call.statistics.packets_received - before
