"""A running daemon, as those of its parts see it that are put together late."""

from typing import Protocol

from sipflow.api.log_ring import LogRing
from sipflow.calls.recorder import Recorder
from sipflow.config.configuration import Configuration
from sipflow.daemon.build import Edge
from sipflow.daemon.live import Live
from sipflow.daemon.outgoing import Outgoing
from sipflow.daemon.storage import Storage
from sipflow.daemon.watching import Watching
from sipflow.store.directory import Directory
from sipflow.trunks.runner import HealthChecks, Registrations
from sipflow.webhooks.hooks import Hooks
from sipflow.webhooks.inbound import Steering


class Running(Protocol):
    """What API, webhooks and explanations need of a daemon; `Daemon` says what each attribute is."""

    configuration: Configuration
    directory: Directory
    edge: Edge
    health: HealthChecks
    live: Live
    log_ring: LogRing | None
    outgoing: Outgoing
    recorder: Recorder
    registrations: Registrations
    steering: Steering
    storage: Storage
    watching: Watching

    def hooks_of(self, agent: str) -> Hooks:
        """Return the webhooks of an agent."""
