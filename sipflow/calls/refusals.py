"""What is written into the log of what was refused before any call came of it."""

import structlog

from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.explain import story
from sipflow.errors import RemoteProtocolError
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Refused

log = structlog.get_logger("sipflow.calls")


def log_refused(event: Refused, keeper: Doorkeeper, call_id: str = "") -> tuple[str, ...]:
    """Write the line of a message that the user agent answered with an error, or not at all.

    Args:
        event: what was refused.
        keeper: knows how it came to that.
        call_id: of the record that a call leaves, "" for none.

    Returns:
        The sentences that lead to the refusal of a call; none for anything else.
    """
    source, request = str(event.hop), event.request
    if request is None:  # it does not even say what it wants, or it is an answer: nobody could be told
        log.info("message dropped: it cannot be read", source=source, why=event.why)
        return ()
    if event.status == 401:
        log.debug("challenged", method=request.method, source=source)
        return ()
    steps = steps_to(keeper, request, event.hop, event.why) if request.method == "INVITE" else ()
    known: dict[str, object] = {"steps": steps} if len(steps) > 1 else {}
    if call_id:
        known["call"] = call_id
    log.info("refused", method=request.method, source=source, status=event.status, why=event.why, **known)
    return steps


def steps_to(keeper: Doorkeeper, request: Request, hop: Hop, why: str) -> tuple[str, ...]:
    """Say how a call came to be refused; nothing of one whose headers cannot be read."""
    try:
        return story(keeper, request, hop, why)
    except RemoteProtocolError:  # it was refused because one of the headers that tell this cannot be read
        return ()
