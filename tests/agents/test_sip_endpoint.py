"""`handler: sip_endpoint`: a caller's edge, ours in the middle, and an endpoint that is an edge too."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sipflow.agents.handlers import BUILT_IN
from sipflow.agents.sip_endpoint import check, read_options, refers_to, sip_endpoint
from sipflow.agents.spec import AgentSpec
from sipflow.audio.tones import measure_tone, sine
from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import AgentError, CallFailed
from sipflow.numbers.inventory import Number
from tests.calls.stage import NUMBER, WAIT_S, Stage, answer_and_wait, staged

Agent = Callable[[InboundCall], Awaitable[None]]
ENDPOINT = {"uri": "sip:proj_x@sip.api.openai.com;transport=tls"}
FALLBACK_HZ, ENDPOINT_HZ = 400, 900


async def takes_over(call: InboundCall) -> None:
    """Be the fallback."""
    await call.answer()
    await call.play(sine(FALLBACK_HZ, 1500, level_dbfs=-10.0))


async def talks(call: InboundCall) -> None:
    await call.answer()
    await call.play(sine(ENDPOINT_HZ, 4000, level_dbfs=-10.0))


@asynccontextmanager
async def between(endpoint: Agent, *, fallback: bool = True, **options: Any) -> AsyncIterator[tuple[Stage, Stage]]:
    """Give the stage of caller and edge, and the stage whose callee is the endpoint."""

    async def middle(call: InboundCall) -> object:
        where = {"uri": f"sip:{NUMBER}@127.0.0.1:{far.port}"}
        call.options = {**where, **({"fallback": "desk"} if fallback else {}), **options}
        return await sip_endpoint(call)

    async with (
        staged(endpoint) as far,
        staged(middle) as near,  # type: ignore[arg-type]  # what it returns is for the runner
    ):
        near.agent.runner._agents["desk"] = (AgentSpec("desk", "test"), takes_over)
        yield near, far


async def hear(call: OutboundCall, milliseconds: int) -> bytes:
    heard = b""
    async with asyncio.timeout(WAIT_S):
        async for frame in call.audio:
            heard += frame.pcm
            if len(heard) >= 16 * milliseconds:
                break
    return heard


def is_heard(heard: bytes, hz: int) -> bool:
    """Whether a tone is there for 100 ms in all, in pieces of 40 ms: a machine that stalls leaves something out."""
    pieces = [heard[at : at + 640] for at in range(0, len(heard) - 639, 320)]
    return sum(measure_tone(piece, hz, 8000) == pytest.approx(-10.0, abs=1.5) for piece in pieces) >= 5


async def fails(near: Stage) -> int:
    """Call, be refused, and give the status."""
    call = await near.caller.switchboard.place(near.plan())
    with pytest.raises(CallFailed) as failed:
        async with asyncio.timeout(WAIT_S):
            await call.wait_answered()
    return failed.value.status


async def test_the_endpoint_is_heard_and_hears_and_its_hanging_up_is_the_end() -> None:
    async with between(talks) as (near, far):
        call = await near.call()
        heard = await hear(call, 500)
        await far.agent.calls[0].hangup()
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        await near.quiet()

    assert is_heard(heard, ENDPOINT_HZ)
    assert (ending.by, ending.word) == ("remote", Word.HUNG_UP)
    assert sorted(record.direction for record in near.kept.records) == ["inbound", "outbound"]


async def test_the_caller_is_answered_when_the_endpoint_answers_and_not_before() -> None:
    go = asyncio.Event()

    async def slow(call: InboundCall) -> None:
        await call.ring()
        await go.wait()
        await answer_and_wait(call)

    async with between(slow) as (near, _):
        call = await near.caller.switchboard.place(near.plan())
        await asyncio.sleep(0.4)
        before, progress = call.answered, list(call.provisionals)
        go.set()
        await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await call.hangup()
        await near.quiet()

    assert (before, progress) == (False, [180])


async def test_what_the_endpoint_says_before_it_answers_is_heard_before_we_answer() -> None:
    async def announces(call: InboundCall) -> None:
        await call.progress()
        await call.play(sine(ENDPOINT_HZ, 1000, level_dbfs=-10.0))
        await answer_and_wait(call)

    async with between(announces) as (near, _):
        call = await near.caller.switchboard.place(near.plan())
        async with asyncio.timeout(WAIT_S):
            while 183 not in call.provisionals or call.media is None or call.media.agreed is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        heard = await hear(call, 600)
        early = not call.answered
        await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await call.hangup()
        await near.quiet()

    assert early
    assert is_heard(heard, ENDPOINT_HZ)


async def test_an_endpoint_that_speaks_and_then_refuses_is_replaced_by_the_fallback() -> None:
    async def announces(call: InboundCall) -> None:
        await call.progress()
        await call.play(sine(ENDPOINT_HZ, 300, level_dbfs=-10.0))
        await call.reject(503)

    async with between(announces) as (near, _):
        call = await near.call()
        heard = await hear(call, 800)
        await call.hangup()
        await near.quiet()

    assert 183 in call.provisionals
    assert is_heard(heard, FALLBACK_HZ)


@pytest.mark.parametrize("status", [302, 403, 486, 503, 603])
async def test_an_endpoint_that_refuses_is_replaced_by_the_fallback(status: int) -> None:
    async def refuses(call: InboundCall) -> None:
        await call.reject(status, headers={"Contact": "<sip:elsewhere@127.0.0.1>"} if status == 302 else None)

    async with between(refuses) as (near, _):
        call = await near.call()
        heard = await hear(call, 400)
        await call.hangup()
        await near.quiet()
        record = near.agent.calls[0].record

    assert is_heard(heard, FALLBACK_HZ)
    assert record.agent == "desk"


@pytest.mark.parametrize(
    ("status", "for_the_caller"), [(302, 502), (403, 502), (404, 404), (486, 486), (488, 502), (503, 503), (603, 603)]
)
async def test_without_a_fallback_the_caller_is_refused_as_we_were(status: int, for_the_caller: int) -> None:
    async def refuses(call: InboundCall) -> None:
        await call.reject(status, headers={"Contact": "<sip:elsewhere@127.0.0.1>"} if status == 302 else None)

    async with between(refuses, fallback=False) as (near, _):
        assert await fails(near) == for_the_caller


async def test_an_endpoint_that_does_not_answer_in_time_is_cancelled_and_replaced() -> None:
    async def rings(call: InboundCall) -> None:
        await call.ring()
        await call.ended()

    async with between(rings, ring_timeout_s=0.4) as (near, far):
        call = await near.call()
        heard = await hear(call, 400)
        await call.hangup()
        await near.quiet()
        await far.quiet()
        (record,) = far.kept.records

    assert is_heard(heard, FALLBACK_HZ)
    assert record.ending is not None
    assert record.ending.word is Word.CANCELLED


async def test_an_endpoint_that_does_not_answer_in_time_is_480_without_a_fallback() -> None:
    async with between(lambda call: call.ended(), fallback=False, ring_timeout_s=0.3) as (near, _):  # type: ignore[arg-type, return-value]
        assert await fails(near) == 480


@pytest.mark.parametrize(
    "options", [{"uri": "sip:x@127.0.0.1:1"}, {"uri": "sip:x@no-such-host.invalid"}, {"uri": "200", "trunk": "gone"}]
)
async def test_an_endpoint_that_cannot_be_reached_is_replaced_or_503(options: dict[str, Any]) -> None:
    async with between(talks, **options) as (near, _):
        call = await near.call()
        heard = await hear(call, 400)
        await call.hangup()
        await near.quiet()
    async with between(talks, fallback=False, **options) as (near, _):
        status = await fails(near)

    assert is_heard(heard, FALLBACK_HZ)
    assert status == 503


async def test_an_endpoint_that_is_lost_in_the_middle_is_replaced() -> None:
    async with between(talks) as (near, far):
        call = await near.call()
        await hear(call, 200)
        leg = next(each for each in near.callee.switchboard.calls.values() if isinstance(each, OutboundCall))
        leg.end_for(Word.MEDIA_LOST, "no audio came", status=408)  # as the watch over its audio does
        heard = await hear(call, 1000)
        await call.hangup()
        await near.quiet()
        await far.quiet()

    assert is_heard(heard, FALLBACK_HZ)


async def test_a_caller_who_gives_up_while_it_rings_has_the_endpoint_cancelled() -> None:
    rung = asyncio.Event()

    async def rings(call: InboundCall) -> None:
        await call.ring()
        rung.set()
        await call.ended()

    async with between(rings) as (near, far):
        call = await near.caller.switchboard.place(near.plan())
        await asyncio.wait_for(rung.wait(), WAIT_S)
        await call.hangup()
        await near.quiet()
        await far.quiet()
        (record,) = far.kept.records
        failures = near.callee.tasks.failures

    assert record.ending is not None
    assert (record.ending.word, failures) == (Word.CANCELLED, 0)


async def test_a_caller_who_hangs_up_is_hung_up_on_the_endpoint() -> None:
    async with between(answer_and_wait) as (near, far):
        call = await near.call()
        await call.hangup()
        await near.quiet()
        await far.quiet()
        (record,) = far.kept.records

    assert record.ending is not None
    assert (record.ending.by, record.ending.status) == ("remote", 200)
    assert near.callee.tasks.failures == 0


async def test_digits_reach_the_endpoint_and_come_back() -> None:
    read: list[str | None] = []

    async def asks(call: InboundCall) -> None:
        await call.answer()
        read.extend([await call.read_digit(timeout=WAIT_S) for _ in range(2)])
        await call.send_digits("9")
        await call.ended()

    async with between(asks) as (near, _):
        call = await near.call()
        await call.send_digits("42")
        back = await call.read_digit(timeout=WAIT_S)
        await call.hangup()
        await near.quiet()

    assert (read, back) == (["4", "2"], "9")


async def test_the_endpoint_is_told_what_the_configuration_says_of_the_call() -> None:
    headers = {"X-Customer": "{X-Id} of {caller}", "X-Nothing": "{X-Absent}", "X-Plain": "{{as it is}}"}
    options: dict[str, Any] = {"headers": headers, "from": "{caller}"}
    async with between(answer_and_wait, **options) as (near, far):
        call = await near.call(headers=(("X-Id", "77"),))
        there = far.agent.calls[0]
        told = dict(there.variables)
        await call.hangup()
        await near.quiet()

    assert (there.caller, there.callee) == ("caller", NUMBER)
    assert told == {"X-Customer": "77 of caller", "X-Plain": "{as it is}"}


async def test_what_a_caller_says_cannot_change_whom_we_call() -> None:
    seen: list[str] = []

    async def middle(call: InboundCall) -> object:
        call.options = {"uri": f"sip:{{X-Who}}@127.0.0.1:{far.port}", "from": "{X-Who}", "headers": {"X-T": "{X-Who}"}}
        return await sip_endpoint(call)

    async def endpoint(call: InboundCall) -> None:
        seen.extend([call.caller, call.callee, call.headers.get("X-T") or ""])
        await answer_and_wait(call)

    numbers = (Number("*", inbound_agent="agent"),)
    async with (
        staged(endpoint, numbers=numbers) as far,
        staged(middle) as near,  # type: ignore[arg-type]
    ):
        call = await near.call(headers=(("X-Who", 'sip:eve@192.0.2.9;x=">'),))
        await call.hangup()
        await near.quiet()

    assert seen == ['sipeve@192.0.2.9;x=">', 'sip:eve@192.0.2.9;x=">', 'sip:eve@192.0.2.9;x=">']


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "needs `uri`"),
        ({"uri": 5}, "uri must be text"),
        ({**ENDPOINT, "url": "x"}, "takes no option url"),
        ({"uri": "200"}, "names no host"),
        ({"uri": "tel:+12065550100"}, "names no host"),
        ({"uri": "http://ai.example"}, "uri: .*no address to call"),
        ({"uri": "sip:x@{X-Host}"}, "before the @ alone"),
        ({**ENDPOINT, "from": "sip:<"}, "from: "),
        ({**ENDPOINT, "ring_timeout_s": 0}, "ring_timeout_s is 0"),
        ({**ENDPOINT, "ring_timeout_s": True}, "ring_timeout_s is True"),
        ({**ENDPOINT, "headers": ["X"]}, "headers must be names"),
        ({**ENDPOINT, "headers": {"X-A": ["1"]}}, "headers.X-A must be text"),
        ({**ENDPOINT, "headers": {"X A": "1"}}, "headers.X A cannot be written"),
        ({**ENDPOINT, "headers": {"X-A": "1\r\nVia: x"}}, "headers.X-A cannot be written"),
        ({**ENDPOINT, "headers": {"Contact": "x"}}, "header Contact is written by sipflow itself"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, object], why: str) -> None:
    with pytest.raises(AgentError, match=why):
        check(options)


def test_options_are_read_and_the_fallback_is_named() -> None:
    read = read_options(
        {**ENDPOINT, "from": "{caller}", "headers": {"X-N": 7}, "ring_timeout_s": 5, "fallback": "desk"}
    )

    assert (read.caller, dict(read.headers), read.ring_timeout_s, read.fallback) == (
        "{caller}",
        {"X-N": "7"},
        5,
        "desk",
    )
    assert (refers_to({"fallback": "desk"}), refers_to(ENDPOINT)) == ("desk", "")
    assert BUILT_IN["sip_endpoint"].run is sip_endpoint
    check({"uri": "200", "trunk": "pbx"})
    check({"uri": "sip:{callee}@sip.rtc.elevenlabs.io:5060;transport=tcp"})
