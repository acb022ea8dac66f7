import socket
import time
from collections.abc import Iterator

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.net.trace import LogTracer, Tracer
from sipflow.net.tracers import Settings, Tracers
from sipflow.sip.hop import Hop

PEER = Hop("udp", "192.0.2.7", 5060, "192.0.2.1", 5060)
MOST_US = 40.0  # of a message; about 2.5 on an idle machine, and other tests may run beside this one


def invite(call_id: str) -> bytes:
    return f"INVITE sip:a@b SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n".encode()


class Heard:
    """A tracer that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    def sent(self, data: bytes, hop: Hop) -> None:
        self.heard.append(("sent", data))

    def received(self, data: bytes, hop: Hop) -> None:
        self.heard.append(("received", data))


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


def nobody() -> Tracer | None:
    return None


def test_every_message_reaches_log_ring_counters_and_collector(collector: socket.socket) -> None:
    log = Heard()
    where = f"127.0.0.1:{collector.getsockname()[1]}"
    tracers = Tracers(Settings(hep_collector=where, hep_key="secret"), log=lambda: log)
    tracers.received(invite("one"), PEER)
    tracers.sent(b"SIP/2.0 100 Trying\r\nCall-ID: one\r\n\r\n", PEER)
    reported = [collector.recv(2000) for _ in range(2)]
    tracers.close()

    assert tracers.ring is not None
    assert tracers.hep is not None
    assert [way for way, _ in log.heard] == ["received", "sent"]
    assert [each.sent for each in tracers.ring.of("one")] == [False, True]
    assert sum(tracers.tally.messages.values()) == 2
    assert [packet[:4] for packet in reported] == [b"HEP3"] * 2
    assert (tracers.hep.sent_packets, tracers.hep.failed) == (2, 0)


def test_without_tracing_messages_are_counted_and_not_kept() -> None:
    tracers = Tracers(Settings(enabled=False), log=nobody)
    tracers.received(invite("one"), PEER)

    assert (tracers.ring, tracers.hep) == (None, None)
    assert tracers.tally.messages == {("received", "INVITE"): 1}


def test_a_debug_line_of_a_message_names_the_call_of_ours_that_it_belongs_to() -> None:
    log = LogTracer()
    tracers = Tracers(Settings(), log=lambda: log)
    assert tracers.ring is not None
    tracers.received(invite("one"), PEER)
    tracers.ring.claim("one", "5f3c")

    assert (log.owner_of("one"), log.owner_of("two")) == ("5f3c", "")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ring_mb": 0}, "ring_mb: it is not in 1..16384"),
        ({"call_messages": 1}, "call_messages: it is not in 10..100000"),
        ({"media_s": 0}, "media_s: it is not in 1..3600"),
        ({"media_calls": 0}, "media_calls: it is not in 1..1000"),
        ({"hep_agent_id": -1}, "hep_agent_id: it is not in 0..4294967295"),
        ({"hep_collector": "homer.example.com"}, "hep_collector: must be address:port, as in 10.0.0.9:9060"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refused:
        Settings(**settings)  # type: ignore[arg-type]

    assert str(refused.value) == sentence


def test_the_collectors_usual_port_and_no_key_in_what_is_printed() -> None:
    settings = Settings(hep_collector="10.0.0.9", hep_key="never shown")

    assert settings.collector() == ("10.0.0.9", 9060)
    assert "never shown" not in repr(settings)


def test_tracing_costs_a_message_a_few_microseconds() -> None:
    filling = "Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{};rport\r\n"
    messages = [
        (f"INVITE sip:a@b SIP/2.0\r\n{filling.format(n)}Call-ID: {n // 8}@x\r\n\r\n" + "x" * 400).encode()
        for n in range(400)
    ]
    best_us = float("inf")
    for _ in range(50):
        tracers = Tracers(Settings(), log=nobody)
        began = time.process_time()
        for message in messages:
            tracers.received(message, PEER)
        best_us = min(best_us, 1e6 * (time.process_time() - began) / len(messages))

    assert best_us < MOST_US
