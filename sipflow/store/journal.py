"""The file that what must not be lost is written to before the database has it: append, read again, start anew.

A line is in the kernel's hands when `append` returns, so the death of the process does not lose it. Lines are not
forced onto the disk: that would make the caller wait, and the database does it a moment later.
"""

import fcntl
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from sipflow.errors import StoreError

log = structlog.get_logger("sipflow.store")
_NEW = ".new"  # behind the name of the file that takes its place


class Journal:
    """Lines of bytes in a file that one process writes to.

    Attributes:
        file: where it is.
        size: octets in it, all that were appended and what was there before.
        broken: why the last line could not be written, "" when it could.
    """

    def __init__(self, file: Path) -> None:
        """Open the file, or make it for its owner only.

        Raises:
            StoreError: it cannot be written, or another process has it.
        """
        self.file = file
        self.broken = ""
        self._descriptor = _open(file)
        self.size = os.fstat(self._descriptor).st_size
        self._torn = self.size > 0 and os.pread(self._descriptor, 1, self.size - 1) != b"\n"

    @property
    def written_at(self) -> datetime:
        """When the last line was written: UTC wall clock."""
        return datetime.fromtimestamp(os.fstat(self._descriptor).st_mtime, UTC)

    def append(self, line: bytes) -> bool:
        """Write a line, which ends with its only newline; return whether it is kept. Never raises."""
        if self._torn:  # the last line is only half there: the next one must not be glued to it
            line = b"\n" + line
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            return self._failed(error.strerror or "it cannot be written")
        self.size += written
        if written != len(line):
            self._torn = True
            return self._failed("the disk is full")
        self._torn = False
        if self.broken:
            self.broken = ""
            log.warning("the journal of calls can be written again", file=str(self.file))
        return True

    def read(self, start: int, size: int) -> bytes:
        """Return some of what was written, from an offset on; fewer octets than asked for at the end only.

        Raises:
            OSError: the disk fails.
        """
        return os.pread(self._descriptor, size, start)

    def replace(self, lines: Iterable[bytes]) -> bool:
        """Begin anew with these lines and nothing else; return whether that was done. Killed halfway, all is as it was.

        Never raises.
        """
        new = self.file.with_name(self.file.name + _NEW)
        data = b"".join(lines)
        try:
            if not data:
                os.ftruncate(self._descriptor, 0)
            else:
                self._take_over(new, data)
        except OSError as error:
            return self._failed(error.strerror or "it cannot be written")
        self.size, self._torn = len(data), False
        return True

    def close(self, *, remove: bool = False) -> None:
        """Let the file go; `remove` also deletes it."""
        if remove:
            self.file.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _take_over(self, new: Path, data: bytes) -> None:
        descriptor = os.open(new, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(descriptor, data) != len(data):
                raise OSError(0, "the disk is full")
            os.replace(new, self.file)
        except OSError:
            os.close(descriptor)
            new.unlink(missing_ok=True)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor

    def _failed(self, why: str) -> bool:
        if not self.broken:
            log.error(
                "the journal of calls cannot be written: a crash would lose records that are not in the database yet",
                file=str(self.file),
                why=why,
            )
        self.broken = why
        return False


def _open(file: Path) -> int:
    """Open the file and lock it; the lock goes with the process, however that ends."""
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(
                f"the journal of calls {file} cannot be written: {error.strerror}; "
                "sipflow needs the right to write into this folder (or set store.url)"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise StoreError(
                f"another sipflow runs with this store ({file} is locked): stop it, or give this one another store.url"
            ) from None
        if _is_still(file, descriptor):
            return descriptor
        os.close(descriptor)  # another process put a new file in its place while we opened this one


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
