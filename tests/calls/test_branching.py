"""Second calls on behalf of a first one: who is shown, and that they end together."""

import asyncio

import pytest

from sipflow.calls.branching import end_like
from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Word
from sipflow.errors import LocalProtocolError
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import answers, outgoing, rings_on
from tests.calls.stage import WAIT_S


async def test_a_call_out_can_place_a_second_one_which_ends_with_it() -> None:
    ended: list[Ending] = []

    async def transfers(call: Call) -> None:
        leg = await call.dial("200", trunk="b")
        await leg.wait_answered()
        with pytest.raises(LocalProtocolError, match="there is no trunk 'c'"):
            await call.dial("200", trunk="c")
        call.end("enough")
        ended.append(await leg.ended())

    async with outgoing(answers, answers, agent=transfers) as stage:
        record = stage.order()
        async with asyncio.timeout(WAIT_S):
            while record.id in stage.originator.live:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        (far,) = stage.calls["b"].calls

    assert [(each.by, each.why) for each in ended] == [("local", "the other leg is over: enough")]
    assert far.ending is not None
    assert "enough" in far.ending.why


async def test_a_trunk_can_show_the_original_caller_on_a_second_call() -> None:
    async def forwards(call: Call) -> None:
        leg = await call.dial("200", trunk="b")
        await leg.wait_answered()

    shows = OutboundSettings(caller_id="original", diversion="number")

    def trunks(ports: dict[str, int]) -> tuple[Trunk, ...]:
        return (
            Trunk("a", sip_domain=f"127.0.0.1:{ports['a']}"),
            Trunk("b", sip_domain=f"127.0.0.1:{ports['b']}", phone_number="+12065550177", outbound=shows),
        )

    async with outgoing(answers, answers, agent=forwards, trunks=trunks) as stage:
        record = stage.order()
        async with asyncio.timeout(WAIT_S):
            while record.id in stage.originator.live or stage.near.switchboard.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        (far,), port = stage.calls["b"].calls, stage.port("b")

    assert far.caller == "+12065550100"
    assert far.headers.get("Diversion") == f"<sip:+12065550177@127.0.0.1:{port}>;reason=unconditional"


async def test_a_ringing_second_call_is_cancelled_with_the_reason_of_the_first() -> None:
    async def rings_another(call: Call) -> None:
        leg = await call.dial("200", trunk="b")
        while not leg.provisionals:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        end_like(leg, Ending.of("remote", 486, "busy there", word=Word.BUSY))
        await leg.ended()

    async with outgoing(answers, rings_on, agent=rings_another) as stage:
        record = stage.order()
        async with asyncio.timeout(WAIT_S):
            while record.id in stage.originator.live:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        (far,) = stage.calls["b"].calls

    assert far.ending is not None
    assert (far.ending.status, far.ending.q850) == (487, 17)
