"""What is different between two configurations, for a reload that leaves live calls alone."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sipflow.config.configuration import Configuration

# What the file calls a field of the settings, where that is not the section and the field's own name.
_KEYS = {
    "sip.advertise_by_transport": "sip.advertise",
    "media.port_low": "media.ports",
    "media.port_high": "media.ports",
    "media.bind_host": "media.bind",
    "calls.unknown_source": "sip.unknown_source",
    "calls.strangers": "sip.strangers",
    "calls.user_agent": "sip.user_agent",
    "calls.drain_s": "drain_s",
    "store.encryption_keys": "store.encryption_key",
    "api.host": "api.listen",
    "api.port": "api.listen",
    "trace.hep_collector": "trace.hep",
    "trace.hep_agent_id": "trace.hep",
    "trace.hep_key": "trace.hep",
}
_NAMED = ("trunks", "numbers", "agents", "pools")
_NOTHING = "nothing changed"
_LIMITS = {
    "limits.whole": "limits",
    "limits.token_calls_per_second": "limits.each_token",
    "limits.queue_calls": "limits.queue",
    "limits.queue_s": "limits.queue",
    "limits.trunks": "trunks.*",
    "limits.agents": "agents.*",
    "limits.numbers": "numbers.*",
    "tolls.rules": "tolls",
    "tolls.whole": "tolls",
    "tolls.trunk_rules": "trunks.*.tolls",
    "tolls.trunks": "trunks.*.tolls",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """Names that came, went or now mean something else; each in the order of its file."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        parts = (("added", self.added), ("removed", self.removed), ("changed", self.changed))
        return ", ".join(f"{what} {' '.join(names)}" for what, names in parts if names) or "nothing"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload has to do.

    Attributes:
        trunks, numbers, agents, pools: by name; these can change while calls are live.
        limits: dotted keys of limits and tolls that differ; these can, too.
        needs_restart: dotted keys that differ and are read only when the daemon starts, such as `sip.listen`.
    """

    trunks: Difference = Difference()
    numbers: Difference = Difference()
    agents: Difference = Difference()
    pools: Difference = Difference()
    limits: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return str(self) != _NOTHING

    def __str__(self) -> str:
        parts = [f"{name}: {getattr(self, name)}" for name in _NAMED if getattr(self, name)]
        if self.limits:
            parts.append(f"limits: changed {' '.join(self.limits)}")
        if self.needs_restart:
            parts.append(f"only after a restart: {', '.join(self.needs_restart)}")
        return "; ".join(parts) or _NOTHING


def changes(old: Configuration, new: Configuration) -> Changes:
    """Compare two configurations; values are compared and never shown."""
    restart = dict.fromkeys(
        _KEYS.get(key, key)
        for section in ("sip", "media", "calls", "recordings", "log", "api", "store", "webhooks", "trace")
        for key in _differing(section, getattr(old, section), getattr(new, section))
    )
    return Changes(
        trunks=_difference(old.trunks, new.trunks),
        numbers=_difference(
            {number.number: number for number in old.numbers}, {number.number: number for number in new.numbers}
        ),
        agents=_difference(old.agents, new.agents),
        pools=_difference(old.pools, new.pools),
        limits=tuple(
            dict.fromkeys(
                _LIMITS.get(key, key)
                for section in ("limits", "tolls")
                for key in _differing(section, getattr(old, section), getattr(new, section))
            )
        ),
        needs_restart=tuple(restart),
    )


def _difference(old: Mapping[str, object], new: Mapping[str, object]) -> Difference:
    return Difference(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(name for name in new if name in old and old[name] != new[name]),
    )


def _differing(section: str, old: Any, new: Any) -> list[str]:
    if old is None or new is None:
        return [] if old is new else [section]
    return [f"{section}.{each.name}" for each in fields(old) if getattr(old, each.name) != getattr(new, each.name)]
