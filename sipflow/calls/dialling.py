"""From an address as people write it to an INVITE of ours: where it goes, from whom, with what beside."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from sipflow.calls.header_policy import Behalf, composed, crossing
from sipflow.calls.identity import Caller, dialled, identify
from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sdp.agreement import PCMA, PCMU, Codec
from sipflow.sdp.codecs import CODECS
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.lines import holds_controls
from sipflow.sip.ids import Ids
from sipflow.sip.plan import RequestPlan
from sipflow.sip.uri import SipUri, TelUri, parse_uri
from sipflow.trunks.trunk import Trunk

_OURS = frozenset({  # what every INVITE of ours has already, or what is not for an agent to say
    "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "max-forwards", "route",
    "record-route", "content-length", "l", "content-type", "c", "content-encoding", "e", "authorization",
    "proxy-authorization", "supported", "k", "require", "proxy-require", "rack", "rseq",
})  # fmt: skip

_NOBODY = Behalf()


def plan_call(
    uri: str,
    *,
    ids: Ids,
    trunk: Trunk | None = None,
    caller: str | Caller = "",
    headers: Mapping[str, str] | None = None,
    behalf: Behalf | None = None,
) -> RequestPlan:
    """Plan a call; its SDP is made when it is placed.

    Args:
        uri: `sip:` or `sips:`; or a number or user name alone, or `tel:`, which needs a trunk with a domain.
        ids: makes Call-ID and tag.
        trunk: whose outbound proxy, transport and account are used, and that decides who is shown and how the number
            is written (`trunks.<name>.outbound`); None goes where the URI says.
        caller: a number or user name, or an address such as `"Sales" <sip:100@pbx.example.com>`; "" is the trunk's own
            number, or else its username, or else `sipflow`.
        headers: further lines of the INVITE.
        behalf: the call that this one is placed on behalf of, whose headers cross as the trunk says; None for nobody's.

    Raises:
        LocalProtocolError: the address cannot be called, the caller is none, or a header is not an agent's to write.
    """
    target, destination = find_target(uri, trunk)
    behalf = behalf or _NOBODY
    who = Caller(caller) if isinstance(caller, str) else caller
    if behalf.withheld and trunk is not None and trunk.outbound.caller_id == "original":
        who = replace(who, withheld=True)  # RFC 3323 §4.2: whoever sends it on keeps it private
    shown = identify(who, trunk, target)
    if holds_controls(shown.from_.display):
        raise LocalProtocolError("the caller's name holds a control character")
    lines = (shown.headers, crossing(behalf.headers, trunk), checked_headers(headers or {}))
    return RequestPlan(
        method="INVITE",
        uri=target,
        destination=destination,
        from_=shown.from_.with_param("tag", ids.tag()),
        to=NameAddr("", target.without_params("transport")),
        call_id=ids.call_id(),
        cseq=1,
        headers=composed(*lines, trunk=trunk, variables=behalf.variables),
        contact_user=shown.user,
        accounts=trunk.accounts if trunk is not None else (),
        allow_md5=trunk.allow_md5 if trunk is not None else True,
        advertise=trunk.advertise if trunk is not None else "",
        routes=trunk.routes if trunk is not None else (),
        session=trunk.session if trunk is not None else None,
        max_forwards=behalf.max_forwards,
    )


def find_target(text: str, trunk: Trunk | None = None) -> tuple[SipUri, SipUri]:
    """Say what stands in the Request-URI, and where the call is sent.

    Raises:
        LocalProtocolError: the address cannot be called.
    """
    shown = text[:80]
    if ":" not in text:
        user: str | None = text.strip()
    else:
        try:
            uri = parse_uri(text.strip())
        except RemoteProtocolError as error:
            raise LocalProtocolError(f"{shown!r} is no address to call: {error}") from None
        if isinstance(uri, SipUri):
            return uri, _destination(uri, trunk)
        user = uri.digits if isinstance(uri, TelUri) else None
    if not user:
        raise LocalProtocolError(f"{shown!r} is no address to call: write sip:user@host")
    domain, destination = (trunk.domain, trunk.destination) if trunk is not None else (None, None)
    if domain is None or destination is None:
        raise LocalProtocolError(f"{shown!r} names no host: write sip:user@host, or name a trunk that has sip_domain")
    return domain.with_user(dialled(user, trunk) if trunk is not None else user), destination


def _destination(uri: SipUri, trunk: Trunk | None) -> SipUri:
    if trunk is None:
        return uri
    if trunk.outbound_proxy and trunk.destination is not None:
        return trunk.destination
    if trunk.transport and uri.scheme == "sip" and not uri.has_param("transport"):
        return uri.with_params(("transport", trunk.transport))
    return uri


def checked_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Give the header lines.

    Raises:
        LocalProtocolError: one of them is not an agent's to write.
    """
    for name in headers:
        if name.lower() in _OURS:
            raise LocalProtocolError(f"header {name} is written by sipflow itself")
    return tuple(headers.items())


def codecs_like(codec: Codec | None) -> tuple[str, ...]:
    """Name the codecs to offer a second leg, so that audio crosses as it is if the far end likes: this one, then G.711.

    Args:
        codec: of the first leg; None where that is not known yet, which gives nothing.
    """
    return _like(codec.name, codec.clock_rate_hz) if codec is not None else ()


@lru_cache(maxsize=64)
def _like(name: str, clock_rate_hz: int) -> tuple[str, ...]:
    same = (key for key, known in CODECS.items() if (known.name, known.clock_rate_hz) == (name, clock_rate_hz))
    return tuple(dict.fromkeys((*same, PCMU.name, PCMA.name)))
