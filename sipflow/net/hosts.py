"""Names that this machine's own hosts file gives an address; DNS is not asked about them."""

import os
from collections.abc import Callable

from sipflow.net.literal import family_of
from sipflow.net.records import Answer, Question

_LOOK_AGAIN_S = 5.0  # an operator who has just edited the file waits no longer
_LOOPBACK = ("127.0.0.1", "::1")


class Hosts:
    """The hosts file, read again when it changes; `localhost` is loopback whatever it says (RFC 6761 §6.3)."""

    def __init__(self, clock: Callable[[], float], path: str = "/etc/hosts") -> None:
        self._clock = clock
        self._path = path
        self._names: dict[str, tuple[str, ...]] = {}
        self._stamp: tuple[int, int] | None = None
        self._look_at = float("-inf")

    def answer(self, question: Question) -> Answer | None:
        """Answer for a name that the file has, or for a service below it; None to ask DNS.

        Such a name has addresses only: no NAPTR, no SRV.
        """
        name = question.name
        while name.startswith("_"):
            name = name.partition(".")[2]
        addresses = self._addresses(name)
        if not addresses:
            return None
        if question.kind not in ("A", "AAAA"):
            return Answer()
        six = question.kind == "AAAA"
        return Answer(addresses=tuple(address for address in addresses if (":" in address) == six))

    def _addresses(self, name: str) -> tuple[str, ...]:
        if name == "localhost" or name.endswith(".localhost"):
            return _LOOPBACK
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + _LOOK_AGAIN_S
            self._read()
        return self._names.get(name, ())

    def _read(self) -> None:
        try:
            status = os.stat(self._path)
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            with open(self._path, encoding="utf-8", errors="replace") as file:
                self._names = _parse(file.read())
            self._stamp = stamp
        except OSError:
            self._names, self._stamp = {}, None  # no such file: DNS alone


def _parse(text: str) -> dict[str, tuple[str, ...]]:
    names: dict[str, dict[str, None]] = {}
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        if family_of(address):
            for alias in aliases:
                names.setdefault(alias.lower().removesuffix("."), {})[address] = None
    return {name: tuple(addresses) for name, addresses in names.items()}
