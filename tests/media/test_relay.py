from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sipflow.media.relay import Relay, payload_types
from sipflow.rtp.packet import RtpPacket, header
from sipflow.rtp.srtp import SrtpSession
from sipflow.sdp.agreement import PCMA, PCMU, Agreed, Codec, SrtpKeys
from sipflow.sdp.codecs import OPUS
from tests.media.stage import HOST, SILENCE, START, Stage, packet, pcm, speech, waiting

SUITE = "AES_CM_128_HMAC_SHA1_80"


@asynccontextmanager
async def two(*, foreign: Callable[[], None] = lambda: None) -> AsyncIterator[tuple[Stage, Stage, Relay]]:
    """Two legs of one codec, and the way from the first to the second."""
    async with Stage() as one, Stage() as other:
        relay = Relay.between(one.session, other.session, on_foreign=foreign)
        assert relay is not None
        try:
            yield one, other, relay
        finally:
            relay.end()


def say(stage: Stage, *numbers: int, **fields: int) -> None:
    """Have the far end of a leg say packets, one at a time; they are read at once, and no time passes."""
    for number in numbers:
        stage.peer.send(stage.port, number, speech(number & 0x7F), **fields)
        stage.read()


def passed(number: int, value: int, *, marker: bool = False, payload_type: int = 0) -> RtpPacket:
    """What the second leg sends as its packet `number`."""
    return packet(number, speech(value), marker=marker, payload_type=payload_type)


async def test_each_packet_leaves_when_it_came_with_its_payload_untouched_and_numbers_of_ours() -> None:
    async with two() as (one, other, _):
        say(one, 7, 8, 9)

        assert other.peer.received() == [passed(0, 7, marker=True), passed(1, 8), passed(2, 9)]


async def test_gaps_and_disorder_cross_as_they_came() -> None:
    async with two() as (one, other, _):
        say(one, 10, 11, 14, 13, 15)

        sent = other.peer.received()
        assert [(each.sequence - START.sequence, each.payload[0]) for each in sent] == [
            (0, 10),
            (1, 11),
            (4, 14),
            (3, 13),
            (5, 15),
        ]
        assert [(each.timestamp - START.timestamp) // 160 for each in sent] == [0, 1, 4, 3, 5]


async def test_sequence_numbers_wrap_on_both_sides() -> None:
    async with two() as (one, other, _):
        say(one, 65534, 65535)
        one.peer.send(one.port, 0, speech(1), at=65536 * 160)
        one.read()

        assert [each.sequence - START.sequence for each in other.peer.received()] == [0, 1, 2]


async def test_nothing_is_decoded_or_ticked_while_nobody_listens() -> None:
    async with two() as (one, other, _):
        say(one, 1, 2, 3)
        other.tick(5)

        assert one.pacer.hearing == {}
        assert [each.payload[0] for each in other.peer.received()] == [1, 2, 3]  # and no silence of ours between
        assert one.session.statistics().packets_received == 3
        assert one.session.statistics().concealed_ms == 0


async def test_somebody_who_listens_meanwhile_hears_what_crosses() -> None:
    async with two() as (one, other, _):
        say(one, 1)
        reader = one.session.frames()
        for number in (2, 3, 4):
            one.peer.send(one.port, number, speech(number))
            one.listen()

        heard = [frame.pcm for frame in await waiting(reader)]
        assert pcm(2) in heard
        assert [each.payload[0] for each in other.peer.received()] == [1, 2, 3, 4]


async def test_what_is_played_or_pressed_meanwhile_goes_first_and_the_relay_follows_it_without_a_seam() -> None:
    async with two() as (one, other, _):
        say(one, 1, 2)
        other.tick(2)
        other.session.enqueue(pcm(9))
        say(one, 3)  # not heard: something of ours is to be sent
        other.tick()
        say(one, 4, 5)

        sent = other.peer.received()
        assert [(each.sequence - START.sequence, each.payload[0], each.marker) for each in sent] == [
            (0, 1, True),
            (1, 2, False),
            (2, 9, True),
            (3, 4, True),
            (4, 5, False),
        ]
        assert [(each.timestamp - START.timestamp) // 160 for each in sent] == [0, 1, 2, 3, 4]


def ticked(stage: Stage) -> bool:
    return stage.session._outbound in stage.pacer.members


def play(stage: Stage, relay: Relay) -> None:
    stage.session.enqueue(pcm(9, 20))


def press(stage: Stage, relay: Relay) -> None:
    stage.session.send_digits("1", duration_ms=40, gap_ms=20)


def agree(stage: Stage, relay: Relay) -> None:
    stage.session.update(stage.agreed())


def part(stage: Stage, relay: Relay) -> None:
    relay.end()


@pytest.mark.parametrize("cause", [play, press, agree, part])
async def test_a_leg_that_only_relays_is_ticked_again_when_it_has_something_of_its_own_to_send(
    cause: Callable[[Stage, Relay], None],
) -> None:
    async with two() as (one, other, relay):
        assert ticked(other)
        other.tick(2)
        assert not ticked(other)
        say(one, 7, 8, 9)
        cause(other, relay)
        assert ticked(other)
        if cause is not part:
            other.tick(8)
            assert not ticked(other)


async def test_what_was_queued_while_paused_is_sent_after_resume_by_a_leg_that_relays() -> None:
    async with two() as (_, other, _relay):
        other.session.queue.pause()
        other.session.enqueue(pcm(9, 20))
        other.tick(2)
        assert not ticked(other)
        other.session.queue.resume()
        other.tick()

        assert [each.payload for each in other.peer.received()] == [speech(9)]


async def test_the_time_line_goes_on_while_a_leg_is_not_ticked() -> None:
    async with two() as (_, other, _relay):
        other.tick()
        other.pacer.now += 2.0
        assert other.session._reporting._progress().rtp_timestamp == START.timestamp + 101 * 160
        other.pacer.now += 1.0
        other.session.enqueue(pcm(9, 20))
        other.tick()

        assert other.peer.received() == [packet(0, speech(9), marker=True, ticks=151)]


async def test_a_leg_that_rests_is_not_ticked_again_when_it_closes() -> None:
    async with two() as (_, other, relay):
        other.tick()
        other.session.close()
        relay.end()
        other.session.queue.enqueue(pcm(9, 20))

        assert not ticked(other)


async def test_our_own_packets_go_on_after_the_relay_ends() -> None:
    async with two() as (one, other, relay):
        say(one, 1, 2)
        other.tick(2)
        relay.end()
        say(one, 3)
        other.tick(2)

        assert other.peer.received() == [
            passed(0, 1, marker=True),
            passed(1, 2),
            packet(2, SILENCE, marker=True),
            packet(3, SILENCE),
        ]


async def test_a_far_end_whose_clock_runs_ahead_does_not_have_us_send_a_timestamp_twice() -> None:
    async with two() as (one, other, relay):
        say(one, 1, 2, 3, 4)  # four packet times, while for us no time has passed
        relay.end()
        other.tick()

        assert (other.peer.received()[-1].timestamp - START.timestamp) // 160 == 4


async def test_another_stream_of_the_same_far_end_follows_without_a_seam() -> None:
    async with two() as (one, other, _):
        say(one, 1, 2, 3)
        other.tick(3)
        for number in range(5000, 5006):
            one.peer.send(one.port, number, speech(number & 0x7F), ssrc=8)
            one.read()

        sent = other.peer.received()
        assert {each.ssrc for each in sent} == {START.ssrc}
        assert [each.sequence - START.sequence for each in sent] == list(range(len(sent)))


async def test_digits_cross_under_the_number_of_the_other_side_and_are_told_here() -> None:
    digits: list[str] = []
    async with Stage(on_digit=digits.append) as one, Stage() as other:
        other.session.update(replace(other.agreed(), telephone_event_send=96))
        relay = Relay.between(one.session, other.session, on_foreign=lambda: None)
        assert relay is not None
        say(one, 1, 2, 3)
        one.peer.send_raw(one.port, header(101, 4, 4 * 160, 7, marker=True) + bytes([5, 10, 0, 160]))
        one.read()

        assert relay.events
        assert digits == ["5"]
        last = other.peer.received()[-1]
        assert (last.payload_type, last.payload, last.marker) == (96, bytes([5, 10, 0, 160]), True)
        relay.end()


async def test_digits_that_the_other_side_does_not_take_are_dropped_and_the_audio_goes_on() -> None:
    lost: list[str] = []
    async with Stage() as one, Stage() as other:
        other.session.update(replace(other.agreed(), telephone_event_send=None))
        relay = Relay.between(one.session, other.session, on_foreign=lambda: lost.append("foreign"))
        assert relay is not None
        say(one, 1, 2, 3)
        one.peer.send_raw(one.port, header(101, 4, 4 * 160, 7, marker=True) + bytes([5, 10, 0, 160]))
        one.read()
        say(one, 5)

        assert (relay.events, lost) == (False, [])
        assert [each.payload[0] for each in other.peer.received()] == [1, 2, 3, 5]
        relay.end()


async def test_nothing_crosses_to_a_side_that_is_on_hold() -> None:
    async with two() as (one, other, _):
        other.session.update(other.held())
        say(one, 1, 2)

        assert other.peer.received() == []


async def test_a_packet_of_a_codec_that_the_other_side_does_not_send_is_told() -> None:
    foreign: list[str] = []
    async with Stage() as one, Stage() as other:
        both = ((0, PCMU), (8, PCMA))
        one.session.update(replace(one.agreed(), receivable=both))
        relay = Relay.between(one.session, other.session, on_foreign=lambda: foreign.append("told"))
        assert relay is not None
        say(one, 1)
        say(one, 2, payload_type=8)

        assert foreign == ["told"]
        relay.end()


async def test_another_agreement_on_either_side_is_told() -> None:
    for which in (0, 1):
        foreign: list[str] = []
        async with two(foreign=lambda told=foreign: told.append("told")) as legs:  # type: ignore[misc]
            one, other, _ = legs
            changed = (one, other)[which]
            changed.session.update(replace(changed.agreed(), codec=PCMA, send_payload_type=8, receive_payload_type=8))
            say(one, 1, payload_type=8 if which == 0 else 0)

            assert (which, foreign) == (which, ["told"])


async def test_both_ciphers_are_opened_and_closed() -> None:
    first = SrtpKeys(SUITE, b"a" * 30, b"b" * 30)
    second = SrtpKeys(SUITE, b"c" * 30, b"d" * 30)
    async with Stage() as one, Stage() as other:
        one.session.update(replace(one.agreed(), srtp=first))
        other.session.update(replace(other.agreed(), srtp=second))
        relay = Relay.between(one.session, other.session, on_foreign=lambda: None)
        assert relay is not None
        caller = SrtpSession(SrtpKeys(SUITE, first.receive_key, first.send_key))
        callee = SrtpSession(SrtpKeys(SUITE, second.receive_key, second.send_key))
        one.peer.send_raw(one.port, caller.protect(header(0, 1, 160, 7) + speech(5)))
        one.read()

        arrived = callee.unprotect(other.peer.socket.recv(4096))
        assert arrived is not None
        assert arrived[12:] == speech(5)
        relay.end()


async def test_strangers_packets_do_not_cross() -> None:
    async with two() as (one, other, _):
        say(one, 1, 2, 3)
        stranger = one.another_peer()
        for number in (4, 5, 6, 7):
            stranger.send(one.port, number, speech(66), ssrc=99)
            one.read()

        assert [each.payload[0] for each in other.peer.received()] == [1, 2, 3]


async def test_legs_that_cannot_be_relayed_are_told_apart(tmp_path: Path) -> None:
    async with Stage() as one, Stage() as other:

        def refused() -> Relay | None:
            return Relay.between(one.session, other.session, on_foreign=lambda: None)

        recording = await other.session.record(tmp_path / "r.wav")
        assert refused() is None
        await recording.stop()
        other.session.update(replace(other.agreed(), codec=PCMA, send_payload_type=8, receive_payload_type=8))
        assert refused() is None
        other.session.close()
        assert refused() is None


def test_payload_types_are_those_of_one_codec_in_its_clock() -> None:
    stage_terms = _terms(PCMU, 0)
    assert payload_types(stage_terms, _terms(PCMU, 0)) == {0: 0, 101: 101}
    assert payload_types(stage_terms, _terms(PCMA, 8)) == {}
    opus = Codec(OPUS.name.lower(), 48000, 2, 111)
    wide, narrow = _terms(opus, 111), _terms(OPUS, 96)
    wide.telephone_event_hz = 48000
    assert payload_types(wide, narrow) == {111: 96}


def _terms(codec: Codec, payload_type: int) -> Agreed:
    return Agreed(codec, payload_type, payload_type, 20, HOST, 4000, HOST, 4001, True, True, 101, 101, False)
