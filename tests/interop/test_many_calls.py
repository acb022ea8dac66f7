from pathlib import Path

from sipflow.audio.codecs.g711 import encode_alaw
from sipflow.audio.tones import sine
from tests.interop.daemon import AGENTS, ANSWERED, Daemon
from tests.interop.sipp import Calls

_CALLS = 50
_PACKETS = 150  # in the three seconds of the scenario; a machine that stalls sends fewer


def test_fifty_calls_at_once_are_all_answered_and_all_heard(tmp_path: Path) -> None:
    (tmp_path / "sound.alaw").write_bytes(encode_alaw(sine(1000, 2000)))
    agents = {"echo": {"handler": f"{AGENTS}:measured_echo"}}
    with Daemon(tmp_path, ports=4 * _CALLS, agents=agents) as daemon:
        calls = Calls(
            tmp_path, "caller_with_media", f"127.0.0.1:{daemon.port}", "-s", ANSWERED, calls=_CALLS, at_once=_CALLS
        )

        assert calls.finish() == ""

        heard = daemon.wait_said("^heard", count=_CALLS)
        over = daemon.wait_said("^call over", count=_CALLS)
    assert [line["lost"] for line in heard] == [0] * _CALLS
    assert [line["strays"] + line["unexpected"] + line["malformed"] for line in heard] == [0] * _CALLS
    assert min(line["packets_received"] for line in heard) > 0.5 * _PACKETS
    assert min(line["packets_sent"] / line["packets_received"] for line in heard) > 0.5
    assert {(line["by"], line["status"], line["word"]) for line in over} == {("remote", 200, "hung_up")}
