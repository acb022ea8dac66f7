import asyncio
import socket

from sipflow.net.netlink import Netlink


async def test_a_change_that_comes_in_many_messages_is_told_once_and_the_next_one_again() -> None:
    system, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    told: asyncio.Queue[str] = asyncio.Queue()
    netlink = Netlink(lambda: told.put_nowait("changed"), connect=lambda: ours)
    netlink.open()
    with system:
        for _ in range(2):
            for _ in range(100):
                system.send(b"a route")
            assert await told.get() == "changed"
        netlink.close()
    assert told.empty()


async def test_a_system_without_such_news_tells_nothing() -> None:
    netlink = Netlink(lambda: None, connect=lambda: None)
    netlink.open()
    netlink.close()
