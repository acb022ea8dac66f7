"""Log lines that a flood cannot multiply, and errors of our own that must not stop a socket."""

from collections.abc import Callable
from types import TracebackType

import structlog

_EVERY_S = 60.0  # one line a minute tells the operator as much as a thousand
_KEYS = 512  # kinds of lines remembered; a flood from forged sources must not fill the memory

_log = structlog.get_logger("sipflow.net")


class Rarely:
    """Says each kind of thing at most once a minute, and then how often it happened meanwhile.

    Attributes:
        errors: how many exceptions `failed` was told of.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said: dict[object, list[float]] = {}  # key -> [when last said, times since]
        self.errors = 0

    def say(self, event: str, key: object = "", **fields: object) -> None:
        """Log `event` as a warning; `key` tells things of one kind apart."""
        repeated = self._repeated((event, key))
        if repeated is not None:
            _log.warning(event, **fields, **({"repeated": repeated} if repeated else {}))

    def failed(self, event: str, error: BaseException, **fields: object) -> None:
        """Log an exception that is a bug of ours, with its traceback; one place in the code is one kind."""
        self.errors += 1
        repeated = self._repeated((event, type(error), _place(error.__traceback__)))
        if repeated is not None:
            _log.error(event, exc_info=error, **fields, **({"repeated": repeated} if repeated else {}))

    def _repeated(self, key: object) -> int | None:
        """How often it was kept quiet since it was last said, or None to keep quiet now."""
        now = self._clock()
        entry = self._said.get(key)
        if entry is not None and now - entry[0] < _EVERY_S:
            entry[1] += 1
            return None
        if entry is None and len(self._said) >= _KEYS:
            del self._said[next(iter(self._said))]
        self._said[key] = [now, 0]
        return int(entry[1]) if entry is not None else 0


def _place(trace: TracebackType | None) -> tuple[str, int]:
    """File and line where the exception was raised."""
    if trace is None:
        return "", 0
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno
