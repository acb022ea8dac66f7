"""Sound files, read and converted once, kept while there is room."""

import asyncio
import os
import threading
from collections import OrderedDict
from pathlib import Path

from sipflow.audio.resample import to_rate
from sipflow.audio.wav import read_wav
from sipflow.errors import MediaError

_KEPT_BYTES = 32 << 20  # half an hour at 8 kHz
_FILE_BYTES = 128 << 20  # conversion takes several times as much memory for a moment

_Key = tuple[str, int, int]  # path, modification time, size


class SoundCache:
    """Reads WAV files in a thread, so that no call waits for a disk; a file that changes is read again.

    Attributes:
        reads: how many files were really read.
    """

    def __init__(self, *, kept_bytes: int = _KEPT_BYTES) -> None:
        """Start empty; the files used longest ago go when those kept exceed `kept_bytes` of samples."""
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._sounds: OrderedDict[_Key, bytes] = OrderedDict()
        self._lock = threading.Lock()  # one file at a time: calls that start together read it once
        self.reads = 0

    async def load(self, path: str | os.PathLike[str]) -> bytes:
        """Give a WAV file as 16-bit mono samples at 8 kHz.

        Raises:
            MediaError: there is no such file, it cannot be read, is too large, or is no WAV file that we know.
        """
        return await asyncio.to_thread(self._load, os.fspath(path))

    def _load(self, path: str) -> bytes:
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            raise MediaError(f"{path} cannot be played: {_reason(error)}") from error
        if status.st_size > _FILE_BYTES:
            raise MediaError(f"{path} cannot be played: {status.st_size >> 20} MB are more than {_FILE_BYTES >> 20}")
        key = (path, status.st_mtime_ns, status.st_size)
        with self._lock:
            pcm = self._sounds.get(key)
            if pcm is None:
                pcm = self._read(path)
                self._keep(key, pcm)
            else:
                self._sounds.move_to_end(key)
            return pcm

    def _read(self, path: str) -> bytes:
        self.reads += 1
        try:
            return to_rate(read_wav(Path(path).read_bytes())).pcm
        except OSError as error:
            raise MediaError(f"{path} cannot be played: {_reason(error)}") from error
        except MediaError as error:
            raise MediaError(f"{path} cannot be played: {error}") from error

    def _keep(self, key: _Key, pcm: bytes) -> None:
        self._sounds[key] = pcm
        self._bytes += len(pcm)
        while self._bytes > self._kept_bytes:
            self._bytes -= len(self._sounds.popitem(last=False)[1])


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
