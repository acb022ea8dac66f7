"""Puts the explainer together: for a running daemon, and from a configuration alone."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sipflow.calls.audio_steps import AudioSteps
from sipflow.calls.doorkeeper import Doorkeeper
from sipflow.calls.explain import Explainer
from sipflow.calls.routes import Router
from sipflow.config.configuration import Configuration
from sipflow.daemon.live import owner_in
from sipflow.daemon.secret import secret_of
from sipflow.errors import TransportError
from sipflow.net.literal import family_of
from sipflow.net.resolver import Resolver
from sipflow.trunks.table import TrunkTable
from sipflow.webhooks.hooks import Hooks

if TYPE_CHECKING:
    from sipflow.daemon.running import Running

_NO_NONCES = bytes(32)  # nobody is challenged


def live_explainer(daemon: "Running") -> Explainer:
    """Make the explainer of a running daemon: with its limits, its calls and what was created at run time."""
    board, directory = daemon.edge.switchboard, daemon.directory

    def remarks(agent: str) -> tuple[str, ...]:
        found = directory.agents.get(agent)
        default = daemon.configuration.webhooks.default_agent
        return remarks_on(agent, found.handler, found.fields, default) if found is not None else ()

    return Explainer(
        board.doorkeeper,
        agents=board.agents,
        audio=AudioSteps(daemon.configuration.media.ptime_ms),
        limits=board.limits,
        closed=lambda: board.closed,
        remarks=remarks,
        steers=board.steers,
    )


def still_explainer(configuration: Configuration) -> tuple[Explainer, TrunkTable]:
    """Make an explainer of a configuration: nothing runs, so it knows of no calls and of nothing that was created.

    Returns:
        The explainer, and the table of trunks, which `look_up` tells the addresses of their names.
    """
    trunks = configuration.trunks.values()
    table = TrunkTable(secret=secret_of(trunks))
    router = Router(table, configuration.numbers)
    table.replace(trunks, owner=owner_in(router))
    keeper = Doorkeeper(router, configuration.calls, secret=_NO_NONCES, clock=time.monotonic)
    specs = configuration.agents

    def remarks(agent: str) -> tuple[str, ...]:
        default = configuration.webhooks.default_agent
        return remarks_on(agent, specs[agent].handler, specs[agent].fields, default) if agent in specs else ()

    def steers(agent: str) -> bool:
        return agent in specs and bool(Hooks.of(specs[agent].fields).inbound_call_webhook_url)

    audio = AudioSteps(configuration.media.ptime_ms)
    return Explainer(keeper, agents=_Declared(specs), audio=audio, remarks=remarks, steers=steers), table


async def look_up(table: TrunkTable, configuration: Configuration, warn: Callable[[str], None]) -> None:
    """Look the names of all trunks up, and tell the table.

    Args:
        table: of trunks.
        configuration: whose DNS settings count.
        warn: told of each trunk whose name has no address.
    """
    resolver = Resolver(configuration.sip, clock=asyncio.get_running_loop().time)
    try:
        for trunk in list(table):
            hosts: list[str] = []
            for uri in dict.fromkeys(each for each in (trunk.destination, trunk.domain) if each is not None):
                if family_of(uri.host):
                    continue
                try:
                    hosts += [hop.host for hop in await resolver.resolve(uri)]
                except TransportError as error:
                    if uri == trunk.destination:
                        warn(f"trunk {trunk.name}: {error}")
            if hosts:
                table.set_addresses(trunk.name, dict.fromkeys(hosts))
    finally:
        await resolver.close()


def remarks_on(agent: str, handler: str, fields: Mapping[str, object], default_agent: str = "") -> tuple[str, ...]:
    """Say what is to be known of an agent before it gets a call.

    Args:
        default_agent: who takes calls whose inbound-call webhook gives no usable answer; "" for nobody.
    """
    said = (f"agent {agent} is {handler}",)
    if not Hooks.of(fields).inbound_call_webhook_url:
        return said
    without = f"{default_agent} takes it (webhooks.default_agent)" if default_agent else "it is refused with 480"
    return (
        *said,
        "its inbound-call webhook is asked first: it may decline the call (603), give it variables, leave it to this "
        "agent, or give it to another one, which then must have room for it",
        f"where that webhook gives no usable answer, {without}",
    )


class _Declared:
    """The agents of a configuration."""

    def __init__(self, specs: Mapping[str, object]) -> None:
        self._specs = specs

    def knows(self, agent: str) -> bool:
        """Whether there is an agent of this name."""
        return agent in self._specs
