import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from sipflow.audio.frame import Frame
from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import wav_header
from sipflow.errors import MediaError
from sipflow.media.player import AHEAD_MS, Source, play
from sipflow.media.session import MediaSession
from sipflow.testing.fake_session import FakeSession
from tests.media.stage import SILENCE, Stage, pcm, settle, speech, until


def sent(stage: Stage) -> list[bytes]:
    """Payloads that came at the peer, silence left out."""
    return [packet.payload for packet in stage.peer.received() if packet.payload != SILENCE]


async def run(stage: Stage, playing: "asyncio.Task[int]", *, limit: int = 200) -> int:
    """Let packet times pass until what plays is over."""
    for _ in range(limit):
        await settle()
        if playing.done():
            break
        stage.tick()
    return await playing


def start(stage: Stage, source: Source) -> "asyncio.Task[int]":
    return asyncio.create_task(play(stage.session, source))


class Pieces:
    """An async iterator that remembers how far it was asked, and whether it was closed."""

    def __init__(self, pieces: list[bytes | Frame]) -> None:
        self.pieces = pieces
        self.asked = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes | Frame]:
        try:
            for piece in self.pieces:
                self.asked += 1
                yield piece
        finally:
            self.closed = True


async def test_bytes_are_played_to_their_last_sample() -> None:
    async with Stage() as stage:
        playing = start(stage, pcm(1) + pcm(2))

        assert await run(stage, playing) == 40
        assert sent(stage) == [speech(1), speech(2)]


async def test_a_frame_of_another_rate_is_converted() -> None:
    async with Stage() as stage:
        assert await run(stage, start(stage, Frame(bytes(2 * 16000), 16000))) == 1000


async def test_a_wav_file_is_played(tmp_path: Path) -> None:
    file = tmp_path / "hello.wav"
    file.write_bytes(wav_header(640) + pcm(1) + pcm(2))
    async with Stage() as stage:
        for source in (file, str(file)):
            playing = start(stage, source)
            await until(lambda playing=playing: stage.session.queued_ms or playing.done())  # type: ignore[misc]

            assert await run(stage, playing) == 40
            assert sent(stage) == [speech(1), speech(2)]


async def test_a_file_that_is_not_there_is_said_so() -> None:
    async with Stage() as stage:
        with pytest.raises(MediaError, match=r"/nowhere/hello\.wav cannot be played: No such file"):
            await play(stage.session, "/nowhere/hello.wav")


async def test_plays_queue_one_behind_the_other() -> None:
    async with Stage() as stage:
        first, second = start(stage, pcm(1)), start(stage, pcm(2))

        assert (await run(stage, second), await first) == (20, 20)
        assert sent(stage) == [speech(1), speech(2)]


async def test_an_iterator_faster_than_real_time_is_held_back() -> None:
    pieces = Pieces([pcm(1 + n % 50) for n in range(100)])
    async with Stage() as stage:
        playing = start(stage, aiter(pieces))
        most = 0
        for _ in range(60):
            await settle()
            most = max(most, stage.session.queued_ms)
            assert pieces.asked <= 60 + AHEAD_MS // 20 + 1
            stage.tick()

        assert most == AHEAD_MS + 20
        assert await run(stage, playing) == 2000
        assert sent(stage) == [speech(1 + n % 50) for n in range(100)]


async def test_an_iterator_slower_than_real_time_leaves_silence_and_is_one_run() -> None:
    more = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield pcm(1)
        await more.wait()
        yield pcm(2) + pcm(3)

    async with Stage() as stage:
        playing = start(stage, slow())
        await settle()
        stage.tick(5)
        more.set()
        await settle()
        stage.tick()

        assert [packet.payload for packet in stage.peer.received()] == [speech(1), *[SILENCE] * 4, speech(2)]
        assert stage.session.clear() == 40
        assert await playing == 40


async def test_frames_and_bytes_of_any_length_are_pieces() -> None:
    pieces = Pieces([Frame(pcm(1)), pcm(2)[:99], pcm(2)[99:100], bytes(bytearray(pcm(2)[100:])), b"", b"x"])
    async with Stage() as stage:
        assert await run(stage, start(stage, aiter(pieces))) == 40
        assert sent(stage) == [speech(1), speech(2)]
        assert pieces.closed


async def test_cancelling_is_silence_at_once_and_closes_the_iterator() -> None:
    pieces = Pieces([pcm(1)] * 100)
    async with Stage() as stage:
        playing = start(stage, aiter(pieces))
        await settle()
        stage.tick(2)
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing

        assert (stage.session.queued_ms, pieces.closed) == (0, True)
        stage.tick()
        assert [packet.payload for packet in stage.peer.received()][-1] == SILENCE


async def test_cancelling_bytes_drops_what_is_left() -> None:
    async with Stage() as stage:
        playing = start(stage, pcm(1) * 50)
        await settle()
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing

        assert stage.session.queued_ms == 0


async def test_clear_ends_what_plays_and_it_says_how_much_was_sent() -> None:
    for source in (pcm(1) * 50, aiter(Pieces([pcm(1)] * 50))):
        async with Stage() as stage:
            playing = start(stage, source)
            await settle()
            stage.tick(3)
            assert stage.session.clear() == 60
            await settle()

            assert (playing.done(), await playing, stage.session.queued_ms) == (True, 60, 0)


async def test_closing_the_session_ends_what_plays() -> None:
    async with Stage() as stage:
        playing = start(stage, aiter(Pieces([pcm(1)] * 50)))
        await settle()
        stage.tick(2)
        stage.session.close()

        assert await playing == 40


async def test_an_iterator_that_fails_is_silence_and_its_own_error() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield pcm(1) * 5
        raise KeyError("the voice is gone")

    async with Stage() as stage:
        with pytest.raises(KeyError, match="the voice is gone"):
            await play(stage.session, failing())

        assert stage.session.queued_ms == 0


async def test_two_iterators_take_turns() -> None:
    async with Stage() as stage:
        first = start(stage, aiter(Pieces([pcm(1)] * 3)))
        second = start(stage, aiter(Pieces([pcm(2)] * 3)))

        assert (await run(stage, second), await first) == (60, 60)
        assert sent(stage) == [speech(1)] * 3 + [speech(2)] * 3


async def test_what_the_peer_says_is_echoed_with_a_cushion_of_two_packets() -> None:
    async with Stage() as stage:
        playing = start(stage, stage.session.frames())
        for n in range(5):
            stage.peer.send(stage.port, n, speech(n + 1))
            await settle()
            stage.tick()
            await settle()
        for _ in range(6):
            stage.tick()
            await settle()
        assert sent(stage)[:5] == [speech(n + 1) for n in range(5)]

        stage.session.close()
        assert await playing >= 100


async def test_what_a_reader_had_when_it_was_closed_is_played_too() -> None:
    async with Stage() as stage:
        reader = stage.session.frames()
        stage.say(1, 2, 3)
        waited = reader.waiting
        reader.close()

        playing = start(stage, reader)
        assert await run(stage, playing) == 20 * waited > 0


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        (["text"], "str cannot be played: a stream gives frames or bytes"),
        ([Frame(b"odd")], "not whole 16-bit samples"),
    ],
)
async def test_a_piece_that_is_no_audio_is_refused(pieces: list[bytes | Frame], why: str) -> None:
    async with Stage() as stage:
        with pytest.raises(MediaError, match=why):
            await play(stage.session, aiter(Pieces(pieces)))


async def test_an_iterator_that_gives_nothing_for_ever_stops_nobody_else() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        while True:
            yield b""

    async with Stage() as stage:
        playing = start(stage, nothing())
        await settle()
        stage.session.close()

        assert await playing == 0


async def test_a_source_of_no_known_kind_is_refused() -> None:
    async with Stage() as stage:
        with pytest.raises(MediaError, match="int cannot be played: give bytes, a Frame, a path"):
            await play(stage.session, 7)  # type: ignore[arg-type]


class Line:
    """A session without sockets, and what was sent."""

    def __init__(self, sample_rate_hz: int = 8000) -> None:
        self.fake = FakeSession(sample_rate_hz)
        self.session = cast(MediaSession, self.fake)

    def start(self, source: Source, *, sample_rate_hz: int = 8000) -> "asyncio.Task[int]":
        return asyncio.create_task(play(self.session, source, sample_rate_hz=sample_rate_hz))

    async def pass_ms(self, ms: int) -> None:
        for _ in range(ms // 20):
            await settle()
            self.fake.tick(bytes(self.fake.frame_bytes))
        await settle()

    async def end_of(self, playing: "asyncio.Task[int]") -> int:
        for _ in range(1000):
            if playing.done():
                break
            await self.pass_ms(20)
        return await playing


@pytest.mark.parametrize("source_hz", [8000, 16000, 24000, 48000])
@pytest.mark.parametrize("wire_hz", [8000, 16000, 48000])
async def test_bytes_frames_and_streams_of_every_rate_are_played_at_every_rate(source_hz: int, wire_hz: int) -> None:
    tone = sine(400, 1000, level_dbfs=-10.0, sample_rate_hz=source_hz)
    size = source_hz // 50 * 2
    pieces = [tone[start : start + size] for start in range(0, len(tone), size)]
    for source in (
        tone,
        Frame(tone, source_hz),
        aiter(Pieces([Frame(piece, source_hz) for piece in pieces])),
        aiter(Pieces([*pieces])),
    ):
        line = Line(wire_hz)
        played_ms = await line.end_of(line.start(source, sample_rate_hz=source_hz))
        pcm = bytes(line.fake.played)

        assert abs(played_ms - 1000) <= 1
        assert len(pcm) // 2 * 1000 // wire_hz == played_ms
        assert measure_tone(pcm[wire_hz // 2 : wire_hz], 400, wire_hz) == pytest.approx(-10.0, abs=0.5)


async def test_a_stream_may_change_its_rate_from_frame_to_frame() -> None:
    line = Line()
    frames: list[bytes | Frame] = [
        Frame(sine(400, 100, sample_rate_hz=rate_hz), rate_hz) for rate_hz in (8000, 24000, 16000, 8000, 48000)
    ]

    assert abs(await line.end_of(line.start(aiter(Pieces(frames)))) - 500) <= 2


async def test_a_file_is_played_at_the_rate_of_the_wire(tmp_path: Path) -> None:
    file = tmp_path / "hello.wav"
    tone = sine(400, 500, level_dbfs=-10.0, sample_rate_hz=16000)
    file.write_bytes(wav_header(len(tone), 16000) + tone)
    line = Line(16000)
    playing = line.start(file)
    await until(lambda: line.fake.queued_ms)

    assert await line.end_of(playing) == 500
    assert bytes(line.fake.played) == tone


async def test_cancelling_one_play_leaves_what_the_others_play() -> None:
    line = Line()
    ours, theirs = pcm(1) * 10, pcm(2) * 10
    first, second, third = line.start(theirs), line.start(ours), line.start(pcm(3) * 5)
    await line.pass_ms(40)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second

    assert (await line.end_of(third), await first) == (100, 200)
    assert bytes(line.fake.played) == theirs + pcm(3) * 5


async def test_cancelling_a_play_in_its_middle_is_silence_at_the_next_packet_and_then_the_next_source() -> None:
    line = Line()
    first, second = line.start(pcm(1) * 10), line.start(pcm(2) * 2)
    await line.pass_ms(60)
    first.cancel()

    assert await line.end_of(second) == 40
    assert bytes(line.fake.played) == pcm(1) * 3 + pcm(2) * 2
    assert line.fake.queue._parts == ()


async def test_cancelling_a_stream_leaves_what_was_queued_beside_it() -> None:
    line = Line()
    pieces = Pieces([pcm(1)] * 100)
    stream = line.start(aiter(pieces))
    await line.pass_ms(20)
    beside = line.start(pcm(2) * 2)
    await line.pass_ms(20)
    stream.cancel()

    assert await line.end_of(beside) == 40
    assert (bytes(line.fake.played), pieces.closed) == (pcm(1) * 2 + pcm(2) * 2, True)


async def test_a_stream_that_fails_leaves_what_others_play() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield pcm(1) * 5
        raise KeyError("the voice is gone")

    line = Line()
    other = line.start(pcm(2) * 3)
    await settle()
    with pytest.raises(KeyError):
        await line.start(failing())

    assert await line.end_of(other) == 60
    assert bytes(line.fake.played) == pcm(2) * 3


async def test_a_stream_goes_on_when_the_sound_it_waited_behind_is_cancelled() -> None:
    line = Line()
    prompt = line.start(pcm(1) * 100)
    stream = line.start(aiter(Pieces([pcm(2)] * 30)))
    await line.pass_ms(40)
    prompt.cancel()

    assert await line.end_of(stream) == 600
    assert bytes(line.fake.played) == pcm(1) * 2 + pcm(2) * 30


async def test_the_far_ends_audio_of_another_rate_is_echoed() -> None:
    line = Line()
    playing = line.start(line.fake.frames().at(16000))
    tone = sine(400, 2000, level_dbfs=-10.0)
    for start in range(0, len(tone), 320):
        await settle()
        line.fake.tick(tone[start : start + 320])
    await line.pass_ms(400)
    line.fake.close()
    await playing

    assert measure_tone(bytes(line.fake.played)[16000:24000], 400) == pytest.approx(-10.0, abs=0.5)
    assert len(line.fake.played) // 16 > 1800


async def test_paused_playing_waits_and_loses_nothing() -> None:
    line = Line()
    playing = line.start(aiter(Pieces([pcm(1 + n) for n in range(50)])))
    await line.pass_ms(100)
    line.fake.queue.pause()
    await line.pass_ms(1000)
    standing = (line.fake.played_ms, playing.done())
    line.fake.queue.resume()

    assert (standing, await line.end_of(playing)) == ((100, False), 1000)
    assert bytes(line.fake.played) == b"".join(pcm(1 + n) for n in range(50))


async def test_a_codec_that_changes_while_a_sound_is_played_changes_no_count() -> None:
    line = Line()
    playing = line.start(sine(400, 1000, level_dbfs=-10.0))
    await line.pass_ms(300)
    line.fake.queue.retune(16000)
    line.fake.frame_bytes = 640

    assert await line.end_of(playing) == 1000
