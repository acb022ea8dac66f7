"""The daemon: builds everything, says that it is ready, reloads, drains, stops."""

import asyncio
import gc
import hashlib
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from sipflow.agents.runner import Runner
from sipflow.calls.routes import Router
from sipflow.config.changes import changes
from sipflow.config.configuration import Configuration
from sipflow.daemon.build import build
from sipflow.daemon.greeting import greet, health_lines
from sipflow.daemon.loading import load_configuration
from sipflow.daemon.logs import set_up_logs
from sipflow.errors import AgentError, ConfigError, TransportError
from sipflow.numbers.inventory import Inventory
from sipflow.sip.hop import Hop
from sipflow.tasks import Tasks
from sipflow.trunks.addresses import Addresses
from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.runner import HealthChecks, Registrations
from sipflow.trunks.table import Owner, TrunkTable
from sipflow.trunks.trunk import Trunk

log = structlog.get_logger("sipflow.daemon")
_GREET_WITHIN_S = 0.8  # registrations that are quick are told as registered; the greeting does not wait for slow ones
_GREET_STEP_S = 0.05
_SETTLED = (RegistrationState.REGISTERED, RegistrationState.FAILED, RegistrationState.REJECTED)
_GOODBYE_S = 2.0  # for the answers to our last BYEs
_FILES_WANTED = 65_536
_COLLECTED_AFTER = (2_000, 10, 100)  # new objects; collections of the young; of the middle-aged before one of all


def run_daemon(file: Path) -> None:
    """Run until SIGTERM or SIGINT, then return.

    Raises:
        ConfigError: the configuration cannot be used.
        TransportError: a listener cannot be opened.
    """
    configuration = load_configuration(file)
    set_up_logs(configuration.log.level, configuration.log.format)
    _raise_file_limit()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(Daemon(file, configuration).run())


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop does the same, slower
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _raise_file_limit() -> None:
    """A call needs two sockets; many systems allow a process 1,024 files unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Daemon:
    """One running daemon.

    Attributes:
        configuration: what runs now.
        edge: sockets, user agent, media, calls.
        registrations, health: the trunks' states.
    """

    def __init__(self, file: Path, configuration: Configuration) -> None:
        self._file = file
        self._stop_asked = asyncio.Event()
        self.configuration = configuration

    async def run(self) -> None:
        """Start, wait for a signal, stop. Cancelling stops at once, without waiting for calls."""
        await self.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGUSR1, self._say_state)
        try:
            await self._greet()
            await self._stop_asked.wait()
        finally:
            await self.stop()

    async def start(self) -> None:
        """Open the sockets, start the registrations.

        Raises:
            TransportError: a listener cannot be opened.
        """
        configuration = self.configuration
        secret = _secret_of(configuration.trunks.values())
        self._table = TrunkTable(configuration.trunks.values(), secret=secret, owner=_owner_in(configuration.numbers))
        self._router = Router(self._table, configuration.numbers)
        edge = self.edge = build(
            router=self._router,
            agents=self._make_runner,
            net=configuration.sip,
            media=configuration.media,
            calls=configuration.calls,
            on_flow_lost=self._flow_lost,
        )
        await edge.open()
        board, ids = edge.switchboard, edge.ua.ids
        self.registrations = Registrations(
            board, ids=ids, secret=secret, on_source=self._table.learn, paths=edge.endpoint
        )
        board.on_call_failed = self.registrations.call_failed
        self.health = HealthChecks(board, ids=ids, on_recovered=self.registrations.kick)
        self.addresses = Addresses(edge.endpoint, self._table)
        self.addresses.start()
        self._apply_trunks(configuration)
        _spare_the_collector()

    def _make_runner(self, tasks: Tasks) -> Runner:
        self._runner = Runner(tasks, answer_timeout_s=self.configuration.calls.answer_timeout_s)
        self._runner.apply(self.configuration.agents.values())
        return self._runner

    def _apply_trunks(self, configuration: Configuration) -> None:
        trunks = list(configuration.trunks.values())
        self.registrations.apply(trunks)
        self.health.apply(trunks)
        self.addresses.apply(trunks)

    def _flow_lost(self, hop: Hop, why: str) -> None:
        self.registrations.flow_lost(hop, why)

    async def _greet(self) -> None:
        """Say what runs, as soon as the registrations are settled or have had their chance."""
        for _ in range(int(_GREET_WITHIN_S / _GREET_STEP_S)):
            if all(state.state in _SETTLED for state in self.registrations.states()):
                break
            await asyncio.sleep(_GREET_STEP_S)
        self._say(self._greeting())

    def _greeting(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return greet(self.configuration, self.edge.endpoint.listening, self.registrations.states(), now=now)

    def _say_state(self) -> None:
        """Say how everything is, for whoever sends SIGUSR1."""
        edge = self.edge
        lines = [*self._greeting(), *(f"  {line}" for line in health_lines(self.health.states()))]
        counts = {"calls": len(edge.switchboard.calls), **edge.ua.counts, **edge.endpoint.counts}
        self._say([*lines, "  now: " + ", ".join(f"{count} {what}" for what, count in counts.items())])

    def _say(self, lines: list[str]) -> None:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    # Reload

    def reload(self) -> None:
        """Read the file again. What is wrong in it is logged, and everything goes on as it was."""
        try:
            fresh = load_configuration(self._file)
            self._runner.apply(fresh.agents.values())
        except (ConfigError, AgentError) as error:
            log.error("the configuration was not reloaded: it cannot be used as written", why=str(error))
            return
        found = changes(self.configuration, fresh)
        # What is read at start only stays as it was, so that the next reload still says what waits for a restart.
        started = self.configuration
        fresh = replace(fresh, sip=started.sip, media=started.media, calls=started.calls, log=started.log)
        self._table.replace(fresh.trunks.values(), owner=_owner_in(fresh.numbers))
        self._router.numbers = fresh.numbers
        self.configuration = fresh
        self._apply_trunks(fresh)
        self.edge.tasks.spawn(self._reload_certificates(), name="reload of certificates")
        log.info("configuration reloaded", changes=str(found))

    async def _reload_certificates(self) -> None:
        try:
            await self.edge.endpoint.reload_certificates()
        except TransportError as error:
            log.error("the certificates were not reloaded; the old ones stay in use", why=str(error))

    # The end

    def _asked_to_stop(self) -> None:
        if self._stop_asked.is_set():
            self.edge.switchboard.hang_up_all()  # asked twice: do not wait for the calls
        self._stop_asked.set()

    async def stop(self) -> None:
        """Take no more calls, wait for live ones, un-register, close everything."""
        edge = self.edge
        log.info("going down", calls=len(edge.switchboard.calls))
        await edge.switchboard.drain(self.configuration.calls.drain_s)
        await self._say_goodbye()
        await self.health.stop()
        await self.addresses.stop()
        await self.registrations.stop()
        await edge.close()
        log.info("down")

    async def _say_goodbye(self) -> None:
        """Let our last BYEs be answered."""
        for _ in range(int(_GOODBYE_S / _GREET_STEP_S)):
            if not self.edge.switchboard.calls and not self.edge.ua.counts["dialogs"]:
                return
            await asyncio.sleep(_GREET_STEP_S)


def _spare_the_collector() -> None:
    """Keep garbage collection from holding up audio.

    Finished calls leave no cycles behind. Python's own thresholds would look for some among everything that calls keep
    for half a minute, all of it at once and every few seconds on a busy edge: pauses of a tenth of a second and more.
    """
    gc.collect()
    gc.freeze()  # what is loaded now lives as long as the process
    gc.set_threshold(*_COLLECTED_AFTER)


def _secret_of(trunks: Iterable[Trunk]) -> bytes:
    """Key of the tokens in our Contacts: the same after a restart, and only we know it, for it is made of passwords.

    So a binding that a killed process left behind still tells its trunk.
    """
    digest = hashlib.sha256(b"sipflow registration tokens")
    for trunk in sorted(trunks, key=lambda trunk: trunk.name):
        digest.update(repr((trunk.name, trunk.username, trunk.password)).encode())
    return digest.digest()


def _owner_in(numbers: Inventory) -> Owner:
    def owner(dialled: str, region: str | None) -> str | None:
        found = numbers.lookup(dialled, region=region).number
        return found.trunk if found is not None else None

    return owner
