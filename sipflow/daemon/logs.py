"""How log lines look: colour for people, JSON for machines."""

import logging
import sys
from typing import Any, TextIO

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_CALL_KEYS = ("call", "trunk")  # shown first, so that one call's lines can be picked out by eye


def set_up_logs(level: str = "info", form: str = "auto", *, stream: TextIO | None = None) -> None:
    """Send every log line to `stream` (standard error).

    Args:
        level: debug, info, warning or error; debug shows every SIP message, secrets masked.
        form: console, json, or auto: console where a person is watching.
        stream: for tests.
    """
    out = stream if stream is not None else sys.stderr
    json = form == "json" or (form == "auto" and not out.isatty())
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _printable,
        structlog.processors.TimeStamper(fmt="iso", utc=True) if json else structlog.processors.TimeStamper("%H:%M:%S"),
    ]
    if json:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        processors += [structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=24, sort_keys=False)]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )


def _printable(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Keep one event on one line: what strangers wrote may hold line ends and terminal escapes."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable() and key not in ("exception", "message"):
            event[key] = "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)
    first = {key: event.pop(key) for key in _CALL_KEYS if key in event}
    return {**first, **event}
