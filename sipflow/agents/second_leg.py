"""What the handlers that place a second call have in common: their options, and how a call's own words are put in."""

import re
from collections.abc import Mapping
from math import inf
from types import MappingProxyType

from sipflow.calls.call import Call
from sipflow.calls.dialling import checked_headers, find_target
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.variables import fill
from sipflow.errors import AgentError, LocalProtocolError, RemoteProtocolError
from sipflow.sip.grammar import TOKEN
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.uri import escape_user

EXAMPLE = "such as sip:proj_x@sip.api.openai.com;transport=tls"
_BRACES = re.compile(r"\{[A-Za-z][A-Za-z0-9_.-]{0,99}\}")
_FILLED = re.compile(r"[{}]")


def check_text(handler: str, name: str, value: object) -> str:
    """Give an option that is text.

    Raises:
        AgentError: it is not.
    """
    if not isinstance(value, str):
        raise AgentError(f"{handler}: {name} must be text")
    return value


def seconds(handler: str, name: str, value: object) -> float:
    """Give an option that is seconds, more than 0.

    Raises:
        AgentError: it is not.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < inf:
        raise AgentError(f"{handler}: {name} is {value!r}, not seconds")
    return float(value)


def names_host(address: str) -> bool:
    """Whether an address says by itself where it is, and needs no trunk."""
    return ":" in address and address[:4].lower() != "tel:"


def check_callee(handler: str, name: str, address: str, *, has_trunk: bool) -> None:
    """Refuse an address that cannot be called, whatever stands in its `{variables}`.

    Raises:
        AgentError: it cannot.
    """
    shown = _BRACES.sub("0", address)
    if not names_host(shown):
        if not has_trunk:
            raise AgentError(f"{handler}: {name} {address!r} names no host: {EXAMPLE}; or name a `trunk`")
        return
    try:
        find_target(shown)
    except LocalProtocolError as error:
        raise AgentError(f"{handler}: {name}: {error}") from None
    if _BRACES.search(address.rpartition("@")[2]):
        raise AgentError(f"{handler}: {name}: variables of the call can stand before the @ alone")


def check_caller(handler: str, address: str) -> None:
    """Refuse what cannot stand in From.

    Raises:
        AgentError: it cannot.
    """
    shown = _BRACES.sub("0", address)
    try:
        if ":" in shown:
            NameAddr.parse(shown)
    except RemoteProtocolError as error:
        raise AgentError(f"{handler}: from: {error}") from None


def check_headers(handler: str, value: object) -> Mapping[str, str]:
    """Give an option that is header lines.

    Raises:
        AgentError: it is not, or a line is not an agent's to write.
    """
    if not isinstance(value, Mapping):
        raise AgentError(f"{handler}: headers must be names with a value each")
    for name, text in value.items():
        if not isinstance(text, str | int | float) or isinstance(text, bool):
            raise AgentError(f"{handler}: headers.{name} must be text")
        if not isinstance(name, str) or TOKEN.fullmatch(name) is None or not str(text).isprintable():
            raise AgentError(f"{handler}: headers.{name} cannot be written as a header line")
    headers = {name: str(text) for name, text in value.items()}
    try:
        checked_headers(headers)
    except LocalProtocolError as error:
        raise AgentError(f"{handler}: headers: {error}") from None
    return MappingProxyType(headers)


async def dial(call: Call, to: str, *, trunk: str, caller: str, headers: Mapping[str, str]) -> OutboundCall:
    """Place the second call; what the caller chose stays where it is put, and cannot change where the call goes.

    Raises:
        CallEnded, CallFailed, LocalProtocolError, MediaError, TransportError: as `Call.dial`.
    """
    wanted = {name: value for name, value in headers.items() if value}
    if not _FILLED.search("".join((to, caller, *wanted.values()))):  # nothing to be put in: nearly always
        return await call.dial(to, trunk=trunk, caller=caller, headers=wanted)
    known = {**call.variables, "call_id": call.id, "caller": call.caller, "callee": call.callee}
    inside = {name: escape_user(value) for name, value in known.items()}  # of an address
    alone = {name: value.replace(":", "") for name, value in known.items()}  # or else it could pass for an address

    def address(text: str) -> str:
        return fill(text, inside if ":" in text else alone)

    filled = {name: fill(value, known) for name, value in headers.items()}
    return await call.dial(
        address(to),
        trunk=trunk,
        caller=address(caller),
        headers={name: value for name, value in filled.items() if value},
    )
