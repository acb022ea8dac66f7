"""Keeps every trunk registered and watched: the shell around `Registration` and `Health`."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.plan import Outcome
from sipflow.trunks.fleet import Fleet, Requester
from sipflow.trunks.health import Health
from sipflow.trunks.outputs import HealthState, RegistrationState, StateChanged
from sipflow.trunks.registration import Registration
from sipflow.trunks.trunk import Trunk

_log = structlog.get_logger("sipflow.trunks")
_AFTER_LOSS_S = 2.0  # those that lose a connection together come back within so many seconds
# What a call out ends with where the registrar does not know us any more (403, 404), or was away (408, 503): it may
# have been restarted. 404 is mostly a wrong number, so a registration is believed for a minute.
_FORGOTTEN = frozenset({403, 404, 408, 503})
_TRUSTED_S = 60.0
_NAMED = 10  # trunks in one line
_SAID = (RegistrationState.REGISTERED, RegistrationState.UNREGISTERED, HealthState.UP)


@dataclass(frozen=True, slots=True)
class RegistrationStatus:
    """One trunk's registration for display. Times are monotonic seconds.

    Attributes:
        trunk: its name.
        state: where it stands.
        registered_until: when our binding ends; None when there is none.
        retry_at: when the next REGISTER goes out; None while one is under way.
        last_error: why the last REGISTER failed; "" after a success.
        doubt: why calls might not reach us although we are registered; "" when all is well.
        seen_as: host and port at which the registrar saw us.
        answered_by: who answered last.
    """

    trunk: str
    state: RegistrationState
    registered_until: float | None
    retry_at: float | None
    last_error: str
    doubt: str
    seen_as: tuple[str, int] | None
    answered_by: Hop | None


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """One trunk's health for display.

    Attributes:
        trunk: its name.
        state: whether its far end answers.
        misses: unanswered questions in a row.
        last_error: what came of the last unanswered question; "" after an answer.
        round_trip_s: from the last question to its answer; None before the first answer.
    """

    trunk: str
    state: HealthState
    misses: int
    last_error: str
    round_trip_s: float | None


class Paths(Protocol):
    """Whoever keeps the ways to registrars open through NAT; `Endpoint` does."""

    def keep_alive(self, hop: Hop) -> None:
        """Keep the path to `hop` open until `forget` is called as often."""

    def forget(self, hop: Hop) -> None:
        """Undo one `keep_alive`."""

    def near_end(self, host: str) -> str:
        """Say from which address of ours the system reaches an IP literal, "" when it has no route."""


class Registrations:
    """The registrations of all trunks that register."""

    def __init__(
        self,
        requester: Requester,
        *,
        ids: Ids,
        secret: bytes,
        on_source: Callable[[str, str], None] | None = None,
        paths: Paths | None = None,
        jitter: Callable[[], float] = random.random,
        concurrency: int = 100,
    ) -> None:
        """Prepare; needs a running event loop.

        Args:
            requester: sends the requests.
            ids: makes Call-IDs and tags.
            secret: the same as the trunk table's, so that it knows our tokens.
            on_source: told trunk name and IP address of each registrar that has taken us, such as `TrunkTable.learn`.
            paths: keeps the way to each registrar open while we are registered with it.
            jitter: returns a number from 0 to 1, each time another one.
            concurrency: REGISTERs that may be in their first second at once.
        """
        self._ids = ids
        self._secret = secret
        self._jitter = jitter
        self._on_source = on_source
        self._paths = paths
        self._kept: dict[Registration, Hop] = {}
        self._near: dict[Registration, tuple[str, str]] = {}  # who was asked last, and from which address of ours
        self._fleet: Fleet[Registration] = Fleet(
            requester,
            build=self._build,
            key=lambda trunk: trunk.registers_as,
            on_change=self._changed,
            on_outcome=self._ended,
            concurrency=concurrency,
        )

    def apply(self, trunks: Iterable[Trunk]) -> None:
        """Register exactly these trunks, as far as they register at all.

        One that has not changed is left alone; one that is gone is un-registered; one that has changed is un-registered
        and then registered anew.
        """
        self._fleet.apply(trunk for trunk in trunks if trunk.register is not None)
        there = set(self._fleet.machines.values())
        self._near = {machine: near for machine, near in self._near.items() if machine in there}

    async def stop(self, timeout_s: float = 2.0) -> None:
        """Un-register every trunk; returns after `timeout_s` seconds at the latest, whoever has answered by then."""
        await self._fleet.stop(timeout_s)

    def kick(self, name: str) -> None:
        """Register a trunk again now; nothing happens when it does not register or is just being registered."""
        machine = self._fleet.machines.get(name)
        if machine is not None:
            self._fleet.perform(machine, machine.kick(now=self._fleet.now))

    def flow_lost(self, hop: Hop, why: str = "") -> None:
        """Register again, within 2 s, whoever was registered over a path that is gone (RFC 5626 §4.5).

        A connection is gone when it breaks, and one that breaks every time is tried ever more slowly; a UDP path when
        the network says that nobody is there, which it may say many times: then those whose REGISTER has failed
        meanwhile keep their own pace.
        """
        _log.debug("path to a registrar lost", hop=str(hop), why=why)
        now = self._fleet.now
        for machine in self._fleet.machines.values():
            used = machine.answered_by
            if used is not None and used[:3] == hop[:3]:
                again = machine.lost if used.reliable else machine.suspect
                self._fleet.perform(machine, again(now=now, within_s=_AFTER_LOSS_S))

    def network_changed(self) -> None:
        """Register again, within 2 s, whoever is reached from another address of ours than before, or is so at last."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for machine in self._fleet.machines.values():
            host, before = self._near.get(machine, ("", ""))
            near = self._paths.near_end(host) if host and self._paths is not None else ""
            if near != before:
                found.setdefault((host, before, near), []).append(machine.name)
                self._near[machine] = (host, near)
            moved = bool(near) and near != before
            lost = not host and machine.state is RegistrationState.FAILED  # its name could not even be looked up
            if moved or lost:
                self._fleet.perform(machine, machine.moved(now=self._fleet.now, within_s=_AFTER_LOSS_S))
        for (host, before, near), names in found.items():
            _say_moved(host, before, near, names)

    def call_failed(self, name: str, status: int) -> None:
        """Register a trunk again early when a call out through it failed as if its registrar had forgotten us.

        Args:
            name: the trunk's.
            status: of the call, the far end's or 408 and 503 where nobody answered.
        """
        machine = self._fleet.machines.get(name)
        if machine is not None and status in _FORGOTTEN:
            now = self._fleet.now
            self._fleet.perform(machine, machine.suspect(now=now, within_s=_AFTER_LOSS_S, trusted_s=_TRUSTED_S))

    def states(self) -> list[RegistrationStatus]:
        """Say where each registration stands, in the order of the configuration."""
        return [_status(machine) for machine in self._fleet.machines.values()]

    def status(self, name: str) -> RegistrationStatus | None:
        """Say where the registration of one trunk stands; None where it does not register."""
        machine = self._fleet.machines.get(name)
        return _status(machine) if machine is not None else None

    def _build(self, trunk: Trunk) -> Registration:
        return Registration(
            trunk,
            call_id=self._ids.call_id(),
            tag=self._ids.tag(),
            token=trunk.registration_token(self._secret),
            jitter=self._jitter,
        )

    def _changed(self, machine: Registration, change: StateChanged) -> None:
        _say(machine, change)
        if change.state is not RegistrationState.REGISTERED:
            self._keep(machine, None)

    def _ended(self, machine: Registration, outcome: Outcome) -> None:
        if outcome.hop is None:
            return
        if self._paths is not None:
            self._near[machine] = (outcome.hop.host, self._paths.near_end(outcome.hop.host))
        if not 200 <= outcome.status < 300:
            return
        if self._on_source is not None:
            self._on_source(machine.name, outcome.hop.host)
        if machine.state is RegistrationState.REGISTERED:
            self._keep(machine, outcome.hop)

    def _keep(self, machine: Registration, hop: Hop | None) -> None:
        """Keep the path open on which calls come to us, and no other."""
        known = self._kept.get(machine)
        if self._paths is None or known == hop:
            return
        if hop is None:
            del self._kept[machine]
        else:
            self._kept[machine] = hop
            self._paths.keep_alive(hop)
        if known is not None:
            self._paths.forget(known)


class HealthChecks:
    """The health checks of all trunks that want one."""

    def __init__(
        self,
        requester: Requester,
        *,
        ids: Ids,
        on_recovered: Callable[[str], None] | None = None,
        jitter: Callable[[], float] = random.random,
        concurrency: int = 100,
    ) -> None:
        """Prepare; needs a running event loop.

        Args:
            requester: sends the requests.
            ids: makes Call-IDs and tags.
            on_recovered: told the name of each trunk whose far end answers again after it was down, such as
                `Registrations.kick`: a registrar that was restarted may have forgotten us.
            jitter: returns a number from 0 to 1, each time another one.
            concurrency: OPTIONS that may be in their first second at once.
        """
        self._ids = ids
        self._jitter = jitter
        self._on_recovered = on_recovered
        self._down: set[str] = set()
        self._fleet: Fleet[Health] = Fleet(
            requester,
            build=self._build,
            key=lambda trunk: (trunk.health, trunk.registers_as),
            on_change=self._changed,
            concurrency=concurrency,
        )

    def apply(self, trunks: Iterable[Trunk]) -> None:
        """Watch exactly these trunks, as far as they want it; one that has not changed is left alone."""
        self._fleet.apply(trunk for trunk in trunks if trunk.health is not None)

    async def stop(self) -> None:
        """Ask no more; questions under way are dropped."""
        await self._fleet.stop(0.0)

    def states(self) -> list[HealthStatus]:
        """Say how each far end is, in the order of the configuration."""
        return [
            HealthStatus(machine.name, machine.state, machine.misses, machine.last_error, machine.round_trip_s)
            for machine in self._fleet.machines.values()
        ]

    def is_down(self, name: str) -> bool:
        """Whether the far end of this trunk is known not to answer."""
        return name in self._down

    def _build(self, trunk: Trunk) -> Health:
        return Health(trunk, call_id=self._ids.call_id(), tag=self._ids.tag(), jitter=self._jitter)

    def _changed(self, machine: Health, change: StateChanged) -> None:
        _say(machine, change)
        if change.state is HealthState.DOWN:
            self._down.add(machine.name)
        elif machine.name in self._down:
            self._down.discard(machine.name)
            if self._on_recovered is not None:
                self._on_recovered(machine.name)


def _status(machine: Registration) -> RegistrationStatus:
    return RegistrationStatus(
        machine.name,
        machine.state,
        machine.registered_until,
        machine.retry_at,
        machine.last_error,
        machine.doubt,
        machine.seen_as,
        machine.answered_by,
    )


def _say_moved(host: str, before: str, near: str, names: list[str]) -> None:
    """Log that the way to a registrar is another one, or none."""
    trunks = names[:_NAMED]
    if not near:
        _log.warning(f"this machine has no route to {host} any more: its trunks cannot register", trunks=trunks)
    elif not before:
        _log.info(f"there is a route to {host} again, from {near}: its trunks register again", trunks=trunks)
    else:
        _log.warning(
            f"our address towards {host} is {near} now, and was {before}: its trunks register again; "
            "calls that are up may not be heard any more",
            trunks=trunks,
        )


def _say(machine: Registration | Health, change: StateChanged) -> None:
    """Log a change once, in the words of the machine."""
    if change.trouble:
        _log.warning(change.why, trunk=machine.name, state=change.state.value)
    elif change.state in _SAID:
        _log.info(change.why, trunk=machine.name, state=change.state.value)
    else:
        _log.debug(change.why, trunk=machine.name, state=change.state.value)
