"""Which way audio crosses from one call to another, and that it crosses whichever way that is."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sipflow.agents.echo import echo
from sipflow.audio.tones import sine
from sipflow.calls.inbound import InboundCall
from sipflow.calls.lane import Lane
from sipflow.calls.outbound import OutboundCall
from sipflow.net.acl import Networks
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import NUMBER, WAIT_S, staged
from tests.interop.phone import steady_dbfs

TONE = sine(700, 8000, level_dbfs=-10.0)
NEARBY = Trunk(name="local", accept_from=Networks(["127.0.0.0/8"]), region="US")


async def hear(call: OutboundCall, milliseconds: int) -> bytes:
    heard = b""
    async with asyncio.timeout(WAIT_S):
        async for frame in call.audio:
            heard += frame.pcm
            if len(heard) >= 16 * milliseconds:
                break
    return heard


async def crossing(*codecs: str, meanwhile: Callable[[Lane, OutboundCall], object] | None = None) -> list[object]:
    """Call through a middle to an echo; gives how each lane crossed, what `meanwhile` gave, and the level heard."""
    seen: list[object] = []
    over = asyncio.Event()

    async def middle(call: InboundCall) -> None:
        leg = await call.dial(f"sip:{NUMBER}@127.0.0.1:{far_stage.port}", trunk="out" if codecs else "")
        await leg.wait_answered()
        await call.answer()
        lanes = [Lane(call, leg), Lane(leg, call)]
        await asyncio.sleep(0.2)
        seen.extend(lane.relay is not None for lane in lanes)
        if meanwhile is not None:
            given = meanwhile(lanes[0], leg)
            seen.append(await given if asyncio.iscoroutine(given) else given)
        await over.wait()
        for lane in lanes:
            lane.close()
            seen.append(lane.relay)

    far = replace(NEARBY, codecs=codecs)
    out = replace(far, name="out", accept_from=Networks(["192.0.2.1"]))
    async with (
        staged(echo, trunks=(far,)) as far_stage,
        staged(middle, trunks=(NEARBY, out)) as near_stage,
    ):
        call = await near_stage.call()
        async with call.playing(TONE):
            heard = await hear(call, 1000)
        over.set()
        await call.hangup()
        await near_stage.quiet()
        await far_stage.quiet()
    seen.append(round(steady_dbfs(heard[-4800:], 700)))
    return seen


async def test_one_codec_on_both_legs_crosses_packet_by_packet() -> None:
    assert await crossing() == [True, True, None, None, -10]


async def test_two_codecs_cross_as_samples() -> None:
    seen = await crossing("G722")

    assert seen[:4] == [False, False, None, None]
    assert seen[4] == pytest.approx(-10, abs=1)


async def test_recording_the_second_leg_has_samples_cross_while_it_lasts(tmp_path: Path) -> None:
    async def record(lane: Lane, leg: OutboundCall) -> list[bool]:
        recording = await leg.record_to(tmp_path / "leg.wav")
        meanwhile = lane.relay is not None
        await asyncio.sleep(0.3)
        await recording.stop()
        return [meanwhile, lane.relay is not None]

    seen = await crossing(meanwhile=record)

    assert seen == [True, True, [False, True], None, None, -10]
    assert (tmp_path / "leg.wav").stat().st_size > 2000
