"""Music from the web for a caller who waits: fetched once in a call, and read as any sound file is."""

import asyncio
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, TypeGuard

from sipflow.audio.frame import Frame
from sipflow.errors import LocalProtocolError, MediaError
from sipflow.media.player import Source
from sipflow.media.sound_file import read_sound

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.transfer.desk import SoundFetcher

_SCHEMES = ("https://", "http://")
_SAMPLE_BYTES = 16 << 20  # of samples, for as long as the call lasts: eight minutes at 16 kHz
_MOST_HZ = 16000
_READ_S = 10.0


def is_address(source: Source | None) -> TypeGuard[str]:
    """Whether music is named by a URL; any other text is the path of a file."""
    return isinstance(source, str) and source.lower().startswith(_SCHEMES)


async def fetch_music(call: "Call", fetcher: "SoundFetcher | None", url: str) -> Frame | None:
    """Give the music of a URL; None, and a line in the log, where it cannot be had: the caller waits all the same.

    Cancelling keeps nothing.
    """
    if url in call.fetched_music:
        return call.fetched_music[url]
    try:
        if fetcher is None:
            raise MediaError("nobody here can fetch it: the store is not open")
        music = await asyncio.to_thread(_read, await fetcher.fetch(url), _rate_of(call))
    except (MediaError, LocalProtocolError) as error:
        call.log.warning("the music for a caller who waits cannot be had", why=str(error))
        return None
    call.fetched_music[url] = music
    return music


def _rate_of(call: "Call") -> int:
    media = call.media
    return min(media.session.queue.sample_rate_hz, _MOST_HZ) if media is not None else _MOST_HZ


def _read(content: bytes, sample_rate_hz: int) -> Frame:
    with NamedTemporaryFile(prefix="sipflow-music-") as file:
        file.write(content)
        file.flush()
        try:
            pcm = read_sound(file.name, sample_rate_hz, sound_bytes=_SAMPLE_BYTES, read_s=_READ_S)
        except MediaError as error:
            raise MediaError(str(error).replace(file.name, "what came")) from None
    return Frame(pcm, sample_rate_hz)
