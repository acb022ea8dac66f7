"""The fields of a provider's form, as an API or a database has them, and the trunk that they make.

They are plain values: texts, whole numbers, booleans and lists of texts. A trunk that the configuration declares can be
shown in the same shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, get_type_hints

import phonenumbers

from sipflow.errors import LocalProtocolError
from sipflow.trunks.plain import read, shown
from sipflow.trunks.profiles.catalogue import find_profile
from sipflow.trunks.profiles.profile import Profile, field_of
from sipflow.trunks.settings import InboundAuth, RegisterSettings
from sipflow.trunks.trunk import Trunk

SHORTEST_REGISTER_S, LONGEST_REGISTER_S = 60, 3600  # of what `uac_register_expires` may be; the reference's bounds
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Provider(NamedTuple):
    """What is special about a provider when a number of his is imported.

    Attributes:
        sip_domain: filled in where none is given.
        needs_domain: without a domain the import is refused.
        any_identifier: its numbers may be other identifiers than E.164.
        credentials: it takes a user name and a password.
        registers: given both, we register without being told to.
        profile: what else is special about it, see `profiles.catalogue`.
    """

    sip_domain: str = ""
    needs_domain: bool = True
    any_identifier: bool = False
    credentials: bool = True
    registers: bool = False
    profile: str = "generic"


PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {
        "custom": Provider(),
        "twilio": Provider(profile="twilio"),
        "telnyx": Provider(profile="telnyx"),
        "vonage": Provider(profile="vonage"),
        "ring_central": Provider(registers=True, profile="ringcentral"),
        "ringcx": Provider("sip.ringcentral.com", needs_domain=False, credentials=False, profile="ringcx"),
        "zoom": Provider("sip.zoom.com", needs_domain=False, any_identifier=True, credentials=False, profile="zoom"),
        "five9": Provider(needs_domain=False, any_identifier=True, credentials=False, profile="five9"),
    }
)


@dataclass(frozen=True, slots=True)
class TrunkFields:
    """What a client says of a trunk.

    Attributes:
        sip_domain: where calls go (`termination_uri`, `sip_term_uri`).
        username: the account (`trunk_username`).
        password: in plain text (`trunk_pwd`); appears in no repr, and is "" in whatever is shown.
        outbound_proxy: goes before the domain as the destination (`sip_outbound_proxy`).
        auth_username: the name that answers challenges (`sip_auth_username`).
        origination_uri: our address as the provider knows it.
        provider_name: one of `PROVIDERS`.
        uac_enabled: whether we register.
        uac_register_expires: for how long a registration is asked to last, in seconds, 60 to 3600.
        more: other settings of a trunk by the name the configuration gives them, such as `transport`, `region`,
            `accept_from`, `codecs`, `health`, `outbound`; `authenticate_inbound: true` asks callers for this account.
    """

    sip_domain: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    outbound_proxy: str = ""
    auth_username: str = ""
    origination_uri: str = ""
    provider_name: str = "custom"
    uac_enabled: bool = False
    uac_register_expires: int = 300
    more: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


_OWN = tuple(each.name for each in fields(TrunkFields) if each.name != "more")
_PLAIN = ("sip_domain", "username", "password", "outbound_proxy", "auth_username", "origination_uri")
# Fields of a trunk that are not set by name: the form's own, and what they lead to.
_NOT_MORE = frozenset({*_PLAIN, "name", "phone_number", "register", "inbound_auth"})

# What the reference calls our fields; its clients are told about these.
REFERENCE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "sip_domain": "termination_uri",
        "username": "trunk_username",
        "password": "trunk_pwd",
        "outbound_proxy": "sip_outbound_proxy",
        "auth_username": "sip_auth_username",
        "register": "uac_enabled",
        "register.expires": "uac_register_expires",
    }
)


def trunk_from_fields(name: str, given: TrunkFields, *, phone_number: str = "") -> Trunk | None:
    """Make the trunk; None where the provider alone decides and the fields say nothing of it.

    Args:
        name: of the trunk.
        given: what the client said.
        phone_number: in E.164, or "".

    Raises:
        LocalProtocolError: a field is wrong or missing. The sentence begins with its name, in our words, and a colon.
    """
    provider = PROVIDERS.get(given.provider_name)
    if provider is None:
        raise LocalProtocolError(f"provider_name: {given.provider_name[:40]!r} is not one of {', '.join(PROVIDERS)}")
    domain = given.sip_domain or provider.sip_domain
    if not domain and provider.needs_domain and not given.more.get("accept_from") and not given.outbound_proxy:
        raise LocalProtocolError("sip_domain: is missing: the host that calls go to, such as pbx.example.com")
    _check_account(given, provider)
    values = _more(_profiled(given, provider))
    if not domain and not given.outbound_proxy and not values.get("accept_from"):
        return None
    values |= {key: getattr(given, key) for key in _PLAIN} | {"sip_domain": domain}
    if given.more.get("authenticate_inbound"):
        values["inbound_auth"] = _inbound_auth(given, domain)
    if given.uac_enabled or (provider.registers and given.username and given.password):
        values["register"] = RegisterSettings(expires=given.uac_register_expires)
    return Trunk(name=name, phone_number=phone_number, **values)


def _profiled(given: TrunkFields, provider: Provider) -> Mapping[str, Any]:
    """Return `more` with all that it leaves open as the profile has it: the one it names, or else the provider's."""
    name = given.more.get("profile") or provider.profile
    profile: Profile = find_profile(str(read("profile", name, str)))
    settings = profile.fitting(
        username=bool(given.username), far_end=bool(given.sip_domain or provider.sip_domain or given.outbound_proxy)
    )
    values: dict[str, Any] = {field_of(key): value for key, value in settings.items() if key not in _NOT_MORE}
    for key, value in given.more.items():
        theirs = values.get(key)
        if isinstance(theirs, Mapping) and isinstance(value, Mapping):
            value = {**theirs, **value}  # noqa: PLW2901  (part by part)
        if not (isinstance(theirs, Mapping) and value is True):  # true is: as the profile has it
            values[key] = value
    return values | {"profile": profile.name}


def _check_account(given: TrunkFields, provider: Provider) -> None:
    if not SHORTEST_REGISTER_S <= given.uac_register_expires <= LONGEST_REGISTER_S:
        raise LocalProtocolError(
            f"register.expires: {given.uac_register_expires} is not in {SHORTEST_REGISTER_S}..{LONGEST_REGISTER_S} "
            "seconds"
        )
    if given.uac_enabled and provider.credentials:
        for key in ("username", "password"):
            if not getattr(given, key):
                raise LocalProtocolError(f"{key}: is missing: to register, sipflow needs a user name and a password")


def _inbound_auth(given: TrunkFields, domain: str) -> InboundAuth:
    if not given.username or not given.password:
        raise LocalProtocolError("authenticate_inbound: it needs the trunk's username and password")
    return InboundAuth(str(given.more.get("realm") or domain or "sipflow"), given.username, given.password)


@cache
def _kinds() -> Mapping[str, Any]:
    hints = get_type_hints(Trunk)
    return {each.name: hints[each.name] for each in fields(Trunk) if each.init and each.name not in _NOT_MORE}


def _more(more: Mapping[str, Any]) -> dict[str, Any]:
    """Turn plain values into what a trunk takes."""
    values: dict[str, Any] = {}
    for key, value in more.items():
        if key == "authenticate_inbound":
            read(key, value, bool)
        elif key not in _kinds():
            raise LocalProtocolError(f"{key[:40]}: a trunk has no such setting; it has {', '.join(sorted(_kinds()))}")
        elif key == "region":
            values[key] = _region(value)
        elif value is not None:
            values[key] = read(key, value, _kinds()[key])
    return values


def _region(value: object) -> str | None:
    if value in (None, ""):
        return None
    if not isinstance(value, str) or value.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise LocalProtocolError("region: must be the two letters of a country, such as US or DE")
    return value.upper()


def fields_of(trunk: Trunk, *, provider_name: str = "custom") -> TrunkFields:
    """Show a trunk in the shape of the form, without its password."""
    plain = {key: getattr(trunk, key) for key in _PLAIN if key != "password"}
    register = trunk.register
    more = {key: shown(getattr(trunk, key)) for key in _kinds() if getattr(trunk, key) != _default(key)}
    if trunk.inbound_auth is not None:
        more["authenticate_inbound"] = True
    return TrunkFields(
        **plain,
        provider_name=provider_name,
        uac_enabled=register is not None,
        uac_register_expires=register.expires if register is not None else 300,
        more=MappingProxyType(more),
    )


@cache
def _defaults() -> Trunk:
    return Trunk(name="any", sip_domain="default.invalid")


def _default(key: str) -> object:
    return getattr(_defaults(), key)


def to_json(given: TrunkFields) -> dict[str, Any]:
    """Give what can be stored in the open: everything but the password."""
    values = {key: getattr(given, key) for key in _OWN if key != "password"}
    return values | {"more": {key: shown(value) for key, value in given.more.items()}}


def from_json(values: Mapping[str, Any], *, password: str) -> TrunkFields:
    """Read what `to_json` gave; what a later version has added and this one does not know is left out."""
    known = {key: values[key] for key in _OWN if key in values}
    return TrunkFields(**(known | {"password": password, "more": MappingProxyType(dict(values.get("more", {})))}))
