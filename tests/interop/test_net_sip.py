"""Net::SIP, a SIP and RTP stack in Perl, as caller and as called phone: its tone is measured where it comes back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipflow.audio.codecs.g711 import decode_ulaw, encode_ulaw
from sipflow.audio.tones import sine
from tests.interop.daemon import Daemon, call
from tests.interop.free_ports import free_sip_port
from tests.interop.phone import steady_dbfs
from tests.interop.programs import Program, missing, require

SCRIPT = Path(__file__).with_name("net_sip.pl")
TONE_HZ, TONE_DBFS = 1000, -16.0


@pytest.fixture(scope="module")
def perl() -> str:
    found = require("perl", "perl")
    if subprocess.run([found, "-MNet::SIP", "-e", "1"], capture_output=True, check=False).returncode:
        missing("Net::SIP is not installed (Debian package libnet-sip-perl)")
    return found


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_a_net_sip_phone_that_calls_hears_itself(proto: str, perl: str, daemon: Daemon, tmp_path: Path) -> None:
    tone, heard = tmp_path / "tone.ulaw", tmp_path / "heard.ulaw"
    tone.write_bytes(encode_ulaw(sine(TONE_HZ, 4000, level_dbfs=TONE_DBFS)))
    does = [str(free_sip_port()), proto, "call", daemon.uri(proto), str(tone), str(heard)]
    with Program("perl", [perl, str(SCRIPT), *does], tmp_path / "perl.log") as phone:
        phone.wait_for("^over: we hung up$")

    pcm = decode_ulaw(heard.read_bytes())
    assert len(pcm) > 16000, phone.tail()
    assert steady_dbfs(pcm, TONE_HZ) == pytest.approx(TONE_DBFS, abs=0.5)


def test_a_net_sip_phone_that_is_called_sends_our_tone_back(perl: str, tmp_path: Path) -> None:
    port = free_sip_port()
    with Program("perl", [perl, str(SCRIPT), str(port), "udp", "echo"], tmp_path / "perl.log") as phone:
        phone.wait_for("^listening$")
        report = call(tmp_path, f"sip:perl@127.0.0.1:{port}", "--seconds", "2")

        phone.wait_for("^over: they hung up$")
    assert (report.exit_status, report.status, report.media["codec"], report.media["lost"]) == (0, 200, "PCMU", 0)
