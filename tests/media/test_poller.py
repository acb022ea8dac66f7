import asyncio
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from sipflow.media import poller as module
from sipflow.media.poller import WATCHED, Poller
from tests.media.stage import settle

epoll = pytest.mark.skipif(not hasattr(select, "epoll"), reason="nobody polls without epoll")


@pytest.fixture(params=["epoll", "none"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs as on Linux, and as on a system without epoll."""
    if request.param == "none":
        if request.node.get_closest_marker("skipif") is not None:
            pytest.skip("nobody polls without epoll")
        monkeypatch.setattr(module, "_EPOLL", False)
    elif not hasattr(select, "epoll"):
        pytest.skip("this system has no epoll")


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


async def test_another_reader_may_take_the_place_of_one(ears: list[Ear]) -> None:
    with closing(Poller()) as poller:
        other = Ear()
        poller.add(ears[0].socket, ears[0].read)
        poller.replace(ears[0].socket, lambda: other.heard.append(ears[0].socket.recv(100)))
        poller.replace(ears[1].socket, ears[1].read)  # it is not there: nothing happens
        ears[0].send(b"one")
        ears[1].send(b"two")
        await settle()

        assert (ears[0].heard, ears[1].heard, other.heard, len(poller)) == ([], [], [b"one"], 1)
        other.socket.close()


@epoll
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


async def test_a_socket_closed_before_it_was_removed_harms_nobody_who_gets_its_number() -> None:
    first, other = Ear(), Ear()
    with closing(Poller()) as poller:
        poller.add(first.socket, first.read)
        poller.add(other.socket, other.read)
        number = first.socket.fileno()
        first.socket.close()
        second = Ear()
        assert second.socket.fileno() == number
        poller.add(second.socket, second.read)
        poller.remove(first.socket)
        second.send(b"one")
        other.send(b"two")
        await settle()
        poller.remove(second.socket)
        second.socket.close()
        poller.remove(other.socket)

    assert (first.heard, second.heard, other.heard) == ([], [b"one"], [b"two"])
    assert len(poller) == 0
    other.socket.close()


async def test_a_socket_closed_before_it_was_removed_is_forgotten() -> None:
    ear = Ear()
    with closing(Poller()) as poller:
        poller.add(ear.socket, ear.read)
        ear.socket.close()
        poller.remove(ear.socket)

        assert len(poller) == 0


@epoll
async def test_what_waited_while_the_loop_stood_still_is_read_at_the_next_polls(ears: list[Ear]) -> None:
    with closing(Poller()) as poller:
        for ear in ears:
            poller.add(ear.socket, ear.read)
        for n in range(50):
            ears[0].send(b"%d" % n)
        for _ in range(50):
            poller.poll()

        assert ears[0].heard == [b"%d" % n for n in range(50)]


@epoll
async def test_however_long_nobody_looked_a_flood_on_one_socket_holds_the_others_up_for_ten_packets(
    ears: list[Ear],
) -> None:
    with closing(Poller()) as poller:
        for ear in ears:
            poller.add(ear.socket, ear.read)
        for n in range(30):
            ears[0].send(bytes([n]))
        ears[1].send(b"only")

        poller.catch_up(3)
        assert (len(ears[0].heard), ears[1].heard) == (3, [b"only"])
        poller.catch_up(500)
        assert len(ears[0].heard) == 13


def test_it_can_be_imported_where_there_is_no_epoll() -> None:
    code = "import select; vars(select).pop('epoll', None); import sipflow.media.desk"
    subprocess.run([sys.executable, "-c", code], check=True)
