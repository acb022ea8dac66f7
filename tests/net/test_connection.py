import asyncio
import socket
from typing import cast

import pytest

from sipflow.net.connection import Connection
from sipflow.net.keepalive import PING, PONG
from sipflow.net.settings import ListenAddress, Settings, StreamSettings
from sipflow.sip.brake import Brake, OverloadSettings
from sipflow.sip.hop import Hop
from sipflow.sip.parser import Parsed
from sipflow.sip.transaction.outputs import Transmit
from tests.net.fakes import name_of, request, transmit

PEER = Hop("tcp", "192.0.2.1", 5060, "198.51.100.1", 5060, 7)
LISTEN = (ListenAddress("tcp", "127.0.0.1", 0),)


class Wire:
    """The transport of a connection: remembers what was written, and is as full as the test says."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.buffered = 0
        self.reading = True
        self.ends: list[str] = []
        self.socket: socket.socket | None = None

    def get_extra_info(self, name: str) -> socket.socket | None:
        return self.socket if name == "socket" else None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.ends.append("close")

    def abort(self) -> None:
        self.ends.append("abort")


class Table:
    """What a connection stands in: remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.told: list[str] = []

    def received(self, connection: Connection, parsed: Parsed) -> None:
        self.messages.append(name_of(parsed))

    def spoke(self, connection: Connection) -> None:
        self.told.append("spoke")

    def undelivered(self, output: Transmit, why: str) -> None:
        self.told.append(f"undelivered {output.transaction}: {why}")

    def gone(self, connection: Connection, why: str) -> None:
        self.told.append(f"gone: {why}")

    def ended(self, connection: Connection) -> None:
        self.told.append("ended")

    def faulty(self, connection: Connection, error: Exception) -> None:
        self.told.append(f"faulty: {error!r}")


class Bench:
    """A connection between a table and a wire, on a clock that the test moves."""

    def __init__(self, *, accepted: bool = True, connected: bool = True) -> None:
        self.now = 100.0
        self.brake = Brake(OverloadSettings(wait_s=0.05))
        self.table = Table()
        self.wire = Wire()
        settings = Settings(listen=LISTEN, streams=StreamSettings(write_buffer_bytes=1000))
        self.connection = Connection(
            self.table, PEER, settings, accepted=accepted, clock=lambda: self.now, brake=self.brake
        )
        if connected:
            self.connect()

    def connect(self) -> None:
        self.connection.connection_made(cast(asyncio.Transport, self.wire))

    def check(self, now: float, *, held: bool = False) -> None:
        self.now = now
        self.connection.check(now=now, held=held)


def test_what_was_sent_before_it_was_open_is_written_once_it_is_in_order() -> None:
    bench = Bench(accepted=False, connected=False)
    for data in (b"one", b"two"):
        bench.connection.send(transmit(data, PEER))
    before = list(bench.wire.written)

    bench.connect()

    assert (before, bench.wire.written, bench.connection.is_open) == ([], [b"one", b"two"], True)


@pytest.mark.plain  # names in the place of transactions
def test_what_was_waiting_comes_back_when_it_cannot_be_opened() -> None:
    bench = Bench(accepted=False, connected=False)
    for name in ("first", "second"):
        bench.connection.send(transmit(b"x", PEER, name))

    bench.connection.leave("connection refused")
    bench.connection.send(transmit(b"x", PEER, "third"))

    assert bench.table.told == [
        "gone: connection refused",
        "undelivered first: connection refused",
        "undelivered second: connection refused",
        "undelivered third: connection refused",
    ]


def test_a_peer_that_reads_nothing_is_cut_off_at_the_cap() -> None:
    bench = Bench()
    bench.wire.buffered = 1001

    bench.connection.send(transmit(b"x", PEER))

    assert (bench.table.told, bench.wire.ends) == (["gone: the peer does not read: 1001 octets wait for it"], ["abort"])


def test_a_loss_is_told_once_whoever_notices_first() -> None:
    bench = Bench()

    bench.connection.close("idle for 600 s")
    bench.connection.connection_lost(None)

    assert (bench.table.told, bench.wire.ends) == (["gone: idle for 600 s", "ended"], ["close"])


def test_a_broken_connection_says_why() -> None:
    bench = Bench()

    bench.connection.connection_lost(ConnectionResetError("Connection reset by peer"))

    assert bench.table.told == ["gone: the connection broke: Connection reset by peer", "ended"]


def test_a_message_counts_as_incomplete_from_its_own_first_octet() -> None:
    bench = Bench()
    bench.now = 110.0
    bench.connection.data_received(request()[:50])
    bench.now = 130.0
    bench.connection.data_received(request()[50:] + b"OPTIONS ")

    bench.check(130.0 + 31.9)
    before = list(bench.wire.ends)
    bench.check(130.0 + 32.0)

    assert (before, bench.wire.ends, bench.table.messages) == ([], ["close"], ["OPTIONS"])


def test_drops_of_a_message_do_not_buy_it_more_time() -> None:
    bench = Bench()
    for second in range(40):
        bench.now = 100.0 + second
        bench.connection.data_received(request(padding=100)[second : second + 1])
        bench.check(bench.now)

    assert (bench.table.told, bench.wire.ends) == (["gone: a message stayed incomplete for 32 s"], ["close"])


def test_pings_alone_keep_an_accepted_connection_open() -> None:
    bench = Bench()
    for second in range(0, 3000, 100):
        bench.now = 100.0 + second
        bench.connection.data_received(PING)
        bench.check(bench.now + 99)

    assert (bench.wire.ends, bench.wire.written) == ([], [PONG] * 30)


def test_a_ping_is_answered_once_wherever_it_is_cut() -> None:
    bench = Bench()
    for piece in (b"\r\n", b"\r\n", b"\r\n", request("OPTIONS"), b"\r\n", b"\r", b"\n", b"\r\n\r", b"\n"):
        bench.connection.data_received(piece)

    assert (bench.wire.written, bench.table.messages) == ([PONG] * 3, ["OPTIONS"])


def test_our_own_pings_alone_do_not_keep_a_connection_open_that_nobody_uses() -> None:
    bench = Bench(accepted=False)
    for second in range(0, 14_401, 10):
        bench.check(100.0 + second)

    assert bench.table.told == ["gone: unused for 14400 s"]


def test_a_connection_that_is_wanted_is_pinged_for_ever() -> None:
    bench = Bench(accepted=False)
    for second in range(0, 3601, 5):
        bench.check(100.0 + second, held=True)

    assert (bench.wire.ends, set(bench.wire.written), len(bench.wire.written)) == ([], {PING}, 144)


def test_traffic_takes_the_place_of_pings() -> None:
    bench = Bench(accepted=False)
    for second in range(0, 300, 20):
        bench.now = 100.0 + second
        bench.connection.send(transmit(b"x", PEER))
        bench.check(bench.now + 10)

    assert PING not in bench.wire.written


async def test_many_messages_at_once_are_handled_in_turns_and_nothing_more_is_read_meanwhile() -> None:
    bench = Bench()
    seen: list[tuple[int, bool]] = []

    bench.connection.data_received(request() * 100)
    while not seen or seen[-1] != (100, True):
        seen.append((len(bench.table.messages), bench.wire.reading))
        await asyncio.sleep(0)

    assert seen == [(32, False), (64, False), (96, False), (100, True)]


async def test_what_is_left_of_a_connection_that_is_gone_is_not_handled() -> None:
    bench = Bench()
    bench.connection.data_received(request() * 100)

    bench.connection.abort("a newer connection needs the place")
    bench.connection.data_received(request())
    await asyncio.sleep(0)

    assert len(bench.table.messages) == 32


def test_a_fault_of_ours_while_reading_ends_this_connection_alone() -> None:
    bench = Bench()

    class Broken:
        pending_bytes = 0
        broken = False

        def feed(self, data: bytes) -> list[Parsed]:
            raise RecursionError("of ours")

    bench.connection._parser = Broken()  # type: ignore[assignment]
    bench.connection.data_received(b"x")

    assert bench.table.told == ["faulty: RecursionError('of ours')", "gone: a fault of ours while reading"]
    assert bench.wire.ends == ["abort"]


def test_a_connection_given_up_before_it_opened_closes_when_it_does() -> None:
    bench = Bench(accepted=False, connected=False)
    bench.connection.leave("we are shutting down")

    bench.connect()

    assert (bench.wire.ends, bench.connection.is_open) == (["abort"], False)


def test_the_brake_learns_for_how_long_there_has_always_been_something_to_read() -> None:
    bench, (ours, theirs) = Bench(), socket.socketpair()
    bench.wire.socket = ours
    large = request(padding=4096)
    waits = []
    with ours, theirs:
        theirs.send(b"more")
        for bench.now in (100.0, 101.0, 102.0):
            bench.brake.worst_s = 0.0
            bench.connection.data_received(large)
            waits.append((bench.brake.worst_s, bench.brake.wait_s))
        ours.recv(4)
        for bench.now in (103.0, 104.0):
            bench.brake.worst_s = 0.0
            bench.connection.data_received(large)
            waits.append((bench.brake.worst_s, bench.brake.wait_s))

    assert waits == [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (0.0, 0.0)]
