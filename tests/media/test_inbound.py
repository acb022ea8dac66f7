import asyncio
import random
from dataclasses import replace
from typing import Any

from sipflow.audio.codecs import PCMA_CODEC, PCMU_CODEC
from sipflow.audio.frame import Frame
from sipflow.audio.tones import level_dbfs
from sipflow.media.settings import Settings
from sipflow.rtp.packet import header
from sipflow.rtp.telephone_event import encode_event
from sipflow.sdp.agreement import PCMA
from tests.media.stage import PTIME_BYTES, SILENCE, Stage, heard, speech, waiting

SILENT = Frame(PCMU_CODEC.decode(SILENCE), 8000)


# Receiving


async def test_what_the_peer_says_comes_as_frames() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(0, 1, 2)

        assert await waiting(reader) == [heard(0), heard(1), heard(2)]


async def test_frames_end_when_the_session_closes() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1)
        stage.session.close()

        assert [frame async for frame in reader] == [heard(1)]
        assert [frame async for frame in stage.session.frames()] == []


async def test_readers_are_independent_and_begin_when_they_are_made() -> None:
    async with Stage() as stage:
        first = stage.session.frames()
        stage.say(1)
        second = stage.session.frames()
        stage.say(2)

        assert await waiting(second) == [heard(2)]
        assert await waiting(first) == [heard(1), heard(2)]


async def test_a_reader_that_is_dropped_collects_no_more() -> None:
    async with Stage() as stage:
        stage.session.frames()
        stage.say(1)

        assert stage.session._playout.sinks == ()


async def test_what_comes_under_the_peers_own_numbers_is_heard_like_what_comes_under_ours() -> None:
    async with Stage() as stage:
        stage.session.update(replace(stage.agreed(), send_payload_type=107, telephone_event_send=96))
        reader = stage.session.frames()
        stage.say(1, payload_type=107)
        stage.say(2)
        digit = encode_event("5")[0].payload
        stage.peer.send(stage.port, 3, digit, payload_type=96)
        stage.peer.send(stage.port, 4, speech(4), payload_type=100)
        stage.listen(2)

        assert (await waiting(reader))[:2] == [heard(1), heard(2)]
        assert (stage.session.statistics().unexpected, stage.session.statistics().digits_received) == (1, 1)


async def test_a_slow_reader_loses_the_oldest_frames() -> None:
    async with Stage(settings=Settings(queue_frames=2)) as stage:
        reader = stage.session.frames()
        stage.say(0, 1, 2, 3, 4)

        assert await waiting(reader) == [heard(3), heard(4)]
        assert reader.newly_lost() == 3


async def test_packets_that_overtook_each_other_are_put_in_order() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1)
        for n in (3, 2):
            stage.peer.send(stage.port, n, speech(n))
        stage.listen(2)
        stage.say(4)

        assert await waiting(reader) == [heard(1), heard(2), heard(3), heard(4)]


async def test_a_lost_packet_is_made_up_for_so_that_time_stays_true() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1)
        stage.listen()
        stage.say(3, 4)

        frames = await waiting(reader)
        assert [len(frame.pcm) for frame in frames] == [2 * PTIME_BYTES] * 4
        assert (frames[0], frames[3]) == (heard(1), heard(4))  # the third is faded in
        assert frames[1] not in (SILENT, heard(1), heard(3))
        statistics = stage.session.statistics()
        assert (statistics.lost, statistics.concealed_ms) == (1, 20)


async def test_a_silence_of_the_peer_is_silence_to_the_reader() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1)
        stage.listen(30)

        frames = await waiting(reader)
        assert len(frames) == 31
        assert frames[-1] == SILENT


async def test_before_the_first_packet_there_is_nothing() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.listen(10)

        assert await waiting(reader) == []


async def test_a_late_packet_and_a_duplicate_are_dropped_and_counted() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        for n in (1, 2, 2):
            stage.peer.send(stage.port, n, speech(n))
        stage.listen(2)
        stage.listen()
        stage.say(4, 5)
        stage.peer.send(stage.port, 3, speech(3))
        stage.listen()

        frames = await waiting(reader)
        assert [frame for frame in frames if frame in map(heard, range(1, 7))] == [heard(n) for n in (1, 2, 5)]
        statistics = stage.session.statistics()
        assert (statistics.packets_received, statistics.duplicates, statistics.late, statistics.lost) == (6, 1, 1, 0)


async def test_an_empty_packet_keeps_the_stream_alive_and_carries_no_frame() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1)
        stage.peer.send(stage.port, 2, b"", at=PTIME_BYTES)
        stage.say(3, at=2 * PTIME_BYTES)

        assert await waiting(reader) == [heard(1), heard(3)]


async def test_a_peer_that_restarts_is_heard_from_its_second_packet_on() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1, 2)
        stage.say(40000, 40001, 40002, 40003)
        stage.listen(2)

        frames = await waiting(reader)

        assert frames[:2] == [heard(1), heard(2)]
        known = [heard(n & 0x7F) for n in (40000, 40001, 40002, 40003)]
        assert [frame for frame in frames[2:] if frame in known] == known[2:]  # 40001 is faded in


async def test_extension_and_padding_are_no_audio() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        head = bytes([0xB0]) + header(0, 1, PTIME_BYTES, 7)[1:]
        stage.peer.send_raw(stage.port, head + b"\xbe\xde\x00\x01abcd" + speech(5) + b"\x00\x02")
        stage.listen()

        assert await waiting(reader) == [heard(5)]


async def test_what_is_no_rtp_is_counted_and_harms_nothing() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        for data in (b"", b"x", b"\x80" * 11, b"\x00" * 40, b"\xff" * 30, b"\x8f\x00" + b"\x00" * 20):
            stage.peer.send_raw(stage.port, data)
        stage.listen(2)
        stage.say(1)

        assert await waiting(reader) == [heard(1)]
        assert (stage.session.statistics().malformed, stage.session.statistics().unexpected) == (6, 0)


async def test_a_payload_type_that_was_not_agreed_is_dropped_but_is_a_sign_of_life() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1, payload_type=77)

        assert await waiting(reader) == []
        statistics = stage.session.statistics()
        assert (statistics.unexpected, statistics.packets_received) == (1, 0)
        assert statistics.last_packet_at is not None


async def test_what_a_peer_goes_on_sending_while_it_is_held_is_no_loss() -> None:
    async with Stage() as stage:
        stage.say(1, 2, 3)
        stage.session.update(replace(stage.agreed(), receives=False))
        stage.say(*range(4, 10))
        stage.session.update(stage.agreed())
        stage.say(10, 12)

        found = stage.session.statistics()
        assert (found.packets_received, found.lost, found.unexpected) == (5, 1, 6)


async def test_the_noise_of_the_peers_room_is_heard_while_it_is_silent_rfc3389() -> None:
    async with Stage() as stage:
        stage.session.update(replace(stage.agreed(), comfort_noise_receive=13))
        reader = stage.session.frames()
        stage.say(1)
        stage.peer.send(stage.port, 2, bytes([40]), payload_type=13)
        stage.listen(30)
        stage.peer.send(stage.port, 3, speech(9), at=32 * PTIME_BYTES)
        stage.listen(2)

        frames = await waiting(reader)
        levels = [level_dbfs(frame.pcm) for frame in frames[10:25]]
        assert all(-45 < level < -35 for level in levels)
        assert frames[0] == heard(1)
        assert heard(9).pcm[200:] in [frame.pcm[200:] for frame in frames[25:]]  # its first samples are faded in
        statistics = stage.session.statistics()
        assert (statistics.lost, statistics.unexpected) == (0, 0)


async def test_every_agreed_codec_is_understood_without_asking() -> None:
    async with Stage() as stage:
        agreed = stage.agreed()
        stage.session.update(replace(agreed, receivable=((0, agreed.codec), (8, PCMA))))
        reader = stage.session.frames()
        stage.say(1)
        stage.say(2, payload_type=8)
        stage.say(3)

        assert await waiting(reader) == [heard(1), Frame(PCMA_CODEC.decode(speech(2)), 8000), heard(3)]


async def test_a_codec_that_changes_while_packets_wait_loses_none_of_them() -> None:
    async with Stage() as stage:
        agreed = stage.agreed()
        stage.session.update(replace(agreed, receivable=((0, agreed.codec), (8, PCMA))))
        reader = stage.session.frames()
        for n in (1, 2, 3):
            stage.peer.send(stage.port, n, speech(n))
        stage.peer.send(stage.port, 4, speech(4), payload_type=8)
        stage.listen()
        stage.listen(3)

        frames = await waiting(reader)
        assert frames[:4] == [heard(1), heard(2), heard(3), Frame(PCMA_CODEC.decode(speech(4)), 8000)]


async def test_no_datagram_raises_whatever_is_in_it() -> None:
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    chance = random.Random(26)
    async with Stage() as stage:
        stage.session.frames()
        for n in range(1500):
            start = header(chance.choice((0, 0, 101, 8, 72)), n, chance.randrange(2**32), chance.choice((7, 7, 8)))
            data = bytearray(start + chance.randbytes(chance.choice((0, 1, 3, 4, 160, 1400))))
            for _ in range(chance.choice((0, 0, 1, 3))):
                data[chance.randrange(len(data))] = chance.randrange(256)
            stage.peer.send_raw(stage.port + chance.choice((0, 0, 0, 1)), bytes(data[: chance.choice((9, 2048))]))
            if n % 3 == 0:
                stage.listen()
        statistics = stage.session.statistics()

    assert errors == []
    assert statistics.packets_received > 100


# The latch


async def test_a_peer_behind_nat_is_found_and_sent_to() -> None:
    async with Stage() as stage:
        nat = stage.another_peer()
        reader = stage.session.frames()
        stage.say(1, 2, 3, 4, peer=nat)

        assert await waiting(reader) == [heard(3), heard(4)]
        stage.tick()

        assert (len(nat.received()), stage.peer.received()) == (1, [])


async def test_a_stranger_in_mid_call_is_neither_heard_nor_sent_to() -> None:
    async with Stage() as stage:
        stranger = stage.another_peer()
        reader = stage.session.frames()
        stage.say(1, 2, 3)
        for n in range(1, 30):
            stranger.send(stage.port, n, speech(99))
            stranger.send(stage.port, n, speech(99), ssrc=666)
            stranger.send(stage.port, n, encode_event("5")[0].payload, payload_type=101)
        stage.read()
        stage.say(4)

        assert await waiting(reader) == [heard(1), heard(2), heard(3), heard(4)]
        stage.tick(2)
        assert stranger.received() == []
        statistics = stage.session.statistics()
        assert (statistics.strays, statistics.digits_received, statistics.packets_received) == (87, 0, 4)


async def test_the_address_in_sdp_wins_over_an_early_stranger() -> None:
    async with Stage() as stage:
        stranger = stage.another_peer()
        stage.say(1, 2, peer=stranger)
        reader = stage.session.frames()
        stage.say(1, 2, 3)
        for n in range(3, 30):
            stranger.send(stage.port, n, speech(99))
        stage.read()

        assert await waiting(reader) == [heard(1), heard(2), heard(3)]
        stage.tick()
        assert (len(stage.peer.received()), stranger.received()) == (1, [])


async def test_a_forged_ssrc_from_the_peers_own_address_is_not_heard_while_the_peer_speaks() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        for n in range(1, 20):
            if n > 3:
                stage.peer.send(stage.port, 500 + n, speech(99), ssrc=666)
            stage.say(n)

        assert await waiting(reader) == [heard(n) for n in range(1, 20)]


async def test_a_peer_that_changes_its_ssrc_is_heard_again_from_its_third_packet_on() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1, 2, 3)
        stage.say(*range(100, 105), ssrc=8)

        frames = await waiting(reader)
        assert [frame for frame in frames if frame in map(heard, (*range(1, 4), *range(100, 105)))] == [
            heard(n) for n in (1, 2, 3, 103, 104)
        ]


async def test_a_peer_that_moved_is_found_by_its_ssrc_after_silence() -> None:
    async with Stage(settings=Settings(latch_silent_s=0.05)) as stage:
        moved = stage.another_peer()
        reader = stage.session.frames()
        stage.say(1, 2, 3, 4)
        stage.listen(3)
        stage.say(*range(7, 12), peer=moved)
        stage.listen(2)

        frames = [frame for frame in await waiting(reader) if frame in map(heard, range(7, 12))]
        assert frames == [heard(10), heard(11)]
        stage.tick()
        assert (len(moved.received()), stage.peer.received()) == (1, [])


# Digits and RTCP


async def test_a_digit_is_told_once_and_leaves_no_hole_in_the_sequence() -> None:
    digits: list[str] = []
    async with Stage(on_digit=digits.append) as stage:
        reader = stage.session.frames()
        stage.say(1)
        plan = encode_event("7", duration_ms=60)
        for n, event in enumerate(plan):
            stage.peer.send(stage.port, 2 + n, event.payload, payload_type=101, at=2 * PTIME_BYTES)
            stage.read()
        stage.listen(3)
        stage.say(2 + len(plan), at=(2 + 3) * PTIME_BYTES)
        stage.listen(2)

        frames = await waiting(reader)
        assert [frame for frame in frames if frame in (heard(1), heard(2 + len(plan)))] == [
            heard(1),
            heard(2 + len(plan)),
        ]
        assert digits == ["7"]
        assert (stage.session.statistics().digits_received, stage.session.statistics().lost) == (1, 0)


async def test_a_digit_without_an_audience_is_no_error() -> None:
    async with Stage() as stage:
        stage.peer.send(stage.port, 1, encode_event("#")[0].payload, payload_type=101)
        stage.read()

        assert stage.session.statistics().digits_received == 1


async def test_rtcp_is_counted_and_a_forged_bye_ends_nothing() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        bye = b"\x81\xcb\x00\x01" + (7).to_bytes(4, "big")
        stage.peer.send_raw(stage.port + 1, bye)
        stage.peer.send_raw(stage.port + 1, b"\x80\xc9\x00\x01" + bytes(4))
        stage.peer.send_raw(stage.port + 1, b"garbage")
        stage.say(1)

        assert await waiting(reader) == [heard(1)]
        statistics = stage.session.statistics()
        assert (statistics.rtcp_received, statistics.malformed) == (2, 1)


async def test_rtcp_on_the_rtp_port_is_told_apart_when_that_was_agreed() -> None:
    async with Stage() as stage:
        report = b"\x80\xc9\x00\x01" + bytes(8)
        stage.peer.send_raw(stage.port, report)
        stage.read()
        stage.session.update(replace(stage.agreed(), rtcp_mux=True))
        stage.peer.send_raw(stage.port, report)
        stage.read()

        statistics = stage.session.statistics()
        assert (statistics.unexpected, statistics.rtcp_received) == (1, 1)
