"""What is fetched for callers who wait: from checked addresses only, whole or not at all."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sipflow.errors import LocalProtocolError, MediaError
from sipflow.net.acl import Networks
from sipflow.webhooks.addresses import Guard
from sipflow.webhooks.exchange import Exchange
from sipflow.webhooks.sounds import WebSounds
from tests.webhooks.receiver import Answer, Receiver
from tests.webhooks.test_outbox import nowhere


@pytest_asyncio.fixture
async def sounds() -> AsyncIterator[WebSounds]:
    guard = Guard(allowed=Networks(["127.0.0.1/32"]), allow_http=True, resolve=nowhere)
    exchange = Exchange(guard)
    yield WebSounds(guard, exchange, timeout_s=0.3, most_bytes=1 << 20)
    await exchange.close()


async def test_what_is_there_comes_back_as_it_is(sounds: WebSounds, receiver: Receiver) -> None:
    url = receiver.script("/a.mp3", Answer(200, b"RIFF"))

    assert await sounds.fetch(url + "?key=1") == b"RIFF"
    (got,) = receiver.got
    assert (got.path, got.body, got.headers["user-agent"]) == ("/a.mp3?key=1", b"", "sipflow")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(404), "it answers 404"),
        (Answer(302, headers={"Location": "http://127.0.0.1/b"}), "it answers 302"),
        (Answer(huge_bytes=2 << 20), "it is larger than 1 MiB"),
        (Answer(stall=True), "the answer was not whole within 0.3 s"),
    ],
)
async def test_what_is_not_whole_is_none_and_only_its_host_is_named(
    sounds: WebSounds, receiver: Receiver, answer: Answer, why: str
) -> None:
    url = receiver.script("/a", answer)

    with pytest.raises(MediaError) as refused:
        await sounds.fetch(url + "?key=secret")
    assert str(refused.value) == f"the sound of http://127.0.0.1:{receiver.port} cannot be had: {why}"


async def test_private_addresses_are_not_asked(sounds: WebSounds) -> None:
    with pytest.raises(LocalProtocolError, match=r"^127\.0\.0\.2 is loopback"):
        sounds.check("http://127.0.0.2/a")
    with pytest.raises(MediaError, match=r"127\.0\.0\.2 is loopback: webhooks may not reach it"):
        await sounds.fetch("http://127.0.0.2/a")
