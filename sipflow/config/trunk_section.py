"""`trunks:`, and the trunk that a number declares in place, become trunks."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from sipflow.config.fields import Texts, given, model_of, short_for
from sipflow.config.limit_section import CallsPerSecond, MaxCalls
from sipflow.config.problems import dotted, shown, suggestion
from sipflow.config.profiled import profiled
from sipflow.config.section import Section
from sipflow.config.sentences import Model, keys_at
from sipflow.config.toll_section import TrunkTolls
from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks
from sipflow.numbers.number import is_region
from sipflow.sip.session_timer import SessionSettings
from sipflow.trunks.crossing import HeaderSettings
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.profiles.catalogue import PROFILES, find_profile
from sipflow.trunks.profiles.profile import Profile
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.settings import HealthSettings, InboundAuth, RegisterSettings
from sipflow.trunks.trunk import Trunk

_S = TypeVar("_S")
_RegisterModel = model_of(
    RegisterSettings, enabled=(Annotated[bool, Field(description="whether we register at all.")], True)
)
_HealthModel = model_of(
    HealthSettings, enabled=(Annotated[bool, Field(description="whether the far end is asked at all.")], True)
)
_OutboundModel = model_of(OutboundSettings)
_ReferModel = model_of(ReferSettings)
_SessionModel = model_of(
    SessionSettings,
    without=frozenset({"on"}),
    enabled=(Annotated[bool, Field(description="whether session timers are offered and taken at all.")], True),
)
_UNREADABLE = "192.0.2.1"
# An error in one of these says nothing about the others: they are read again with this instead, to find more errors.
_REPAIRS: Mapping[str, Any] = {
    "sip_domain": "repaired.invalid",
    "outbound_proxy": "repaired.invalid",
    "origination_uri": "",
    "advertise": "",
    "transport": "",
    "codecs": ("PCMU",),
    "ptime_ms": 20,
    "srtp_keys": "sdes",
    "srtp_suites": (),
}


def _region(text: str) -> str:
    if text and not is_region(text.upper()):
        raise ValueError("must be the two letters of a country, such as US or DE")
    return text.upper()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.upper() for text in value)


def _digests(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.upper().replace("-SESS", "-sess") for text in value)  # as RFC 7616 §3.3 writes them


class InboundModel(Model):
    """What those must know who call us by the trunk.

    Attributes:
        enabled: whether they are asked at all.
        username: nothing said is the trunk's.
        password: nothing said is the trunk's.
        realm: what our challenge names; nothing said is the trunk's `realm`, else its SIP domain.
        algorithms: of digest that are offered; nothing said is SHA-256, MD5.
    """

    enabled: bool = True
    username: str = ""
    password: SecretStr = SecretStr("")
    realm: str = ""
    algorithms: Annotated[Texts, AfterValidator(_digests)] = ()


class HeadersModel(Model):
    """Which header lines cross to a trunk; `pass` is no name that Python allows.

    Attributes:
        passed: header lines that cross from the call it is joined with, by name; `X-*` is all that begin so.
        set: lines that every INVITE to the trunk gets; `{variables}` of the call are filled in.
        hide: lines that leave by the trunk in no case, whoever put them there.
        topology: `hidden` puts our domain in the place of hosts in headers that are addresses, `shown` leaves them.
    """

    passed: Texts = Field(default=(), alias="pass")
    set: dict[str, str] = {}  # noqa: RUF012  (pydantic copies it)
    hide: Texts = ()
    topology: Annotated[Literal["hidden", "shown"], BeforeValidator(_lower)] = "hidden"


class TrunkFields(Model):
    """What can be said of a trunk, under `trunks:` or in place under a number.

    Attributes:
        profile: begins with what is known of a provider or PBX; what stands here wins, key by key.
        sip_domain: where calls go and the domain of the account: host, host:port or [IPv6]:port.
        outbound_proxy: goes before `sip_domain` as the destination of every call and registration.
        username: the account: the user part of From and Contact.
        auth_username: the name that answers challenges, where it is not `username`.
        password: of the account.
        origination_uri: our address as the provider knows it. An IP address in it is written into our messages to this
            trunk unless `advertise` says otherwise.
        advertise: our address as this trunk must write it, host or host:port.
        transport: udp, tcp or tls; nothing said is what DNS says. An outbound proxy's own wins.
        registration: whether and how we register. Nothing said: an account with username and password registers, any
            other does not.
        accept_from: networks whose calls are this trunk's, beside the addresses that it is called at.
        authenticate_inbound: whether those who call by the trunk must know a username and a password.
        health: whether and how often the far end is asked with OPTIONS if it is there.
        codecs: in order of preference; nothing said is PCMU and PCMA, whichever the far end likes better.
        ptime_ms: milliseconds of audio in a packet.
        srtp: encrypted audio: off, taken where the far end can, or required.
        srtp_keys: how keys are made where we call: `sdes` writes them into SIP, so use TLS; `dtls` is a handshake.
        srtp_suites: how audio may be encrypted, in order of preference; nothing said is all that we know.
        dtmf: how digits are sent: as RTP events, in SIP INFO, or as tones; `auto` is events where the far end takes
            them, else tones.
        prack: whether early media is announced reliably, and our calls say that we can (RFC 3262).
        region: the country whose national numbers the far end sends, two letters.
        realm: answer challenges of this realm only.
        allow_md5: whether challenges that offer only MD5 are answered.
        outbound: how calls leave: who is shown, how numbers are written, what is tried when it fails.
        refer: whether calls are handed on by REFER, and what becomes of one that comes.
        session_timer: how calls that nobody has heard of for long are found (RFC 4028).
        headers: which header lines cross to it from a call that one of its own is joined with.
        carry: what its far end does that reaches the other side of a joined call: hold, codec, info, messages,
            identity.
    """

    profile: str = ""
    sip_domain: str = ""
    outbound_proxy: str = ""
    username: str = ""
    auth_username: str = ""
    password: SecretStr = SecretStr("")
    origination_uri: str = ""
    advertise: str = ""
    transport: Annotated[str, BeforeValidator(_lower)] = ""
    registration: Annotated[_RegisterModel | None, short_for("enabled")] = Field(default=None, alias="register")  # type: ignore[valid-type]
    accept_from: Texts = ()
    authenticate_inbound: Annotated[InboundModel | None, short_for("enabled")] = None
    health: Annotated[_HealthModel | None, short_for("enabled")] = None  # type: ignore[valid-type]
    codecs: Texts = ()
    ptime_ms: int = 20
    srtp: Annotated[Literal["off", "optional", "required"], BeforeValidator(_lower)] = "off"
    srtp_keys: Annotated[Literal["sdes", "dtls"], BeforeValidator(_lower)] = "sdes"
    srtp_suites: Annotated[Texts, AfterValidator(_upper)] = ()
    dtmf: Annotated[Literal["auto", "rfc4733", "info", "inband"], BeforeValidator(_lower)] = "auto"
    prack: bool = True
    region: Annotated[str, AfterValidator(_region)] = ""
    realm: str = ""
    allow_md5: bool = True
    outbound: _OutboundModel | None = None  # type: ignore[valid-type]
    refer: Annotated[_ReferModel | None, short_for("receive")] = None  # type: ignore[valid-type]
    session_timer: Annotated[_SessionModel | None, short_for("enabled")] = None  # type: ignore[valid-type]
    headers: HeadersModel | None = None
    carry: Texts | None = None


class TrunkModel(TrunkFields):
    """A trunk below `trunks:`.

    Attributes:
        phone_number: the number that this account is reached by and calls from.
        max_calls: at a time, in and out; nothing said is `limits.each_trunk`.
        calls_per_second: placed by it; nothing said is `limits.each_trunk`.
        tolls: where it may call, and how much, where that is not as `tolls:` says.
    """

    phone_number: str = ""
    max_calls: MaxCalls = None
    calls_per_second: CallsPerSecond = None
    tolls: TrunkTolls = None


TRUNK_KEYS = frozenset(keys_at(TrunkFields))


def make_trunk(section: Section, model: TrunkFields, *, name: str, phone_number: str) -> Trunk | None:
    """Return the trunk, or None once its problems are reported.

    Args:
        section: where its keys stand.
        phone_number: in E.164, or "" when it has none or an extension.
    """
    before = len(section.problems)
    profile = _profile(section, model)
    values = _values(section, profiled(model, profile))
    values |= {"name": name, "phone_number": phone_number, "profile": profile.name}
    trunk = _made(section, values)
    return trunk if len(section.problems) == before else None


def _profile(section: Section, model: TrunkFields) -> Profile:
    """Return the profile that a trunk names, and report what it lacks for it."""
    profile = section.attempt(find_profile, model.profile) or PROFILES["generic"]
    account = {"username": model.username, "password": model.password.get_secret_value()}
    if missing := [key for key in profile.needs if not account[key]]:
        section.report(f"{profile.title} needs {' and '.join(missing)}", "profile")
    return profile


def check_failover(section: Section, trunk: Trunk, known: Collection[str]) -> None:
    """Report the trunks that are to take over and that do not exist."""
    for index, name in enumerate(trunk.outbound.failover):
        if name not in known:
            why = f"there is no trunk {shown(name)!r}" + suggestion(name, known)
            section.report(why, "outbound", "failover", str(index))


def _made(section: Section, values: dict[str, Any]) -> Trunk | None:
    """Make the trunk; as it tells one error at a time, repair and try again until no more are found."""
    found = section.problems.found
    while True:
        before = len(found)
        trunk = section.attempt(partial(Trunk, **values))
        if trunk is not None or len(found) == before:
            return trunk
        wrong = found[before].key.removeprefix(dotted(section.path) + ".").partition(".")[0]
        if wrong not in _REPAIRS or values[wrong] == _REPAIRS[wrong]:
            return None
        values[wrong] = _REPAIRS[wrong]


def _values(section: Section, model: TrunkFields) -> dict[str, Any]:
    values = {
        key: getattr(model, key)
        for key in ("sip_domain", "outbound_proxy", "username", "auth_username", "origination_uri", "advertise")
    }
    values |= {"transport": model.transport, "ptime_ms": model.ptime_ms, "allow_md5": model.allow_md5}
    values |= {"srtp": model.srtp, "srtp_keys": model.srtp_keys, "srtp_suites": model.srtp_suites}
    values |= {"dtmf": model.dtmf, "prack": model.prack}
    values |= {"region": model.region or None, "realm": model.realm or None}
    values["password"] = model.password.get_secret_value()
    if model.codecs:
        values["codecs"] = model.codecs
    values["accept_from"] = _networks(section, model.accept_from)
    values["register"] = _register(section, model)
    values["health"] = _switched(section, model.health, HealthSettings, "health")
    values["inbound_auth"] = _inbound_auth(section, model)
    if model.outbound is not None:
        outbound = section.attempt(partial(OutboundSettings, **given(model.outbound)), at=("outbound",))
        values["outbound"] = outbound or OutboundSettings()
    if model.refer is not None:
        values["refer"] = section.attempt(partial(ReferSettings, **given(model.refer))) or ReferSettings()
    return values | _joined(section, model)


def _joined(section: Section, model: TrunkFields) -> dict[str, Any]:
    """Return what holds for calls of the trunk that are joined with others, and for their sessions."""
    values: dict[str, Any] = {}
    if model.session_timer is not None:
        said = {key: value for key, value in given(model.session_timer).items() if key != "enabled"}
        settings = partial(SessionSettings, on=model.session_timer.enabled, **said)
        values["session"] = section.attempt(partial(_checked_session, settings)) or SessionSettings()
    if model.headers is not None:
        values["headers"] = section.attempt(partial(HeaderSettings, **given(model.headers))) or HeaderSettings()
    if model.carry is not None:
        values["carry"] = model.carry
    return values


def _checked_session(settings: Callable[[], SessionSettings]) -> SessionSettings:
    try:
        return settings()
    except LocalProtocolError as error:
        raise LocalProtocolError(f"session_timer.{error}") from None


def _networks(section: Section, texts: tuple[str, ...]) -> Networks:
    """Read the networks one by one, so that each wrong one is told; something stands for those that cannot be read."""
    read = [section.attempt(_network, text, at=("accept_from", str(index))) for index, text in enumerate(texts)]
    if len(read) == 1 and read[0] is not None:
        return read[0]
    return Networks(_UNREADABLE if each is None else str(each) for each in read)


def _network(text: str) -> Networks:
    return Networks([text])


def _register(section: Section, model: TrunkFields) -> RegisterSettings | None:
    """Register when told to, and unless told not to, when there is an account to register and a place to do it."""
    if model.registration is None:
        complete = model.username and model.password.get_secret_value() and (model.sip_domain or model.outbound_proxy)
        return RegisterSettings() if complete else None
    return _switched(section, model.registration, RegisterSettings, "register")


def _switched(section: Section, model: Any, settings: Callable[..., _S], key: str) -> _S | None:
    if model is None or not model.enabled:
        return None
    return section.attempt(partial(settings, **{k: v for k, v in given(model).items() if k != "enabled"}), at=(key,))


def _inbound_auth(section: Section, model: TrunkFields) -> InboundAuth | None:
    wanted = model.authenticate_inbound
    if wanted is None or not wanted.enabled:
        return None
    values: dict[str, Any] = {
        "realm": wanted.realm or model.realm or model.sip_domain or "sipflow",
        "username": wanted.username or model.auth_username or model.username,
        "password": wanted.password.get_secret_value() or model.password.get_secret_value(),
    }
    if not values["username"] or not values["password"]:
        section.report("needs a username and a password, its own or the trunk's", "authenticate_inbound")
        return None
    if wanted.algorithms:
        values["algorithms"] = wanted.algorithms
    return section.attempt(partial(_checked_inbound_auth, values), at=("authenticate_inbound",))


def _checked_inbound_auth(values: dict[str, Any]) -> InboundAuth:
    try:
        return InboundAuth(**values)
    except LocalProtocolError as error:
        raise LocalProtocolError(str(error).replace("inbound_auth", "authenticate_inbound", 1)) from None
