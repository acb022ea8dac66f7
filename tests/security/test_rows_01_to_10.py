"""What broke in other SIP stacks, rows 1 to 10: messages, streams, floods and state. One test a row."""

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from sipflow.calls.inbound import InboundCall
from sipflow.sip.outputs import Ended
from tests.security.peers import (
    SDP,
    STRANGER,
    alive,
    edge,
    knocker,
    line,
    memory_bytes,
    refused,
    settled,
    sip,
)
from tests.support.calls import Callee, plan_to
from tests.support.wire import Wire


async def test_row_01_a_missing_mandatory_header_is_refused_400_or_dropped_and_said_in_one_line() -> None:
    async with edge() as stage:
        with knocker(stage) as peer, capture_logs() as lines:
            found = {}
            for name in ("From", "To", "Call-ID", "CSeq", "Via"):
                peer.send(sip(without=name, body=SDP))
                found[name] = await peer.statuses()

        assert found == {"From": [400], "To": [400], "Call-ID": [400], "CSeq": [400], "Via": [400]}
        assert [each["event"] for each in lines if each["log_level"] != "debug"] == ["refused"] * 5
        assert await alive(stage)


async def test_row_02_a_uri_without_scheme_or_host_is_refused_400_or_416() -> None:
    broken: list[dict[str, Any]] = [
        {"From": "/"},
        {"From": "<>;tag=1"},
        {"To": "sip:"},
        {"To": "<:@>"},
        {"Contact": "<sip:@>"},
        {"uri": "sip:"},
        {"uri": "/"},
        {"uri": "http://x/"},
        {"uri": "sip:@"},
    ]
    async with edge() as stage:
        with knocker(stage) as peer:
            found = [await peer.ask(sip(body=SDP, **{"To": "<sip:x@y>", **each})) for each in broken]

        assert set(found) <= {400, 416}
        assert await alive(stage)


@pytest.mark.parametrize("announced", ["99999999999999999999", "4294967296", "2147483647", "65536"])
async def test_row_03_a_huge_content_length_closes_at_once_and_is_never_allocated(announced: str) -> None:
    async with edge() as stage, line(stage) as peer:
        before, started = memory_bytes(), time.monotonic()
        peer.writer.write(sip(Content_Length=announced) + b"x" * 100)
        answer = await peer.rest()

        assert answer[:11] in (b"SIP/2.0 400", b"SIP/2.0 413", b"")
        assert (time.monotonic() - started < 10.0, memory_bytes() - before < 1_000_000) == (True, True)
        assert stage.callee.endpoint.counts["connections"] == 0


async def test_row_04_content_length_is_digits_once_and_fits_or_the_message_is_refused() -> None:
    wrong = ["+5", "1_0", "٥", "5, 6", "0x5", "-1", "5 5", "", "5\t6", "²", "9" * 5000]
    async with edge() as stage:
        with knocker(stage) as peer:
            found = [await peer.ask(sip(Content_Length=each, body=SDP)) for each in wrong]
            found.append(await peer.ask(sip(body=SDP, more=b"Content-Length: 5\r\n")))
            found.append(await peer.ask(sip(body=SDP, more=b"l: 5\r\n")))

        assert set(found) <= {400, 413}
        assert await alive(stage)


async def test_row_05_slow_idle_and_deaf_tcp_peers_are_bounded_and_keep_nobody_waiting() -> None:
    async with edge() as stage:
        endpoint = stage.callee.endpoint
        idle = [
            await asyncio.open_connection("127.0.0.1", endpoint.ports["tcp"], local_addr=(STRANGER, 0))
            for _ in range(300)
        ]
        dripping = [await asyncio.open_connection("127.0.0.1", endpoint.ports["tcp"]) for _ in range(20)]
        for _, writer in dripping:
            writer.write(b"INVITE sip:x@y SIP/2.0\r\nX-Never-Ending: ")
        async with line(stage) as peer:
            started = time.monotonic()
            peer.writer.write(sip("OPTIONS"))
            answer = await peer.reader.readuntil(b"\r\n\r\n")
            took_s = time.monotonic() - started
        held = endpoint.counts["connections"]
        endpoint.check_times(now=time.monotonic() + 33.0)  # 64*T1 later
        await asyncio.sleep(0.05)
        left = endpoint.counts["connections"]
        for _, writer in (*idle, *dripping):
            writer.close()

        assert answer.startswith(b"SIP/2.0 200")
        assert (took_s < 10.0, held <= 256 + 21, left) == (True, True, 0)
        assert await alive(stage)


async def test_row_06_connections_that_close_during_their_invites_leave_nothing() -> None:
    async def rings(call: InboundCall) -> None:
        await call.ring()
        await call.ended()

    async with edge(agent=rings) as stage:
        for number in range(15):
            async with line(stage) as peer:
                peer.writer.write(sip(body=SDP))
                if number % 3:
                    await peer.reader.readuntil(b"\r\n\r\n")
                if number % 2:
                    peer.writer.transport.abort()
        for call in list(stage.callee.switchboard.calls.values()):
            await call.hangup()

        assert await settled(stage) == {"calls": 0, "dialogs": 0, "connections": 0, "tasks": 0, "kept_alive": 0}
        assert (stage.callee.endpoint.faults, stage.callee.tasks.failures) == (0, 0)


async def test_row_07_a_flood_of_registers_costs_no_transaction_and_no_memory_and_others_are_served() -> None:
    async with edge() as stage:
        ua, strangers = stage.callee.ua, stage.callee.switchboard.strangers
        assert strangers is not None
        with knocker(stage, STRANGER) as flood, knocker(stage) as peer:
            before, slowest = memory_bytes(), 0.0
            for turn in range(30):
                for number in range(100):
                    flood.send(
                        sip("REGISTER", source=STRANGER, uri="sip:127.0.0.1", To=f"<sip:{turn * 100 + number}@x>")
                    )
                asked = time.monotonic()
                assert await peer.ask(sip("OPTIONS")) == 200
                slowest = max(slowest, time.monotonic() - asked)
            statuses = await flood.statuses()

        assert statuses[:10] == [403] * 10
        assert set(statuses[10:]) <= {503}
        assert (strangers.shut_out, stage.callee.endpoint.dropped > 2000) == ((STRANGER,), True)
        assert (ua.sizes["servers"] <= 30, memory_bytes() - before < 5_000_000, slowest < 1.0) == (True, True, True)
        assert await alive(stage)


def test_row_08_what_succeeds_is_freed_too_after_64_t1() -> None:
    wire = Wire()
    alice, bob = wire.node("a", Callee()), wire.node("b", Callee(answer_after_s=0.1))
    for number in range(20):
        usage = alice.place(plan_to("b", call_id=f"call-{number}"))
        wire.run(until=wire.now + 0.05 + 0.5 * (number % 2))
        alice.hang_up(usage)
    busy = [dict(node.ua.sizes) for node in (alice, bob)]
    wire.run(until=wire.now + 70.0)

    assert all(sizes["clients"] + sizes["servers"] > 0 for sizes in busy)
    assert [set(node.ua.sizes.values()) for node in (alice, bob)] == [{0}, {0}]


async def test_row_09_an_agent_that_dies_in_mid_call_ends_that_call_alone() -> None:
    calls: list[InboundCall] = []

    async def agent(call: InboundCall) -> None:
        calls.append(call)
        if len(calls) == 1:
            raise RuntimeError("the agent's own fault")
        await call.answer()
        if len(calls) == 2:
            raise RuntimeError("in mid-call")
        await call.ended()

    async with edge(agent=agent) as stage:
        assert await refused(stage) == 500
        second = await stage.call()
        assert (await second.ended()).by == "remote"
        third = await stage.call()
        await third.hangup()

        assert (await settled(stage))["calls"] == 0
        assert [record.ending.word for record in stage.kept.records if record.ending][:2] == ["agent_failed"] * 2


def test_row_10_an_acknowledged_call_outlives_32_seconds() -> None:
    still_lost = [1, 2, 3]  # the ACKs to the first answers
    wire = Wire(dropped=lambda _, data: data.startswith(b"ACK") and bool(still_lost) and bool(still_lost.pop()))
    alice, bob = wire.node("a", Callee()), wire.node("b", Callee())
    alice.place(plan_to("b"))
    wire.run(until=600.0)

    assert still_lost == []
    assert (len(alice.happened(Ended)), len(bob.happened(Ended))) == (0, 0)
    assert alice.ua.counts["dialogs"] == bob.ua.counts["dialogs"] == 1
