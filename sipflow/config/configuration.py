"""Everything that a configuration file says, as the settings of the rooms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sipflow.agents.spec import AgentSpec
from sipflow.calls.limits import LimitSettings
from sipflow.calls.recorder import Settings as RecordingSettings
from sipflow.calls.settings import Settings as CallSettings
from sipflow.calls.toll_rules import TollSettings
from sipflow.config.api_section import ApiSettings
from sipflow.config.call_section import LogSettings
from sipflow.config.webhook_section import WebhookSettings
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import Settings as SipSettings
from sipflow.net.tracers import Settings as TraceSettings
from sipflow.numbers.inventory import Inventory
from sipflow.numbers.pool_settings import PoolSettings
from sipflow.store.settings import Settings as StoreSettings
from sipflow.trunks.trunk import Trunk


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configuration, checked as a whole: every name in it exists, every number is there once.

    Attributes:
        file: the path it was read from, as the operator gave it.
        sip: sockets, TLS, DNS.
        media: ports and streams.
        calls: limits of calls, and what strangers get.
        trunks: by name, in the order of the file; those that numbers declare in place have the number as their name.
        numbers: all numbers.
        agents: by name.
        pools: of numbers to call from, by name.
        limits: of calls at once and calls a second.
        tolls: which numbers may be called, and how much.
        recordings: where they go, which calls are recorded, and links to them.
        log: what is logged.
        api: the HTTP API; None for none.
        store: where records and what the API creates are kept.
        webhooks: how they are signed, where they may go, and how often they are tried.
        trace: what is kept of SIP messages.
    """

    file: str = ""
    sip: SipSettings = field(default_factory=SipSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    calls: CallSettings = field(default_factory=CallSettings)
    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    numbers: Inventory = field(default_factory=Inventory)
    agents: Mapping[str, AgentSpec] = field(default_factory=dict)
    pools: Mapping[str, PoolSettings] = field(default_factory=dict)
    limits: LimitSettings = field(default_factory=LimitSettings)
    tolls: TollSettings = field(default_factory=TollSettings)
    recordings: RecordingSettings = field(default_factory=RecordingSettings)
    log: LogSettings = field(default_factory=LogSettings)
    api: ApiSettings | None = None
    store: StoreSettings = field(default_factory=StoreSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    trace: TraceSettings = field(default_factory=TraceSettings)
