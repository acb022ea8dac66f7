"""Sound files, read and converted once, kept while there is room."""

import asyncio
import os
import threading
from collections import OrderedDict

from sipflow.errors import MediaError
from sipflow.media.sound_file import read_sound, reason

_KEPT_BYTES = 32 << 20  # half an hour at 8 kHz

_Key = tuple[str, int, int, int]  # path, modification time, size, sample rate


class SoundCache:
    """Reads sound files in a thread, so that no call waits for a disk; a file that changes is read again.

    Attributes:
        reads: how many files were really read.
    """

    def __init__(self, *, kept_bytes: int = _KEPT_BYTES) -> None:
        """Start empty; the files used longest ago go when those kept exceed `kept_bytes` of samples."""
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._sounds: OrderedDict[_Key, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._reading: dict[_Key, threading.Lock] = {}  # one for each file: calls that start together read it once
        self.reads = 0

    async def load(self, path: str | os.PathLike[str], sample_rate_hz: int = 8000) -> bytes:
        """Give a sound file as 16-bit mono samples.

        Raises:
            MediaError: there is no such file, it cannot be read, is too large, or there is no sound in it.

        Cancelling leaves the file to be read and kept for the next call.
        """
        return await asyncio.to_thread(self._load, os.fspath(path), sample_rate_hz)

    def _load(self, path: str, sample_rate_hz: int) -> bytes:
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            where = "" if os.path.isabs(path) else f" (looked for in {os.getcwd()})"
            raise MediaError(f"{path} cannot be played: {reason(error)}{where}") from error
        key = (path, status.st_mtime_ns, status.st_size, sample_rate_hz)
        with self._lock:
            pcm = self._sounds.get(key)
            if pcm is not None:
                self._sounds.move_to_end(key)
                return pcm
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:
            return self._read(key)

    def _read(self, key: _Key) -> bytes:
        """Read a file, unless somebody else has while we waited."""
        with self._lock:
            pcm = self._sounds.get(key)
        if pcm is None:
            try:
                pcm = read_sound(key[0], key[3])
            finally:
                with self._lock:
                    self.reads += 1
                    self._reading.pop(key, None)
            with self._lock:
                self._keep(key, pcm)
        return pcm

    def _keep(self, key: _Key, pcm: bytes) -> None:
        self._bytes += len(pcm) - len(self._sounds.pop(key, b""))
        self._sounds[key] = pcm
        while self._bytes > self._kept_bytes:
            self._bytes -= len(self._sounds.popitem(last=False)[1])
