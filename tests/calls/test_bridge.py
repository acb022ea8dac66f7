"""Two legs joined, over real sockets: a caller, an edge in the middle, and an edge that is called."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from sipflow.agents.echo import echo
from sipflow.audio.tones import sine
from sipflow.calls.bridge import Lane, Parting, bridge, join
from sipflow.calls.bridge import joined as while_joined
from sipflow.calls.carrying import Errands
from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.placing import Placing
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError, TransportError
from sipflow.media.session import MediaSession
from sipflow.net.acl import Networks
from sipflow.trunks.settings import InboundAuth
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import NUMBER, WAIT_S, Stage, answer_and_wait, staged
from tests.interop.phone import steady_dbfs

Agent = Callable[[InboundCall], Awaitable[None]]
TONE = sine(700, 8000, level_dbfs=-10.0)


@dataclass
class Joined:
    """A caller's edge and the middle one (`near`), and the edge that the middle one calls (`far`)."""

    near: Stage
    far: Stage
    legs: list[OutboundCall] = field(default_factory=list)
    partings: list[Parting] = field(default_factory=list)

    async def quiet(self) -> None:
        await self.near.quiet()
        await self.far.quiet()


def trunk(codecs: tuple[str, ...] = (), *, dtmf: str = "auto", ptime_ms: int = 20) -> Trunk:
    nearby = Networks(["127.0.0.0/8"])
    return Trunk(name="local", accept_from=nearby, region="US", codecs=codecs, dtmf=dtmf, ptime_ms=ptime_ms)


@asynccontextmanager
async def joined(
    far_agent: Agent = echo, *, near: Trunk | None = None, far: Trunk | None = None
) -> AsyncIterator[Joined]:
    out = replace(far or trunk(), name="out", accept_from=Networks(["192.0.2.1"]))

    async def middle(call: InboundCall) -> None:
        leg = await call.dial(f"sip:{NUMBER}@127.0.0.1:{far_stage.port}", trunk="" if far is None else "out")
        stages.legs.append(leg)
        await leg.wait_answered()
        await call.answer()
        stages.partings.append(await bridge(call, leg))

    async with (
        staged(far_agent, trunks=(far or trunk(),)) as far_stage,
        staged(middle, trunks=(near or trunk(), out)) as near_stage,
    ):
        stages = Joined(near_stage, far_stage)
        yield stages


async def hear(call: OutboundCall, milliseconds: int) -> bytes:
    heard = b""
    async with asyncio.timeout(WAIT_S):
        async for frame in call.audio:
            heard += frame.pcm
            if len(heard) >= 16 * milliseconds:
                break
    return heard


async def test_a_tone_crosses_both_ways_at_its_level() -> None:
    async with joined() as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            heard = await hear(call, 1200)
        waiting = [leg.queued_ms for leg in (*stages.legs, *stages.near.agent.calls)]
        await call.hangup()
        await stages.quiet()

    assert steady_dbfs(heard[-9600:], 700) == pytest.approx(-10.0, abs=0.5)
    assert max(waiting) <= 100  # ms: it does not pile up


async def test_g711_crosses_without_being_changed() -> None:
    async with joined(near=trunk(("PCMA",))) as stages:
        call = await stages.near.call()
        codecs = [leg.stats.codec for leg in (*stages.legs, *stages.near.agent.calls)]
        async with call.playing(TONE):
            heard = await hear(call, 1000)
        await call.hangup()
        await stages.quiet()

    assert codecs == ["PCMA", "PCMA"]  # the caller's codec is offered first
    assert steady_dbfs(heard[-8000:], 700) == pytest.approx(-10.0, abs=0.5)


@pytest.mark.parametrize(("codec", "ptime_ms"), [("G722", 20), ("L16/48000", 10), ("PCMA", 30)])
async def test_other_codecs_rates_and_packet_times_meet(codec: str, ptime_ms: int) -> None:
    async with joined(far=trunk((codec,), ptime_ms=ptime_ms)) as stages:
        call = await stages.near.call()
        codecs = {leg.stats.codec for leg in stages.legs}
        async with call.playing(TONE):
            heard = await hear(call, 1500)
        await call.hangup()
        await stages.quiet()

    assert codecs == {codec.partition("/")[0]}
    assert steady_dbfs(heard[-9600:], 700) == pytest.approx(-10.0, abs=1.0)


async def test_the_trunk_gives_the_second_leg_its_account_and_its_encryption() -> None:
    safe = replace(
        trunk(),
        username="alice",
        password="open-sesame-92",
        srtp="required",
        inbound_auth=InboundAuth("sipflow", "alice", "open-sesame-92"),
    )
    async with joined(far=safe) as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            heard = await hear(call, 1000)
        (leg,) = stages.legs
        encrypted = leg.media is not None and leg.media.agreed is not None and leg.media.agreed.srtp is not None
        await call.hangup()
        await stages.quiet()

    assert encrypted
    assert steady_dbfs(heard[-8000:], 700) == pytest.approx(-10.0, abs=0.5)


async def spelled(call: InboundCall, digits: int, into: list[str]) -> None:
    await call.answer()
    while len(into) < digits:
        digit = await call.read_digit(timeout=WAIT_S)
        assert digit is not None
        into.append(digit)
    await call.send_digits("#")
    await call.ended()


async def test_digits_cross_both_ways_once_each() -> None:
    read: list[str] = []
    async with joined(lambda call: spelled(call, 4, read)) as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            await call.send_digits("1224")
            back = await call.read_digit(timeout=WAIT_S)
            heard = await hear(call, 300)
        more = await call.read_digit(timeout=0.3)
        await call.hangup()
        await stages.quiet()

    assert (read, back, more) == (["1", "2", "2", "4"], "#", None)
    assert heard


async def test_digits_become_info_or_tones_where_the_other_leg_wants_them() -> None:
    for dtmf in ("info", "inband"):
        read: list[str] = []

        async def agent(call: InboundCall, into: list[str] = read) -> None:
            await spelled(call, 3, into)

        async with joined(agent, far=trunk(dtmf=dtmf)) as stages:
            call = await stages.near.call()
            async with call.playing(sine(300, 8000, level_dbfs=-30.0)):
                await call.send_digits("159")
                back = await call.read_digit(timeout=WAIT_S)
            await call.hangup()
            await stages.quiet()

        assert (dtmf, read, back) == (dtmf, ["1", "5", "9"], "#")


async def test_the_caller_hanging_up_hangs_up_the_other_with_the_reason() -> None:
    async with joined(answer_and_wait) as stages:
        call = await stages.near.call()
        await call.hangup(headers={"Reason": 'Q.850;cause=31;text="done talking"'})
        await stages.quiet()
        (record,) = stages.far.kept.records

    assert [parting.leg for parting in stages.partings] == [stages.near.agent.calls[0]]
    assert record.ending is not None
    assert (record.ending.q850, "done talking" in record.ending.why) == (31, True)


async def test_the_other_hanging_up_hangs_up_the_caller_with_the_reason() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.hangup(headers={"Reason": 'Q.850;cause=31;text="enough"'})

    async with joined(agent) as stages:
        call = await stages.near.call()
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        await stages.quiet()

    (parting,) = stages.partings
    assert (parting.leg, parting.other) == (stages.legs[0], stages.near.agent.calls[0])
    assert (ending.by, ending.q850, "enough" in ending.why) == ("remote", 31, True)


async def test_the_caller_giving_up_while_it_rings_cancels_the_other() -> None:
    rung = asyncio.Event()

    async def rings(call: InboundCall) -> None:
        await call.ring()
        rung.set()
        await call.ended()

    async with joined(rings) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        await asyncio.wait_for(rung.wait(), WAIT_S)
        await call.hangup()
        await stages.quiet()
        (record,) = stages.far.kept.records
        failures = stages.near.callee.tasks.failures

    assert record.ending is not None
    assert (record.ending.word, record.ending.by, failures) == (Word.CANCELLED, "remote", 0)


async def test_an_agent_that_raises_leaves_no_second_leg_behind() -> None:
    async def middle(call: InboundCall) -> None:
        await (await call.dial(f"sip:{NUMBER}@127.0.0.1:{far.port}")).wait_answered()
        raise RuntimeError("as agents do")

    async with staged(answer_and_wait) as far, staged(middle) as near:
        call = await near.caller.switchboard.place(near.plan())
        with pytest.raises(CallFailed, match="500"):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await near.quiet()
        await far.quiet()
        (record,) = far.kept.records

    assert record.ending is not None
    assert record.ending.by == "remote"


async def test_a_cancelled_join_parts_the_legs_and_ends_neither() -> None:
    seen: list[object] = []

    async def middle(call: InboundCall) -> None:
        leg = await call.dial(f"sip:{NUMBER}@127.0.0.1:{far.port}")
        await leg.wait_answered()
        await call.answer()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(join(call, leg), 0.3)
        seen.extend([call.ending, leg.ending, call.queued_ms, leg.queued_ms])
        await call.play(sine(400, 600, level_dbfs=-10.0))

    async with staged(echo) as far, staged(middle) as near:
        call = await near.call()
        async with call.playing(TONE):
            heard = await hear(call, 800)
        await near.quiet()
        await far.quiet()

    assert seen == [None, None, 0, 0]
    assert steady_dbfs(heard[-4800:], 400) == pytest.approx(-10.0, abs=1.5)


async def test_a_call_cannot_be_dialled_by_a_call_that_is_over_nor_by_no_trunk_nor_to_nowhere() -> None:
    failed: list[str] = []

    async def middle(call: InboundCall) -> None:
        for uri, trunk_name in (("sip:x@127.0.0.1", "nobody"), ("sip:x@no-such-host.invalid", "")):
            try:
                await call.dial(uri, trunk=trunk_name)
            except (LocalProtocolError, TransportError) as error:
                failed.append(type(error).__name__)
        await call.reject(486)
        try:
            await call.dial("sip:x@127.0.0.1")
        except CallEnded:
            failed.append("CallEnded")

    async with staged(middle) as near:
        call = await near.caller.switchboard.place(near.plan())
        with pytest.raises(CallFailed):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await near.quiet()

    assert failed == ["LocalProtocolError", "TransportError", "CallEnded"]


async def test_a_call_without_media_has_no_lane() -> None:
    async def middle(call: InboundCall) -> None:
        media, call.media = call.media, None
        with pytest.raises(LocalProtocolError, match="without media"):
            Lane(call, call)
        call.media = media

    async with staged(middle) as near:
        call = await near.caller.switchboard.place(near.plan())
        with pytest.raises(CallFailed):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)


async def test_an_agent_may_take_both_back_at_any_moment_and_join_them_again() -> None:
    heard: list[bool] = []

    async def middle(call: InboundCall) -> None:
        await call.answer()
        leg = await call.dial(f"sip:{NUMBER}@127.0.0.1:{far.port}")
        await leg.wait_answered()
        async with while_joined(call, leg) as joint:
            heard.append(await is_heard(far_call := far.agent.calls[0], 700))
            assert joint.partner(call) is leg
            assert (call.joint, leg.joint) == (joint, joint)
        assert (call.joint, leg.joint) == (None, None)
        await leg.play(sine(900, 400, level_dbfs=-10.0))
        heard.append(await is_heard(far_call, 700))
        async with while_joined(call, leg):
            heard.append(await is_heard(far_call, 700))
        await leg.hangup()
        await call.hangup()

    async def is_heard(call: InboundCall, hz: int) -> bool:
        heard = b""
        async with asyncio.timeout(WAIT_S):
            async for frame in call.audio:
                heard += frame.pcm
                if len(heard) >= 16 * 300:
                    break
        return steady_dbfs(heard, hz) > -13.0

    async with staged(answer_and_wait) as far, staged(middle) as near:
        call = await near.call()
        async with call.playing(TONE):
            await asyncio.wait_for(call.ended(), WAIT_S)
        await near.quiet()
        await far.quiet()
        failures = near.callee.tasks.failures

    assert (heard, failures) == ([True, False, True], 0)


async def test_of_calls_that_were_joined_nothing_heavy_waits_for_the_garbage_collector() -> None:
    """It comes seldom, and what it finds then holds up everybody's audio."""
    gc.collect()
    gc.disable()
    try:
        async with joined() as stages:
            call = await stages.near.call()
            await call.hangup()
            await stages.quiet()
            del call
            stages.legs.clear()
            stages.partings.clear()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [type(each).__name__ for each in gc.garbage if isinstance(each, MediaSession | Errands | Placing)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert left == []
