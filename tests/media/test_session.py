import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop

from sipflow.audio.codecs import PCMU_CODEC
from sipflow.audio.tones import dtmf_pcm
from sipflow.errors import MediaError
from sipflow.media.pacer import Pacer
from sipflow.media.ports import PortPool
from sipflow.media.session import MediaSession
from sipflow.media.settings import Settings
from sipflow.media.statistics import MediaStatistics
from sipflow.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    build_compound,
    parse_compound,
)
from sipflow.rtp.source import ReceptionReport
from sipflow.sdp.agreement import Codec
from tests.media.stage import HOST, SILENCE, Stage, heard, packet, pcm, settle, speech, until, waiting


async def test_statistics_are_there_before_the_start_and_after_the_end() -> None:
    stage = Stage()
    assert stage.session.statistics() == MediaStatistics()

    async with stage:
        stage.session.enqueue(pcm(1))
        stage.tick(2)
        for n in range(3):
            stage.peer.send(stage.port, n, speech(n))
        await settle()
        stage.session.close()

        statistics = stage.session.statistics()
        first, last = statistics.first_packet_at, statistics.last_packet_at
        assert first is not None
        assert last is not None
        assert first <= last
        assert statistics.opinion is not None
        unmeasured = replace(statistics, jitter_ms=0.0, first_packet_at=None, last_packet_at=None, opinion=None)
        assert unmeasured == MediaStatistics(
            codec="PCMU",
            packets_sent=2,
            bytes_sent=320,
            packets_received=3,
            bytes_received=480,
            played_ms=20,
        )


async def test_closing_gives_the_ports_back_once_and_stops_everything() -> None:
    async with Stage() as stage:
        stage.session.close()
        stage.session.close()

        assert (stage.session.closed, stage.pacer.members) == (True, {})
        counts = stage.ports.counts(now=0.0)
        assert (counts.lent, counts.draining) == (0, 1)
        assert repr(stage.session) == f"MediaSession(port {stage.port})"


async def test_a_session_that_was_never_started_gives_its_ports_back_too() -> None:
    stage = Stage()
    stage.session.close()

    assert stage.ports.counts(now=0.0).lent == 0
    with pytest.raises(MediaError, match="is closed"):
        stage.session.start(stage.agreed())
    async with asyncio.timeout(1):
        assert [frame async for frame in stage.session.frames()] == []
    stage.ports.close()
    stage.peer.close()


async def test_starting_twice_and_updating_before_the_start_are_refused() -> None:
    stage = Stage()
    with pytest.raises(MediaError, match="is not started"):
        stage.session.update(stage.agreed())
    async with stage:
        with pytest.raises(MediaError, match="is started already"):
            stage.session.start(stage.agreed())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"remote_host": "media.example.com"}, "is not an IP address"),
        ({"remote_host": "::1"}, "cannot reach"),
        ({"codec": Codec("G729", 8000, payload_type=18)}, "no codec G729/8000"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_changes_nothing(change: dict[str, Any], why: str) -> None:
    async with Stage() as stage:
        before = stage.session.agreed

        with pytest.raises(MediaError, match=why):
            stage.session.update(replace(stage.agreed(), **change))
        stage.tick()

        assert stage.session.agreed is before
        assert stage.peer.received() == [packet(0, SILENCE, marker=True)]


async def test_the_peers_silence_is_reported_but_not_on_hold() -> None:
    silences: list[float] = []
    async with Stage(settings=Settings(rtp_timeout_s=0.05), on_silent=silences.append) as stage:
        stage.session.update(stage.held())
        for _ in range(5):
            stage.listen(2)
            await asyncio.sleep(0.03)
        assert (silences, stage.session.silent_s(now=1e9)) == ([], 0.0)

        stage.session.update(stage.agreed())
        stage.listen(5)
        await until(lambda: silences)

    assert silences[0] >= 0.05


async def test_a_peer_that_speaks_is_not_silent() -> None:
    async with Stage() as stage:
        stage.say(1)
        last = stage.session.statistics().last_packet_at

        assert last is not None
        assert stage.session.silent_s(now=last + 5.0) == pytest.approx(5.0)


async def test_ipv6_works_the_same() -> None:
    async with Stage(settings=Settings(bind_host="::1"), host="::1") as stage:
        reader = stage.session.frames()
        stage.say(0, 1, 2, 3)

        assert await waiting(reader) == [heard(0), heard(1), heard(2), heard(3)]
        stage.tick()
        assert stage.peer.received() == [packet(0, SILENCE, marker=True)]
        assert stage.session.statistics().strays == 0


async def _echoed() -> tuple[list[bytes], MediaStatistics]:
    """Echo fifteen packets of a peer through a reader task and a running pacer."""
    ports = PortPool(22000, 31998, bind_host=HOST, drain_s=0.0)
    pacer = Pacer()
    session = MediaSession(ports.lend(now=0.0), pacer, ports=ports)
    stage = Stage()
    stage.session.close()
    session.start(stage.agreed())

    async def echo() -> None:
        async for frame in session.frames():
            session.enqueue(frame.pcm, cushion_ms=40)

    echoing = asyncio.ensure_future(echo())
    await asyncio.sleep(0)
    payloads: list[bytes] = []
    begun = time.monotonic()
    for n in range(15):
        stage.peer.send(session.pair.port, n, speech(n + 1))
        await asyncio.sleep(max(begun + 0.02 * (n + 1) - time.monotonic(), 0.0))
        payloads += [sent.payload for sent in stage.peer.received()]
    while time.monotonic() < begun + 0.6:
        await asyncio.sleep(0.02)
        payloads += [sent.payload for sent in stage.peer.received()]
    session.close()
    await echoing
    pacer.close()
    ports.close()
    stage.ports.close()
    stage.peer.close()
    return payloads, session.statistics()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_echo_comes_back_whole_and_in_order(
    run: Callable[[Coroutine[Any, Any, tuple[list[bytes], MediaStatistics]]], tuple[list[bytes], MediaStatistics]],
) -> None:
    payloads, statistics = run(_echoed())
    said = [speech(n + 1) for n in range(15)]

    back = [payload for payload in payloads if payload in said]
    assert back == [payload for payload in said if payload in back]
    assert len(back) >= 12  # on a machine that stands still meanwhile, a frame may be made up, and its neighbour faded
    assert (statistics.packets_received, statistics.lost, statistics.strays) == (15, 0, 0)


async def test_a_session_is_recorded_with_both_voices_until_it_closes(tmp_path: Path) -> None:
    async with Stage() as stage:
        recording = await stage.session.record(tmp_path / "call.wav")
        for n in range(1, 4):
            stage.peer.send(stage.port, n, speech(n))
            stage.session.enqueue(pcm(100 + n))
            stage.tick()
        stage.session.close()
        await recording.stop()

    sound = (tmp_path / "call.wav").read_bytes()[44:]
    left = b"".join(sound[at : at + 2] for at in range(0, len(sound), 4))
    right = b"".join(sound[at : at + 2] for at in range(2, len(sound), 4))
    assert left == b"".join(heard(n).pcm for n in range(1, 4))
    assert right == b"".join(pcm(100 + n) for n in range(1, 4))


async def test_a_recording_that_is_stopped_leaves_the_session_alone(tmp_path: Path) -> None:
    async with Stage() as stage:
        recording = await stage.session.record(tmp_path / "call.wav")
        stage.tick()
        await recording.stop()
        stage.tick()

        assert (stage.session._playout.sinks, stage.session._outbound.taps) == ((), ())
        assert recording.duration_ms == 20


async def test_tones_in_the_audio_are_digits_while_somebody_listens_for_them() -> None:
    digits: list[str] = []
    async with Stage() as stage:
        stage.session.hear_tones(digits.append)
        tones = dtmf_pcm("5#", on_ms=100, off_ms=100)
        for n in range(len(tones) // 320):
            stage.peer.send(stage.port, n, PCMU_CODEC.encode(tones[320 * n : 320 * n + 320]))
            stage.listen()
        stage.session.hear_tones(None)

        assert digits == ["5", "#"]
        assert stage.session._playout.sinks == ()


async def test_reports_go_to_the_peers_rtcp_port_and_its_own_are_read() -> None:
    async with Stage() as stage:
        rtcp = stage.another_peer()
        stage.session.update(replace(stage.agreed(), remote_rtcp_port=rtcp.port))
        stage.say(1, 2, 3)
        stage.tick()
        stage.pacer.now += 10
        stage.session._reporting._report()
        (report, description) = parse_compound(rtcp.socket.recv(2048))
        assert isinstance(report, SenderReport)
        assert isinstance(description, SourceDescription)
        assert (report.packets, report.octets, [block.ssrc for block in report.reports]) == (1, 160, [7])

        answer = ReceptionReport(report.ssrc, 0, 3, 1, 80, report.ntp_time >> 16 & 0xFFFFFFFF, 0)
        rtcp.send_raw(stage.port + 1, build_compound([ReceiverReport(7, (answer,))]))
        stage.read()
        statistics = stage.session.statistics()
        assert (statistics.rtcp_sent, statistics.rtcp_received, statistics.remote_lost) == (1, 1, 3)
        assert statistics.remote_jitter_ms == 10.0
        assert statistics.round_trip_ms is not None

        stage.session.close()
        assert isinstance(parse_compound(rtcp.socket.recv(2048))[-1], Goodbye)
