"""Loads a configuration: file, text, tree, values, sections, and what must fit between the sections."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from sipflow.agents.handlers import BUILT_IN, wrong_reference
from sipflow.agents.spec import AgentSpec
from sipflow.calls.limits import Limit, LimitSettings
from sipflow.calls.recorder import Settings as RecordingSettings
from sipflow.calls.settings import Settings as CallSettings
from sipflow.calls.toll_rules import TollSettings
from sipflow.config.agent_section import agent_spec
from sipflow.config.api_section import ApiSettings, api_settings
from sipflow.config.call_section import LogSettings, TopModel, call_settings, log_settings
from sipflow.config.configuration import Configuration
from sipflow.config.limit_section import limit_settings
from sipflow.config.media_section import media_settings
from sipflow.config.number_section import Declared, check_names, declare_number, merge, number_name
from sipflow.config.pool_section import pool_settings
from sipflow.config.problems import Problems, suggestion
from sipflow.config.recording_section import recording_settings
from sipflow.config.resolve import resolve
from sipflow.config.section import Section
from sipflow.config.sentences import keys_at
from sipflow.config.sip_section import SipModel, sip_settings, stranger_settings
from sipflow.config.store_section import store_settings
from sipflow.config.text import checked, read_text
from sipflow.config.toll_section import TollModel, toll_settings
from sipflow.config.trace_section import trace_settings
from sipflow.config.tree import Branch, Node, read_tree
from sipflow.config.trunk_section import TrunkModel, check_failover, make_trunk
from sipflow.config.webhook_section import WebhookSettings, webhook_settings
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import Settings as SipSettings
from sipflow.net.tracers import Settings as TraceSettings
from sipflow.numbers.inventory import Inventory, Number
from sipflow.numbers.pool_settings import PoolSettings
from sipflow.numbers.use import Caps
from sipflow.store.settings import Settings as StoreSettings
from sipflow.trunks.trunk import Trunk

SECTIONS = frozenset(
    {
        "api",
        "sip",
        "media",
        "calls",
        "trunks",
        "numbers",
        "agents",
        "pools",
        "limits",
        "tolls",
        "log",
        "recordings",
        "store",
        "trace",
        "webhooks",
    }
)
_OF_NAMES = frozenset({"trunks", "numbers", "agents", "pools"})
_TOP_KEYS = frozenset(keys_at(TopModel))


def load(path: str | Path, *, environ: Mapping[str, str] | None = None) -> Configuration:
    """Read a configuration file.

    Args:
        path: of the file; relative paths in it start at its folder.
        environ: what `${NAME}` means; None for the environment of this process.

    Raises:
        ConfigError: it cannot be read or used; the text tells every problem, a line each, with file, line and key.
    """
    given = Path(path)
    return parse(read_text(given), file=str(path), folder=given.parent, environ=environ)


def parse(
    text: str, *, file: str = "", folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> Configuration:
    """Read a configuration from text.

    Args:
        text: YAML.
        file: what errors call it.
        folder: where relative paths start; None for the working directory.
        environ: what `${NAME}` means; None for the environment of this process.

    Raises:
        ConfigError: it cannot be used; the text tells every problem, a line each, with file, line and key.
    """
    problems = Problems()
    start = (folder or Path()).absolute()
    variables = os.environ if environ is None else environ
    tree = read_tree(checked(text, file=file), file=file, problems=problems)
    root = Section(resolve(tree, environ=variables, folder=start, problems=problems), (), 1, start, problems)
    read = _Reader(root, variables).read(file)
    problems.raise_all(file)
    return read


def load_store(path: str | Path, *, environ: Mapping[str, str] | None = None) -> StoreSettings:
    """Read where the store is from a configuration file, and nothing else of it, not even the store's key.

    What else is in it may need variables that are set for the daemon only.

    Raises:
        ConfigError: the file, or `store:` in it, cannot be read or used.
    """
    section, problems = _alone(path, "store", without="encryption_key", environ=environ)
    settings = store_settings(section, environ={}) if section is not None else None
    problems.raise_all(str(path))
    return settings or StoreSettings()


def load_api(path: str | Path, *, environ: Mapping[str, str] | None = None) -> ApiSettings | None:
    """Read where the API is from a configuration file, and nothing else of it; None where it has none.

    Its tokens are left out where they need variables that are set for the daemon only.

    Raises:
        ConfigError: the file, or `api:` in it, cannot be read or used.
    """
    section, problems = _alone(path, "api", environ=environ)
    if problems:  # a variable that is not set here
        section, problems = _alone(path, "api", without="tokens", environ=environ)
    settings = api_settings(section) if section is not None else None
    problems.raise_all(str(path))
    return settings


def _alone(
    path: str | Path, name: str, *, without: str = "", environ: Mapping[str, str] | None
) -> tuple[Section | None, Problems]:
    """Read one section of a file, without one of its keys; None where the file has no such section."""
    file, folder, problems = str(path), Path(path).parent.absolute(), Problems()
    tree = read_tree(checked(read_text(Path(path)), file=file), file=file, problems=problems)
    entry = tree.entries.get(name)
    if entry is not None and isinstance(entry.node, Branch):
        kept = {key: each for key, each in entry.node.entries.items() if key != without}
        entry = replace(entry, node=Branch(kept, entry.node.line))
    only = Branch({name: entry} if entry is not None else {}, 1)
    variables = os.environ if environ is None else environ
    resolved = resolve(only, environ=variables, folder=folder, problems=problems)
    return Section(resolved, (), 1, folder, problems).child(name) if entry is not None else None, problems


@dataclass(slots=True)
class _Numbered:
    """What `trunks:` and `numbers:` declare together."""

    trunks: dict[str, Trunk]
    declared: list[Declared]
    regions: dict[str, str]
    trunk_limits: dict[str, Limit] = field(default_factory=dict)
    caps: dict[str, Caps] = field(default_factory=dict)
    tolls: dict[str, tuple[TollModel, Section]] = field(default_factory=dict)


class _Reader:
    def __init__(self, root: Section, environ: Mapping[str, str]) -> None:
        self._root = _hoisted(root)
        self._environ = environ
        self._trunk_names = self._names("trunks")
        self._agent_names = self._names("agents")

    def read(self, file: str) -> Configuration:
        """Return the configuration; only good when no problem was reported."""
        for key in self._root.keys:
            if key not in SECTIONS | _TOP_KEYS:
                self._root.report("unknown key" + suggestion(key, SECTIONS | _TOP_KEYS), key)
        sip, calls = self._sip_and_calls()
        agents = self._agents()
        trunks, numbers = self._trunks_and_numbers()
        return Configuration(
            file=file,
            sip=sip,
            media=self._media(),
            calls=calls,
            trunks=MappingProxyType(trunks),
            numbers=Inventory(numbers),
            agents=MappingProxyType(agents),
            pools=MappingProxyType(self._pools(numbers, agents)),
            limits=self._limits(agents),
            tolls=self._tolls(),
            recordings=self._recordings(),
            store=self._store(),
            log=self._log(),
            api=self._api(),
            webhooks=self._webhooks(),
            trace=self._trace(),
        )

    def _sip_and_calls(self) -> tuple[SipSettings, CallSettings]:
        section, calls = self._root.child("sip"), self._root.child("calls")
        model = section.validate(SipModel) if section else None
        top = self._root.only(_TOP_KEYS).validate(TopModel)
        sip = sip_settings(section, model) if section and model else None
        strangers = stranger_settings(section, model) if section and model else None
        given = {"strangers": strangers} if strangers is not None else {}
        read = call_settings(calls, model or SipModel(), top or TopModel(), **given) if calls else None
        return sip or SipSettings(), read or CallSettings()

    def _media(self) -> MediaSettings:
        section = self._root.child("media")
        return (media_settings(section) if section else None) or MediaSettings()

    def _recordings(self) -> RecordingSettings:
        section = self._root.child("recordings")
        return (recording_settings(section) if section else None) or RecordingSettings()

    def _store(self) -> StoreSettings:
        section = self._root.child("store")
        store = (store_settings(section, environ=self._environ) if section else None) or StoreSettings()
        if section is not None and not store.enabled and "api" in self._root.keys:
            section.report("false leaves nothing that `api:` could show: take one of the two out", "enabled")
        return store

    def _webhooks(self) -> WebhookSettings:
        section = self._root.child("webhooks")
        return (webhook_settings(section) if section else None) or WebhookSettings()

    def _trace(self) -> TraceSettings:
        section = self._root.child("trace")
        return (trace_settings(section) if section else None) or TraceSettings()

    def _log(self) -> LogSettings:
        section = self._root.child("log")
        return (log_settings(section) if section else None) or LogSettings()

    def _api(self) -> ApiSettings | None:
        section = self._root.child("api") if "api" in self._root.keys else None
        api = api_settings(section) if section is not None else None
        if section is not None and api is not None and api.default_agent not in self._agent_names | {""}:
            why = f"there is no agent {api.default_agent[:80]!r}" + suggestion(api.default_agent, self._agent_names)
            section.report(why, "default_agent")
        return api

    def _agents(self) -> dict[str, AgentSpec]:
        section = self._root.child("agents")
        read = [agent_spec(below, name) for name, below in section.children()] if section else []
        specs = {spec.name: spec for spec in read if spec is not None}
        if section is not None and len(specs) == len(section.keys):  # or else one is missing that is there
            for name in specs:
                if problem := wrong_reference(name, specs):
                    section.report(problem, name, "fallback")
        known = self._trunk_names | self._names("numbers")  # a number may have a trunk of its own
        for name, spec in specs.items():
            trunk = spec.options.get("trunk")
            if section is not None and spec.handler in BUILT_IN and isinstance(trunk, str) and trunk not in known:
                why = f"there is no trunk {trunk[:80]!r}" + suggestion(trunk, self._trunk_names)
                section.report(why, name, "trunk")
        return specs

    def _pools(self, numbers: list[Number], agents: Mapping[str, AgentSpec]) -> dict[str, PoolSettings]:
        section, known = self._root.child("pools"), {number.number for number in numbers}
        read = [pool_settings(below, name, known) for name, below in section.children()] if section else []
        names = self._names("pools")
        for name, spec in agents.items():
            if spec.pool and spec.pool not in names:
                why = f"there is no pool {spec.pool[:80]!r}" + suggestion(spec.pool, names)
                if (below := self._root.child("agents")) is not None:
                    below.report(why, name, "pool")
        return {pool.name: pool for pool in read if pool is not None}

    def _limits(self, agents: Mapping[str, AgentSpec]) -> LimitSettings:
        section = self._root.child("limits")
        own = {name: Limit(spec.max_calls) for name, spec in agents.items() if spec.max_calls is not None}
        found = self._found
        read = limit_settings(section, trunks=found.trunk_limits, agents=own, numbers=found.caps) if section else None
        return read or LimitSettings()

    def _tolls(self) -> TollSettings:
        section = self._root.child("tolls")
        return (toll_settings(section, self._found.tolls) if section else None) or TollSettings()

    def _names(self, key: str) -> frozenset[str]:
        section = self._root.child(key)
        return frozenset(section.keys) if section else frozenset()

    def _trunks_and_numbers(self) -> tuple[dict[str, Trunk], list[Number]]:
        found = self._found = _Numbered({}, [], {})
        trunks, numbers = self._root.child("trunks"), self._root.child("numbers")
        for name, section in trunks.children() if trunks else ():
            _read_trunk(section, name, found, self._trunk_names | self._names("numbers"))
        for text, section in numbers.children() if numbers else ():
            self._read_number(section, text, found)
        return found.trunks, merge(found.declared, self._root.problems)

    def _read_number(self, section: Section, text: str, found: _Numbered) -> None:
        read = declare_number(section, text, found.regions)
        if read is None:
            return
        declared, model = read
        name = declared.number.number
        found.declared.append(declared)
        if caps := Caps(model.max_calls, model.calls_per_second, model.calls_per_day):
            found.caps[name] = caps
        check_names(section, declared, self._trunk_names, self._agent_names)
        if declared.own_trunk:
            if name in found.trunks:
                section.report("declares a trunk of its own, and there is a trunk of this name already")
            trunk = make_trunk(section, model, name=name, phone_number=_e164_or_none(name))
            if trunk is not None:
                check_failover(section, trunk, self._trunk_names | self._names("numbers"))
                found.trunks[name] = trunk


def _hoisted(root: Section) -> Section:
    """Report sections that are indented into another one, and read them where they belong: nothing else is wrong."""
    entries = dict(root.branch.entries)
    for key in _OF_NAMES & entries.keys():
        entry = entries[key]
        inside = entry.node.entries if isinstance(entry.node, Branch) else {}
        strayed = {name: each for name, each in inside.items() if name in SECTIONS and _holds_mappings(each.node)}
        if not strayed:
            continue
        for name, each in strayed.items():
            root.report("is a section of its own: begin its line without spaces", key, name)
            entries.setdefault(name, each)
        kept = {name: each for name, each in inside.items() if name not in strayed}
        entries[key] = replace(entry, node=Branch(kept, entry.node.line))
    return replace(root, branch=Branch(entries, root.branch.line))


def _holds_mappings(node: Node) -> bool:
    """Whether it can only be a section: a trunk or an agent, which may have a section's name, says something itself."""
    return (
        isinstance(node, Branch)
        and bool(node.entries)
        and all(isinstance(each.node, Branch) for each in node.entries.values())
    )


def _read_trunk(section: Section, name: str, found: _Numbered, known: Collection[str]) -> None:
    model = section.validate(TrunkModel)
    if model is None:
        return
    found.regions[name] = model.region
    if model.max_calls is not None or model.calls_per_second is not None:
        found.trunk_limits[name] = Limit(model.max_calls, model.calls_per_second)
    if model.tolls is not None:
        found.tolls[name] = (model.tolls, section)
    number = ""
    if model.phone_number:
        number = section.attempt(number_name, model.phone_number, model.region, at=("phone_number",)) or ""
        line = section.line_of("phone_number")
        path = (*section.path, "phone_number")
        if number:
            found.declared.append(Declared(Number(number, trunk=name), line, path, by_trunk=True))
    trunk = make_trunk(section, model, name=name, phone_number=_e164_or_none(number))
    if trunk is not None:
        check_failover(section, trunk, known)
        found.trunks[name] = trunk


def _e164_or_none(number: str) -> str:
    return number if number.startswith("+") and not number.endswith("*") else ""
