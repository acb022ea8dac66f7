"""Loads a configuration: file, text, tree, values, sections, and what must fit between the sections."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sipflow.agents.handlers import BUILT_IN, wrong_reference
from sipflow.agents.spec import AgentSpec
from sipflow.calls.settings import Settings as CallSettings
from sipflow.config.agent_section import agent_spec
from sipflow.config.call_section import LogSettings, TopModel, call_settings, log_settings
from sipflow.config.configuration import Configuration
from sipflow.config.media_section import media_settings
from sipflow.config.number_section import Declared, check_names, declare_number, merge, number_name
from sipflow.config.problems import Problems, suggestion
from sipflow.config.resolve import resolve
from sipflow.config.section import Section
from sipflow.config.sentences import keys_at
from sipflow.config.sip_section import SipModel, sip_settings
from sipflow.config.text import checked, read_text
from sipflow.config.tree import read_tree
from sipflow.config.trunk_section import TrunkModel, make_trunk
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import Settings as SipSettings
from sipflow.numbers.inventory import Inventory, Number
from sipflow.trunks.trunk import Trunk

SECTIONS = frozenset({"sip", "media", "calls", "trunks", "numbers", "agents", "log"})
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
    read = _Reader(root).read(file)
    problems.raise_all(file)
    return read


@dataclass(slots=True)
class _Numbered:
    """What `trunks:` and `numbers:` declare together."""

    trunks: dict[str, Trunk]
    declared: list[Declared]
    regions: dict[str, str]


class _Reader:
    def __init__(self, root: Section) -> None:
        self._root = root
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
            log=self._log(),
        )

    def _sip_and_calls(self) -> tuple[SipSettings, CallSettings]:
        section, calls = self._root.child("sip"), self._root.child("calls")
        model = section.validate(SipModel) if section else None
        top = self._root.only(_TOP_KEYS).validate(TopModel)
        sip = sip_settings(section, model) if section and model else None
        read = call_settings(calls, model or SipModel(), top or TopModel()) if calls else None
        return sip or SipSettings(), read or CallSettings()

    def _media(self) -> MediaSettings:
        section = self._root.child("media")
        return (media_settings(section) if section else None) or MediaSettings()

    def _log(self) -> LogSettings:
        section = self._root.child("log")
        return (log_settings(section) if section else None) or LogSettings()

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

    def _names(self, key: str) -> frozenset[str]:
        section = self._root.child(key)
        return frozenset(section.keys) if section else frozenset()

    def _trunks_and_numbers(self) -> tuple[dict[str, Trunk], list[Number]]:
        found = _Numbered({}, [], {})
        trunks, numbers = self._root.child("trunks"), self._root.child("numbers")
        for name, section in trunks.children() if trunks else ():
            _read_trunk(section, name, found)
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
        check_names(section, declared, self._trunk_names, self._agent_names)
        if declared.own_trunk:
            if name in found.trunks:
                section.report("declares a trunk of its own, and there is a trunk of this name already")
            trunk = make_trunk(section, model, name=name, phone_number=_e164_or_none(name))
            if trunk is not None:
                found.trunks[name] = trunk


def _read_trunk(section: Section, name: str, found: _Numbered) -> None:
    model = section.validate(TrunkModel)
    if model is None:
        return
    found.regions[name] = model.region
    number = ""
    if model.phone_number:
        number = section.attempt(number_name, model.phone_number, model.region, at=("phone_number",)) or ""
        line = section.line_of("phone_number")
        path = (*section.path, "phone_number")
        if number:
            found.declared.append(Declared(Number(number, trunk=name), line, path, by_trunk=True))
    trunk = make_trunk(section, model, name=name, phone_number=_e164_or_none(number))
    if trunk is not None:
        found.trunks[name] = trunk


def _e164_or_none(number: str) -> str:
    return number if number.startswith("+") and not number.endswith("*") else ""
