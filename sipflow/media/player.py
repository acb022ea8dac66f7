"""Plays a source into a session until its last sample has left: samples, a file, or a stream of either pace."""

import os
from collections.abc import AsyncIterable, AsyncIterator

from sipflow.audio.frame import Frame
from sipflow.audio.resample import to_rate
from sipflow.errors import MediaError
from sipflow.media.reader import FrameReader
from sipflow.media.session import MediaSession
from sipflow.media.sounds import SoundCache

Source = bytes | Frame | str | os.PathLike[str] | AsyncIterable[Frame | bytes]

AHEAD_MS = 200  # a stream is asked for no more while this much of it waits
CUSHION_MS = 40  # of a live source, and two packets at least, so that jitter of one does not break it up
RATE_HZ = 8000
_HALF_MS_BYTES = 8  # at 8 kHz; as many half milliseconds are twice the packet's time

_SOUNDS = SoundCache()


async def play(session: MediaSession, source: Source, *, sounds: SoundCache = _SOUNDS) -> int:
    """Play a source after what is queued already, and wait until its last sample has been sent.

    Args:
        session: to play into. On hold it stands still, and this waits.
        source: 16-bit little-endian mono samples at 8 kHz; a frame of any rate; the path of a WAV file; or an async
            iterator of frames or samples at 8 kHz, in pieces of any length. An iterator faster than real time is held
            back; one that is slower leaves silence where it had nothing. What the peer says (`session.frames()`) is
            played as a live source, with a cushion of two packets. Iterators take turns: one starts when the one
            before it has ended.
        sounds: where files are kept once read.

    Returns:
        How many milliseconds were sent: all of it, unless `session.clear` or `session.close` ended it. (A live source
        goes on after `clear`.)

    Raises:
        MediaError: the file cannot be read, half a sample, an iterator's frame is not of 8 kHz, or something else than
            frames and bytes.

    Cancelling it, or an error in the iterator, clears the session's queue at once, and closes an async generator.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return await _play_whole(session, bytes(source))
    if isinstance(source, Frame):
        return await _play_whole(session, to_rate(source, RATE_HZ).pcm)
    if isinstance(source, str | os.PathLike):
        return await _play_whole(session, await sounds.load(source))
    if not isinstance(source, AsyncIterable):
        raise MediaError(f"{type(source).__name__} cannot be played: give bytes, a Frame, a path or an async iterator")
    async with session.turn:
        return await _play_stream(session, source)


async def _play_whole(session: MediaSession, pcm: bytes) -> int:
    before_ms = session.played_ms + session.queued_ms
    session.enqueue(pcm)
    try:
        await session.drained()
    except BaseException:  # cancelled: silence at once
        session.clear()
        raise
    return max(session.played_ms - before_ms, 0)


async def _play_stream(session: MediaSession, source: AsyncIterable[Frame | bytes]) -> int:
    before_ms = session.played_ms + session.queued_ms
    pieces: AsyncIterator[Frame | bytes] = aiter(source)
    try:
        if isinstance(source, FrameReader):
            enqueue = session.queue.enqueue  # every call counts here; after the end it is harmless, and frames end too
            async for frame in source:
                pcm = frame.pcm
                enqueue(pcm, cushion_ms=max(len(pcm) // _HALF_MS_BYTES, CUSHION_MS))
        else:
            await _feed(session, pieces)
        await session.drained()
    except BaseException:  # cancelled, or the source failed: silence at once
        session.clear()
        raise
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
    return max(session.played_ms - before_ms, 0)


async def _feed(session: MediaSession, pieces: AsyncIterator[Frame | bytes]) -> None:
    """Enqueue pieces, never far ahead, until they end or are not wanted any more."""
    clears = session.clears
    continues = False
    async for piece in pieces:
        if session.closed or session.clears != clears:
            return
        session.enqueue(_samples(piece), continues=continues)
        continues = True
        if session.queued_ms > AHEAD_MS and not await session.mark(before_ms=AHEAD_MS // 2):
            return


def _samples(piece: object) -> bytes:
    if isinstance(piece, Frame):
        if piece.sample_rate_hz != RATE_HZ:
            raise MediaError(f"a stream of frames at {piece.sample_rate_hz} Hz cannot be played, only at {RATE_HZ}")
        return piece.pcm
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise MediaError(f"{type(piece).__name__} cannot be played: a stream gives frames or bytes")
