"""The daemon: builds everything, says that it is ready, reloads, drains, stops."""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import structlog

from sipflow.agents.runner import Runner
from sipflow.api.log_ring import LogRing
from sipflow.calls.announced import AnnouncedCalls
from sipflow.calls.recorder import Recorder
from sipflow.calls.routes import Router, Unread
from sipflow.config.call_section import LogSettings
from sipflow.config.changes import changes
from sipflow.config.configuration import Configuration
from sipflow.daemon.build import build
from sipflow.daemon.certificates import files_of, say_ends
from sipflow.daemon.created import HandlerCheck
from sipflow.daemon.greeting import greet, health_lines
from sipflow.daemon.leaving import cut_off, run_and_let_go
from sipflow.daemon.live import Live, owner_in
from sipflow.daemon.loading import load_configuration
from sipflow.daemon.logs import set_up_logs
from sipflow.daemon.memory import return_large_blocks
from sipflow.daemon.notify import Notifier
from sipflow.daemon.outgoing import Outgoing
from sipflow.daemon.secret import secret_of
from sipflow.daemon.services import Services
from sipflow.daemon.storage import Storage
from sipflow.daemon.watching import Watching
from sipflow.errors import AgentError, ConfigError, SipflowError, StoreError, TransportError
from sipflow.sip.addressing import join_host_port
from sipflow.sip.hop import Hop
from sipflow.store.directory import Directory
from sipflow.store.entries import AgentEntry
from sipflow.tasks import Tasks
from sipflow.trunks.addresses import Addresses
from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.runner import HealthChecks, Registrations
from sipflow.trunks.table import TrunkTable
from sipflow.webhooks.hooks import Hooks
from sipflow.webhooks.inbound import Steering
from sipflow.webhooks.settings import Settings as WebhookSettings

log = structlog.get_logger("sipflow.daemon")
_GREET_WITHIN_S = 0.8  # registrations that are quick are told as registered; the greeting does not wait for slow ones
_GREET_STEP_S = 0.05
_SETTLED = (RegistrationState.REGISTERED, RegistrationState.FAILED, RegistrationState.REJECTED)
_GOODBYE_S = 2.0  # for the answers to our last BYEs
_LEAVING_S = 60.0  # at most, once the calls are over
_FILES_WANTED = 65_536
_PATIENCE_S = 4.0  # a call that is repeated for longer than that has waited long enough for our store
_UNREAD = "sipflow has just started, and has not read all of its numbers yet"
_AT_START = (  # what a reload leaves alone
    "sip", "media", "calls", "recordings", "log", "api", "store", "webhooks", "trace",
)  # fmt: skip
_AGAIN_S = 5.0
_COLLECTED_AFTER = (2_000, 4, 50)  # new objects; collections of the young; of the middle-aged before one of all


def run_daemon(file: Path) -> None:
    """Run until SIGTERM or SIGINT, then return.

    Raises:
        ConfigError: the configuration cannot be used.
        TransportError: a listener cannot be opened.
        StoreError: the store cannot be used.
    """
    configuration = load_configuration(file)
    ring = LogRing()
    _set_up_logs(configuration.log, ring)
    _raise_file_limit()
    return_large_blocks()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        left = runner.run(run_and_let_go(Daemon(file, configuration, log_ring=ring).run()))
        if left:
            cut_off(left)


def _set_up_logs(settings: LogSettings, ring: LogRing) -> None:
    set_up_logs(settings.level, settings.format, mask_numbers=settings.mask_numbers, ring=ring)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop does the same, slower
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _raise_file_limit() -> None:
    """A call needs three sockets; many systems allow a process 1,024 files unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Daemon:
    """One running daemon.

    Attributes:
        configuration: what runs now.
        directory: trunks, numbers and agents, the configuration's and those that the API created.
        edge: sockets, user agent, media, calls.
        registrations, health: the trunks' states.
        storage: what is kept.
        outgoing: limits, pools, and who places calls.
        recorder: makes recordings.
        watching: traces, counters, captures.
        log_ring: the last lines of the log; None where nobody keeps them.
        steering: asks inbound-call webhooks before the agents' runner gets a call.
    """

    def __init__(self, file: Path, configuration: Configuration, *, log_ring: LogRing | None = None) -> None:
        self._file = file
        self.log_ring = log_ring
        self._folder = file.absolute().parent
        self._stop_asked = asyncio.Event()
        self._services: Services | None = None
        self._fatal: SipflowError | None = None
        self._hooks: tuple[Mapping[str, AgentEntry], dict[str, Hooks]] = ({}, {})
        self.configuration = configuration

    async def run(self) -> None:
        """Start, wait for a signal, stop. Cancelling stops at once, without waiting for calls.

        Raises:
            TransportError: a listener cannot be opened, SIP's or the API's.
            StoreError: the store cannot be used.
        """
        await self.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        notifier = Notifier(self._status)
        loop.add_signal_handler(signal.SIGHUP, notifier.around(self.reload))
        loop.add_signal_handler(signal.SIGUSR1, self._say_state)
        notifier.ready()
        try:
            await self._greet()
            await self._stop_asked.wait()
        except asyncio.CancelledError:
            log.error("the daemon was cancelled: code of an agent cancels every task of the process, not only its own")
            raise
        finally:
            notifier.stopping(within_s=self.configuration.calls.drain_s + _LEAVING_S)
            await self.stop()
            notifier.close()
        if self._fatal is not None:
            raise self._fatal

    async def start(self) -> None:
        """Open the sockets, start the registrations; then, beside the calls, the store and what needs it.

        Raises:
            TransportError: a listener cannot be opened.
            StoreError: the journal of records cannot be written.
        """
        configuration = self.configuration
        directory = self.directory = Directory(check=HandlerCheck(self._folder))
        self._declare(configuration)
        storage = self.storage = Storage(configuration.store, self._folder, directory)
        secret = secret_of(configuration.trunks.values())
        table = TrunkTable(secret=secret)
        router = self._router = Router(table, directory.numbers)
        table.replace(directory.trunks.values(), owner=owner_in(router))  # before the first packet comes
        if storage.writer is not None:
            router.unread = Unread(_UNREAD, brief=True)
        outgoing = self.outgoing = Outgoing(configuration.limits, configuration.tolls)
        watching = self.watching = Watching(configuration.trace, directory)
        edge = self.edge = build(
            router=router,
            agents=self._make_runner,
            net=configuration.sip,
            media=configuration.media,
            calls=configuration.calls,
            records=storage.records,
            limits=outgoing.limits,
            on_flow_lost=self._flow_lost,
            tracers=watching.tracers,
        )
        await edge.open()
        watching.open(edge, storage.records.on_saved)
        board, ids = edge.switchboard, edge.ua.ids
        board.steers, self.steering.hand_over = self.steering.steers, board.hand_over
        self.registrations = Registrations(board, ids=ids, secret=secret, on_source=table.learn, paths=edge.endpoint)
        board.on_call_failed = self.registrations.call_failed
        edge.endpoint.on_network_changed = self.registrations.network_changed
        if configuration.api is not None and storage.writer is not None:
            board.announced = AnnouncedCalls(read=False)  # those of before a restart are in the store
        self.health = HealthChecks(board, ids=ids, on_recovered=self.registrations.kick)
        outgoing.open(board, self.health)
        self.addresses = Addresses(edge.endpoint, table)
        self.addresses.start()
        self.live = Live(
            directory=directory,
            folder=self._folder,
            configuration=configuration,
            table=table,
            router=router,
            runner=self._runner,
            outgoing=outgoing,
            registrations=self.registrations,
            health=self.health,
            addresses=self.addresses,
        )
        self.live.apply()
        directory.on_change = self.live.changed
        _spare_the_collector()
        edge.tasks.spawn(self._open_the_rest(), name="store and API")
        edge.tasks.spawn(say_ends(files_of(configuration)), name="ends of certificates")

    def _declare(self, configuration: Configuration) -> None:
        self.directory.declare(
            trunks=configuration.trunks,
            numbers=configuration.numbers,
            agents=[(spec.name, spec.handler, spec.options, spec.fields) for spec in configuration.agents.values()],
            where=self._file.name,
        )

    def _make_runner(self, tasks: Tasks) -> Steering:
        self.recorder = Recorder(self.configuration.recordings, tasks)
        answer_timeout_s = self.configuration.calls.answer_timeout_s
        self._runner = Runner(tasks, answer_timeout_s=answer_timeout_s, recorder=self.recorder)
        its = self.configuration.webhooks
        settings = WebhookSettings(**{each.name: getattr(its, each.name) for each in fields(its)})
        self.steering = Steering(self._runner, settings, hooks=self.hooks_of, tasks=tasks)
        return self.steering

    def hooks_of(self, agent: str) -> Hooks:
        """Return the webhooks of an agent; without a store there are none."""
        agents = self.directory.agents  # another mapping after each change
        if agents is not self._hooks[0]:
            self._hooks = (agents, {})
        known = self._hooks[1].get(agent)  # asked for with every event of every call
        if known is None:
            found = agents.get(agent)
            known = Hooks.of(found.fields) if found is not None and self.storage.writer is not None else Hooks()
            if found is not None:
                self._hooks[1][agent] = known
        return known

    async def _open_the_rest(self) -> None:
        """Open the store and what needs it, while calls are taken with what the configuration declares."""
        patience = asyncio.get_running_loop().call_later(_PATIENCE_S, self._be_frank)
        try:
            database = await self.storage.open()
        finally:
            patience.cancel()
        self._router.unread = None
        log.debug("the store is read", numbers=len(self.directory.numbers), opened=database is not None)
        if database is None:
            return
        while not self._stop_asked.is_set():
            services = Services(self, database)
            try:
                await services.open()
            except (SipflowError, OSError) as error:
                await services.close()
                if not isinstance(error, (StoreError, OSError)):  # no file can be opened, not even what is to be loaded
                    self._fatal = error
                    self._stop_asked.set()
                    return
                log.error("what needs the store cannot be opened; it is tried again", why=str(error))
                await asyncio.sleep(_AGAIN_S)
            else:
                self._services = services
                _spare_the_collector()
                return

    def _be_frank(self) -> None:
        """Say that the store is not there, to those whose numbers may be in it; so far they were left to try again."""
        self._router.unread = Unread(_UNREAD, brief=False)

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
        there = replace(self.configuration, trunks=self.directory.trunks, numbers=self.directory.numbers)
        states = self.registrations.states()
        return greet(there, self.edge.endpoint.listening, states, now=now, more=self._beside())

    def _beside(self) -> list[str]:
        """Say what there is beside SIP."""
        api, storage = self.configuration.api, self.storage
        lines = [f"store {storage.place}" + (f": {storage.trouble}" if storage.trouble else "")]
        if api is not None:
            scheme = "https" if api.certificate else "http"
            where = f"{scheme}://{join_host_port(api.host, api.port)}"
            open_ = self._services is not None and self._services.url
            when = "in a moment" if storage.writer is not None else "closed: there is no store"
            lines.append(f"API {open_}" if open_ else f"API {where}, {when}")
            if api.console and storage.writer is not None:
                lines.append(f"console {open_ or where}/console")
        return lines

    def _status(self) -> str:
        """Say in a line how everything is, for `systemctl status`."""
        states = [each.state for each in self.registrations.states()]
        there = f", {states.count(RegistrationState.REGISTERED)} of {len(states)} trunks registered" if states else ""
        calls = len(self.edge.switchboard.calls)
        return ("going down: " if self._stop_asked.is_set() else "") + f"{calls} calls{there}"

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
        started = self.configuration
        try:
            fresh = load_configuration(self._file)
            self._use(fresh)
        except (ConfigError, AgentError) as error:
            self._use(started)
            log.error("the configuration was not reloaded: it cannot be used as written", why=str(error))
            return
        found = changes(started, fresh)
        # What is read at start only stays as it was, so that the next reload still says what waits for a restart.
        self.configuration = replace(fresh, **{name: getattr(started, name) for name in _AT_START})
        self.edge.tasks.spawn(self._reload_certificates(), name="reload of certificates")
        log.info("configuration reloaded", changes=str(found))

    def _use(self, configuration: Configuration) -> None:
        self._declare(configuration)
        self.live.configuration = configuration
        self.live.apply()

    async def _reload_certificates(self) -> None:
        files = files_of(self.configuration)
        try:
            await self.edge.endpoint.reload_certificates()
            if self._services is not None:
                self._services.reload_certificate()
        except TransportError as error:
            log.error("the certificates were not reloaded; the old ones stay in use", why=str(error))
        else:
            if files:
                log.info("the certificates have been read again", files=list(files))
        await say_ends(files)

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
        await self.outgoing.close()
        if self._services is not None:
            await self._services.close()
        await self.health.stop()
        await self.addresses.stop()
        await self.registrations.stop()
        await edge.close()
        self.watching.close()
        await self.storage.close()
        log.info("down")

    async def _say_goodbye(self) -> None:
        """Let our last BYEs be answered."""
        for _ in range(int(_GOODBYE_S / _GREET_STEP_S)):
            if not self.edge.switchboard.calls and not self.edge.ua.counts["dialogs"]:
                return
            await asyncio.sleep(_GREET_STEP_S)


def _spare_the_collector() -> None:
    """Keep garbage collection from holding up audio.

    Finished calls leave few cycles behind. Python's own thresholds would look for some among everything that calls keep
    for half a minute, all of it at once and every few seconds on a busy edge: pauses of a tenth of a second and more.
    Nor may it be put off for too long: what gathers meanwhile is taken away at once, and two million objects take
    seconds.
    """
    gc.collect()
    gc.freeze()  # what is loaded now lives as long as the process
    gc.set_threshold(*_COLLECTED_AFTER)
