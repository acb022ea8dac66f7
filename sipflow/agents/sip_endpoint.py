"""`handler: sip_endpoint`: a second call, to an AI service that speaks SIP, is joined with the caller's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from sipflow.agents.second_leg import EXAMPLE, check_callee, check_caller, check_headers, check_text, dial, seconds
from sipflow.agents.spec import HandOver
from sipflow.calls.b2bua import connect
from sipflow.calls.call import Call
from sipflow.errors import AgentError

_OPTIONS = frozenset({"uri", "trunk", "from", "headers", "ring_timeout_s", "fallback"})
_TEXTS = ("uri", "trunk", "from", "fallback")
_HANDLER = "handler sip_endpoint"
_MOST_KNOWN = 16  # agents whose options are remembered


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
    texts = {name: check_text(_HANDLER, name, options.get(name, "")) for name in _TEXTS}
    if not texts["uri"]:
        raise AgentError(f"{_HANDLER} needs `uri`: whom to call, {EXAMPLE}")
    ring_timeout_s = seconds(_HANDLER, "ring_timeout_s", options.get("ring_timeout_s", 20.0))
    check_callee(_HANDLER, "uri", texts["uri"], has_trunk=bool(texts["trunk"]))
    check_caller(_HANDLER, texts["from"])
    return EndpointOptions(
        uri=texts["uri"],
        trunk=texts["trunk"],
        caller=texts["from"],
        headers=check_headers(_HANDLER, options.get("headers", {})),
        ring_timeout_s=ring_timeout_s,
        fallback=texts["fallback"],
    )


_known: dict[int, tuple[Mapping[str, object], EndpointOptions]] = {}  # by identity; what is in here lives on


def _known_options(options: Mapping[str, object]) -> EndpointOptions:
    """Give the options of an agent, which are the same object for each of its calls and need not be read again."""
    found = _known.get(id(options))
    if found is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        found = _known[id(options)] = (options, read_options(options))
    return found[1]


async def sip_endpoint(call: Call) -> HandOver | None:
    """Call the endpoint, answer when it answers, and join the two calls until one of them ends.

    Meanwhile the caller hears ringing, or what the endpoint says before it answers. An endpoint that refuses, does not
    answer in time, cannot be reached or falls silent for good is replaced by the fallback; without one the caller is
    refused with the endpoint's status, or hung up on with a Reason. Whoever hangs up, the other is hung up on too.
    """
    options = _known_options(call.options)
    if not call.answered:
        await call.ring()
    words = {"trunk": options.trunk, "caller": options.caller}
    place = partial(dial, call, options.uri, headers=options.headers, **words)
    failure = await connect(call, place, ring_s=options.ring_timeout_s)
    if failure is None:
        return None
    call.log.warning("the sip endpoint failed", why=failure.why, fallback=options.fallback or None)
    if options.fallback:
        return HandOver(options.fallback, failure.why)
    failure.end(call)
    return None
