"""`api:` says where the HTTP API listens and whom it lets in. Without this section there is no API."""

from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import Field

from sipflow.config.fields import Texts
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.errors import ConfigError, LocalProtocolError
from sipflow.net.acl import Networks
from sipflow.net.literal import family_of
from sipflow.sip.addressing import split_host_port

DEFAULT_PORT = 8080
SHORTEST_TOKEN = 16  # characters; one that can be guessed lets strangers call at our cost


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What `sipflow.api.settings.Settings` is made of, field by field."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tokens: tuple[str, ...] = field(default=(), repr=False)
    default_agent: str = ""
    certificate: str = ""
    key: str = ""
    max_body_bytes: int = 2**20
    max_connections: int = 1000
    body_timeout_s: float = 15.0
    idle_timeout_s: float = 30.0
    console: bool = False
    trusted_proxies: tuple[str, ...] = ()
    proxy_header: str = "x-forwarded-for"


_DEFAULTS = ApiSettings()


class ApiModel(Model):
    """Where the HTTP API listens, and whom it lets in. Without this section there is none.

    Attributes:
        listen: address:port; 0.0.0.0 is every IPv4 address of this machine; have a certificate then.
        tokens: open everything; `sipflow token create` makes others, with fewer rights.
        default_agent: handler and options of agents that are created over the API without a handler.
        certificate: PEM file with our chain; with it the API speaks HTTPS only.
        key: PEM file with its private key.
        max_body_bytes: a larger request is refused with 413.
        max_connections: at once; for one more the longest idle one is closed, and where none is idle it gets 503.
        body_timeout_s: within which the body of a request must have come.
        idle_timeout_s: after which a connection is closed that says nothing, or takes nothing of its answer.
        console: whether the operator's pages are served, too.
        trusted_proxies: networks of the proxies in front; they are believed who asks. Nobody else is.
        proxy_header: in which they say who asks. The other one is not read.
    """

    listen: str = f"{_DEFAULTS.host}:{DEFAULT_PORT}"
    tokens: Texts = ()
    default_agent: str = ""
    certificate: str = ""
    key: str = ""
    max_body_bytes: Annotated[int, Field(ge=1024, le=16 * 2**20)] = _DEFAULTS.max_body_bytes
    max_connections: Annotated[int, Field(ge=1, le=10_000)] = _DEFAULTS.max_connections
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = _DEFAULTS.body_timeout_s
    idle_timeout_s: Annotated[float, Field(ge=1, le=3600)] = _DEFAULTS.idle_timeout_s
    console: bool = False
    trusted_proxies: Texts = ()
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"


def api_settings(section: Section) -> ApiSettings | None:
    """Return the API's settings, or None once their problems are reported."""
    before = len(section.problems)
    model = section.validate(ApiModel)
    if model is None:
        return None
    address = section.attempt(_address, model.listen, at=("listen",))
    for index, token in enumerate(model.tokens):
        section.attempt(partial(_check_token, token), at=("tokens", str(index)))
    for index, network in enumerate(model.trusted_proxies):
        section.attempt(partial(_check_proxy, network), at=("trusted_proxies", str(index)))
    certificate, key = section.file("certificate", model.certificate), section.file("key", model.key)
    if bool(certificate) != bool(key):
        section.report("certificate and key go together: set both or none", "certificate" if certificate else "key")
    if address is None or len(section.problems) > before:
        return None
    return ApiSettings(
        *address,
        tokens=model.tokens,
        default_agent=model.default_agent,
        certificate=certificate,
        key=key,
        max_body_bytes=model.max_body_bytes,
        max_connections=model.max_connections,
        body_timeout_s=model.body_timeout_s,
        idle_timeout_s=model.idle_timeout_s,
        console=model.console,
        trusted_proxies=model.trusted_proxies,
        proxy_header=model.proxy_header,
    )


def _address(text: str) -> tuple[str, int]:
    try:
        host, port = split_host_port(text)
    except LocalProtocolError:
        host, port = "", 0
    host = "127.0.0.1" if host == "localhost" else host
    if not family_of(host):
        raise ConfigError("must be address:port, as in 127.0.0.1:8080 or [::1]:8080; 0.0.0.0 is every address")
    return host, port or DEFAULT_PORT


def _check_token(token: str) -> None:
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or token != token.strip():
        raise ConfigError(
            f"must have at least {SHORTEST_TOKEN} characters, plain ones; make one with: openssl rand -hex 32"
        )


def _check_proxy(network: str) -> None:
    Networks([network])
    if ip_network(network.strip()).prefixlen == 0:
        raise ConfigError("trusts everybody, so that whoever asks may say that he is somebody else; name the proxies")
