"""Plays the chosen scenarios, many at a time, and keeps how each of them went."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.scenario.catalogue import FOLDER, Place, Scenario, call_arguments, sipp_command
from tests.scenario.ears import Ear, Heard
from tests.scenario.processes import (
    START_S,
    Daemon,
    Ended,
    Process,
    Sipp,
    any_port,
    free_port,
    media_port,
    wait_until_bound,
)
from tests.scenario.programs import sipflow
from tests.scenario.registrars import trunk_name, write_config

AT_ONCE = 6  # short scenarios that run beside the long ones
STARTING = 2  # of our own programs at a time: more would starve a daemon, which then answers 503
SHORT_S, LONG_S = (
    40,
    130,
)  # what a scenario may take while many processes start at once; most need less than two seconds
MESSAGE_S = 20  # what a message may take to come, in a scenario that is not about waiting
_GRACE_S = 10.0
_SHOWN = 6000  # characters of a text in the story of a failure


@dataclass
class Played:
    """How one scenario went.

    Attributes:
        scenario: which.
        sipp: how SIPp ended.
        place: the ports it had.
        call: how `sipflow call` ended, where SIPp was the callee.
        daemon: who was called or registered.
        heard: our audio, at each port that listened.
    """

    scenario: Scenario
    sipp: Ended
    place: Place
    call: Ended | None = None
    daemon: Daemon | None = None
    heard: list[list[Heard]] = field(default_factory=list)

    @property
    def call_id(self) -> str:
        """How SIPp's Call-ID begins, where it calls."""
        return f"1-{self.sipp.pid}@"

    @property
    def story(self) -> str:
        """Everything that helps to find out why it went wrong."""
        texts = dict(self.sipp.texts)
        if self.call is not None:
            texts |= {f"sipflow call: {kind}": text for kind, text in self.call.texts.items()}
        if self.daemon is not None:
            call_id = self.call_id if self.scenario.folder == "inbound" else trunk_name(self.scenario)
            texts["the daemon's log"] = self.daemon.about(call_id)
        parts = [f"{self.scenario.name}: SIPp ended with {self.sipp.status}. {self.scenario.must}"]
        parts += [f"--- {kind}\n{text[-_SHOWN:]}" for kind, text in texts.items() if text.strip()]
        return "\n".join(parts)

    def agent_starts(self) -> int:
        """How many agents were started for the calls of this scenario."""
        records = self.daemon.records() if self.daemon is not None else []
        return sum(1 for each in records if each["event"] == "agent started" and self.call_id in each["sip_call_id"])


class Stage:
    """All the scenarios of one run of the tests; they start when it is entered.

    Args:
        chosen: which.
        folder: for traces and logs.
    """

    def __init__(self, chosen: Sequence[Scenario], folder: Path) -> None:
        self._chosen = sorted(chosen, key=lambda scenario: not scenario.run.long)
        self._folder = folder
        self._futures: dict[str, Future[Played]] = {}
        self._processes: list[Process] = []
        self._registrars: Future[dict[str, Played]] | None = None
        self._pool = ThreadPoolExecutor(AT_ONCE + 1 + sum(scenario.run.long for scenario in chosen))
        self._starting = threading.Semaphore(STARTING)
        self._over = False
        self._clock = Ear()  # while one is open the system notes when packets come: it needs a while to begin with that
        self.daemons: dict[str, Daemon] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:  # whatever it was: no process may be left behind
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self) -> None:
        places = self._open({scenario.run.policy for scenario in self._in("inbound")})
        registrars = self._in("registrar")
        if registrars:
            self._registrars = self._pool.submit(self._register, registrars)
        for scenario in self._chosen:
            if scenario.folder == "inbound":
                place = places[scenario.run.policy]
                self._futures[scenario.name] = self._pool.submit(self._call_us, scenario, place)
            elif scenario.folder == "outbound":
                self._futures[scenario.name] = self._pool.submit(self._call_sipp, scenario)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.kill()
        self._pool.shutdown(wait=True)
        self._clock.close()

    def played(self, scenario: Scenario) -> Played:
        """Wait until a scenario is over, and say how it went."""
        if scenario.folder == "registrar":
            return self.registered()[scenario.name]
        return self._futures[scenario.name].result()

    def registered(self) -> dict[str, Played]:
        """Wait until the registrars and their daemon are done, and say how it went."""
        return self._registrars.result() if self._registrars is not None else {}

    def wait_for_callers(self) -> None:
        """Wait until nobody calls us any more."""
        for scenario in self._in("inbound"):
            self._futures[scenario.name].exception()

    def _in(self, folder: str) -> list[Scenario]:
        return [scenario for scenario in self._chosen if scenario.folder == folder]

    def _keep(self, process: Process) -> None:
        self._processes.append(process)
        if self._over:
            process.kill()

    # SIPp is the caller

    def _open(self, policies: set[str]) -> dict[str, Place]:
        for policy in sorted(policies):
            environment = (*any_port(), ("UNKNOWN_SOURCE", policy))
            daemon = Daemon(FOLDER / "inbound.yaml", self._folder, f"daemon-{policy}", environment)
            self._keep(daemon)
            self.daemons[policy] = daemon
        places = {policy: self.daemons[policy].wait_ready() for policy in policies}
        for policy in policies:  # before that a stranger is asked to try again
            self.daemons[policy].wait_for("the store is read", START_S)
        return places

    def _call_us(self, scenario: Scenario, place: Place) -> Played:
        with _listening(scenario) as ears:
            if ears:
                place = replace(place, ears=(ears[0].port, ears[1].port))
            sipp = self._sipp(scenario, place)
            ended = sipp.wait(_patience(scenario) + _GRACE_S)
            heard = [ear.close() for ear in ears]
        return Played(scenario, ended, place, daemon=self.daemons[scenario.run.policy], heard=heard)

    def _sipp(self, scenario: Scenario, place: Place) -> Sipp:
        name = scenario.name.partition("/")[2]
        folder = self._folder / scenario.folder
        limits = ["-mp", str(media_port())]
        limits += ["-timeout", f"{_patience(scenario)}s", "-timeout_error"]
        if not scenario.run.long and not scenario.run.at_shutdown:
            limits += ["-recv_timeout", str(1000 * MESSAGE_S)]
        sipp = Sipp([*sipp_command(scenario, place), *limits], folder, name)
        self._keep(sipp)
        return sipp

    # SIPp is the callee

    def _call_sipp(self, scenario: Scenario) -> Played:
        name = scenario.name.partition("/")[2]
        with self._starting:
            place, sipp = self._wait_for_us(scenario)
            command = sipflow(*call_arguments(scenario, place), "--verbose")
            call = Process(command, self._folder / "calls", name, scenario.run.environment)
            self._keep(call)
            call.wait_for_output(START_S)
        called = call.wait(_patience(scenario))
        return Played(scenario, sipp.wait(_GRACE_S), place, call=called)

    def _wait_for_us(self, scenario: Scenario) -> tuple[Place, Sipp]:
        """Start a SIPp that waits, on a port of its own, until we call or register."""
        kind = socket.SOCK_STREAM if scenario.run.over == "tcp" else socket.SOCK_DGRAM
        place = Place(port=free_port(kind))
        sipp = self._sipp(scenario, place)
        wait_until_bound(place.port, sipp.popen)
        return place, sipp

    # SIPp is the registrar

    def _register(self, registrars: list[Scenario]) -> dict[str, Played]:
        """Register with all of them from one daemon, stop it when all have seen enough, and collect."""
        waiting = {scenario: self._wait_for_us(scenario) for scenario in registrars}
        path = self._folder / "registrar.yaml"
        write_config(path, {scenario: place.port for scenario, (place, _) in waiting.items()})
        daemon = self.daemons["registrar"] = Daemon(path, self._folder, "daemon-registrar")
        self._keep(daemon)
        daemon.wait_ready()
        ended = {
            scenario: sipp.wait(LONG_S + _GRACE_S)
            for scenario, (_, sipp) in waiting.items()
            if not scenario.run.at_shutdown
        }
        for scenario in registrars:
            if scenario.run.at_shutdown:
                daemon.wait_for(f"trunk {trunk_name(scenario)}: registered", SHORT_S)
        daemon.stop()
        for scenario, (_, sipp) in waiting.items():
            if scenario.run.at_shutdown:
                ended[scenario] = sipp.wait(_GRACE_S)
        return {
            scenario.name: Played(scenario, ended[scenario], place, daemon=daemon)
            for scenario, (place, _) in waiting.items()
        }


def _patience(scenario: Scenario) -> int:
    return LONG_S if scenario.run.long or scenario.folder == "registrar" else SHORT_S


@contextlib.contextmanager
def _listening(scenario: Scenario) -> Iterator[list[Ear]]:
    ears = [Ear(), Ear()] if scenario.run.ears else []
    try:
        yield ears
    finally:
        for ear in ears:
            ear.close()
