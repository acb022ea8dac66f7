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
    "calls.user_agent": "sip.user_agent",
    "calls.drain_s": "drain_s",
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
        trunks, numbers, agents: by name; these can change while calls are live.
        needs_restart: dotted keys that differ and are read only when the daemon starts, such as `sip.listen`.
    """

    trunks: Difference = Difference()
    numbers: Difference = Difference()
    agents: Difference = Difference()
    needs_restart: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.trunks or self.numbers or self.agents or self.needs_restart)

    def __str__(self) -> str:
        parts = [f"{name}: {getattr(self, name)}" for name in ("trunks", "numbers", "agents") if getattr(self, name)]
        if self.needs_restart:
            parts.append(f"only after a restart: {', '.join(self.needs_restart)}")
        return "; ".join(parts) or "nothing changed"


def changes(old: Configuration, new: Configuration) -> Changes:
    """Compare two configurations; values are compared and never shown."""
    restart = dict.fromkeys(
        _KEYS.get(key, key)
        for section in ("sip", "media", "calls", "log")
        for key in _differing(section, getattr(old, section), getattr(new, section))
    )
    return Changes(
        trunks=_difference(old.trunks, new.trunks),
        numbers=_difference(
            {number.number: number for number in old.numbers}, {number.number: number for number in new.numbers}
        ),
        agents=_difference(old.agents, new.agents),
        needs_restart=tuple(restart),
    )


def _difference(old: Mapping[str, object], new: Mapping[str, object]) -> Difference:
    return Difference(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(name for name in new if name in old and old[name] != new[name]),
    )


def _differing(section: str, old: Any, new: Any) -> list[str]:
    return [f"{section}.{each.name}" for each in fields(old) if getattr(old, each.name) != getattr(new, each.name)]
