"""Every scenario: what its file says of itself, and how it is run, by the tests and by hand."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.scenario.programs import ROOT
from tests.scenario.special import RUNS, Run

FOLDER = ROOT / "scenarios"
ROLES = {"inbound": "caller", "outbound": "callee", "registrar": "registrar"}
BY_HAND_PORT = 5090
_HEAD = re.compile(r"<\?xml[^>]*>\s*<!--\s*(?P<rfc>RFC [^\n]*)\n(?P<must>.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Scenario:
    """One SIPp scenario.

    Attributes:
        name: folder and file name without its ending.
        rfc: the sections that it proves.
        must: what must happen, in a sentence.
        run: how it is run.
    """

    name: str
    rfc: str
    must: str
    run: Run

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """From the top folder of the project."""
        return f"scenarios/{self.name}.xml"

    @property
    def folder(self) -> str:
        return self.name.partition("/")[0]

    @property
    def role(self) -> str:
        """What SIPp is: caller, callee or registrar."""
        return ROLES[self.folder]


@dataclass(frozen=True)
class Place:
    """Where one run takes place; the ports of a run by hand are the defaults.

    Attributes:
        udp, tcp, ipv6: our ports, where SIPp calls us.
        port: SIPp's port, where we call SIPp.
        ears: ports that listen to our audio.
    """

    udp: int = 5060
    tcp: int = 5060
    ipv6: int = 5060
    port: int = BY_HAND_PORT
    ears: tuple[int, int] = (40000, 40002)


def read(path: Path) -> Scenario:
    """Read what a scenario file says at its top."""
    name = f"{path.parent.name}/{path.stem}"
    head = _HEAD.match(path.read_text(encoding="utf-8"))
    if head is None:
        raise AssertionError(f"{name} does not say at its top which RFC section it proves and what must happen")
    return Scenario(name, head["rfc"].strip(), " ".join(head["must"].split()), RUNS.get(name, Run()))


def scenarios(folder: str = "*") -> list[Scenario]:
    """All scenarios of a folder, by name."""
    return [read(path) for path in sorted(FOLDER.glob(f"{folder}/*.xml"))]


def sipp_command(scenario: Scenario, place: Place) -> list[str]:
    """What starts SIPp for one run of the scenario."""
    run = scenario.run
    command = ["sipp"]
    if scenario.folder == "inbound":
        targets = {
            "udp": f"127.0.0.1:{place.udp}",
            "tcp": f"127.0.0.1:{place.tcp}",
            "ipv6": f"[::1]:{place.ipv6}",
        }
        command += [targets[run.over]]
    else:
        command += ["-p", str(place.port)]
    command += [
        "-i",
        "::1" if run.over == "ipv6" else run.source,
        "-m",
        "1",
        *(["-t", "t1"] if run.over == "tcp" else []),
    ]
    if run.ears:
        command += ["-key", "ear", str(place.ears[0]), "-key", "other_ear", str(place.ears[1])]
    if run.auth_user:
        command += ["-auth_uri", f"{run.auth_user}@127.0.0.1:{place.udp}"]
    return [*command, *run.sipp, "-sf", scenario.path]


def call_arguments(scenario: Scenario, place: Place) -> list[str]:
    """What `sipflow` is told to do where SIPp is the callee."""
    target = ["sip:callee@callee.example", "--proxy", f"127.0.0.1:{place.port}"]
    if scenario.run.over == "ipv6":
        target = [f"sip:callee@[::1]:{place.port}"]
    return ["call", *target, *scenario.run.call]


def by_hand(scenario: Scenario) -> str:
    """The one command that runs a scenario by hand, from the top folder of the project."""
    place = Place()
    sipp = " ".join(sipp_command(scenario, place))
    if scenario.folder == "inbound":
        return sipp
    words = [*(f"{name}={value}" for name, value in scenario.run.environment), ".venv/bin/sipflow"]
    if scenario.folder == "outbound":
        words += [f"'{word}'" if " " in word else word for word in call_arguments(scenario, place)]
    else:
        words += ["run", "scenarios/registrar.yaml"]
    return f"{sipp} -nostdin & {' '.join(words)}"


def table(folder: str) -> str:
    """The scenarios of a folder as the rows of a table."""
    rows = ["| scenario | proves | SIPp is | what must happen | by hand |", "|---|---|---|---|---|"]
    for each in scenarios(folder):
        link = f"[{each.name.partition('/')[2]}]({each.name}.xml)"
        rows.append(f"| {link} | {each.rfc} | {each.role} | {each.must} | `{by_hand(each)}` |")
    return "\n".join(rows)
