"""pjsip as the far end, wherever its Python binding can be imported."""

import importlib.util
import sys
from pathlib import Path

import pytest

from sipflow.audio.tones import sine
from sipflow.audio.wav import read_wav, wav_header
from tests.interop.daemon import AGENTS, ANSWERED, Daemon, call
from tests.interop.phone import steady_dbfs
from tests.interop.programs import Program

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pjsua2") is None,
    reason="pjsua2 cannot be imported here: PyPI has no source of it that builds (docs/dependencies.md)",
)
_TONE_HZ = 1000


def phone(folder: Path, *uri: str) -> Program:
    tone = sine(_TONE_HZ, 20_000, level_dbfs=-12.0)
    (folder / "tone.wav").write_bytes(wav_header(len(tone)) + tone)
    command = [sys.executable, "-m", "tests.interop.pjsua2_phone", str(folder), *uri]
    return Program("pjsua2", command, folder / "pjsua2.log")


def heard_dbfs(folder: Path, hz: int) -> float:
    sound = read_wav((folder / "heard.wav").read_bytes())
    assert len(sound.pcm) > 2 * sound.sample_rate_hz, "less than a second was recorded"
    return steady_dbfs(sound.pcm, hz, sound.sample_rate_hz)


def test_a_pjsua2_phone_that_calls_hears_itself(tmp_path: Path) -> None:
    agents = {"echo": {"handler": f"{AGENTS}:measured_echo"}}
    with (
        Daemon(tmp_path, agents=agents) as daemon,
        phone(tmp_path, f"sip:{ANSWERED}@127.0.0.1:{daemon.port}") as caller,
    ):
        assert caller.wait() == 0, caller.tail()
        (heard,) = daemon.wait_said("^heard")

    assert (heard["lost"], heard["malformed"]) == (0, 0)
    assert heard_dbfs(tmp_path, _TONE_HZ) == pytest.approx(-12.0, abs=1.5)


def test_a_pjsua2_phone_that_is_called_is_heard_and_hears(tmp_path: Path) -> None:
    with phone(tmp_path) as callee:
        address = callee.wait_for(r"^listening on (\S+)")[1]
        report = call(tmp_path, f"sip:foreign@{address}", "--seconds", "60", "--record", str(tmp_path / "ours.wav"))
        assert callee.wait() == 0, callee.tail()

    assert (report.exit_status, report.status, report.media["lost"]) == (0, 200, 0), report
    assert heard_dbfs(tmp_path, 440) == pytest.approx(-12.0, abs=1.5)
    ours = read_wav((tmp_path / "ours.wav").read_bytes()).pcm
    assert steady_dbfs(ours, _TONE_HZ) == pytest.approx(-12.0, abs=1.5)
