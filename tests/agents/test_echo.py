"""`handler: echo`."""

import asyncio

import pytest

from sipflow.agents import echo
from sipflow.audio.tones import sine
from sipflow.errors import AgentError
from tests.calls.stage import WAIT_S, staged
from tests.interop.phone import steady_dbfs


async def test_caller_hears_himself() -> None:
    heard = b""
    async with staged(echo.echo) as stage:
        call = await stage.call()
        async with asyncio.timeout(WAIT_S), call.playing(sine(700, 4000, level_dbfs=-10.0)):
            async for frame in call.audio:
                heard += frame.pcm
                if len(heard) >= 16000:
                    break
        await call.hangup()
        await stage.quiet()

    assert steady_dbfs(heard[8000:16000], 700) == pytest.approx(-10.0, abs=1.0)


async def test_it_ends_with_the_call_and_leaves_no_error() -> None:
    async with staged(echo.echo) as stage:
        await (await stage.call()).hangup()
        await stage.quiet()
        failures = stage.callee.tasks.failures

    assert failures == 0
    assert [record.ending.status for record in stage.kept.records if record.ending] == [200]


def test_it_takes_no_options() -> None:
    echo.check({})
    with pytest.raises(AgentError, match=r"^handler echo takes no option file$"):
        echo.check({"file": "a.wav"})
