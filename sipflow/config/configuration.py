"""Everything that a configuration file says, as the settings of the rooms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sipflow.agents.spec import AgentSpec
from sipflow.calls.settings import Settings as CallSettings
from sipflow.config.call_section import LogSettings
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import Settings as SipSettings
from sipflow.numbers.inventory import Inventory
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
        log: what is logged.
    """

    file: str = ""
    sip: SipSettings = field(default_factory=SipSettings)
    media: MediaSettings = field(default_factory=MediaSettings)
    calls: CallSettings = field(default_factory=CallSettings)
    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    numbers: Inventory = field(default_factory=Inventory)
    agents: Mapping[str, AgentSpec] = field(default_factory=dict)
    log: LogSettings = field(default_factory=LogSettings)
