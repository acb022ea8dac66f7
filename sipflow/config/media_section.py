"""`media:` becomes the settings of the audio streams."""

import re
from functools import partial
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field

from sipflow.config.fields import given, model_of
from sipflow.config.section import Section
from sipflow.errors import ConfigError
from sipflow.media.settings import Settings
from sipflow.trunks.proxy import parse_advertise

_RANGE = re.compile(r"([0-9]{1,5})[ \t]*-[ \t]*([0-9]{1,5})")
_DEFAULTS = Settings()
_PORTS = f"{_DEFAULTS.port_low}-{_DEFAULTS.port_high}"

MediaModel = model_of(
    Settings,
    without=frozenset({"port_low", "port_high", "bind_host", "advertise"}),
    ports=(Annotated[str, Field(description="UDP ports for audio, first-last. A call takes two.")], _PORTS),
    bind=(
        Annotated[str, Field(description="where audio comes to and leaves from; 0.0.0.0 is every IPv4 address.")],
        "",
    ),
    advertise=(
        Annotated[str, Field(description="the address written into calls for audio: behind NAT the public one.")],
        "",
    ),
)


def media_settings(section: Section) -> Settings | None:
    """Return the streams' settings, or None once their problems are reported."""
    model = section.validate(MediaModel)
    if model is None:
        return None
    values = dict(given(model))
    ports = section.attempt(read_ports, values.pop("ports", _PORTS), at=("ports",))
    if "bind" in values:
        values["bind_host"] = section.attempt(_address, values.pop("bind"), at=("bind",))
    advertise = values.pop("advertise", "")
    if advertise:
        values["advertise"] = section.attempt(_host, advertise, at=("advertise",))
    if ports is None or values.get("bind_host", "") is None:
        return None
    values["port_low"], values["port_high"] = ports
    return section.attempt(partial(Settings, **values))


def read_ports(text: str) -> tuple[int, int]:
    """Read a range such as `10000-20000`.

    Raises:
        ConfigError: it is not two port numbers with a - between.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ConfigError("must be a range of UDP ports such as 10000-20000")
    return int(match[1]), int(match[2])


def _host(text: str) -> str:
    host = parse_advertise(text)
    if host.rpartition(":")[2].isdecimal() and not host.endswith("]") and ":" in host:
        raise ConfigError("must be a host without a port: every stream has a port of its own")
    return host.strip("[]")


def _address(text: str) -> str:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        raise ConfigError(
            "must be an IP address of this machine; 0.0.0.0 is every IPv4 one, '::' every IPv6 one"
        ) from None
