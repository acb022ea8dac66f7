"""Texts and INFO beside the audio, from both ends."""

import asyncio

import pytest

from sipflow.calls.events import IdentityChanged, InfoReceived, TextReceived
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from sipflow.sip.message import Headers, Request
from tests.calls.stage import WAIT_S, staged


def message(body: bytes, content_type: str = "") -> Request:
    request = Request("MESSAGE", "sip:us@127.0.0.1", body=body)
    if content_type:
        request.headers.add("Content-Type", content_type)
    return request


async def test_texts_reach_the_agent_and_the_caller_each_once_and_in_order() -> None:
    read: list[str] = []

    async def answers(call: InboundCall) -> None:
        await call.answer()
        async for text in call.messages:
            read.append(text.text)
            await call.send_message(text.text.upper())

    async with staged(answers) as stage:
        call = await stage.call()
        back = call.messages
        await asyncio.gather(call.send_message("one"), call.send_message("two"))
        async with asyncio.timeout(WAIT_S):
            said = [(await anext(back)).text for _ in range(2)]
        await call.hangup()
        await stage.quiet()
        failures = stage.callee.tasks.failures

    assert (read, said, failures) == (["one", "two"], ["ONE", "TWO"], 0)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"hi", "", TextReceived("hi", "text/plain")),
        ("grüß".encode(), "text/plain", TextReceived("grüß", "text/plain")),
        ("grüß".encode("latin-1"), "text/plain;charset=iso-8859-1", TextReceived("grüß", "text/plain")),
        (b"\xff{}", 'Application/JSON;charset="no-such"', TextReceived("�{}", "application/json")),
        (b"hi", "broken", TextReceived("hi", "text/plain")),
    ],
)
async def test_a_text_is_read_as_its_type_says(body: bytes, content_type: str, text: TextReceived) -> None:
    async with staged() as stage:
        call = await stage.call()
        messages, events = call.messages, call.events
        call.text_came(message(body, content_type))
        got, told = await anext(messages), await anext(events)
        await call.hangup()
        await stage.quiet()

    assert (got, told, got.body) == (text, text, body)


async def test_info_that_is_no_digit_reaches_the_agent_and_headers_go_along() -> None:
    got: list[InfoReceived] = []

    async def reads(call: InboundCall) -> None:
        await call.answer()
        got.append(await anext(call.infos))
        await call.ended()

    async with staged(reads) as stage:
        call = await stage.call()
        await call.send_info(b"{}", "application/json", headers={"X-A": "1"})
        await call.hangup()
        await stage.quiet()

    assert got == [InfoReceived(b"{}", "application/json")]


async def test_a_text_that_is_too_long_is_not_sent_and_after_the_end_there_is_none() -> None:
    async with staged() as stage:
        call = await stage.call()
        with pytest.raises(LocalProtocolError, match="at most 1200 bytes"):
            await call.send_message("x" * 1201)
        await call.hangup()
        await stage.quiet()
        with pytest.raises(CallEnded):
            await call.send_message("late")


async def test_a_far_end_that_refuses_says_so() -> None:
    async with staged() as stage:
        call = await stage.call()
        stage.callee.ua._stack.able.methods = ("INVITE", "ACK", "BYE")
        with pytest.raises(MediaError, match="405"):
            await call.send_message("hello")
        with pytest.raises(MediaError, match="405"):
            await call.send_info(b"", "text/plain")
        await call.hangup()
        await stage.quiet()


async def test_an_identity_is_told_once_and_diversions_are_known_at_once() -> None:
    async with staged() as stage:
        call = await stage.call()
        headers, events = Headers(), call.events
        headers.add("P-Asserted-Identity", "<sip:bob@a>")
        headers.add("Diversion", "<sip:7@a>")
        for _ in range(2):
            call.says(headers)
        told = [await anext(events)]
        waiting, diversion = events.waiting, call.variables["Diversion"]
        await call.hangup()
        await stage.quiet()

    assert (told, waiting, diversion) == ([IdentityChanged("<sip:bob@a>")], 0, "<sip:7@a>")
