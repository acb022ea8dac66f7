"""SIPp as caller; its scenarios are in the folder sipp."""

from pathlib import Path

from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import Program, require
from tests.interop.waiting import PATIENCE_S

_SCENARIOS = Path(__file__).parent / "sipp"
_TRANSPORTS = {"udp": "u1", "tcp": "t1"}  # one socket for all calls


class Calls:
    """A run of SIPp.

    Attributes:
        program: SIPp itself.
        port: of its own.
        errors: the file in which it tells what went wrong.
    """

    def __init__(
        self,
        folder: Path,
        scenario: str,
        target: str,
        *options: str,
        transport: str = "udp",
        calls: int = 1,
        at_once: int = 1,
    ) -> None:
        """Start it.

        Args:
            folder: where its files go, and where a scenario's sound is looked for.
            scenario: name of the file in the folder sipp, without ending.
            target: host:port to send to.
            options: further ones of SIPp's.
            transport: udp or tcp.
            calls: how many in all.
            at_once: how many side by side; that many are begun in a second.
        """
        self.errors = folder / f"{scenario}-errors.log"
        command = [require("sipp", "sip-tester"), target, "-sf", str(_SCENARIOS / f"{scenario}.xml")]
        command += ["-m", str(calls), "-l", str(at_once), "-r", str(at_once), "-t", _TRANSPORTS[transport]]
        self.port = free_sip_port()
        command += ["-i", "127.0.0.1", "-p", str(self.port), "-nostdin"]
        command += ["-mi", "127.0.0.1", "-mp", str(free_media_ports(4).start)]
        command += ["-timeout", "60", "-timeout_error", "-trace_err", "-error_file", str(self.errors), *options]
        self.program = Program(f"sipp {scenario}", command, folder / f"{scenario}.log", cwd=folder)

    def finish(self) -> str:
        """Wait for the end of all calls; return what went wrong, "" if nothing did."""
        with self.program:
            status = self.program.wait(2 * PATIENCE_S)
        said = self.errors.read_text(encoding="utf-8", errors="replace") if self.errors.exists() else ""
        return f"exit status {status}: {said}" if status else ""
