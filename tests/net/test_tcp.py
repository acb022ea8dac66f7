import asyncio
import errno
import resource
import socket
from contextlib import ExitStack

import pytest

from sipflow.errors import TransportError
from sipflow.net.settings import ListenAddress
from sipflow.net.tcp import Acceptor, dial
from sipflow.sip.hop import Hop
from tests.net.fakes import PATIENCE_S
from tests.net.loops import on_both_loops


class Door:
    """An acceptor, and whom it let in."""

    def __init__(self, address: str) -> None:
        self.guests: asyncio.Queue[tuple[socket.socket, str, int, ListenAddress]] = asyncio.Queue()
        self.exhausted: list[int | None] = []
        self.acceptor = Acceptor(
            ListenAddress.parse(address),
            on_accepted=lambda *guest: self.guests.put_nowait(guest),
            on_exhausted=lambda error: self.exhausted.append(error.errno),
        )
        self.acceptor.open(backlog=16)

    @property
    def hop(self) -> Hop:
        address = self.acceptor.address
        return Hop("tcp", address.host, address.port)


@pytest.mark.parametrize("address", ["tcp:127.0.0.1:0", "tcp:[::1]:0"])
@on_both_loops
async def test_a_peer_that_dials_is_let_in_with_its_address(address: str) -> None:
    door = Door(address)

    sock = await dial(door.hop, bind_host="", dscp=None, timeout_s=PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        guest, host, port, listener = await door.guests.get()

    assert ((host, port), listener) == (sock.getsockname()[:2], door.acceptor.address)
    assert sock.getblocking() is False
    for one in (sock, guest):
        one.close()
    door.acceptor.close()


async def test_a_connection_may_start_from_an_address_of_ours() -> None:
    door = Door("tcp:127.0.0.1:0")

    with await dial(door.hop, bind_host="127.0.0.2", dscp=None, timeout_s=PATIENCE_S):
        guest, host, _, _ = await door.guests.get()

    assert host == "127.0.0.2"
    guest.close()
    door.acceptor.close()


@pytest.mark.parametrize("hop", [Hop("tcp", "pbx.example.com", 5060), Hop("tcp", "127.0.0.1", 99999)])
async def test_what_is_no_address_is_never_looked_up(hop: Hop) -> None:
    with pytest.raises(TransportError, match="is not an IP address and port"):
        await dial(hop, bind_host="", dscp=None, timeout_s=PATIENCE_S)


async def test_a_failed_dial_leaves_no_socket_open() -> None:
    with pytest.raises(ConnectionRefusedError):
        await dial(Hop("tcp", "127.0.0.1", 9), bind_host="", dscp=None, timeout_s=PATIENCE_S)


async def test_a_closed_door_lets_nobody_in_and_may_be_opened_by_another_at_once() -> None:
    door = Door("tcp:127.0.0.1:0")
    with await dial(door.hop, bind_host="", dscp=None, timeout_s=PATIENCE_S):
        guest, *_ = await door.guests.get()
        guest.close()
    door.acceptor.close()

    again = Door(str(door.acceptor.address))

    assert again.acceptor.address == door.acceptor.address
    again.acceptor.close()


async def test_without_file_descriptors_guests_wait_and_the_loop_does_not_spin() -> None:
    door = Door("tcp:127.0.0.1:0")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as visitor, ExitStack() as descriptors:
        visitor.setblocking(False)
        highest = max(descriptors.enter_context(socket.socket()).fileno() for _ in range(3))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            visitor.connect_ex(door.hop[1:3])
            await asyncio.sleep(0.05)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert door.exhausted == [errno.EMFILE]

        door.acceptor._resume()
        async with asyncio.timeout(PATIENCE_S):
            guest, *_ = await door.guests.get()
        guest.close()
    door.acceptor.close()
