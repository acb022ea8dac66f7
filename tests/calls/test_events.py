import asyncio

import pytest

from sipflow.calls.events import KEPT, CallEvent, DigitPressed, HoldChanged, Mailbox, Subscription
from sipflow.errors import LocalProtocolError


class Post:
    """A mailbox for digits, and what was detached."""

    def __init__(self) -> None:
        self.mailbox: Mailbox[str] = Mailbox(lambda event: event.digit if isinstance(event, DigitPressed) else None)
        self.detached: list[Mailbox[str]] = []
        self.digits: Subscription[str] = Subscription(self.mailbox, self.detached.append)

    def press(self, digits: str) -> None:
        for digit in digits:
            self.mailbox.offer(DigitPressed(digit))


async def test_a_subscription_gets_what_concerns_it_in_order_and_ends() -> None:
    post = Post()
    events: list[CallEvent] = [DigitPressed("1"), HoldChanged(True), DigitPressed("2")]
    for event in events:
        post.mailbox.offer(event)
    post.mailbox.end()

    assert [digit async for digit in post.digits] == ["1", "2"]


async def test_a_wait_is_woken_by_what_happens_and_by_the_end() -> None:
    post = Post()
    waiting = asyncio.ensure_future(anext(post.digits))
    await asyncio.sleep(0)
    assert post.mailbox.waited_for
    post.press("7")
    assert await waiting == "7"

    waiting = asyncio.ensure_future(anext(post.digits))
    await asyncio.sleep(0)
    post.mailbox.end()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_cancelling_a_wait_loses_nothing() -> None:
    post = Post()
    waiting = asyncio.ensure_future(anext(post.digits))
    await asyncio.sleep(0)
    post.press("5")
    waiting.cancel()  # woken, but not run yet
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert (post.digits.waiting, await anext(post.digits)) == (1, "5")


async def test_what_nobody_reads_is_bounded_and_counted() -> None:
    post = Post()
    post.press("0" * KEPT + "12")

    assert (post.digits.waiting, post.digits.lost) == (KEPT, 2)


async def test_two_tasks_cannot_wait_on_one_subscription() -> None:
    post = Post()
    waiting = asyncio.ensure_future(anext(post.digits))
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError, match="let each have its own"):
        await anext(post.digits)

    waiting.cancel()
    await asyncio.sleep(0)
    post.press("1")
    assert await anext(post.digits) == "1"


async def test_closing_detaches_and_ends_after_what_waits() -> None:
    post = Post()
    post.press("1")
    post.digits.close()

    assert post.detached == [post.mailbox]
    assert [digit async for digit in post.digits] == ["1"]


async def test_a_subscription_nobody_refers_to_detaches_itself() -> None:
    post = Post()
    del post.digits

    assert post.detached == [post.mailbox]
