"""Who is shown as the caller, and how the number called is written: what a trunk's provider wants of a call out."""

from dataclasses import dataclass

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.numbers.number import normalise
from sipflow.numbers.writing import write
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.uri import SipUri
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk

_ANONYMOUS = NameAddr("Anonymous", SipUri("sip", "anonymous", None, "anonymous.invalid"))  # RFC 3323 §4.1.1.3
_DEFAULTS = OutboundSettings()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, before the trunk has its say.

    Attributes:
        number: of ours, or an address such as `"Sales" <sip:100@pbx.example.com>`, which is shown as it is; "" is the
            trunk's own number, or else its username, or else `sipflow`.
        name: display name, instead of the trunk's; "" for that.
        original: the number of the caller on whose behalf we call; "" for nobody.
        withheld: whether the number is not to be shown.
        shown: the number to show, whatever the trunk says; "" leaves that to it.
    """

    number: str = ""
    name: str = ""
    original: str = ""
    withheld: bool = False
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """What an INVITE says about its caller.

    Attributes:
        from_: without tag.
        user: user part of our Contact, unescaped.
        headers: identity, privacy and diversion lines.
    """

    from_: NameAddr
    user: str
    headers: tuple[tuple[str, str], ...] = ()


def identify(caller: Caller, trunk: Trunk | None, target: SipUri) -> Shown:
    """Say who is shown on a call, as the trunk wants it (RFC 3323, 3325, 5806).

    Args:
        caller: who calls.
        trunk: that carries the call; None for a call that goes straight to an address.
        target: the Request-URI, whose host stands in From where there is no trunk.

    Raises:
        LocalProtocolError: the caller is no address.
    """
    wants = trunk.outbound if trunk is not None else _DEFAULTS
    own = _own_number(caller, trunk)
    shown = _shown_number(caller, wants, own)
    address = _explicit(shown) or _address(shown, caller.name or wants.caller_name, trunk, target)
    withheld = caller.withheld or wants.withhold
    from_ = address
    if withheld and wants.privacy in ("full", "from"):
        from_ = _ANONYMOUS
    elif wants.from_user == "username" and trunk is not None and isinstance(address.uri, SipUri):
        from_ = NameAddr(address.display, address.uri.with_user(trunk.username))
    lines = list(_identity_lines(wants, address, withheld))
    if withheld and wants.privacy in ("full", "header"):
        lines.append(("Privacy", "id"))  # RFC 3325 §9.3
    if wants.diversion == "number" and own != shown:
        diverting = _explicit(own) or _address(own, "", trunk, target)
        lines.append(("Diversion", f"{diverting};reason=unconditional"))  # RFC 5806 §4
    return Shown(from_, _contact_user(trunk, address), tuple(lines))


def dialled(text: str, trunk: Trunk) -> str:
    """Write a number, extension or name as the trunk wants numbers that are called."""
    wants = trunk.outbound
    number = normalise(text, region=trunk.region) if wants.number_format != "as_given" else text
    written = write(number, wants.number_format, region=trunk.region).removeprefix(wants.strip)
    return wants.prefix + written


def _own_number(caller: Caller, trunk: Trunk | None) -> str:
    if caller.number or trunk is None:
        return caller.number or "sipflow"
    return trunk.phone_number or trunk.username or "sipflow"


def _shown_number(caller: Caller, wants: OutboundSettings, own: str) -> str:
    if caller.shown:
        return caller.shown
    if wants.caller_id == "number":
        return own
    if wants.caller_id == "original":
        return caller.original or own
    return wants.caller_id


def _explicit(text: str) -> NameAddr | None:
    """Read an address that is written out; None for a number or name alone."""
    if ":" not in text:
        return None
    try:
        return NameAddr.parse(text)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"{text[:80]!r} is no caller: {error}") from None


def _address(user: str, name: str, trunk: Trunk | None, target: SipUri) -> NameAddr:
    domain = SipUri("sip", None, None, target.host)
    if trunk is not None:
        user = write(user, trunk.outbound.caller_format, region=trunk.region)
        domain = trunk.domain or domain
        if trunk.outbound.from_domain:
            domain = SipUri("sip", None, None, trunk.outbound.from_domain)
    return NameAddr(name, domain.with_user(user))


def _identity_lines(wants: OutboundSettings, address: NameAddr, withheld: bool) -> list[tuple[str, str]]:
    match wants.identity:
        case "asserted":
            return [("P-Asserted-Identity", str(address))]  # RFC 3325 §9.1
        case "preferred":
            return [("P-Preferred-Identity", str(address))]  # RFC 3325 §9.2
        case "remote_party":
            privacy = "full" if withheld else "off"
            return [("Remote-Party-ID", f"{address};party=calling;screen=yes;privacy={privacy}")]
        case _:
            return []


def _contact_user(trunk: Trunk | None, address: NameAddr) -> str:
    if trunk is not None and trunk.contact_user:
        return trunk.contact_user
    return getattr(address.uri, "user", None) or "sipflow"
