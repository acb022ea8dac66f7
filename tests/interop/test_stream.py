"""The first bot of the page, as it stands there, as a program of its own: `sipflow call` hears itself through it."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from sipflow.audio.wav import read_wav
from tests.interop.daemon import Daemon, call
from tests.interop.free_ports import free_sip_port
from tests.interop.phone import steady_dbfs
from tests.interop.programs import ROOT, Program
from tests.interop.waiting import wait_until

PAGE = (ROOT / "docs" / "stream.md").read_text(encoding="utf-8")
PORT = "8765"


def snippet(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_first_bot_of_the_page_says_back_what_it_hears(tmp_path: Path) -> None:
    port = str(free_sip_port())
    file = tmp_path / "bot.py"
    file.write_text(snippet("python").replace(PORT, port), encoding="utf-8")
    sections = yaml.safe_load(snippet("yaml").replace(PORT, port))
    with (
        Program("the bot of the page", [sys.executable, str(file)], tmp_path / "bot.log") as bot,
        Daemon(tmp_path, **sections) as sipflow,
    ):
        heard = tmp_path / "heard.wav"
        wait_until(lambda: bot.running, "the bot")
        report = call(tmp_path, sipflow.uri(), "--tone", "1000", "--seconds", "3", "--record", str(heard))
        bot.wait_for("^a call from ")
        sipflow.wait_said("^stream over")

    assert (report.exit_status, report.status) == (0, 200)
    sound = read_wav(heard.read_bytes())
    assert steady_dbfs(sound.pcm[8000:], 1000, sound.sample_rate_hz) == pytest.approx(-12.0, abs=1.0)
