"""What is written into the log of what was refused before any call came of it."""

import structlog

from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.explain import story
from sipflow.errors import RemoteProtocolError
from sipflow.sip.message import Request
from sipflow.sip.outputs import Refused

log = structlog.get_logger("sipflow.calls")


def log_refused(event: Refused, keeper: Doorkeeper) -> None:
    """Write the line of a message that the user agent answered with an error, or not at all."""
    source, request = str(event.hop), event.request
    if request is None:  # it does not even say what it wants, or it is an answer: nobody could be told
        log.info("message dropped: it cannot be read", source=source, why=event.why)
    elif event.status == 401:
        log.debug("challenged", method=request.method, source=source)
    else:
        steps = _steps(event, keeper, request) if request.method == "INVITE" else ()
        known = {"steps": steps} if len(steps) > 1 else {}
        log.info("refused", method=request.method, source=source, status=event.status, why=event.why, **known)


def _steps(event: Refused, keeper: Doorkeeper, request: Request) -> tuple[str, ...]:
    try:
        return story(keeper, request, event.hop, event.why)
    except RemoteProtocolError:  # it was refused because one of the headers that tell this cannot be read
        return ()
