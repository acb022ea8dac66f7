"""Plays a source into a session until its last sample has left: samples, a file, or a stream of either pace."""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from typing import Any

from sipflow.audio.frame import Frame
from sipflow.audio.resample import resample
from sipflow.errors import MediaError
from sipflow.media.feed import Feed
from sipflow.media.reader import FrameReader
from sipflow.media.session import MediaSession
from sipflow.media.sounds import SoundCache

Source = bytes | Frame | str | os.PathLike[str] | AsyncIterable[Frame | bytes]

AHEAD_MS = 200  # a stream is asked for no more while this much of it waits
CUSHION_MS = 40  # of a live source, and two packets at least, so that jitter of one does not break it up
_LONG_MS = 500  # what is longer is converted in a thread, so that no other call waits for it

_SOUNDS = SoundCache()


def play(
    session: MediaSession, source: Source, *, sample_rate_hz: int = 8000, sounds: SoundCache = _SOUNDS
) -> Coroutine[Any, Any, int]:
    """Play a source after what is queued already, and wait until its last sample has been sent.

    Args:
        session: to play into. On hold and while its queue is paused it stands still, and this waits.
        source: 16-bit little-endian mono samples; a frame of any rate; the path of a sound file; or an async iterator
            of frames or samples, in pieces of any length. An iterator faster than real time is held back; one that is
            slower leaves silence where it had nothing. What the peer says (`session.frames()`) is played as a live
            source, with a cushion of two packets. Iterators take turns: one starts when the one before it has ended.
        sample_rate_hz: of samples that are no frames.
        sounds: where files are kept once read.

    Returns:
        How many milliseconds of it were sent: all, unless `session.clear` or `session.close` ended it. (A live source
        goes on after `clear`.)

    Raises:
        MediaError: the file cannot be read, half a sample (at the end of bytes, or in a frame), an unknown rate, more
            than may wait, or something else than frames and bytes.

    Cancelling it, or an error in the iterator, drops at once what has not been sent of it, and closes an async
    generator. What others have queued is played.
    """
    if isinstance(source, AsyncIterable):  # frames come 50 times a second, and each passes all that waits for them
        return _play_stream(session, source, sample_rate_hz)
    return _play_sound(session, source, sample_rate_hz, sounds)


async def _play_sound(session: MediaSession, source: object, rate_hz: int, sounds: SoundCache) -> int:
    if isinstance(source, str | os.PathLike):
        rate_hz = session.queue.sample_rate_hz
        source = Frame(await sounds.load(source, rate_hz), rate_hz)
    elif isinstance(source, bytes | bytearray | memoryview):
        source = Frame(bytes(source), rate_hz)
    if not isinstance(source, Frame):
        raise MediaError(f"{type(source).__name__} cannot be played: give bytes, a Frame, a path or an async iterator")
    return await _play_whole(session, source)


async def _play_whole(session: MediaSession, sound: Frame) -> int:
    rate_hz = session.queue.sample_rate_hz
    if sound.sample_rate_hz != rate_hz:
        if sound.duration_ms > _LONG_MS:
            sound = Frame(await asyncio.to_thread(resample, sound.pcm, sound.sample_rate_hz, rate_hz), rate_hz)
        else:
            sound = Frame(resample(sound.pcm, sound.sample_rate_hz, rate_hz), rate_hz)
    feed = Feed(session.queue)
    try:
        if not session.closed:
            feed.write(sound.pcm, sound.sample_rate_hz)  # converts again if the codec has just changed
            await _sent(session, feed)
    except BaseException:  # cancelled: silence at once
        feed.drop()
        raise
    return feed.close()


async def _play_stream(session: MediaSession, source: AsyncIterable[Frame | bytes], rate_hz: int) -> int:
    async with session.turn:
        feed = Feed(session.queue)
        pieces: AsyncIterator[Frame | bytes] = aiter(source)
        try:
            if isinstance(source, FrameReader):  # what is said is played as it is said: every call counts here
                while True:
                    while (said := source.take()) is not None:
                        pcm, heard_hz = said
                        feed.write(pcm, heard_hz, cushion_ms=max(len(pcm) * 1000 // heard_hz, CUSHION_MS))
                    if source.ended:
                        break
                    await source.change()
            else:
                await _pour(session, pieces, feed, rate_hz)
            await _sent(session, feed)
        except BaseException:  # cancelled, or the source failed: silence at once
            feed.drop()
            raise
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        return feed.close()


async def _sent(session: MediaSession, feed: Feed) -> None:
    """Wait until everything has left; nothing does once the session is closed."""
    if session.closed:
        feed.drop()
        return
    feed.flush()
    await session.drained()


async def _pour(session: MediaSession, pieces: AsyncIterator[Frame | bytes], feed: Feed, rate_hz: int) -> None:
    """Enqueue pieces, never far ahead, until they end or are not wanted any more."""
    clears = session.clears
    continues = False
    half = b""  # of a sample: a network cuts anywhere
    async for piece in pieces:
        if session.closed or session.clears != clears:
            return
        sound, half = _sound(piece, half, rate_hz)
        if not sound.pcm:
            await asyncio.sleep(0)  # an iterator that gives nothing for ever, and never waits, would stop every call
        feed.write(sound.pcm, sound.sample_rate_hz, continues=continues)
        continues = True
        if session.queued_ms > AHEAD_MS:
            await session.mark(before_ms=AHEAD_MS // 2)
            if session.closed or session.clears != clears:
                return


def _sound(piece: object, half: bytes, rate_hz: int) -> tuple[Frame, bytes]:
    """Read one piece behind the half sample that was left; gives the half sample that is left now."""
    if isinstance(piece, Frame):
        return piece, b""
    if isinstance(piece, bytes | bytearray | memoryview):
        pcm = half + bytes(piece)
        whole = len(pcm) & ~1
        return Frame(pcm[:whole], rate_hz), pcm[whole:]
    raise MediaError(f"{type(piece).__name__} cannot be played: a stream gives frames or bytes")
