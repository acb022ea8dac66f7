import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from sipflow.audio.codecs import OPUS_CODEC, PCMU_CODEC
from sipflow.audio.tones import dtmf_pcm, level_dbfs, sine
from sipflow.errors import MediaError
from sipflow.media.inbound import Inbound
from sipflow.media.pacer import Pacer
from sipflow.media.ports import PortPool
from sipflow.media.session import MediaSession
from sipflow.media.settings import Settings
from sipflow.media.statistics import MediaStatistics
from sipflow.rtp.packet import header
from sipflow.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    build_compound,
    parse_compound,
)
from sipflow.rtp.source import ReceptionReport
from sipflow.rtp.srtp import SrtpSession
from sipflow.rtp.telephone_event import encode_event
from sipflow.sdp.agreement import Codec, SrtpKeys
from sipflow.sdp.codecs import OPUS
from tests.media.stage import HOST, SILENCE, Peer, Stage, heard, packet, pcm, settle, speech, until, waiting

KEYS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"o" * 30, b"t" * 30)


def tone(rate_hz: int, ms: int = 200, *, hz: int = 440) -> list[bytes]:
    """Packet times of a sine."""
    sound = sine(hz, ms, sample_rate_hz=rate_hz)
    size = rate_hz // 50 * 2
    return [sound[at : at + size] for at in range(0, len(sound), size)]


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
        ({"codec": OPUS, "receive_payload_type": 111, "srtp": replace(KEYS, send_key=b"short")}, "5 bytes"),
    ],
)
async def test_what_cannot_be_done_is_refused_and_changes_nothing(change: dict[str, Any], why: str) -> None:
    async with Stage() as stage:
        before = stage.session.agreed
        reader = stage.session.frames()

        with pytest.raises(MediaError, match=why):
            stage.session.update(replace(stage.agreed(), **change))
        stage.peer.send(stage.port, 1, speech(1))
        stage.tick()

        assert stage.session.agreed is before
        assert stage.peer.received() == [packet(0, SILENCE, marker=True)]
        assert await waiting(reader) == [heard(1)]


async def test_the_peers_silence_is_reported_but_not_on_hold() -> None:
    silences: list[float] = []
    async with Stage(settings=Settings(rtp_timeout_s=0.05), on_silent=silences.append) as stage:
        stage.session.update(stage.held())
        for _ in range(5):
            stage.listen(2)
            await asyncio.sleep(0.03)
        assert (silences, stage.session.silent_s(now=1e9)) == ([], 0.0)
        stage.session.update(replace(stage.agreed(), receives=False))  # we hold
        stage.listen(50)
        await asyncio.sleep(0.1)
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


async def test_another_packet_time_for_what_we_send_leaves_the_pace_of_what_comes_alone() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1, 2, 3)
        stage.session.update(replace(stage.agreed(), ptime_ms=40))
        stage.say(4, 5, 6)

        assert (stage.pacer.members[stage.session._outbound], stage.pacer.hearing[stage.session._playout]) == (40, 20)
        assert await waiting(reader) == [heard(n) for n in range(1, 7)]


async def test_a_change_of_codec_goes_on_in_every_listener_and_in_the_recording(tmp_path: Path) -> None:
    digits: list[str] = []
    encoder = OPUS_CODEC.new_encoder()
    async with Stage() as stage:
        reader = stage.session.frames().at(8000)
        recording = await stage.session.record(tmp_path / "call.wav")
        stage.session.hear_tones(digits.append)
        for n, pcm_8k in enumerate(tone(8000, 400)):
            stage.peer.send(stage.port, n, PCMU_CODEC.encode(pcm_8k), at=160 * n)
            stage.session.enqueue(pcm_8k)
            stage.tick()
        stage.session.update(
            replace(stage.agreed(), codec=OPUS, send_payload_type=111, receive_payload_type=111)
        )  # fmt: skip
        for n, pcm_16k in enumerate(tone(16000, 400), 20):
            stage.peer.send(stage.port, n, encoder.encode(pcm_16k), payload_type=111, at=3200 + 960 * (n - 20))
            stage.session.enqueue(pcm_16k)
            stage.tick()
        sent = stage.peer.received()
        frames = await waiting(reader)
        pressed = dtmf_pcm("7", on_ms=100, off_ms=100, sample_rate_hz=16000)
        for n in range(len(pressed) // 640):
            payload = encoder.encode(pressed[640 * n : 640 * n + 640])
            stage.peer.send(stage.port, 40 + n, payload, payload_type=111, at=3200 + 960 * (20 + n))
            stage.tick()
        await recording.stop()
        statistics = stage.session.statistics()

    assert digits == ["7"]
    assert (statistics.lost, statistics.late) == (0, 0)
    assert [after.timestamp - before.timestamp for before, after in pairwise(sent)] == [160] * 20 + [960] * 19
    assert [after.sequence - before.sequence for before, after in pairwise(sent)] == [1] * 39
    assert {frame.sample_rate_hz for frame in frames} == {8000}
    assert 760 <= sum(frame.duration_ms for frame in frames) <= 800
    stereo = np.frombuffer((tmp_path / "call.wav").read_bytes()[44:], "<i2").reshape(-1, 2)
    assert len(stereo) == 8 * (400 + 400 + 200)
    for voice in (0, 1):
        levels = [level_dbfs(stereo[at : at + 400, voice].tobytes()) for at in range(400, 5600, 400)]
        assert max(levels) - min(levels) < 4


async def test_a_hold_and_a_reinvite_leave_codec_and_jitter_buffer_as_they_were() -> None:
    encoder = OPUS_CODEC.new_encoder()
    async with Stage() as stage:
        opus = replace(stage.agreed(), codec=OPUS, send_payload_type=111, receive_payload_type=111)
        stage.session.update(opus)
        packets = [encoder.encode(pcm_16k) for pcm_16k in tone(16000, 400)]
        for n in range(10):
            stage.peer.send(stage.port, n, packets[n], payload_type=111, at=960 * n)
            stage.tick()
        playout = stage.session._playout
        decoder, buffer = playout._decoder, playout.buffer
        stage.session.update(replace(opus, sends=False, receives=False))
        stage.tick(100)
        stage.session.update(replace(opus, fmtp_receive="useinbandfec=1"))
        for n in range(10, 20):
            stage.peer.send(stage.port, n, packets[n], payload_type=111, at=960 * (n + 100))
            stage.tick()

        assert (playout._decoder, playout.buffer) == (decoder, buffer)
        assert (stage.session.statistics().lost, stage.session.statistics().late) == (0, 0)


async def test_a_packet_that_cannot_be_encrypted_is_lost_and_neither_marks_nor_recordings_wait_for_it(
    tmp_path: Path,
) -> None:
    def refuse(packet: bytes) -> bytes:
        raise MediaError("too long")

    async with Stage() as stage:
        recording = await stage.session.record(tmp_path / "call.wav")
        stage.session._outbound.protect = refuse
        stage.session.enqueue(pcm(1))
        mark = stage.session.mark()
        stage.tick(2)

        assert mark.done()
        assert (recording.duration_ms, stage.session.statistics().send_errors) == (40, 2)


async def test_a_session_may_be_closed_by_whoever_is_told_of_a_digit() -> None:
    stage = Stage(on_digit=lambda _digit: stage.session.close())
    async with stage:
        reader = stage.session.frames()
        stage.say(1, 2, 3)
        stage.peer.send(stage.port, 4, encode_event("5")[0].payload, payload_type=101)
        stage.tick(2)

        assert stage.session.closed
        assert (stage.pacer.poller.failed, stage.ports.counts(now=0.0).lent) == (0, 0)
        assert [frame async for frame in reader] == [heard(1), heard(2), heard(3)]


async def test_a_session_may_be_closed_by_whoever_hears_a_tone(tmp_path: Path) -> None:
    async with Stage() as stage:
        stage.session.hear_tones(lambda _digit: stage.session.close())
        recording = await stage.session.record(tmp_path / "call.wav")
        tones = dtmf_pcm("5", on_ms=100, off_ms=100)
        for n in range(len(tones) // 320):
            stage.peer.send(stage.port, n, PCMU_CODEC.encode(tones[320 * n : 320 * n + 320]))
            stage.tick()
        await recording.stop()

        assert stage.session.closed
        assert 0 < recording.duration_ms < 200


async def test_a_tone_that_is_pressed_during_a_reinvite_is_one_digit() -> None:
    digits: list[str] = []
    hear = digits.append
    async with Stage() as stage:
        stage.session.hear_tones(hear)
        tones = dtmf_pcm("5", on_ms=200, off_ms=100)
        for n in range(len(tones) // 320):
            stage.peer.send(stage.port, n, PCMU_CODEC.encode(tones[320 * n : 320 * n + 320]))
            stage.listen()
            stage.session.hear_tones(hear)

    assert digits == ["5"]


async def test_without_calls_soon_no_timer_runs_and_no_socket_is_watched() -> None:
    ports = PortPool(22000, 31998, bind_host=HOST, drain_s=0.0)
    pacer = Pacer()
    stage = Stage()
    stage.session.close()
    session = MediaSession(ports.lend(now=0.0), pacer, ports=ports)
    session.start(stage.agreed())
    await asyncio.sleep(0.05)
    session.close()

    assert (pacer.due_at, len(pacer.poller)) == (inf, 0)
    await until(lambda: pacer._timer is None)
    pacer.close()
    assert pacer.poller._epoll is None
    ports.close()
    stage.ports.close()
    stage.peer.close()


async def test_another_source_and_another_address_are_heard_under_the_same_keys() -> None:
    theirs = SrtpSession(replace(KEYS, send_key=KEYS.receive_key, receive_key=KEYS.send_key))
    async with Stage() as stage:
        encrypted = replace(stage.agreed(), srtp=KEYS)
        stage.session.update(encrypted)
        reader = stage.session.frames()

        def say(peer: Peer, ssrc: int, *numbers: int) -> None:
            for n in numbers:
                peer.send_raw(stage.port, theirs.protect(header(0, n, 160 * n, ssrc) + speech(n & 0x7F)))
                stage.tick()

        say(stage.peer, 7, *range(10))
        say(stage.peer, 8, *range(40000, 40010))
        elsewhere = stage.another_peer()
        stage.session.update(replace(encrypted, remote_rtp_port=elsewhere.port))
        say(elsewhere, 8, *range(40010, 40020))
        sent = [theirs.unprotect(data) for data in (elsewhere.socket.recv(2048) for _ in range(10))]
        said = [frame.pcm for frame in await waiting(reader)]

        assert stage.session.statistics().unauthentic == 0
        for first, last in ((0, 9), (40002, 40009), (40010, 40018)):
            expected = [heard(n & 0x7F).pcm for n in range(first + 1, last + 1)]
            assert len([pcm for pcm in expected if pcm in said]) >= len(expected) - 1
        assert None not in sent


async def test_a_closed_session_is_forgotten_without_collecting_garbage() -> None:
    stage = Stage()
    stage.session.start(stage.agreed())
    stage.say(1, 2)
    stage.tick()
    stage.session.close()
    await settle()
    left = weakref.ref(stage.session)
    gc.disable()
    try:
        del stage.session
        assert left() is None
    finally:
        gc.enable()
        stage.ports.close()
        stage.peer.close()


async def test_of_a_session_that_heard_nothing_no_receiver_waits_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    stage = Stage()
    try:
        stage.session.start(stage.agreed())
        stage.session.close()
        await settle()
        del stage.session
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = [type(each).__name__ for each in gc.garbage if isinstance(each, Inbound)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        stage.ports.close()
        stage.peer.close()

    assert left == []


async def test_somebody_may_listen_to_both_voices_for_a_while() -> None:
    async with Stage() as stage:
        listening = stage.session.listening()
        for n in range(1, 6):
            stage.peer.send(stage.port, n, speech(n))
            stage.session.enqueue(pcm(100 + n))
            stage.tick()
        stage.session.let_go(listening)
        tapped = stage.session.tapped
        stage.tick(10)
        listening.end()
        sound = await listening.more(0.0)

    assert sound[0::4] + sound[1::4] == b"".join(heard(n).pcm[0::2] for n in range(1, 6)) + b"".join(
        heard(n).pcm[1::2] for n in range(1, 6)
    )
    assert sound[2:4] == pcm(101)[:2]
    assert (tapped, len(sound), await listening.more(0.0)) == (False, 5 * 160 * 4, b"")


async def test_listening_ends_with_the_session() -> None:
    async with Stage() as stage:
        listening = stage.session.listening()
        stage.session.close()
        late = stage.session.listening()

        assert (listening.ended, late.ended) == (True, True)
