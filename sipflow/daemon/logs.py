"""How log lines look: colour for people, JSON for machines."""

import logging
import sys
from typing import Any, TextIO

import structlog

from sipflow.api.log_ring import LogRing
from sipflow.daemon import log_masks

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_CALL_KEYS = ("call", "trunk")  # shown first, so that one call's lines can be picked out by eye
_OF_SEVERAL_LINES = frozenset({"exception", "message"})
_INDENT = "    "


def set_up_logs(
    level: str = "info",
    form: str = "auto",
    *,
    mask_numbers: bool = False,
    stream: TextIO | None = None,
    ring: LogRing | None = None,
) -> None:
    """Send every log line to `stream` (standard error).

    Args:
        level: debug, info, warning or error; debug shows every SIP message, secrets masked.
        form: console, json, or auto: console where a person is watching.
        mask_numbers: whether the middle of telephone numbers is hidden, and digits are hidden altogether.
        stream: for tests.
        ring: keeps the last lines.
    """
    out = stream if stream is not None else sys.stderr
    json = form == "json" or (form == "auto" and not out.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        _printable,
        *([log_masks.mask_numbers] if mask_numbers else []),
        *([ring] if ring is not None else []),
        structlog.processors.TimeStamper(fmt="iso", utc=True) if json else structlog.processors.TimeStamper("%H:%M:%S"),
        structlog.processors.JSONRenderer() if json else _Console(colors=out.isatty()),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


class _Console:
    """Writes an event for people; a SIP message below it, line by line as it is on the wire."""

    def __init__(self, *, colors: bool) -> None:
        # The tracebacks that structlog would choose show local variables, and with them passwords.
        plain = structlog.dev.plain_traceback
        self._renderer = structlog.dev.ConsoleRenderer(
            colors=colors, pad_event_to=24, sort_keys=False, exception_formatter=plain
        )

    def __call__(self, logger: object, method: str, event: dict[str, Any]) -> str:
        message = str(event.pop("message", "")).rstrip()
        line = self._renderer(logger, method, event)
        return "\n".join([line, *(_INDENT + part for part in message.split("\n"))]) if message else line


def _printable(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Keep one event on one line: what strangers wrote may hold line ends and terminal escapes."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            kept = "\n" if key in _OF_SEVERAL_LINES else ""
            text = value.replace("\r\n", "\n") if kept else value
            event[key] = "".join(c if c.isprintable() or c == kept else repr(c)[1:-1] for c in text)
    first = {key: event.pop(key) for key in _CALL_KEYS if key in event}
    return {**first, **event}
