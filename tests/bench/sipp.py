"""SIPp as caller and callee."""

import csv
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.edge import NUMBER
from tests.bench.programs import DRIVING, Program, find
from tests.interop.free_ports import free_sip_port

_GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Calls:
    """How a load of calls went.

    Attributes:
        successful, failed: calls.
        retransmissions: messages that SIPp had to send again.
        per_second: calls, over the whole time.
    """

    successful: int
    failed: int
    retransmissions: int
    per_second: float = 0.0


def call(folder: Path, port: int, *, calls: int, rate: int, hold_ms: int = 0, at_once: int | None = None) -> Calls:
    """Have SIPp's own caller scenario place calls to loopback `port`, `rate` a second, and wait for their end.

    With `at_once` no more than so many are up: those that have no room come later.

    Raises:
        MissingProgram: SIPp is not installed.
        RuntimeError: SIPp did not end.
    """
    statistics = folder / "sipp.csv"
    command = [find("sipp"), "-sn", "uac", f"127.0.0.1:{port}", "-s", NUMBER, "-i", "127.0.0.1"]
    command += ["-p", str(free_sip_port()), "-r", str(rate), "-m", str(calls), "-d", str(hold_ms), "-nostdin"]
    command += ["-l", str(at_once or calls), "-trace_stat", "-stf", str(statistics), "-fd", "1"]
    with Program("sipp-uac", command, folder, core=DRIVING, cwd=folder) as sipp:
        try:
            sipp.wait(calls / rate + hold_ms / 1000 + _GRACE_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"SIPp did not end:\n{sipp.tail()}") from None
    return _read(statistics)


def answering(folder: Path, port: int) -> Program:
    """SIPp's own callee scenario on loopback `port`, to be stopped by whoever asked for it.

    Raises:
        MissingProgram: SIPp is not installed.
    """
    command = [find("sipp"), "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-nostdin"]
    return Program("sipp-uas", command, folder, core=DRIVING, cwd=folder)


def _read(statistics: Path) -> Calls:
    with statistics.open(encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    return Calls(
        int(last["SuccessfulCall(C)"]),
        int(last["FailedCall(C)"]),
        int(last["Retransmissions(C)"]),
        float(last["CallRate(C)"]),
    )
