"""An unmodified Pipecat bot holds a call: baresip is the caller, and its recording says what it heard of the bot.

The bot speaks through Pipecat's own Twilio, Telnyx and Vonage serializers; see pipecat_bot.py.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from sipflow.audio.tones import measure_tone
from tests.interop.daemon import ANSWERED, Daemon
from tests.interop.free_ports import free_sip_port
from tests.interop.phone import TONE_DBFS, TONE_HZ, Phone
from tests.interop.programs import ROOT, Program, missing

SPEAKS_HZ, INTERRUPTED_HZ = 440, 700  # as in pipecat_bot.py
PYTHON = ROOT / ".venv" / "pipecat" / "bin" / "python"
BOT = ROOT / "tests" / "interop" / "pipecat_bot.py"
DIALECTS = ["twilio", "telnyx", "vonage"]
_PIECE_MS = 20
_LOUD_DBFS = -20.0  # a tone of -12 dBFS is there, or it is not
_SPEAKS_S = 2.5  # Pipecat sends at twice the speed of speech: as much again is queued by then
_AFTER_S = 1.5
_PACKETS_PER_S = 50
_START_S = 90.0  # a cold start of Pipecat reads a lot of files


@contextmanager
def pipecat(dialect: str, folder: Path) -> Iterator[tuple[Program, str]]:
    """Run the bot; gives it and the URL of its WebSocket."""
    if not PYTHON.with_name("uvicorn").exists():
        missing("Pipecat is not installed (make pipecat)")
    port = free_sip_port()
    command = [str(PYTHON), str(BOT), dialect, str(port)]
    with Program("the Pipecat bot", command, folder / "bot.log") as program:
        program.wait_for("Uvicorn running", timeout_s=_START_S)
        yield program, f"ws://127.0.0.1:{port}/ws"


@contextmanager
def daemon(folder: Path, **options: object) -> Iterator[Daemon]:
    """Run sipflow with a stream for an agent."""
    folder.mkdir()
    with Daemon(folder, agents={"echo": {"handler": "stream", **options}}) as running:
        yield running


def pieces(pcm: bytes, hz: int) -> list[bool]:
    """Whether a tone is there, for every 20 ms."""
    size = 16 * _PIECE_MS
    return [measure_tone(pcm[at : at + size], hz, 8000) > _LOUD_DBFS for at in range(0, len(pcm) - size + 1, size)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_pipecat_bot_speaks_hears_interrupts_itself_and_hangs_up(dialect: str, tmp_path: Path) -> None:
    with (
        pipecat(dialect, tmp_path) as (bot, url),
        daemon(tmp_path / "daemon", url=url, dialect=dialect, parameters={"tenant": "7"}) as sipflow,
        Phone(tmp_path / "phone") as phone,
    ):
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{sipflow.port}")
        phone.wait_heard(int(_SPEAKS_S * _PACKETS_PER_S))
        phone.command("sndcode", "1")
        bot.wait_for("^digit 1$")
        phone.wait_heard(int(2 * _AFTER_S * _PACKETS_PER_S))  # half of it for the bot to turn round in
        phone.command("sndcode", "9")
        bot.wait_for("^digit 9$")
        phone.wait_event("CALL_CLOSED")
        phone.quit()
        heard = phone.recorded()

        levels = [float(level) for level in re.findall(r"^heard (\S+) dBFS$", bot.output, re.MULTILINE)]
        assert median(levels) == pytest.approx(TONE_DBFS, abs=0.5)
        if dialect != "vonage":
            bot.wait_for(rf"^call {dialect} from phone to \{ANSWERED}")
        (over,) = sipflow.wait_said("^stream over")
        assert (over["garbage"], over["unread"], over["dropped_ms"]) == (0, 0, 0)
        assert sipflow.said("^call over")[0]["why"] == "the agent is done"

    before, after = pieces(heard, SPEAKS_HZ), pieces(heard, INTERRUPTED_HZ)
    first, last = after.index(True), len(before) - 1 - before[::-1].index(True)
    assert before.count(True) * _PIECE_MS >= 1000
    assert last < first, "the first tone went on after the interruption"
    assert after.count(True) * _PIECE_MS >= (_AFTER_S - 0.6) * 1000
    assert (first - last) * _PIECE_MS < 500
    assert level(heard, before, SPEAKS_HZ) == pytest.approx(-12.0, abs=1.0)
    assert level(heard, after, INTERRUPTED_HZ) == pytest.approx(-12.0, abs=1.0)


def level(pcm: bytes, there: list[bool], hz: int) -> float:
    """How loud a tone is where it has been there for a while, and will be."""
    size = 16 * _PIECE_MS
    inside = [at for at in range(5, len(there) - 5) if all(there[at - 5 : at + 6])]
    return median(measure_tone(pcm[at * size : (at + 1) * size], hz, 8000) for at in inside)


def test_a_caller_who_hangs_up_on_a_pipecat_bot_is_noticed_by_it(tmp_path: Path) -> None:
    with (
        pipecat("twilio", tmp_path) as (bot, url),
        daemon(tmp_path / "daemon", url=url, dialect="twilio") as sipflow,
        Phone(tmp_path / "phone") as phone,
    ):
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{sipflow.port}")
        phone.wait_heard(25)
        phone.command("hangup")
        bot.wait_for("^the caller is gone$")
        sipflow.wait_said("^call over")


def test_the_fallback_of_a_pipecat_bot_that_dies_goes_on_with_the_call(tmp_path: Path) -> None:
    agents = {"echo": {"handler": "stream", "dialect": "twilio", "fallback": "mirror"}, "mirror": {"handler": "echo"}}
    (tmp_path / "daemon").mkdir()
    with pipecat("twilio", tmp_path) as (bot, url):
        agents["echo"]["url"] = url
        with Daemon(tmp_path / "daemon", agents=agents) as sipflow, Phone(tmp_path / "phone") as phone:
            phone.dial(f"sip:{ANSWERED}@127.0.0.1:{sipflow.port}")
            phone.wait_heard(50)
            bot.kill()
            (failed,) = sipflow.wait_said("^the stream failed")
            phone.wait_heard(75)
            phone.quit()
            heard = phone.recorded()

    assert failed["fallback"] == "mirror"
    assert pieces(heard, SPEAKS_HZ).count(True) >= 25
    assert pieces(heard[-16000:], TONE_HZ).count(True) >= 25
