"""The records of calls that come in: what an INVITE says of itself, and the end of one that was turned away."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sipflow.calls.announced import EI, Announced, read_ei
from sipflow.calls.ending import Ending, Word
from sipflow.calls.record import CallRecord
from sipflow.calls.routes import NoRoute, Route
from sipflow.calls.variables import party, printable, variables_of
from sipflow.sip.message import Request


def ei_tokens(request: Request) -> Mapping[str, str]:
    """Read the X-EI header; most calls have none."""
    headers = request.headers
    return read_ei(headers.get(EI) or "") if EI in headers else {}


def arrival(
    request: Request,
    call_id: str,
    route: Route | NoRoute,
    tokens: Mapping[str, str],
    announced: Announced | None = None,
) -> CallRecord:
    """Begin the record of a call that comes in.

    Args:
        request: the INVITE.
        call_id: ours.
        route: where it goes, or why nowhere.
        tokens: of its X-EI header.
        announced: what was announced of it before, which counts more than its headers.
    """
    record = CallRecord(
        id=call_id,
        sip_call_id=request.call_id,
        direction="inbound",
        from_number=party(request, "From"),
        to_number=party(request, "To"),
        trunk=route.trunk.name if isinstance(route, Route) else route.trunk,
        number=route.number.number if isinstance(route, Route) else "",
        agent=route.agent if isinstance(route, Route) else "",
        started_at=datetime.now(UTC),
        why=route.why if isinstance(route, Route) else (route.why,),
    )
    variables = variables_of(request.headers)
    record.diversion = variables.get("Diversion") or variables.get("X-Diversion", "")
    if tokens:
        record.external_id = printable(tokens.get("E", ""))
        record.diversion = record.diversion or printable(tokens.get("O", ""))
    if announced is not None:
        variables.update(announced.variables)
    record.variables = variables or None
    return record


def turned_away(record: CallRecord, status: int, why: str, steps: tuple[str, ...] = ()) -> Ending:
    """End the record of a call that was refused before any agent saw it; `steps` say how it came to that."""
    word = Word.OVERLOADED if status == 503 else None
    ending = Ending.of("local", status, why, word=word)
    record.ending = ending
    record.ended_at = record.started_at
    record.why = steps or tuple(dict.fromkeys((*record.why, why)))
    return ending
