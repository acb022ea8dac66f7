"""Reads a sound file of any kind into samples, within bounds of size and time; call it in a thread."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from sipflow.audio.frame import SAMPLE_BYTES
from sipflow.audio.resample import to_rate
from sipflow.audio.wav import read_wav
from sipflow.errors import MediaError

FILE_BYTES = 128 << 20  # conversion takes several times as much memory for a moment
SOUND_BYTES = 64 << 20  # of samples: more than an hour at 8 kHz, eleven minutes at 48
READ_S = 20.0

_LOOKED_AT_BYTES = 1 << 20  # enough to tell what kind of WAV file it is; the whole is read when it is first played
_LOOKED_AT_HZ = 8000

_NOTHING_ELSE = {"protocol_whitelist": "none"}  # no file or address that a file names is opened
_READS_TAGS_ANYHOW = 19  # PyAV from this on takes tags as they are; before, one that is no UTF-8 is an error


def read_sound(path: str, sample_rate_hz: int, *, sound_bytes: int = SOUND_BYTES, read_s: float = READ_S) -> bytes:
    """Read a file as 16-bit little-endian mono samples: WAV, MP3, Ogg, FLAC, M4A, and whatever else PyAV knows.

    Args:
        path: of the file. Its name says nothing about its kind.
        sample_rate_hz: of the samples wanted.
        sound_bytes: how many bytes of samples it may have.
        read_s: how many seconds reading may take.

    Raises:
        MediaError: there is no such file, it cannot be read, is too large, takes too long, or there is no sound in it.
    """
    with _told(path):
        if _is_wav(path):
            pcm = _read_wav(path, sample_rate_hz)
            if pcm is not None:
                return pcm
        return _Decoding(path, sample_rate_hz, sound_bytes, monotonic() + read_s).samples()


def check_sound(path: str) -> None:
    """Look at the beginning of a file, whether there is sound in it.

    Raises:
        MediaError: there is no such file, it cannot be read, is too large, or there is no sound in it.
    """
    with _told(path):
        if _is_wav(path):
            with Path(path).open("rb") as file, suppress(MediaError):
                read_wav(file.read(_LOOKED_AT_BYTES))
                return
        _Decoding(path, _LOOKED_AT_HZ, SOUND_BYTES, monotonic() + READ_S).look()


def _about_tags(version: str) -> dict[str, Any]:
    return {"metadata_errors": "ignore"} if int(version.partition(".")[0]) < _READS_TAGS_ANYHOW else {}


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Say what an operating system has to say in a sentence with the path."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise MediaError(f"{path} cannot be played: {reason(error)}") from error


def _is_wav(path: str) -> bool:
    """Refuse what is no file to be read at all, and say whether it begins as WAV files do."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{path} cannot be played: it is no regular file")
    if status.st_size > FILE_BYTES:
        raise MediaError(f"{path} cannot be played: {status.st_size >> 20} MB are more than {FILE_BYTES >> 20}")
    with Path(path).open("rb") as file:
        return file.read(4) in (b"RIFF", b"RIFX", b"RF64")


def _read_wav(path: str, sample_rate_hz: int) -> bytes | None:
    """Read the common kinds of WAV without a detour; None for the others."""
    try:
        return to_rate(read_wav(Path(path).read_bytes()), sample_rate_hz).pcm
    except MediaError:
        return None


class _Decoding:
    """One pass of PyAV over a file."""

    def __init__(self, path: str, sample_rate_hz: int, sound_bytes: int, deadline: float) -> None:
        self._path = path
        self._rate_hz = sample_rate_hz
        self._left = sound_bytes
        self._deadline = deadline

    def samples(self) -> bytes:
        """Decode, mix to one channel and convert everything.

        Raises:
            MediaError: it cannot be; says why.
        """
        pcm = b"".join(self._pieces())
        if not pcm:
            raise self._error("there is no sound in it")
        return pcm

    def look(self) -> None:
        """Decode the first that there is.

        Raises:
            MediaError: there is nothing; says why.
        """
        if not any(self._pieces()):
            raise self._error("there is no sound in it")

    def _pieces(self) -> Iterator[bytes]:
        try:
            import av  # a large library, which those who play WAV files never load
        except ImportError:
            raise self._error("it is no WAV file, and PyAV, which reads others, is not installed") from None
        try:
            with Path(self._path).open("rb") as file:
                opened = av.open(file, options=_NOTHING_ELSE, io_open=_refuse, **_about_tags(av.__version__))
                with opened:
                    yield from self._decoded(av, opened)
        except (av.error.FFmpegError, EOFError) as error:
            raise self._error(getattr(error, "strerror", None) or str(error)) from error

    def _decoded(self, av: Any, opened: Any) -> Iterator[bytes]:
        if not opened.streams.audio:
            return
        stream = opened.streams.audio[0]
        resampler: Any = None
        form: object = None
        for packet in opened.demux(stream):
            self._check()
            for frame in _frames(av, packet):
                if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):  # a chained file
                    if resampler is not None:
                        yield from self._taken(resampler.resample(None))
                    resampler = av.AudioResampler(format="s16", layout="mono", rate=self._rate_hz)
                frame.pts = None  # holes in its time line are none in what is heard
                yield from self._taken(resampler.resample(frame))
        if resampler is not None:
            yield from self._taken(resampler.resample(None))

    def _taken(self, frames: Any) -> Iterator[bytes]:
        for frame in frames:
            pcm = bytes(frame.planes[0])[: frame.samples * SAMPLE_BYTES]
            self._left -= len(pcm)
            self._check()
            yield pcm

    def _check(self) -> None:
        if self._left < 0:
            raise self._error(f"it is longer than {SOUND_BYTES // self._rate_hz // SAMPLE_BYTES // 60} minutes")
        if monotonic() > self._deadline:
            raise self._error("reading it takes too long")

    def _error(self, why: str) -> MediaError:
        return MediaError(f"{self._path} cannot be played: {why}")


def _frames(av: Any, packet: Any) -> list[Any]:
    """Decode one packet; what is broken in the middle of a file is left out, as every player does."""
    try:
        return list(packet.decode())
    except av.error.InvalidDataError:
        return []


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:  # noqa: ARG001  (as PyAV calls it)
    raise PermissionError(f"a sound file may not lead to {url}")


def reason(error: OSError | ValueError) -> str:
    """Give an operating system's words for what went wrong, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
