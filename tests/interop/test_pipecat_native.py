"""A Pipecat pipeline inside sipflow, on `sipflow.integrations.pipecat`: baresip calls it and says what it heard."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.phone import TONE_DBFS, Phone
from tests.interop.programs import ROOT, missing
from tests.interop.test_pipecat import INTERRUPTED_HZ, SPEAKS_HZ, level, pieces

SITE = "lib/python*/site-packages"
_SPEAKS_S = 2.0
_AFTER_S = 1.5
_PACKETS_PER_S = 50
_PIECE_MS = 20


def pipecat_packages() -> str:
    """Where Pipecat and what it needs is installed; beside sipflow's own packages it is enough for both."""
    found = sorted((ROOT / ".venv" / "pipecat").glob(SITE))
    if not found or not (found[0] / "pipecat").exists():
        missing("Pipecat is not installed (make pipecat)")
    return str(found[0])


@contextmanager
def sipflow_with_pipecat(folder: Path) -> Iterator[Daemon]:
    folder.mkdir()
    daemon = Daemon(folder, agents={"echo": {"handler": "tests.interop.pipecat_native_bot:bot"}})
    try:
        daemon.start(PYTHONPATH=pipecat_packages())
        yield daemon
    finally:
        daemon.__exit__(None, None, None)


def test_a_pipeline_on_the_call_itself_speaks_hears_is_interrupted_and_hangs_up(tmp_path: Path) -> None:
    with sipflow_with_pipecat(tmp_path / "daemon") as sipflow, Phone(tmp_path / "phone") as phone:
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{sipflow.port}")
        phone.wait_heard(int(_SPEAKS_S * _PACKETS_PER_S))
        phone.command("sndcode", "1")
        sipflow.program.wait_for("^digit 1$")
        phone.wait_heard(int(2 * _AFTER_S * _PACKETS_PER_S))  # half of it for the bot to turn round in
        phone.command("sndcode", "9")
        phone.wait_event("CALL_CLOSED")
        sipflow.program.wait_for("^the pipeline is over$")
        phone.quit()
        heard = phone.recorded()
        wrote = sipflow.program.output
        (over,) = sipflow.wait_said("^call over")

    levels = [float(found) for found in re.findall(r"^heard (\S+) dBFS$", wrote, re.MULTILINE)]
    assert median(levels) == pytest.approx(TONE_DBFS, abs=0.5)
    assert f"call from phone to {ANSWERED}" in wrote
    assert "the caller is gone" not in wrote
    assert over["why"] == "the agent hung up"
    before, after = pieces(heard, SPEAKS_HZ), pieces(heard, INTERRUPTED_HZ)
    first, last = after.index(True), len(before) - 1 - before[::-1].index(True)
    assert before.count(True) * _PIECE_MS >= 1000
    assert last < first, "the first tone went on after the interruption"
    assert (first - last) * _PIECE_MS < 500
    assert after.count(True) * _PIECE_MS >= (_AFTER_S - 0.6) * 1000
    assert level(heard, before, SPEAKS_HZ) == pytest.approx(-12.0, abs=1.0)
    assert level(heard, after, INTERRUPTED_HZ) == pytest.approx(-12.0, abs=1.0)


def test_a_caller_who_hangs_up_cancels_the_pipeline(tmp_path: Path) -> None:
    with sipflow_with_pipecat(tmp_path / "daemon") as sipflow, Phone(tmp_path / "phone") as phone:
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{sipflow.port}")
        phone.wait_heard(25)
        phone.command("hangup")
        sipflow.program.wait_for("^the caller is gone: ")
        sipflow.program.wait_for("^over: CancelFrame$")
        sipflow.program.wait_for("^the pipeline is over$")
        (over,) = sipflow.wait_said("^call over")

    assert over["why"] != "the agent hung up"
