"""A log that somebody is writing, read piece by piece: who waits for a line looks often, and a log may be long."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Growing(Generic[_T]):
    """What the whole lines of a file mean, each of them read once; the line that is just being written comes later.

    Args:
        file: may not be there yet.
        meaning: of a line, without its end; None for one that means nothing.
    """

    def __init__(self, file: Path, meaning: Callable[[str], _T | None]) -> None:
        self._file = file
        self._meaning = meaning
        self._read_bytes = 0
        self._found: list[_T] = []
        self._reading = threading.Lock()

    def all(self) -> list[_T]:
        """Everything so far, in order."""
        with self._reading:
            try:
                with self._file.open("rb") as file:
                    file.seek(self._read_bytes)
                    new = file.read()
            except FileNotFoundError:
                return []
            new = new[: new.rfind(b"\n") + 1]
            self._read_bytes += len(new)
            for line in new.decode("utf-8", "replace").splitlines():
                if (found := self._meaning(line)) is not None:
                    self._found.append(found)
            return list(self._found)
