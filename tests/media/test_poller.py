import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from sipflow.media.poller import WATCHED, Poller
from tests.media.stage import settle


class Ear:
    """A bound socket, and what was read from it: one packet a call."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.heard: list[bytes] = []

    def read(self) -> None:
        self.heard.append(self.socket.recv(100))

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.socket.getsockname())


@pytest.fixture
def ears() -> Iterator[list[Ear]]:
    made = [Ear() for _ in range(WATCHED + 5)]
    yield made
    for ear in made:
        ear.socket.close()


async def test_a_few_streams_are_read_as_soon_as_a_packet_comes(ears: list[Ear]) -> None:
    with closing(Poller()) as poller:
        for ear in ears[:3]:
            poller.add(ear.socket, ear.read)

        ears[1].send(b"one")
        ears[1].send(b"two")
        await settle()

        assert [ear.heard for ear in ears[:3]] == [[], [b"one", b"two"], []]
        assert not poller.polled


async def test_many_streams_are_read_when_polled_one_packet_each(ears: list[Ear]) -> None:
    with closing(Poller()) as poller:
        for ear in ears:
            poller.add(ear.socket, ear.read)
        for ear in ears:
            ear.send(b"one")
        ears[0].send(b"two")
        await settle()
        assert poller.polled
        assert [ear.heard for ear in ears] == [[]] * len(ears)

        poller.poll()
        assert [ear.heard for ear in ears] == [[b"one"]] * len(ears)
        poller.poll()
        assert ears[0].heard == [b"one", b"two"]


async def test_when_most_have_left_the_others_are_watched_again(ears: list[Ear]) -> None:
    with closing(Poller()) as poller:
        for ear in ears:
            poller.add(ear.socket, ear.read)
        for ear in ears[1:]:
            poller.remove(ear.socket)

        ears[0].send(b"one")
        await settle()

        assert (len(poller), poller.polled, ears[0].heard) == (1, False, [b"one"])


async def test_one_that_left_is_read_no_more_and_may_leave_twice(ears: list[Ear]) -> None:
    with closing(Poller()) as poller:
        poller.add(ears[0].socket, ears[0].read)
        poller.add(ears[1].socket, ears[1].read)
        poller.remove(ears[0].socket)
        poller.remove(ears[0].socket)

        ears[0].send(b"lost")
        ears[1].send(b"one")
        await settle()

        assert [ear.heard for ear in ears[:2]] == [[], [b"one"]]


async def test_after_the_last_has_left_another_may_come(ears: list[Ear]) -> None:
    with closing(Poller()) as poller:
        poller.add(ears[0].socket, ears[0].read)
        poller.remove(ears[0].socket)
        poller.poll()
        poller.add(ears[1].socket, ears[1].read)

        ears[1].send(b"one")
        await settle()

        assert ears[1].heard == [b"one"]


async def test_a_reader_that_fails_is_reported_and_holds_up_no_other(ears: list[Ear]) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    with closing(Poller()) as poller:

        def broken() -> None:
            ears[0].read()
            raise ValueError("broken")

        poller.add(ears[0].socket, broken)
        poller.add(ears[1].socket, ears[1].read)
        ears[0].send(b"one")
        ears[1].send(b"two")
        await settle()

        assert ears[1].heard == [b"two"]
        assert poller.failed == 1
        assert isinstance(reported[0]["exception"], ValueError)
