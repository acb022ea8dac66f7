"""What the daemon says when it is ready, in plain words: where it listens, which trunks are up, who answers what."""

import shutil
import sys
from collections.abc import Iterable, Sequence

from sipflow import full_version
from sipflow.config.configuration import Configuration
from sipflow.daemon.log_masks import hide_numbers
from sipflow.net.settings import ListenAddress
from sipflow.numbers.inventory import Number
from sipflow.sip.addressing import join_host_port
from sipflow.trunks.outputs import RegistrationState
from sipflow.trunks.profiles.catalogue import find_profile
from sipflow.trunks.runner import HealthStatus, RegistrationStatus
from sipflow.trunks.trunk import Trunk

_MANY = 10  # trunks or numbers beyond this are counted, not listed
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (where a caller on this machine reaches "every address")


def describe(configuration: Configuration) -> list[str]:
    """Say what a configuration means, before anything runs; for `sipflow check`."""
    lines = [f"listens on {', '.join(str(address) for address in configuration.sip.listen)}"]
    lines += _some([_trunk_line(trunk) + _profile_line(trunk) for trunk in configuration.trunks.values()], "trunks")
    lines += _some([_number_line(number) for number in configuration.numbers], "numbers")
    return lines


def greet(
    configuration: Configuration,
    listening: Sequence[ListenAddress],
    states: Iterable[RegistrationStatus],
    *,
    now: float,
    more: Sequence[str] = (),
) -> list[str]:
    """Say what runs; with numbers hidden where the log hides them.

    Args:
        configuration: what it runs on.
        listening: the listeners with their real ports.
        states: of every trunk that registers.
        now: monotonic seconds, as in `states`.
        more: what there is beside, a line each.
    """
    registered = {state.trunk: _state_line(state, now) for state in states}
    lines = [f"sipflow {full_version()} is ready"]
    lines.append(f"  listening on {', '.join(str(address) for address in listening)}")
    trunks = configuration.trunks.values()
    lines += ["  " + line for line in _some([_trunk_line(t, registered.get(t.name, "")) for t in trunks], "trunks")]
    lines += ["  " + line for line in _some([_number_line(number) for number in configuration.numbers], "numbers")]
    how = ["  " + line for line in _how_to_call(configuration, listening)]
    if configuration.log.mask_numbers:  # it stands in the same journal as the log
        lines, how = [hide_numbers(line) for line in lines], [hide_numbers(line) for line in how]
    return [*lines, *("  " + line for line in more), *how]


def _some(lines: list[str], what: str) -> list[str]:
    if len(lines) <= _MANY:
        return lines or [f"no {what} yet: add some under `{what}:`"]
    return [*lines[:_MANY], f"... and {len(lines) - _MANY} more {what}"]


def _trunk_line(trunk: Trunk, state: str = "") -> str:
    if trunk.register is not None:
        return f"trunk {trunk.name}: {state or 'registers at ' + str(trunk.destination)}"
    takes = f"takes calls from {trunk.accept_from}" if trunk.accept_from else f"takes calls from {trunk.destination}"
    return f"trunk {trunk.name}: {takes}"


def _profile_line(trunk: Trunk) -> str:
    profile = find_profile(trunk.profile)
    if not profile.settings:
        return "" if profile.name == "generic" else f"\n  profile {profile.name} ({profile.title})"
    own = set(profile.overridden(trunk))
    kept = [f"{key}: {_plain(value)}" for key, value in profile.settings.items() if key not in own]
    text = f"\n  profile {profile.name} ({profile.title}): {', '.join(kept) or 'nothing of it'}"
    return text + (f"; otherwise here: {', '.join(sorted(own))}" if own else "")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _state_line(state: RegistrationStatus, now: float) -> str:
    if state.state is RegistrationState.REGISTERED and state.registered_until is not None:
        where = f" at {state.answered_by}" if state.answered_by is not None else ""
        return f"registered{where} for {state.registered_until - now:.0f} s" + (
            f" ({state.doubt})" if state.doubt else ""
        )
    if state.last_error:
        again = f", next try in {state.retry_at - now:.0f} s" if state.retry_at is not None else ""
        return f"{state.last_error.removeprefix(f'trunk {state.trunk}: ')}{again}"
    return "registering soon" if state.state is RegistrationState.UNREGISTERED else state.state.value


def health_lines(states: Iterable[HealthStatus]) -> list[str]:
    """Say how the far end of each trunk is that is asked with OPTIONS."""
    lines = []
    for state in states:
        took = f", answered in {1000 * state.round_trip_s:.0f} ms" if state.round_trip_s is not None else ""
        lines.append(
            f"trunk {state.trunk}: far end {state.state.value}{took}"
            + (f" ({state.last_error})" if state.last_error else "")
        )
    return _some(lines, "trunks asked with OPTIONS") if lines else []


def _number_line(number: Number) -> str:
    name = f" ({number.friendly_name})" if number.friendly_name else ""
    agent = f"agent {number.inbound_agent}" if number.inbound_agent else "no inbound agent"
    return f"number {number.number}{name} -> {agent}"


def _how_to_call(configuration: Configuration, listening: Sequence[ListenAddress]) -> list[str]:
    answered = [number.number for number in configuration.numbers if number.inbound_agent and "*" not in number.number]
    if not answered or not listening:
        return []
    near = listening[0]
    where = join_host_port(_ANY.get(near.host, near.host), near.port)
    suffix = "" if near.transport == "udp" else f"';transport={near.transport}'"
    return [f"call it:  {_command()} call sip:{answered[0]}@{where}{suffix}   (or any softphone)"]


def _command() -> str:
    """How the person who started us can type our name: as it was typed, where the shell would not find it."""
    typed = sys.argv[0]
    return typed if typed.endswith("sipflow") and shutil.which("sipflow") is None else "sipflow"
