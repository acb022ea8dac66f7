"""Inbound calls from the agent's side, against a real caller on loopback."""

import asyncio

import pytest

from sipflow.calls.ending import Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, CallFailed, LocalProtocolError
from tests.calls.stage import staged


async def test_returning_hangs_up() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()

    async with staged(agent) as stage:
        call = await stage.call()
        ending = await asyncio.wait_for(call.ended(), 10)
        await stage.quiet()

    assert (ending.by, ending.status, ending.word) == ("remote", 200, Word.HUNG_UP)
    assert [record.ending.by for record in stage.kept.records if record.ending] == ["local"]


async def test_agent_sees_headers_and_variables_before_it_answers() -> None:
    seen: dict[str, object] = {}

    async def agent(call: InboundCall) -> None:
        seen.update(call.variables, caller=call.caller, callee=call.callee, answered=call.answered)
        seen["order"] = call.headers.get("x-order")
        await call.answer()

    async with staged(agent) as stage:
        headers = (("X-Order", "17"), ("x-Lower", "kept"), ("X-EI", "S.abc;"), ("Diversion", "<sip:9@h>;reason=busy"))
        await stage.call(headers=headers)
        await stage.quiet()

    assert seen == {
        "X-Order": "17",
        "x-Lower": "kept",
        "X-EI": "S.abc;",
        "ei_session": "abc",
        "Diversion": "<sip:9@h>;reason=busy",
        "caller": "caller",
        "callee": "+12065550100",
        "answered": False,
        "order": "17",
    }


async def test_ringing_comes_before_the_answer() -> None:
    async def agent(call: InboundCall) -> None:
        await call.ring()
        await call.ring(183)
        await call.answer()

    async with staged(agent) as stage:
        call = await stage.call()
        await stage.quiet()

    assert call.progress == [180, 183]


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
async def test_agent_rejects_with_the_status_it_wants(status: int) -> None:
    async def agent(call: InboundCall) -> None:
        await call.reject(status, headers={"Contact": "<sip:elsewhere@192.0.2.1>"} if status == 302 else None)

    async with staged(agent) as stage:
        with pytest.raises(CallFailed) as failed:
            await stage.call()
        await stage.quiet()

    assert failed.value.status == status
    assert [record.ending.status for record in stage.kept.records if record.ending] == [status]


async def test_agent_that_raises_before_the_answer_gives_500_and_harms_no_other_call() -> None:
    async def agent(call: InboundCall) -> None:
        if call.variables.get("X-Fail"):
            raise RuntimeError("a bug in the agent")
        await call.answer()
        await call.ended()

    async with staged(agent) as stage:
        good = await stage.call()
        with pytest.raises(CallFailed) as failed:
            await stage.call(headers=(("X-Fail", "1"),))
        alive = good.ending is None
        await good.hangup()
        await stage.quiet()

    assert failed.value.status == 500
    assert alive
    first = next(record.ending for record in stage.kept.records if record.ending and record.ending.status == 500)
    assert (first.word, first.fault) == (Word.AGENT_FAILED, Fault.LOCAL)


async def test_agent_that_raises_after_the_answer_ends_its_call_with_bye() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        raise ValueError("a bug in the agent")

    async with staged(agent) as stage:
        call = await stage.call()
        ending = await asyncio.wait_for(call.ended(), 10)
        await stage.quiet()

    assert ending.status == 200
    assert ending.why == "the far end hung up (the agent raised ValueError)"


async def test_agent_that_returns_without_answering_gives_480() -> None:
    async def agent(call: InboundCall) -> None:
        return

    async with staged(agent) as stage:
        with pytest.raises(CallFailed) as failed:
            await stage.call()

    assert failed.value.status == 480


async def test_every_await_ends_with_the_call() -> None:
    raised: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        for wait in (call.read_digit(timeout=60), call.play(b"\0\0" * 80000), call.answer(), call.ring()):
            try:
                await wait
            except CallEnded as ended:
                raised.append(ended.by)

    async with staged(agent) as stage:
        call = await stage.call()
        await call.hangup()
        await stage.quiet()

    assert raised == ["remote"] * 4


async def test_audio_ends_quietly_with_the_call() -> None:
    finished = asyncio.Event()

    async def agent(call: InboundCall) -> None:
        await call.answer()
        async for _ in call.audio:
            pass
        finished.set()

    async with staged(agent) as stage:
        call = await stage.call()
        await call.hangup()
        await asyncio.wait_for(finished.wait(), 10)


async def test_answering_twice_is_the_agents_error() -> None:
    errors: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        try:
            await call.answer()
        except LocalProtocolError as error:
            errors.append(str(error))

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert errors == ["the call is already answered or over"]


async def test_caller_that_gives_up_ends_a_ringing_agent_quietly() -> None:
    ended: list[str] = []

    async def agent(call: InboundCall) -> None:
        await call.ring()
        try:
            await call.read_digit(timeout=60)
        except CallEnded as error:
            ended.append(error.reason)
            raise

    async with staged(agent) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        while not call.progress:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await call.hangup()
        with pytest.raises(CallFailed) as failed:
            await call.wait_answered()
        await stage.quiet()

    assert failed.value.status == 487
    assert ended == ["the caller gave up before the call was answered"]


async def test_digits_that_come_before_they_are_wanted_are_kept_in_order() -> None:
    digits: list[str | None] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        while len(digits) < 3:
            digits.append(await call.read_digit(timeout=10))
            await asyncio.sleep(0.2)
        digits.append(await call.read_digit(timeout=0.01))
        await call.ended()

    async with staged(agent) as stage:
        call = await stage.call()
        await call.send_digits("1#9")
        while len(digits) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await call.hangup()
        await stage.quiet()

    assert digits == ["1", "#", "9", None]


async def test_leaving_playing_stops_the_prompt() -> None:
    played: list[int] = []

    async def agent(call: InboundCall) -> None:
        await call.answer()
        async with call.playing(b"\0\0" * 8000 * 60):
            await asyncio.sleep(0.2)
        assert call.media is not None
        played.append(call.media.session.queued_ms)

    async with staged(agent) as stage:
        await stage.call()
        await stage.quiet()

    assert played == [0]
