"""`handler: sip_endpoint` between processes: a caller, our daemon, and an endpoint: a daemon, SIPp, or a deaf one."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.audio.wav import read_wav, wav_header
from tests.interop.daemon import Caller, Daemon, call
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.programs import Program, require

TONE_HZ, FALLBACK_HZ = 1000, 600
SCENARIOS = Path(__file__).parent / "sipp"


def edge(folder: Path, uri: str, **options: object) -> Daemon:
    """sipflow whose number is answered by a SIP endpoint, and by a file where that fails."""
    folder.mkdir()
    tone = sine(FALLBACK_HZ, 3000, level_dbfs=-12.0)
    (folder / "sorry.wav").write_bytes(wav_header(len(tone)) + tone)
    agents = {
        "echo": {"handler": "sip_endpoint", "uri": uri, "fallback": "sorry", **options},
        "sorry": {"handler": "announce", "file": "sorry.wav"},
    }
    return Daemon(folder, agents=agents)


@contextmanager
def endpoint(folder: Path, scenario: str, *, refusal: str = "486 Busy Here") -> Iterator[tuple[Program, str]]:
    """SIPp waiting for one call; gives it and its address."""
    port, file = free_sip_port(), folder / f"{scenario}.xml"
    text = (SCENARIOS / file.name).read_text(encoding="utf-8")
    file.write_text(text.replace("486 Busy Here", refusal), encoding="utf-8")
    command = [require("sipp", "sip-tester"), "-sf", str(file), "-m", "1", "-nostdin"]
    command += ["-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1", "-mp", str(free_media_ports(4).start)]
    command += ["-timeout", "60", "-timeout_error", "-trace_logs", "-log_file", str(folder / "sipp-said.log")]
    with Program(f"sipp {scenario}", command, folder / f"{scenario}.log", cwd=folder) as program:
        yield program, f"sip:endpoint@127.0.0.1:{port}"


def loudness(file: Path, hz: int) -> float:
    """How loud a tone is in the middle of a recording."""
    pcm = read_wav(file.read_bytes()).pcm
    middle = len(pcm) // 4 * 2
    return measure_tone(pcm[middle - 4000 : middle + 4000], hz, 8000)


def test_a_tone_goes_through_two_daemons_and_back(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    with Daemon(tmp_path / "far") as far, edge(tmp_path / "near", far.uri("tcp")) as near:
        report = call(tmp_path, near.uri(), "--seconds", "3", "--tone", str(TONE_HZ))
        (heard,) = far.wait_said("^call over")
        near.wait_said("^call over", count=2)

    assert (report.exit_status, report.media["lost"]) == (0, 0)
    assert report.tone_dbfs == pytest.approx(-12.0, abs=1.5)  # busy machines weaken it
    assert (heard["by"], heard["status"]) == ("remote", 200)


@pytest.mark.parametrize("refusal", ["486 Busy Here", "503 Service Unavailable"])
def test_the_fallback_is_heard_where_the_endpoint_refuses(refusal: str, tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    with (
        endpoint(tmp_path, "refuses", refusal=refusal) as (sipp, uri),
        edge(tmp_path / "near", uri) as near,
    ):
        report = call(tmp_path, near.uri(), "--seconds", "1.5", "--record", str(heard))
        (failed,) = near.wait_said("^the sip endpoint failed")
        assert sipp.wait() == 0

    assert report.exit_status == 0
    assert refusal[:3] in failed["why"]
    assert loudness(heard, FALLBACK_HZ) == pytest.approx(-12.0, abs=1.5)


def test_the_fallback_is_heard_where_the_endpoint_says_nothing(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as deaf:
        deaf.bind(("127.0.0.1", 0))
        uri = f"sip:endpoint@127.0.0.1:{deaf.getsockname()[1]}"
        with edge(tmp_path / "near", uri, ring_timeout_s=0.5) as near:
            report = call(tmp_path, near.uri(), "--seconds", "1.5", "--record", str(heard))

    assert report.exit_status == 0
    assert report.setup_ms >= 450
    assert loudness(heard, FALLBACK_HZ) == pytest.approx(-12.0, abs=1.5)


def test_a_caller_who_gives_up_has_the_endpoint_cancelled_with_a_reason(tmp_path: Path) -> None:
    with (
        endpoint(tmp_path, "rings_until_cancelled") as (sipp, uri),
        edge(tmp_path / "near", uri) as near,
    ):
        with Caller(tmp_path / "call.log", near.uri(), "--ring-s", "0.5") as caller:
            report = caller.finish()
        assert sipp.wait() == 0, sipp.tail()
        near.wait_said("^call over", count=2)

    assert (report.exit_status, report.progress) == (4, [180])
    assert "cancelled because of Q.850;cause=" in (tmp_path / "sipp-said.log").read_text(encoding="utf-8")


def test_an_endpoint_that_dies_is_replaced_in_the_middle_of_the_call(tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    (tmp_path / "far").mkdir()
    with Daemon(tmp_path / "far") as far:
        near = edge(tmp_path / "near", far.uri())
        near.configuration["media"]["rtp_timeout_s"] = 1
        with near, Caller(tmp_path / "call.log", near.uri(), "--seconds", "4", "--record", str(heard)) as caller:
            far.wait_said("^call in")
            far.program.kill()
            (failed,) = near.wait_said("^the sip endpoint failed")
            report = caller.finish()

    assert report.exit_status == 0
    assert "lost" in failed["why"]
    pcm = read_wav(heard.read_bytes()).pcm
    assert max(measure_tone(pcm[at : at + 3200], FALLBACK_HZ, 8000) for at in range(0, len(pcm) - 3200, 3200)) > -13
