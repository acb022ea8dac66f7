"""What went wrong with audio elsewhere: hold, marks, digits, packets of odd sizes, stalls, ports used again early."""

import asyncio
import gc
import time
import weakref
from dataclasses import replace

import pytest

from sipflow.audio.codecs import PCMA_CODEC
from sipflow.errors import PortsExhausted
from sipflow.media.pacer import Pacer
from sipflow.media.ports import PortPool
from sipflow.media.session import MediaSession
from sipflow.media.settings import Settings
from sipflow.rtp.packet import header
from sipflow.rtp.srtp import SrtpSession
from sipflow.sdp.agreement import PCMA, SrtpKeys
from tests.media.stage import HOST, FinePacer, Stage, free_ports, heard, pcm, settle, speech, until, waiting
from tests.media.test_pacer import Stream, ticks
from tests.rtp.test_telephone_event import heard as digits_heard
from tests.rtp.test_telephone_event import packet as event
from tests.rtp.test_telephone_event import press


async def test_hold_and_the_rtp_watchdog_siphon_ai_402() -> None:
    silences: list[float] = []
    async with Stage(settings=Settings(rtp_timeout_s=0.05), on_silent=silences.append) as stage:
        stage.session.update(stage.held())
        stage.listen(50)
        await asyncio.sleep(0.15)
        assert silences == []
        stage.session.update(stage.agreed())
        stage.listen(5)
        await until(lambda: silences)  # and it watches again afterwards


async def test_still_transmits_while_the_peer_holds_siphon_ai_417() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(5, ms=60))
        stage.tick()
        stage.peer.received()
        stage.session.update(replace(stage.agreed(), sends=False))
        stage.tick(50)

        assert stage.peer.received() == []


async def test_marks_fire_wrong_after_clear_siphon_ai_365_366() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(5, ms=20))
        early = stage.session.mark()
        stage.session.enqueue(pcm(6, ms=200))
        late = stage.session.mark()
        stage.tick()
        sent_ms = stage.session.clear()
        stage.session.enqueue(pcm(7, ms=20))
        after = stage.session.mark()
        assert (early.result(), late.result(), sent_ms, after.done()) == (True, False, 20, False)
        stage.tick()

        assert after.result() is True
        assert [each.payload[0] for each in stage.peer.received()] == [5, 7]


def test_marker_less_2833_hass_sip_pr_24() -> None:
    assert digits_heard([event(3, 1000, 480), event(3, 1000, 640), event(3, 1000, 800, end=True)]) == "3"


def test_duplicate_2833_rustpbx_pr_255() -> None:
    assert digits_heard([each for one in press(4, 1000) for each in (one, one)] + press(4, 1000)[-1:]) == "4"


async def test_event_loop_stall_pacing_hass_sip_pr_46() -> None:
    pacer, stream = Pacer(catch_up=3), Stream()
    pacer.add(stream)
    await ticks(stream, 1)
    time.sleep(0.3)  # noqa: ASYNC251  (the stall)
    before = len(stream.ticked)
    await ticks(stream, before + 5)
    pacer.close()

    burst = [at for at in stream.ticked if at <= stream.ticked[before] + 0.0601]
    assert len(burst) <= 3 + 1 + 3  # a few are caught up, and then it is 20 ms again
    assert stream.skipped >= 10


@pytest.mark.parametrize("size", [320, 512, 80, 240])
async def test_pcma_frame_size_mismatch_320_vs_512_esphome_94(size: int) -> None:
    pacer = FinePacer()
    async with Stage(pacer=pacer) as stage:
        stage.session.update(replace(stage.agreed(), codec=PCMA, send_payload_type=8, receive_payload_type=8))
        reader = stage.session.frames()
        said = bytes((number * 7 + number // 256) % 256 for number in range(size * 12))
        for at in range(0, len(said), size):
            stage.peer.send(stage.port, at // size, said[at : at + size], payload_type=8, at=at)
            pacer.step(size // 8)  # milliseconds
        pacer.step(200)

        got = b"".join(frame.pcm for frame in await waiting(reader))
        known = PCMA_CODEC.decode(said[size * 4 : size * 10])  # it has learnt how long packets are
        assert known in got


def test_even_rtp_ports_livekit_sip_711() -> None:
    low = free_ports(8)
    pool = PortPool(low + 1, low + 7, bind_host=HOST)
    pairs = [pool.lend(now=0.0) for _ in range(3)]
    pool.close()
    for pair in pairs:
        pool.give_back(pair, now=0.0)

    assert [(pair.port % 2, pair.rtcp_port - pair.port) for pair in pairs] == [(0, 1)] * 3


def test_a_freed_rtp_port_must_drain_before_re_use_livekit_sip_741() -> None:
    assert 10 <= Settings().drain_s <= 30
    low = free_ports(2)
    pool = PortPool(low, low + 1, bind_host=HOST, drain_s=Settings().drain_s)
    pair = pool.lend(now=0.0)
    pool.give_back(pair, now=100.0)
    with pytest.raises(PortsExhausted):
        pool.lend(now=99.9 + Settings().drain_s)
    again = pool.lend(now=100.1 + Settings().drain_s)
    pool.close()
    pool.give_back(again, now=200.0)

    assert again is pair


async def test_an_ssrc_change_racing_close_livekit_sip_539() -> None:
    for closes_first in (False, True):
        async with Stage() as stage:
            reader = stage.session.frames()
            stage.say(1, 2)
            for number in range(4):
                stage.peer.send(stage.port, 100 + number, speech(9), ssrc=8)
            if closes_first:
                stage.session.close()
            stage.listen(6)
            stage.session.close()
            async with asyncio.timeout(2):
                got = [frame async for frame in reader]  # ends, however it was closed

        assert got[:2] == [heard(1), heard(2)]


async def test_resampler_and_srtp_leak_livekit_sip_322_638() -> None:
    left: list[weakref.ref[object]] = []
    gc.disable()
    try:
        for _ in range(3):
            left.append(weakref.ref(await one_encrypted_call_at_16_khz()))
        await settle()
        assert [one() for one in left] == [None] * 3  # at once, without the collector
    finally:
        gc.enable()


async def one_encrypted_call_at_16_khz() -> MediaSession:
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"a" * 30, b"b" * 30)
    far = SrtpSession(SrtpKeys(keys.suite, keys.receive_key, keys.send_key))
    stage = Stage()
    async with stage:
        stage.session.update(replace(stage.agreed(), srtp=keys))
        reader = stage.session.frames().at(16000)
        for number in range(4):
            stage.peer.send_raw(stage.port, far.protect(header(0, number, number * 160, 7) + speech(number)))
            stage.tick()
        assert [frame.sample_rate_hz for frame in await waiting(reader)][:3] == [16000] * 3
    session = stage.session
    del stage.session
    return session
