"""Calls that we place."""

import asyncio

import pytest

from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallFailed, TransportError
from sipflow.sip.uri import SipUri
from tests.calls.stage import staged


async def test_answered_call_has_the_answers_headers_and_where_it_went() -> None:
    async with staged() as stage:
        call = await stage.call()
        where, server, there = call.where, call.headers.get("Server"), f"udp:127.0.0.1:{stage.port}"
        await call.hangup()
        await stage.quiet()

    assert where == there
    assert server is not None
    assert server.startswith("sipflow/")


async def test_progress_is_told_as_it_comes() -> None:
    async def agent(call: InboundCall) -> None:
        await call.ring()
        await call.answer()

    async with staged(agent) as stage:
        call = await stage.caller.switchboard.place(stage.plan())
        told: list[tuple[int, str]] = []
        call.on_progress = lambda status, reason: told.append((status, reason))
        await asyncio.wait_for(call.wait_answered(), 10)
        await stage.quiet()

    assert told == [(180, "Ringing")]


async def test_nobody_at_the_address_fails_with_503_and_words() -> None:
    async with staged() as stage:
        nowhere = SipUri("sip", "x", None, "127.0.0.1", 1)
        call = await stage.caller.switchboard.place(stage.plan(uri=nowhere, destination=nowhere))
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(call.wait_answered(), 10)

    assert failed.value.status == 503
    assert "refused" in failed.value.reason


async def test_a_name_without_address_fails_before_there_is_a_call() -> None:
    async with staged() as stage:
        nowhere = SipUri("sip", "x", None, "no-such-host.invalid")
        with pytest.raises(TransportError):
            await stage.caller.switchboard.place(stage.plan(uri=nowhere, destination=nowhere))

        assert stage.caller.switchboard.calls == {}


async def test_a_fail_over_reaches_the_second_target() -> None:
    async with staged() as stage:
        board = stage.caller.switchboard
        good = (await stage.caller.endpoint.resolve(stage.plan().destination))[0]

        async def resolve(_uri: SipUri) -> tuple[object, ...]:
            return (good._replace(port=1), good)

        board.endpoint.resolve = resolve  # type: ignore[method-assign, assignment]
        call = await stage.call()
        where, there = call.where, f"udp:127.0.0.1:{stage.port}"
        await call.hangup()
        await stage.quiet()

    assert where == there
