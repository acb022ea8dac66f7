"""`sipflow trunk test`: tries a trunk step by step, and says what works, how long it took and what to do."""

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sipflow.calls.echo_findings import judge_echo
from sipflow.calls.variables import printable
from sipflow.cli.echo_call import call_echo
from sipflow.cli.trunk_probe import connect, make_edge, options, own_sockets, register, resolve
from sipflow.config.configuration import Configuration
from sipflow.config.load import load
from sipflow.daemon.logs import set_up_logs
from sipflow.errors import LocalProtocolError, TransportError
from sipflow.trunks.findings import Finding, Judgement
from sipflow.trunks.trunk import Trunk

GOOD, FAILED, UNREACHABLE = 0, 1, 5
_SIGNS = {Judgement.OK: "ok", Judgement.WARNING: "WARNING", Judgement.FAILED: "FAILED", Judgement.SKIPPED: "-"}


@dataclass(frozen=True, slots=True)
class TrunkTestOptions:
    """What was asked for on the command line; see `sipflow trunk test --help`."""

    name: str
    config: Path
    dial: str = ""
    register: bool = True
    patience_s: float = 5.0
    ring_s: float = 20.0
    json: bool = False
    verbose: bool = False


@dataclass(slots=True)
class TrunkTestReport:
    """What came of it; what `--json` prints.

    Attributes:
        trunk: its name.
        findings: every step.
        exit_status: 0 good, 1 something failed, 5 nobody was reached.
    """

    trunk: str
    findings: list[Finding] = field(default_factory=list)
    exit_status: int = GOOD


def run_trunk_test(wanted: TrunkTestOptions) -> int:
    """Test a trunk of a configuration; returns the exit status.

    Raises:
        ConfigError: the configuration cannot be used.
        LocalProtocolError: there is no such trunk, or it has no far end; or a number that cannot be dialled.
    """
    configuration = load(wanted.config)
    trunk = find_trunk(configuration, wanted.name)
    set_up_logs("debug" if wanted.verbose else "error", "console")
    report = TrunkTestReport(trunk.name)

    def say(finding: Finding) -> None:
        report.findings.append(finding)
        if not wanted.json:
            sys.stdout.write("\n".join(lines_of(finding)) + "\n")
            sys.stdout.flush()

    report.exit_status = asyncio.run(_test(wanted, configuration, trunk, say))
    if wanted.json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        sys.stdout.write(summary(report) + "\n")
    return report.exit_status


def find_trunk(configuration: Configuration, name: str) -> Trunk:
    """Return the trunk that is to be tested.

    Raises:
        LocalProtocolError: there is none, or it has no far end.
    """
    trunk = configuration.trunks.get(name)
    if trunk is None:
        names = ", ".join(configuration.trunks) or "none"
        raise LocalProtocolError(f"there is no trunk {name[:80]!r} in the configuration; there are: {names}")
    if trunk.destination is None:
        raise LocalProtocolError(f"trunk {name} only takes calls: it has no sip_domain, so there is nobody to ask")
    return trunk


def lines_of(finding: Finding) -> list[str]:
    """Write a finding down: a line, its advice and details below."""
    took = f"{finding.took_ms:7.0f} ms" if finding.took_ms is not None else " " * 10
    lines = [f"{_SIGNS[finding.judgement]:<8}{finding.step:<11}{took}  {printable(finding.text)}"]
    lines += [" " * 31 + printable(detail) for detail in finding.details]
    if finding.advice:
        lines.append(" " * 31 + f"-> {printable(finding.advice)}")
    return lines


def summary(report: TrunkTestReport) -> str:
    """The whole in one line."""
    failed = [finding.step for finding in report.findings if finding.judgement is Judgement.FAILED]
    warned = [finding.step for finding in report.findings if finding.judgement is Judgement.WARNING]
    if failed:
        return f"trunk {report.trunk} does not work: {', '.join(failed)} failed"
    return f"trunk {report.trunk} works" + (f", with warnings: {', '.join(warned)}" if warned else "")


async def _test(
    wanted: TrunkTestOptions, configuration: Configuration, trunk: Trunk, say: Callable[[Finding], None]
) -> int:
    failed = False

    def note(finding: Finding) -> None:
        nonlocal failed
        failed = failed or finding.judgement is Judgement.FAILED
        say(finding)

    net = own_sockets(configuration.sip)
    hops = await resolve(net, trunk, note)
    if not hops:
        return UNREACHABLE
    if not await connect(net, hops[0], note, patience_s=wanted.patience_s) and len(hops) == 1:
        return UNREACHABLE
    probe = make_edge(configuration, trunk, patience_s=wanted.patience_s)
    try:
        await probe.edge.open()
        there = await options(probe, note)
        if trunk.register is None or not wanted.register:
            why = "the trunk does not register" if trunk.register is None else "not asked for (--no-register)"
            note(Finding("register", Judgement.SKIPPED, why))
        else:
            there = await register(probe, note) or there
        if not there:
            return UNREACHABLE
        if wanted.dial:
            for finding in judge_echo(await call_echo(probe, wanted.dial, ring_s=wanted.ring_s)):
                note(finding)
    except TransportError as error:
        note(Finding("open", Judgement.FAILED, str(error)))
        return UNREACHABLE
    finally:
        with suppress(TransportError, LocalProtocolError):
            await probe.edge.close()
    return FAILED if failed else GOOD
