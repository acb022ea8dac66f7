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
from sipflow.net.settings import DnsSettings, ListenAddress, Settings, StreamSettings, TlsSettings
from sipflow.sip.addressing import DEFAULT_PORTS
from sipflow.trunks.proxy import parse_advertise

_DnsModel = model_of(DnsSettings)
_StrangersModel = model_of(StrangerSettings)
_StreamsModel = model_of(StreamSettings)
_TLS_FILES = ("certificate", "key", "ca", "client_certificate", "client_key")
_TLS_SECRETS = ("key_passphrase", "client_key_passphrase")


class AdvertiseModel(Model):
    """Our address as peers see it: one for all transports, or one each."""

    default: str = ""
    udp: str = ""
    tcp: str = ""
    tls: str = ""


class TlsModel(Model):
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
    listen: Texts = ()
    advertise: Annotated[AdvertiseModel, short_for("default")] = AdvertiseModel()
    tls: Annotated[TlsModel, short_for("certificate")] = TlsModel()
    unknown_source: UnknownSource = "reject"
    strangers: Annotated[_StrangersModel, short_for("never")] = _StrangersModel()  # type: ignore[valid-type]
    user_agent: str = Field(default="", max_length=200, pattern=r"^[\x20-\x7e]*$")
    keepalive_s: float = 0.0
    dscp: int = 0
    udp_buffer_bytes: Annotated[int, Field(ge=4096, le=1 << 30)] = 4096
    dns: Annotated[_DnsModel, short_for("servers")] = _DnsModel()  # type: ignore[valid-type]
    streams: Annotated[_StreamsModel, short_for("connect_s")] = _StreamsModel()  # type: ignore[valid-type]


def sip_settings(section: Section, model: SipModel) -> Settings | None:
    """Return the sockets' settings, or None once their problems are reported."""
    before = len(section.problems)
    listen = _listen(section, model)
    advertise = _advertise(section, model.advertise)
    tls = section.attempt(partial(TlsSettings, **_tls(section, model.tls)), at=("tls",))
    dns = section.attempt(partial(DnsSettings, **given(model.dns)), at=("dns",))
    streams = section.attempt(partial(StreamSettings, **given(model.streams)), at=("streams",))
    if len(section.problems) > before or tls is None or dns is None or streams is None:
        return None
    same = {name: getattr(model, name) for name in model.model_fields_set & {each.name for each in fields(Settings)}}
    same |= {"advertise": advertise.pop("default", ""), "advertise_by_transport": advertise}
    same |= {"tls": tls, "dns": dns, "streams": streams}
    if listen:
        same["listen"] = listen
    return section.attempt(partial(Settings, **same))


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
        if address in found and address.port:
            section.report(f"{address} is listed twice", *keys)
        found[address] = text
    if "listen" in section.keys and not model.listen:
        section.report("lists no address; without one nobody can reach us", "listen")
    return tuple(found)


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
