"""`sip:` becomes the settings of the SIP sockets."""

from dataclasses import fields
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from sipflow.calls.settings import UnknownSource
from sipflow.calls.stranger_settings import StrangerSettings
from sipflow.config.fields import Texts, given, model_of, short_for
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.errors import LocalProtocolError
from sipflow.net.literal import WILDCARDS
from sipflow.net.settings import DnsSettings, ListenAddress, Settings, StreamSettings, TlsSettings
from sipflow.sip.addressing import DEFAULT_PORTS
from sipflow.sip.brake import OverloadSettings
from sipflow.trunks.proxy import parse_advertise

_DEFAULTS = Settings()
_DnsModel = model_of(DnsSettings)
_StrangersModel = model_of(StrangerSettings)
_StreamsModel = model_of(StreamSettings)
_OverloadModel = model_of(OverloadSettings)
_TLS_FILES = ("certificate", "key", "ca", "client_certificate", "client_key")
_TLS_SECRETS = ("key_passphrase", "client_key_passphrase")


class AdvertiseModel(Model):
    """Our address as peers see it: one for all transports, or one each.

    Attributes:
        default: host or host:port, for every transport that has none of its own.
        udp, tcp, tls: the same for one transport.
    """

    default: str = ""
    udp: str = ""
    tcp: str = ""
    tls: str = ""


class TlsModel(Model):
    """Certificates, and whom we trust. Paths of PEM files, from the folder of the configuration.

    Attributes:
        certificate: ours with its chain; every `tls:` listener needs it.
        key: its private key.
        key_passphrase: opens the key where it is encrypted.
        ca: certificates of the authorities that we trust instead of this machine's.
        verify: whether the far end of a connection that we open must prove its name. Without it anybody on the way can
            hear the calls and take the credentials.
        minimum_version: the oldest TLS that is spoken.
        client_certificate: what we show a server that asks for one; nothing said is `certificate`.
        client_key: its private key.
        client_key_passphrase: opens that key where it is encrypted.
        verify_client: whether those who connect to us must show a certificate of `ca`.
    """

    certificate: str = ""
    key: str = ""
    ca: str = ""
    verify: bool = True
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    client_certificate: str = ""
    client_key: str = ""
    verify_client: bool = False
    key_passphrase: SecretStr = SecretStr("")
    client_key_passphrase: SecretStr = SecretStr("")


class SipModel(Model):
    """The sockets, and what strangers may do.

    Attributes:
        listen: transport:address:port, with udp, tcp or tls; 0.0.0.0 is every IPv4 address of this machine, [::] every
            IPv6 one.
        advertise: our address as others must write it, where it is not the one of `listen`: behind NAT the public one.
        tls: certificates for TLS, and whom we trust.
        unknown_source: what a caller gets who belongs to no trunk: `reject` is 403, `silent` is nothing at all, so that
            scanners learn nothing.
        strangers: how much such a caller may try before nothing of him is read any more.
        user_agent: what we call ourselves in User-Agent and Server; nothing said is sipflow and its version.
        keepalive_s: seconds between the keep-alives of connections that we opened and of UDP paths through NAT.
        dscp: DiffServ code point of SIP packets, 0 to 63; nothing said leaves it alone.
        udp_buffer_bytes: size of the UDP sockets' buffers that the system is asked for.
        dns: which servers are asked for names, and how long their answers are kept.
        streams: limits of TCP and TLS connections.
        overload: when new calls are refused because what comes has to wait.
    """

    listen: Texts = tuple(map(str, _DEFAULTS.listen))
    advertise: Annotated[AdvertiseModel, short_for("default")] = AdvertiseModel()
    tls: Annotated[TlsModel, short_for("certificate")] = TlsModel()
    unknown_source: UnknownSource = "reject"
    strangers: Annotated[_StrangersModel, short_for("never")] = _StrangersModel()  # type: ignore[valid-type]
    user_agent: str = Field(default="", max_length=200, pattern=r"^[\x20-\x7e]*$")
    keepalive_s: float = _DEFAULTS.keepalive_s
    dscp: int | None = _DEFAULTS.dscp
    udp_buffer_bytes: Annotated[int, Field(ge=4096, le=1 << 30)] = _DEFAULTS.udp_buffer_bytes
    dns: Annotated[_DnsModel, short_for("servers")] = _DnsModel()  # type: ignore[valid-type]
    streams: Annotated[_StreamsModel, short_for("connect_s")] = _StreamsModel()  # type: ignore[valid-type]
    overload: Annotated[_OverloadModel, short_for("wait_s")] = _OverloadModel()  # type: ignore[valid-type]


def sip_settings(section: Section, model: SipModel) -> Settings | None:
    """Return the sockets' settings, or None once their problems are reported."""
    before = len(section.problems)
    listen = _listen(section, model)
    advertise = _advertise(section, model.advertise)
    tls = section.attempt(partial(TlsSettings, **_tls(section, model.tls)), at=("tls",))
    dns = section.attempt(partial(DnsSettings, **given(model.dns)), at=("dns",))
    streams = section.attempt(partial(StreamSettings, **given(model.streams)), at=("streams",))
    overload = section.attempt(partial(_overload, model))
    if len(section.problems) > before or tls is None or dns is None or streams is None or overload is None:
        return None
    known = model.model_fields_set & {each.name for each in fields(Settings)} - {"listen"}
    same = {name: getattr(model, name) for name in known}
    same |= {"advertise": advertise.pop("default", ""), "advertise_by_transport": advertise}
    same |= {"tls": tls, "dns": dns, "streams": streams, "overload": overload}
    if listen:
        same["listen"] = listen
    return section.attempt(partial(Settings, **same))


def _overload(model: SipModel) -> OverloadSettings:
    try:
        return OverloadSettings(**given(model.overload))
    except LocalProtocolError as error:
        raise LocalProtocolError(f"overload.{error}") from None


def stranger_settings(section: Section, model: SipModel) -> StrangerSettings | None:
    """Return what sources of no trunk may try, or None once its problems are reported."""

    def make() -> StrangerSettings:
        try:
            return StrangerSettings(**given(model.strangers))
        except LocalProtocolError as error:
            raise LocalProtocolError(f"strangers.{error}") from None

    return section.attempt(make)


def _listen(section: Section, model: SipModel) -> tuple[ListenAddress, ...]:
    """Read the addresses; two that are the same cannot both be opened."""
    found: dict[ListenAddress, str] = {}
    for index, text in enumerate(model.listen):
        keys = ("listen", str(index))
        address = section.attempt(ListenAddress.parse, text, at=keys)
        if address is None:
            continue
        twin = next((each for each in found if _clash(each, address)), None)
        if twin == address:
            section.report(f"{address} is listed twice", *keys)
        elif twin is not None:
            section.report(f"{address} and {twin} are one port: leave one of them out, or give it another", *keys)
        found[address] = text
    if "listen" in section.keys and not model.listen:
        section.report("lists no address; without one nobody can reach us", "listen")
    return tuple(found)


def _clash(one: ListenAddress, other: ListenAddress) -> bool:
    """Whether the system would refuse to open both: tls is tcp, and all addresses of a family have every single one."""
    ports = [("udp" if each.transport == "udp" else "tcp", each.family, each.port) for each in (one, other)]
    hosts = {one.host, other.host}
    return ports[0] == ports[1] and one.port != 0 and (len(hosts) == 1 or not WILDCARDS.isdisjoint(hosts))


def _advertise(section: Section, model: AdvertiseModel) -> dict[str, str]:
    found = {}
    for name in ("default", *DEFAULT_PORTS):
        text = getattr(model, name)
        if text:
            read = section.attempt(parse_advertise, text, at=("advertise", name))
            found[name] = read or ""
    return found


def _tls(section: Section, model: TlsModel) -> dict[str, Any]:
    below = section.child("tls")
    values = dict(given(model))
    for name in _TLS_FILES:
        if name in values and below is not None:
            values[name] = below.file(name, str(values[name]))
    for name in _TLS_SECRETS:
        if name in values:
            values[name] = values[name].get_secret_value()
    return values
