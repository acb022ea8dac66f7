import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sipflow.audio.frame import Frame
from sipflow.audio.wav import wav_header
from sipflow.errors import MediaError
from sipflow.media.player import AHEAD_MS, Source, play
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
    pieces = Pieces([Frame(pcm(1)), pcm(2)[:100], bytes(bytearray(pcm(2)[100:])), b""])
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
        stage.tick(2)
        assert sent(stage) == [speech(n + 1) for n in range(5)]

        stage.session.close()
        assert await playing == 100


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([Frame(bytes(640), 16000)], "16000 Hz cannot be played, only at 8000"),
        (["text"], "str cannot be played: a stream gives frames or bytes"),
        ([b"odd"], "not whole 16-bit samples"),
    ],
)
async def test_a_piece_that_is_no_audio_is_refused(pieces: list[bytes | Frame], why: str) -> None:
    async with Stage() as stage:
        with pytest.raises(MediaError, match=why):
            await play(stage.session, aiter(Pieces(pieces)))


async def test_a_source_of_no_known_kind_is_refused() -> None:
    async with Stage() as stage:
        with pytest.raises(MediaError, match="int cannot be played: give bytes, a Frame, a path"):
            await play(stage.session, 7)  # type: ignore[arg-type]
