"""`webhooks:` says how webhooks are signed, where they may go, and how often they are tried."""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from pydantic import Field

from sipflow.config.fields import Texts
from sipflow.config.section import Section
from sipflow.config.sentences import Model
from sipflow.errors import ConfigError
from sipflow.net.acl import Networks

SHORTEST_SECRET = 16
HOOKS = frozenset({"external_webhook_url", "inbound_call_webhook_url", "events_webhook_url"})  # keys of an agent
_URL = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What `sipflow.webhooks.settings.Settings` is made of, field by field."""

    secret: tuple[str, ...] = field(default=(), repr=False)
    allow_networks: tuple[str, ...] = ()
    allow_http: bool = False
    ca_file: str = ""
    timeout_s: float = 10.0
    inbound_timeout_s: float = 10.0
    inbound_retries: int = 3
    default_agent: str = ""
    events_url: str = ""
    events: tuple[str, ...] = ("all",)
    retry_first_s: float = 5.0
    retry_most_s: float = 3600.0
    give_up_s: float = 86_400.0
    concurrency: int = 32
    per_endpoint: int = 4
    keep_logs_days: float | None = 30.0


_DEFAULTS = WebhookSettings()


class WebhookModel(Model):
    """How webhooks are signed, where they may go, and how often they are tried.

    Attributes:
        secret: signs every request; of several each signs, so that one can be changed.
        allow_networks: private networks that webhooks may reach.
        allow_http: whether a URL may begin with http://.
        ca_file: PEM file of the authorities that are trusted instead of this machine's.
        timeout_s: within which a delivery must be answered.
        inbound_timeout_s: within which each question about an inbound call must be answered.
        inbound_retries: how often such a question is repeated.
        default_agent: takes a call whose question got no usable answer.
        events_url: is told what happens in all calls.
        events: which events it is told.
        retry_first_s: pause after the first failure of a delivery; it doubles.
        retry_most_s: the longest pause.
        give_up_s: age at which a delivery is given up.
        concurrency: deliveries at once.
        per_endpoint: deliveries at once to one host and port.
        keep_logs_days: how long finished deliveries stay in the log.
    """

    secret: Texts = ()
    allow_networks: Texts = ()
    allow_http: bool = _DEFAULTS.allow_http
    ca_file: str = ""
    timeout_s: Annotated[float, Field(ge=0.1, le=120)] = _DEFAULTS.timeout_s
    inbound_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = _DEFAULTS.inbound_timeout_s
    inbound_retries: Annotated[int, Field(ge=0, le=10)] = _DEFAULTS.inbound_retries
    default_agent: str = ""
    events_url: str = ""
    events: Texts = _DEFAULTS.events
    retry_first_s: Annotated[float, Field(ge=0.01, le=3600)] = _DEFAULTS.retry_first_s
    retry_most_s: Annotated[float, Field(ge=0.01, le=86_400)] = _DEFAULTS.retry_most_s
    give_up_s: Annotated[float, Field(ge=1, le=30 * 86_400)] = _DEFAULTS.give_up_s
    concurrency: Annotated[int, Field(ge=1, le=1000)] = _DEFAULTS.concurrency
    per_endpoint: Annotated[int, Field(ge=1, le=1000)] = _DEFAULTS.per_endpoint
    keep_logs_days: Annotated[float, Field(ge=0.01, le=3650)] | None = _DEFAULTS.keep_logs_days


def webhook_settings(section: Section) -> WebhookSettings | None:
    """Return the webhooks' settings, or None once their problems are reported."""
    before = len(section.problems)
    model = section.validate(WebhookModel)
    if model is None:
        return None
    for index, secret in enumerate(model.secret):
        section.attempt(partial(_check_secret, secret), at=("secret", str(index)))
    for index, network in enumerate(model.allow_networks):
        section.attempt(partial(Networks, [network]), at=("allow_networks", str(index)))
    section.attempt(partial(check_url, model.events_url), at=("events_url",))
    if model.retry_most_s < model.retry_first_s:
        section.report("must not be less than retry_first_s", "retry_most_s")
    values = model.model_dump() | {"ca_file": section.file("ca_file", model.ca_file)}
    return WebhookSettings(**values) if len(section.problems) == before else None


def check_url(text: str) -> None:
    """Let "" pass, and what looks like a URL; where it leads is looked at when it is used.

    Raises:
        ConfigError: it is no URL.
    """
    if text and _URL.fullmatch(text) is None:
        raise ConfigError("must be a URL that begins with https:// (or http://, where webhooks.allow_http says so)")


def _check_secret(secret: str) -> None:
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(f"must have at least {SHORTEST_SECRET} characters; make one with: openssl rand -hex 32")
