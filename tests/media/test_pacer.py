import asyncio
import math
import select
import socket
import time
from typing import Any

import pytest

from sipflow.media.pacer import Pacer
from sipflow.media.poller import WATCHED
from tests.media.stage import until


class Stream:
    """Remembers when it was ticked, and what it was told to skip."""

    def __init__(self) -> None:
        self.ticked: list[float] = []
        self.skipped = 0

    def tick(self, at: float) -> None:
        self.ticked.append(time.monotonic())

    def skip(self, ticks: int) -> None:
        self.skipped += ticks


class Broken(Stream):
    def tick(self, at: float) -> None:
        raise ValueError("broken")


def bound_anywhere() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


async def ticks(stream: Stream, count: int) -> None:
    """Wait until a stream has ticked that often."""
    await until(lambda: len(stream.ticked) >= count)


async def test_streams_are_ticked_until_they_leave() -> None:
    pacer = Pacer()
    streams = [Stream() for _ in range(15)]
    for stream in streams:
        pacer.add(stream)
    assert len(pacer) == 15

    await ticks(streams[-1], 3)
    pacer.remove(streams[0])
    before = len(streams[0].ticked)
    await ticks(streams[-1], 6)

    assert len(streams[0].ticked) == before
    assert pacer.lateness.count >= 15 * 3
    pacer.close()


async def test_without_streams_the_loop_soon_has_no_timer_of_ours() -> None:
    pacer = Pacer()
    stream = Stream()
    pacer.add(stream)
    await ticks(stream, 1)

    ticked = len(stream.ticked)
    pacer.remove(stream)
    assert (pacer.due_at, len(pacer)) == (math.inf, 0)
    await until(lambda: pacer._timer is None)  # it fires once more, and finds nothing to do

    assert len(stream.ticked) == ticked
    pacer.close()


async def test_a_stream_that_comes_after_the_last_has_gone_ticks_at_its_times() -> None:
    pacer = Pacer()
    first, second = Stream(), Stream()
    pacer.add(first)
    pacer.remove(first)
    pacer.add(second)

    await ticks(second, 3)

    assert first.ticked == []
    pacer.close()


async def test_a_packet_time_of_its_own() -> None:
    pacer = Pacer()
    quick, slow = Stream(), Stream()
    pacer.add(slow, ptime_ms=60)
    pacer.add(quick, ptime_ms=10)

    await ticks(slow, 3)

    assert len(quick.ticked) + quick.skipped >= 12
    pacer.close()


async def test_what_is_due_can_be_sent_before_the_loop_comes_to_its_timer() -> None:
    pacer = Pacer()
    stream = Stream()
    assert pacer.due_at == math.inf
    pacer.add(stream)

    first = pacer.due_at
    pacer.run_due(first - 0.001)
    assert stream.ticked == []
    pacer.run_due(first)
    assert len(stream.ticked) == 1
    assert pacer.due_at == pytest.approx(first + 0.02)

    await ticks(stream, 4)
    assert pacer.due_at > first + 0.05
    pacer.close()
    assert pacer.due_at == math.inf


async def test_after_a_stall_a_few_ticks_are_caught_up_and_the_rest_skipped() -> None:
    pacer = Pacer(catch_up=3)
    stream = Stream()
    pacer.add(stream)
    await ticks(stream, 1)

    time.sleep(0.2)  # noqa: ASYNC251  (the stall)
    made = len(stream.ticked)
    await ticks(stream, made + 1)

    assert len(stream.ticked) >= made + 3
    assert stream.skipped == pacer.skipped
    assert stream.skipped >= 5
    assert pacer.lateness.worst_ms >= 30
    pacer.close()


async def test_a_stream_that_fails_is_reported_and_silences_no_other() -> None:
    reported: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    pacer = Pacer(phase_ms=20)
    broken, sound = Broken(), Stream()
    pacer.add(broken)
    pacer.add(sound)

    await ticks(sound, 2)
    pacer.close()

    assert pacer.failed >= 1
    assert isinstance(reported[0]["exception"], ValueError)
    assert reported[0]["message"].startswith("a media stream failed: ")


async def test_a_stream_removed_by_one_that_ticks_before_it_ticks_no_more() -> None:
    pacer = Pacer(phase_ms=20)
    second = Stream()

    class Remover(Stream):
        def tick(self, at: float) -> None:
            super().tick(at)
            pacer.remove(second)

    first = Remover()
    pacer.add(first)
    pacer.add(second)
    await ticks(first, 2)
    pacer.close()

    assert second.ticked == []


async def test_a_stream_that_comes_back_after_a_close_ticks_again() -> None:
    pacer = Pacer()
    stream = Stream()
    pacer.add(stream)
    pacer.close()

    pacer.add(stream)
    await ticks(stream, 1)

    pacer.close()


async def test_what_is_heard_is_played_out_a_little_after_it_came() -> None:
    pacer = Pacer()
    due: list[float] = []

    class Heard(Stream):
        def tick(self, at: float) -> None:
            super().tick(at)
            due.append(at)

    heard, sent = Heard(), Stream()
    pacer.add(sent)
    came = time.monotonic()
    pacer.hear(heard, after=came)
    await ticks(sent, 3)
    await ticks(heard, 3)
    pacer.close()

    assert {0.006 <= (at - came) % 0.02 <= 0.0121 for at in due} == {True}
    assert pacer.lateness.count == len(sent.ticked)


async def test_while_packets_are_passed_on_what_comes_is_read_between_ticks_too() -> None:
    pacer = Pacer()
    stream = Stream()
    pacer.add(stream, ptime_ms=60)
    sockets = [bound_anywhere() for _ in range(WATCHED + 1)]
    read_after: list[int] = []

    def read() -> None:
        sockets[0].recv(100)
        read_after.append(len(stream.ticked))

    for each in sockets:
        pacer.poller.add(each, read)
    assert pacer.poller.polled
    pacer.urgent = 1
    await ticks(stream, 1)
    for sent in range(8):
        sockets[1].sendto(b"packet", sockets[0].getsockname())
        await until(lambda sent=sent: len(read_after) > sent)  # type: ignore[misc]

    assert len(set(read_after)) < len(read_after)  # several within one packet time
    pacer.remove(stream)  # as one does whose packets are all relayed
    sockets[1].sendto(b"packet", sockets[0].getsockname())
    await until(lambda: len(read_after) > 8)
    pacer.close()
    pacer.poller.close()
    for each in sockets:
        each.close()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="nobody polls without epoll")
@pytest.mark.parametrize(("late_s", "order"), [(0.0, ["sent", "read"]), (0.021, ["read", "sent", "sent"])])
async def test_what_is_due_leaves_before_what_has_come_is_read_but_for_a_stall(late_s: float, order: list[str]) -> None:
    pacer = Pacer()
    sockets = [bound_anywhere() for _ in range(WATCHED + 1)]
    done: list[str] = []

    class Sending(Stream):
        def tick(self, at: float) -> None:
            done.append("sent")

    def read() -> None:
        sockets[0].recv(100)
        done.append("read")

    for sock in sockets:
        pacer.poller.add(sock, read)
    pacer.add(Sending())
    sockets[0].sendto(b"packet", sockets[0].getsockname())

    pacer.run_due(pacer.due_at + late_s)

    assert done == order
    pacer.close()
    for sock in sockets:
        sock.close()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="nobody polls without epoll")
async def test_after_a_stall_what_waits_in_the_sockets_is_read_before_it_is_missed() -> None:
    pacer = Pacer()
    sockets = [bound_anywhere() for _ in range(WATCHED + 1)]
    read: list[bytes] = []
    read_before: list[int] = []

    class Playing(Stream):
        def tick(self, at: float) -> None:
            read_before.append(len(read))

    for sock in sockets:
        pacer.poller.add(sock, lambda sock=sock: read.append(sock.recv(100)))  # type: ignore[misc]
    pacer.hear(Playing())
    for n in range(5):
        sockets[0].sendto(bytes([n]), sockets[0].getsockname())

    pacer.run_due(pacer.due_at + 0.041)

    assert (read_before, read) == ([3, 3, 3], [b"\0", b"\1", b"\2"]), "one for each packet time, and no more"
    pacer.close()
    for sock in sockets:
        sock.close()
