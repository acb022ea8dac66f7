"""A LiveKit agent inside sipflow, on `sipflow.integrations.livekit`: baresip calls it and says what it heard."""

import re
import time
from pathlib import Path
from statistics import median

import pytest

from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.phone import TONE_DBFS, Phone
from tests.interop.programs import ROOT, missing
from tests.interop.test_pipecat import INTERRUPTED_HZ, SPEAKS_HZ, level, pieces

_SPEAKS_S = 2.0
_PIECE_MS = 20


def livekit_packages() -> str:
    """Where LiveKit Agents is; beside sipflow's own packages it is enough for both."""
    found = ROOT / ".venv" / "livekit"
    if not (found / "livekit" / "agents").exists():
        missing("LiveKit Agents is not installed (make livekit)")
    return str(found)


def test_an_agent_session_on_the_call_itself_speaks_hears_and_is_interrupted(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, agents={"echo": {"handler": "tests.interop.livekit_native_bot:bot"}})
    try:
        daemon.start(PYTHONPATH=livekit_packages())
        with Phone(tmp_path / "phone") as phone:
            phone.dial(f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")
            for digit in "19":
                time.sleep(_SPEAKS_S)
                phone.command("sndcode", digit)
                daemon.program.wait_for(f"^digit {digit}$")
            daemon.program.wait_for("^the session is over$")
            phone.wait_event("CALL_CLOSED")
            phone.quit()
            heard, wrote = phone.recorded(), daemon.program.output
    finally:
        daemon.__exit__(None, None, None)

    levels = [float(found) for found in re.findall(r"^heard (\S+) dBFS$", wrote, re.MULTILINE)]
    assert median(levels) == pytest.approx(TONE_DBFS, abs=0.5)
    before, after = pieces(heard, SPEAKS_HZ), pieces(heard, INTERRUPTED_HZ)
    first, last = after.index(True), len(before) - 1 - before[::-1].index(True)
    assert last < first, "the first tone went on after the interruption"
    assert level(heard, before, SPEAKS_HZ) == pytest.approx(-12.0, abs=1.0)
    assert level(heard, after, INTERRUPTED_HZ) == pytest.approx(-12.0, abs=1.0)
    positions = [float(found) for found in re.findall(r"^played (\S+) s$", wrote, re.MULTILINE)]
    assert len(positions) == 2
    # The recording leaves out its first 300 ms, and a tone that fills half of a piece is not counted.
    assert after.count(True) * _PIECE_MS / 1000 == pytest.approx(positions[1], abs=0.1)
