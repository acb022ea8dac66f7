import asyncio
from dataclasses import replace

import pytest

from sipflow.errors import LocalProtocolError
from sipflow.media.outbound import StreamStart
from sipflow.media.session import MediaSession
from sipflow.media.settings import Settings
from sipflow.rtp.telephone_event import encode_event
from sipflow.sdp.agreement import PCMA
from tests.media.stage import SILENCE, Stage, packet, pcm, settle, speech, waiting


async def test_silence_is_sent_while_nothing_plays() -> None:
    async with Stage() as stage:
        stage.tick(3)

        assert stage.peer.received() == [packet(0, SILENCE, marker=True), packet(1, SILENCE), packet(2, SILENCE)]


async def test_what_is_enqueued_is_sent_in_packets_on_one_time_line() -> None:
    async with Stage() as stage:
        stage.tick()
        stage.session.enqueue(pcm(1) + pcm(2, ms=5))
        stage.tick(3)

        assert stage.peer.received() == [
            packet(0, SILENCE, marker=True),
            packet(1, speech(1)),
            packet(2, bytes([2]) * 40 + b"\xff" * 120),
            packet(3, SILENCE),
        ]


async def test_without_comfort_silence_the_next_words_carry_the_marker_and_the_true_time() -> None:
    async with Stage(settings=Settings(send_silence=False)) as stage:
        stage.tick(5)
        stage.session.enqueue(pcm(1) + pcm(2))
        stage.tick(7)

        assert stage.peer.received() == [
            packet(0, speech(1), marker=True, ticks=5),
            packet(1, speech(2), ticks=6),
        ]


async def test_ticks_that_were_skipped_leave_a_gap_in_the_time_and_none_in_the_sequence() -> None:
    async with Stage() as stage:
        stage.tick()
        for member in stage.pacer.members:
            member.skip(4)
        stage.tick()

        assert stage.peer.received() == [packet(0, SILENCE, marker=True), packet(1, SILENCE, marker=True, ticks=5)]


async def test_sequence_and_timestamp_wrap() -> None:
    async with Stage() as stage:
        session = MediaSession(
            stage.ports.lend(now=0.0),
            stage.pacer,
            ports=stage.ports,
            start=StreamStart(ssrc=1, sequence=0xFFFF, timestamp=0xFFFFFFFF),
        )
        stage.session.close()
        session.start(stage.agreed())
        stage.tick(2)

        assert [(sent.sequence, sent.timestamp) for sent in stage.peer.received()] == [(0xFFFF, 0xFFFFFFFF), (0, 159)]
        session.close()


async def test_random_starts_are_below_the_srtp_limit_and_differ() -> None:
    starts = [StreamStart.random() for _ in range(50)]

    assert len(set(starts)) == 50
    assert all(start.sequence < 0x8000 for start in starts)


async def test_on_hold_nothing_is_sent_and_playing_stands_still() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(1) + pcm(2))
        stage.tick()
        stage.session.update(stage.held())
        stage.tick(10)
        assert stage.session.queued_ms == 20
        stage.session.update(stage.agreed())
        stage.tick()

        assert stage.peer.received() == [
            packet(0, speech(1), marker=True),
            packet(1, speech(2), marker=True, ticks=11),
        ]


async def test_the_old_way_of_holding_sends_nothing_either_and_forgets_nobody() -> None:
    async with Stage() as stage:
        nat = stage.another_peer()
        for n in range(3):
            nat.send(stage.port, n)
        await settle()
        stage.session.update(replace(stage.agreed(), remote_host="0.0.0.0"))
        stage.tick(3)
        assert nat.received() == []

        stage.session.update(stage.agreed())
        stage.tick()
        assert len(nat.received()) == 1


async def test_what_comes_while_held_is_not_heard() -> None:
    async with Stage() as stage:
        stage.session.update(stage.held())
        reader = stage.session.frames()
        stage.peer.send(stage.port, 1, speech(1))

        assert await waiting(reader) == []
        assert stage.session.statistics().unexpected == 1


async def test_a_re_invite_moves_the_stream_to_another_address_and_codec() -> None:
    async with Stage() as stage:
        other = stage.another_peer()
        stage.session.enqueue(pcm(1))
        stage.session.update(
            replace(stage.agreed(other), codec=PCMA, send_payload_type=8, receive_payload_type=8, ptime_ms=40)
        )
        stage.tick()

        (sent,) = other.received()
        assert (sent.payload_type, len(sent.payload), stage.peer.received()) == (8, 320, [])
        assert list(stage.pacer.members.values()) == [40]
        assert stage.session.statistics().codec == "PCMA"


async def test_digits_are_sent_on_the_time_line_and_audio_waits_for_them() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(1))
        sent = stage.session.send_digits("5", duration_ms=40, gap_ms=20)
        stage.tick(6)

        plan = encode_event("5", duration_ms=40)
        assert stage.peer.received() == [
            packet(0, plan[0].payload, marker=True, payload_type=101),
            packet(1, plan[1].payload, payload_type=101, ticks=0),
            packet(2, plan[2].payload, payload_type=101, ticks=0),
            packet(3, plan[3].payload, payload_type=101, ticks=0),
            packet(4, SILENCE, marker=True),
            packet(5, speech(1)),
        ]
        assert await sent is True


async def test_digits_that_cannot_be_sent_are_refused() -> None:
    async with Stage() as stage:
        with pytest.raises(LocalProtocolError, match="is not a digit"):
            stage.session.send_digits("12x")
        stage.tick()
        assert stage.peer.received() == [packet(0, SILENCE, marker=True)]

        stage.session.update(replace(stage.agreed(), telephone_event_send=None))
        with pytest.raises(LocalProtocolError, match="did not agree to telephone-event"):
            stage.session.send_digits("1")


async def test_digits_end_as_not_sent_when_the_peer_withdraws_them_or_the_session_closes() -> None:
    async with Stage() as stage:
        assert await stage.session.send_digits("") is True
        withdrawn = stage.session.send_digits("1")
        stage.session.update(replace(stage.agreed(), telephone_event_send=None))
        assert await withdrawn is False

        stage.session.update(stage.agreed())
        closed = stage.session.send_digits("1")
        stage.session.close()
        assert (await closed, await stage.session.send_digits("1")) == (False, False)


async def test_a_packet_that_cannot_be_sent_is_counted_and_the_next_one_tried() -> None:
    async with Stage() as stage:
        stage.session.update(replace(stage.agreed(), remote_host="255.255.255.255"))  # needs SO_BROADCAST
        stage.tick(2)
        stage.session.update(stage.agreed())
        stage.tick()

        statistics = stage.session.statistics()
        assert (statistics.send_errors, statistics.packets_sent, len(stage.peer.received())) == (2, 1, 1)


async def test_a_peer_that_is_gone_is_no_error() -> None:
    async with Stage() as stage:
        stage.peer.close()
        for _ in range(5):
            stage.tick()
            await settle()

        assert stage.session.statistics().malformed == 0


# Played position


async def test_clear_gives_the_milliseconds_sent_and_the_next_packet_is_silent() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(1, ms=1000))
        stage.tick(7)
        stage.peer.received()

        assert stage.session.clear() == 140
        stage.tick()

        assert stage.peer.received() == [packet(7, SILENCE)]
        assert (stage.session.played_ms, stage.session.queued_ms, stage.session.clears) == (140, 0, 1)


async def test_a_mark_fires_with_the_packet_that_carries_its_last_sample() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(1, ms=50))
        mark = stage.session.mark()
        drained = asyncio.ensure_future(stage.session.drained())
        await settle()

        stage.tick(2)
        assert not mark.done()
        stage.tick()

        assert (await mark, await drained) == (True, True)


async def test_marks_end_as_not_played_when_cleared_or_closed() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(1))
        cleared = stage.session.mark()
        stage.session.clear()
        stage.session.enqueue(pcm(1))
        closed = stage.session.mark()
        given_up = stage.session.mark()
        given_up.cancel()
        stage.session.close()

        assert (await cleared, await closed) == (False, False)
        assert await stage.session.drained() is True


async def test_nothing_is_enqueued_after_the_end() -> None:
    async with Stage() as stage:
        stage.session.close()
        stage.session.enqueue(pcm(1))

        assert stage.session.queued_ms == 0


async def test_what_is_played_while_muted_passes_as_silence() -> None:
    async with Stage() as stage:
        stage.session.enqueue(pcm(1) + pcm(2) + pcm(3))
        stage.tick()
        stage.session.muted = True
        stage.tick()
        stage.session.muted = False
        stage.tick()

        assert stage.session.played_ms == 60
        assert stage.peer.received() == [
            packet(0, speech(1), marker=True),
            packet(1, SILENCE),
            packet(2, speech(3)),
        ]
