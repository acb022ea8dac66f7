import asyncio
from typing import cast
from uuid import UUID

import pytest

from sipflow.agents.audiosocket_connection import AudioSocket
from sipflow.agents.audiosocket_wire import Kind
from sipflow.audio.tones import measure_tone, sine
from sipflow.errors import CallEnded, LocalProtocolError
from sipflow.integrations.audiosocket_call import AudioSocketCall
from sipflow.tasks import Tasks

ID = UUID("01234567-89ab-4def-8123-456789abcdef")


class Wire:
    """A connection that remembers what was sent."""

    def __init__(self) -> None:
        self.writable = True
        self.sent: list[tuple[int, bytes]] = []

    def send(self, kind: int, payload: bytes = b"") -> None:
        self.sent.append((kind, payload))


def a_call() -> tuple[AudioSocketCall, Wire]:
    wire = Wire()
    return AudioSocketCall(Tasks(), cast(AudioSocket, wire), ID), wire


async def test_silence_is_sent_while_there_is_nothing_to_say() -> None:
    call, wire = a_call()
    call.session.tick(0.0)

    assert wire.sent == [(0x10, bytes(320))]


async def test_clear_makes_the_next_message_silent_and_says_how_much_was_heard() -> None:
    call, wire = a_call()
    call.write(b"\x01\x02" * 800)
    call.session.tick(0.0)
    call.session.tick(0.02)
    played_ms = call.clear()
    call.session.tick(0.04)

    assert (played_ms, [payload for _, payload in wire.sent]) == (40, [b"\x01\x02" * 160] * 2 + [bytes(320)])


async def test_a_mark_comes_when_its_last_sample_has_left() -> None:
    call, _ = a_call()
    call.write(bytes(640))
    mark = asyncio.ensure_future(call.mark())
    await asyncio.sleep(0)
    call.session.tick(0.0)
    await asyncio.sleep(0)
    before = mark.done()
    call.session.tick(0.02)

    assert (before, await mark) == (False, True)


async def test_while_the_far_end_does_not_read_playing_stands_still() -> None:
    call, wire = a_call()
    call.write(bytes(640))
    wire.writable = False
    call.session.tick(0.0)
    call.session.skip(3)

    assert (wire.sent, call.queued_ms) == ([], 40)


async def test_the_rate_follows_the_far_end() -> None:
    call, wire = a_call()
    reader = call.frames(sample_rate_hz=8000)
    call.received(0x12, sine(440, 100, sample_rate_hz=16000))
    call.write(sine(440, 100))
    call.session.tick(0.0)

    assert (wire.sent[-1][0], len(wire.sent[-1][1])) == (0x12, 640)
    heard = b"".join([(await anext(reader)).pcm for _ in range(5)])
    assert measure_tone(heard[320:], 440) > -20


async def test_audio_in_pieces_of_any_length_is_heard_in_frames_of_20_ms() -> None:
    call, _ = a_call()
    reader = call.audio
    for size in (100, 620, 2, 558):
        call.received(0x10, bytes(size))

    assert [len((await anext(reader)).pcm) for _ in range(4)] == [320] * 4


async def test_the_end_wakes_whoever_waits() -> None:
    call, wire = a_call()
    reader = call.audio
    digit = asyncio.ensure_future(call.read_digit(timeout=60))
    ended = asyncio.ensure_future(call.ended())
    await asyncio.sleep(0)
    call.received(Kind.HANGUP, b"")

    with pytest.raises(CallEnded, match="the far end hung up"):
        await digit
    assert (await ended).by == "remote"
    assert [frame async for frame in reader] == []
    assert await call.ended() == call.ending
    with pytest.raises(CallEnded):
        await call.answer()
    with pytest.raises(CallEnded):
        await call.ring()
    call.received(Kind.DTMF, b"1")
    call.lost(cleanly=False, why="late")
    assert wire.sent == []


async def test_an_error_of_the_far_end_is_the_end_too() -> None:
    call, _ = a_call()
    call.received(Kind.ERROR, b"\x02")

    assert call.ending is not None
    assert (call.ending.status, call.ending.why) == (
        500,
        "the far end reports an error: a frame could not be forwarded",
    )


async def test_hanging_up_is_said_once() -> None:
    call, wire = a_call()
    await call.hangup()
    await call.hangup()

    assert wire.sent == [(Kind.HANGUP, b"")]


async def test_digits_are_sent_as_tones() -> None:
    call, wire = a_call()
    sending = asyncio.ensure_future(call.send_digits("5"))
    for _ in range(15):
        await asyncio.sleep(0)
        call.session.tick(0.0)
    await sending

    assert measure_tone(b"".join(payload for _, payload in wire.sent[:5]), 770) > -20
    with pytest.raises(LocalProtocolError, match="are not all digits"):
        await call.send_digits("5x")


async def test_digits_that_are_none_are_passed_over() -> None:
    call, _ = a_call()
    for payload in (b"", b"x", b"\xff", b"#"):
        call.received(Kind.DTMF, payload)

    assert await call.read_digit(timeout=1) == "#"
