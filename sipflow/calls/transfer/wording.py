"""What an INVITE or REFER of a transfer says beside its target: X-headers, and who calls."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sipflow.calls.identity import Caller
from sipflow.calls.variables import fill, printable
from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.address import NameAddr

if TYPE_CHECKING:
    from sipflow.calls.call import Call

_NAME = re.compile(r"[Xx]-[A-Za-z0-9_-]{1,62}")
_HEADER = "header:"
_MOST_HEADERS = 32
_LONGEST_VALUE = 1024  # of a template; much less fits a datagram, and more goes over TCP (RFC 3261 §18.1.1)


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that cannot go out with a transfer.

    Raises:
        LocalProtocolError: a name is not `X-` and letters, digits, - or _; a value has a line end; there are too many.
    """
    if len(headers) > _MOST_HEADERS:
        raise LocalProtocolError(f"headers: there are {len(headers)}, and at most {_MOST_HEADERS} can be sent")
    for name, value in headers.items():
        if _NAME.fullmatch(name) is None:
            raise LocalProtocolError(f"headers: {name[:80]!r} must be X- and then letters, digits, - or _")
        if not isinstance(value, str) or len(value) > _LONGEST_VALUE or any(each in value for each in "\r\n\0"):
            raise LocalProtocolError(f"headers: the value of {name} is no text, is too long, or has a line end")


def fill_headers(headers: Mapping[str, str], call: "Call") -> dict[str, str]:
    """Put the call's variables into the headers; one whose value comes out empty is left out.

    What a caller wrote cannot break out of the line it stands in.
    """
    if not headers:
        return {}
    known = variables_of_transfer(call)
    filled = {name: printable(fill(value, known)).strip() for name, value in headers.items()}
    return {name: value for name, value in filled.items() if value}


def variables_of_transfer(call: "Call") -> dict[str, str]:
    """Name every variable that headers and texts of a transfer may have: the call's own, and the system's."""
    record = call.record
    return {
        **call.variables,
        "call_id": record.id,
        "from_phone_number": record.from_number,
        "to_phone_number": record.to_number,
        "caller": call.caller,
        "callee": call.callee,
        "number": record.number,
        "agent": record.agent,
    }


def check_caller_id(caller_id: str) -> None:
    """Refuse a caller id that can be nobody's.

    Raises:
        LocalProtocolError: it holds what cannot stand in From, or names no header.
    """
    if not caller_id.isprintable() or len(caller_id) > 256 or caller_id == _HEADER:
        raise LocalProtocolError(f"caller_id: {caller_id[:80]!r} is none: original, agent, header:X-Name, or a number")


def caller_for(call: "Call", caller_id: str, own: str) -> Caller:
    """Say who is shown to the target.

    Args:
        call: that is transferred.
        caller_id: "original" (the person on the call), "agent" (the number of ours), "header:X-Name" (what stands in a
            header of the call's INVITE), a number or an address; "", or a header that is not there: as the trunk says.
        own: the number of ours that is called from, "" where there is none.
    """
    record = call.record
    person = record.to_number if record.direction == "outbound" else record.from_number
    match caller_id:
        case "":
            shown = ""
        case "original":
            shown = person
        case "agent":
            shown = own
        case _ if caller_id.startswith(_HEADER):
            shown = _from_header(call, caller_id.removeprefix(_HEADER).strip())
        case _:
            shown = caller_id
    return Caller(own, original=person, shown=shown)


def _from_header(call: "Call", name: str) -> str:
    """Read a number or name out of a header: what stands there, or the user part of an address."""
    value = printable(call.headers.get(name) or call.variables.get(name) or "").strip()
    if ":" not in value:
        return value
    try:
        uri = NameAddr.parse(value).uri
    except RemoteProtocolError:
        return ""
    number = getattr(uri, "digits", None) or getattr(uri, "unescaped_user", None)
    return printable(str(number or "")).strip()  # escapes may stand for line ends
