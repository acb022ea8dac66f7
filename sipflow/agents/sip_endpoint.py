"""`handler: sip_endpoint`: a second call, to an AI service that speaks SIP, is joined with the caller's."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType

from sipflow.agents.spec import HandOver
from sipflow.agents.stream.parameters import fill
from sipflow.calls.bridge import Parting, end_like, join
from sipflow.calls.dialling import checked_headers, find_target
from sipflow.calls.ending import Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import (
    AgentError,
    CallEnded,
    CallFailed,
    LocalProtocolError,
    MediaError,
    RemoteProtocolError,
    TransportError,
)
from sipflow.sip.grammar import TOKEN
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.uri import escape_user

_OPTIONS = frozenset({"uri", "trunk", "from", "headers", "ring_timeout_s", "fallback"})
_TEXTS = ("uri", "trunk", "from", "fallback")
_NO_ANSWER, _UNREACHABLE, _BAD_GATEWAY = 480, 503, 502
_NOT_THE_CALLERS = frozenset({401, 403, 407, 488})  # what is wrong is between us and the endpoint
_BRACES = re.compile(r"\{[A-Za-z][A-Za-z0-9_.-]{0,99}\}")
_EXAMPLE = "such as sip:proj_x@sip.api.openai.com;transport=tls"


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """Whom to call, and how.

    Attributes:
        uri: `sip:` or `sips:`, or a number or user name of the trunk's; `{variables}` may stand in the user part.
        trunk: whose account and ways are used, "" for none.
        caller: of From, with `{variables}`; "" for the trunk's own number.
        headers: further lines of the INVITE, with `{variables}`.
        ring_timeout_s: how long the endpoint may leave the call unanswered.
        fallback: the agent that takes over, "" for none.
    """

    uri: str
    trunk: str = ""
    caller: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ring_timeout_s: float = 20.0
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is nobody to talk to.

    Attributes:
        status: what the caller is refused with.
        why: one sentence.
    """

    status: int
    why: str


def check(options: Mapping[str, object]) -> None:
    """Refuse options that cannot work.

    Raises:
        AgentError: one cannot.
    """
    read_options(options)


def refers_to(options: Mapping[str, object]) -> str:
    """Name the agent that takes over where the endpoint fails, "" for none."""
    return str(options.get("fallback", ""))


def read_options(options: Mapping[str, object]) -> EndpointOptions:
    """Check the options and fill in what they leave out.

    Raises:
        AgentError: one cannot work.
    """
    for name in sorted(options.keys() - _OPTIONS):
        raise AgentError(f"handler sip_endpoint takes no option {name}: it has {', '.join(sorted(_OPTIONS))}")
    texts = {name: _text(name, options.get(name, "")) for name in _TEXTS}
    if not texts["uri"]:
        raise AgentError(f"handler sip_endpoint needs `uri`: whom to call, {_EXAMPLE}")
    seconds = options.get("ring_timeout_s", 20.0)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < inf:
        raise AgentError(f"handler sip_endpoint: ring_timeout_s is {seconds!r}, not seconds")
    _check_addresses(texts)
    return EndpointOptions(
        uri=texts["uri"],
        trunk=texts["trunk"],
        caller=texts["from"],
        headers=_headers(options.get("headers", {})),
        ring_timeout_s=seconds,
        fallback=texts["fallback"],
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise AgentError(f"handler sip_endpoint: {name} must be text")
    return value


def _check_addresses(texts: Mapping[str, str]) -> None:
    uri, caller = _BRACES.sub("0", texts["uri"]), _BRACES.sub("0", texts["from"])
    needs_trunk = ":" not in uri or uri[:4].lower() == "tel:"
    if needs_trunk and not texts["trunk"]:
        raise AgentError(f"handler sip_endpoint: uri {texts['uri']!r} names no host: {_EXAMPLE}; or name a `trunk`")
    try:
        if not needs_trunk:
            find_target(uri)
        if ":" in caller:
            NameAddr.parse(caller)
    except LocalProtocolError as error:
        raise AgentError(f"handler sip_endpoint: uri: {error}") from None
    except RemoteProtocolError as error:
        raise AgentError(f"handler sip_endpoint: from: {error}") from None
    if not needs_trunk and _BRACES.search(texts["uri"].rpartition("@")[2]):
        raise AgentError("handler sip_endpoint: uri: variables of the call can stand before the @ alone")


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise AgentError("handler sip_endpoint: headers must be names with a value each")
    for name, text in value.items():
        if not isinstance(text, str | int | float) or isinstance(text, bool):
            raise AgentError(f"handler sip_endpoint: headers.{name} must be text")
        if not isinstance(name, str) or TOKEN.fullmatch(name) is None or not str(text).isprintable():
            raise AgentError(f"handler sip_endpoint: headers.{name} cannot be written as a header line")
    headers = {name: str(text) for name, text in value.items()}
    try:
        checked_headers(headers)
    except LocalProtocolError as error:
        raise AgentError(f"handler sip_endpoint: headers: {error}") from None
    return MappingProxyType(headers)


async def sip_endpoint(call: InboundCall) -> HandOver | None:
    """Call the endpoint, answer when it answers, and join the two calls until one of them ends.

    Meanwhile the caller hears ringing, or what the endpoint says before it answers. An endpoint that refuses, does not
    answer in time, cannot be reached or falls silent for good is replaced by the fallback; without one the caller is
    refused with the endpoint's status, or hung up on with a Reason. Whoever hangs up, the other is hung up on too.
    """
    options = read_options(call.options)
    failure = await _converse(call, options)
    if failure is None:
        return None
    call.log.warning("the sip endpoint failed", why=failure.why, fallback=options.fallback or None)
    if options.fallback:
        return HandOver(options.fallback, failure.why)
    if call.answered:
        call.end_for(Word.AGENT_FAILED, failure.why, status=failure.status)
    else:
        call.end(failure.why, status=failure.status)
    return None


async def _converse(call: InboundCall, options: EndpointOptions) -> Failure | None:
    """Hold the conversation; None when it has come to its end, whoever brought it there."""
    if not call.answered:
        await call.ring()
    try:
        leg = await _dial(call, options)
    except (TransportError, MediaError, LocalProtocolError) as error:
        return Failure(_UNREACHABLE, f"the endpoint cannot be called: {error}")
    news = asyncio.Event()
    leg.on_progress = lambda _status, _reason: news.set()
    async with asyncio.TaskGroup() as group:
        joined = group.create_task(join(call, leg))
        answered = group.create_task(_answer(call, leg))
        relay = group.create_task(_pass_early_media(call, leg, news))
        try:
            either: set[asyncio.Future[Parting] | asyncio.Future[None]] = {joined, answered}
            await asyncio.wait(either, timeout=options.ring_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not leg.answered and leg.ending is None:
                return Failure(_NO_ANSWER, f"the endpoint did not answer in {options.ring_timeout_s:g} s")
            relay.cancel()
            parting = await joined
        finally:
            for task in (joined, answered, relay):
                task.cancel()
            leg.end("the call that it was placed for goes on without it")
    return _judge(call, leg, parting)


async def _dial(call: InboundCall, options: EndpointOptions) -> OutboundCall:
    """Place the second call; what the caller chose stays where it is put, and cannot change where the call goes."""
    known = {**call.variables, "call_id": call.id, "caller": call.caller, "callee": call.callee}
    inside = {name: escape_user(value) for name, value in known.items()}  # of an address
    alone = {name: value.replace(":", "") for name, value in known.items()}  # or else it could pass for an address

    def address(text: str) -> str:
        return fill(text, inside if ":" in text else alone)

    headers = {name: fill(value, known) for name, value in options.headers.items()}
    return await call.dial(
        address(options.uri),
        trunk=options.trunk,
        caller=address(options.caller),
        headers={name: value for name, value in headers.items() if value},
    )


async def _answer(call: InboundCall, leg: OutboundCall) -> None:
    """Answer the caller when the endpoint has answered; that it has not is for `join` to see."""
    with suppress(CallFailed, CallEnded):
        await leg.wait_answered()
        if not call.answered:
            await call.answer()


async def _pass_early_media(call: InboundCall, leg: OutboundCall, news: asyncio.Event) -> None:
    """Let the caller hear the endpoint before it answers, as soon as it says something."""
    while not (call.answered or (leg.media is not None and leg.media.agreed is not None)):
        await news.wait()
        news.clear()
        await asyncio.sleep(0)  # the progress is told before its SDP is read
    if not call.answered and not leg.answered:
        try:
            await call.progress()
        except (CallEnded, LocalProtocolError) as error:  # over; or this caller can only hear ringing
            call.log.debug("no early media", why=str(error))


def _judge(call: InboundCall, leg: OutboundCall, parting: Parting) -> Failure | None:
    """Say whether the end of the conversation was one; where the endpoint hung up, so do we."""
    ending = parting.ending
    if call.ending is not None:
        return None
    if not leg.answered:
        return Failure(_for_the_caller(ending.status), f"the endpoint was not reached: {ending.status} {ending.why}")
    if ending.by != "remote" or ending.word is not Word.HUNG_UP:
        return Failure(_BAD_GATEWAY, f"the endpoint was lost: {ending.why}")
    end_like(call, ending)
    return None


def _for_the_caller(status: int) -> int:
    """Say what a refusal of the endpoint means for the caller: the same, unless it is about us."""
    if status < 400 or status in _NOT_THE_CALLERS:
        return _BAD_GATEWAY
    return status
