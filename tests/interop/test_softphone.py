"""baresip as a phone: its voice comes back from the echo agent, and is looked for in what it recorded."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipflow.audio.wav import read_wav
from tests.interop.daemon import AGENTS, ANSWERED, Caller, CallReport, Daemon
from tests.interop.kamailio import DOMAIN, PASSWORD, Kamailio
from tests.interop.phone import TONE_DBFS, TONE_HZ, Phone, steady_dbfs
from tests.net.certificates import Certificates

REGISTERED, DIGITS = "+12065550101", "+12065550109"
_SILENCE_S = 0.5
_ENOUGH = 75  # packets: a second and a half


@pytest.fixture(scope="module")
def daemon(pbx: Kamailio, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(
        tmp_path_factory.mktemp("daemon"),
        tls={"ca": certificates.ca, "certificate": certificates.server.certificate, "key": certificates.server.key},
        trunks={"local": {"accept_from": ["127.0.0.0/8"]}, "pbx": pbx.trunk("2001", "tls")},
        numbers={
            ANSWERED: {"trunk": "local", "inbound_agent": "echo"},
            DIGITS: {"trunk": "local", "inbound_agent": "spell"},
            REGISTERED: {"trunk": "pbx", "inbound_agent": "echo"},
        },
        agents={"echo": {"handler": f"{AGENTS}:measured_echo"}, "spell": {"handler": f"{AGENTS}:spell"}},
    )
    with daemon:
        daemon.wait_said("registered at")
        yield daemon


@pytest.mark.parametrize(("transport", "codec"), [("udp", "PCMU"), ("tcp", "PCMA"), ("tls", "PCMU")])
def test_a_phone_that_calls_directly_hears_itself(
    transport: str, codec: str, daemon: Daemon, certificates: Certificates, tmp_path: Path
) -> None:
    with Phone(tmp_path, transport=transport, codec=codec, ca=certificates.ca) as phone:
        port = daemon.tls_port if transport == "tls" else daemon.port
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{port}")
        phone.wait_heard(_ENOUGH)
        phone.quit()

        assert phone.heard_dbfs() == pytest.approx(TONE_DBFS, abs=0.5)
    heard = daemon.said("^heard")[-1]
    assert (heard["codec"], heard["lost"], heard["unexpected"]) == (codec, 0, 0)


@pytest.mark.parametrize(("transport", "codec"), [("udp", "PCMA"), ("tcp", "PCMU"), ("tls", "PCMA")])
def test_a_phone_that_calls_through_a_proxy_hears_itself(
    transport: str, codec: str, pbx: Kamailio, daemon: Daemon, certificates: Certificates, tmp_path: Path
) -> None:
    with Phone(tmp_path, transport=transport, codec=codec, ca=certificates.ca, pbx=pbx, account="2101") as phone:
        pbx.wait_registered("2101")
        phone.dial(f"sip:{REGISTERED}@{DOMAIN}")
        phone.wait_heard(_ENOUGH)
        phone.quit()

        assert phone.heard_dbfs() == pytest.approx(TONE_DBFS, abs=0.5)
    assert daemon.wait_said("^heard")[-1]["codec"] == codec


def talk(folder: Path, phone: Phone, uri: str, *options: str) -> CallReport:
    """Call a phone; it hangs up and ends once it has heard enough."""
    with Caller(folder / "call.log", uri, "--tone", "440", "--seconds", "600", *options, password=PASSWORD) as caller:
        phone.wait_event("CALL_ESTABLISHED")
        phone.wait_heard(_ENOUGH)
        phone.quit()
        return caller.finish()


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_a_phone_that_is_called_hears_us_and_is_heard(codec: str, tmp_path: Path) -> None:
    with Phone(tmp_path / "phone", codec=codec) as phone:
        report = talk(tmp_path, phone, phone.uri, "--record", str(tmp_path / "heard.wav"))

        assert (report.exit_status, report.media["codec"], report.media["lost"]) == (0, codec, 0), report
        assert phone.heard_dbfs(440) == pytest.approx(-12.0, abs=0.5)
    heard = read_wav((tmp_path / "heard.wav").read_bytes()).pcm[8000:]
    assert steady_dbfs(heard, TONE_HZ) == pytest.approx(TONE_DBFS, abs=0.5)


def test_a_registered_phone_is_called_through_the_proxy(pbx: Kamailio, tmp_path: Path) -> None:
    with Phone(tmp_path / "phone", transport="tcp", pbx=pbx, account="2102") as phone:
        pbx.wait_registered("2102")
        who = ("--proxy", pbx.proxy("udp"), "--from", "2101", "--username", "2101-auth")
        report = talk(tmp_path, phone, f"sip:2102@{DOMAIN}", *who)

        assert (report.exit_status, report.status, report.media["lost"]) == (0, 200, 0), report
        assert phone.heard_dbfs(440) == pytest.approx(-12.0, abs=0.5)


def test_a_phone_puts_us_on_hold_and_takes_us_back(daemon: Daemon, tmp_path: Path) -> None:
    with Phone(tmp_path) as phone:
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")
        phone.wait_heard(50)

        phone.command("hold")
        daemon.wait_said("^on hold")
        before = phone.packets_heard()
        time.sleep(_SILENCE_S)  # that nothing comes shows only in time
        assert phone.packets_heard() - before <= 1  # what was on its way

        phone.command("resume")
        daemon.wait_said("^resumed")
        phone.wait_heard(50)
        phone.quit()
    heard = daemon.wait_said("^heard")[-1]
    assert (heard["codec"], heard["lost"], heard["strays"]) == ("PCMU", 0, 0)


def test_digits_pressed_on_a_phone_reach_the_agent_once_each(daemon: Daemon, tmp_path: Path) -> None:
    with Phone(tmp_path) as phone:
        phone.dial(f"sip:{DIGITS}@127.0.0.1:{daemon.port}")
        phone.wait_event("CALL_RTPESTAB")
        for digit in "1209*#":
            phone.command("sndcode", digit)
        (line,) = daemon.wait_said("^digits read")
        phone.wait_event("CALL_CLOSED")

    assert line["digits"] == "1209*#"


def test_a_phone_that_knows_only_md5_can_prove_who_it_is(tmp_path: Path) -> None:
    """baresip 1.0 gives up where SHA-256 is offered beside it, in whatever order."""
    asks = {"username": "desk", "password": "sesame", "algorithms": ["MD5"]}
    trunks = {"local": {"accept_from": ["127.0.0.0/8"], "authenticate_inbound": asks}}
    with (
        Daemon(tmp_path, trunks=trunks) as daemon,
        Phone(tmp_path / "phone", transport="tcp", proof=("desk", "sesame")) as phone,
        Phone(tmp_path / "stranger", transport="tcp", proof=("desk", "guess")) as stranger,
    ):
        phone.dial(f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")
        stranger.command("dial", f"sip:{ANSWERED}@127.0.0.1:{daemon.port}")

        assert "401" in stranger.wait_event("CALL_CLOSED")["param"]
        phone.wait_heard(25)
        assert len(daemon.said("^call in")) == 1
