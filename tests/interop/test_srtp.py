"""baresip with encrypted audio: its voice comes back from the echo agent, and is looked for in what it recorded."""

from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import pytest

from sipflow.audio.wav import read_wav
from sipflow.rtp.packet import header
from tests.interop.daemon import AGENTS, ANSWERED, Caller, Daemon
from tests.interop.phone import TONE_DBFS, TONE_HZ, Phone, steady_dbfs
from tests.net.certificates import Certificates

OPTIONAL, REQUIRED, OFF = ANSWERED, "+12065550102", "+12065550103"
_ENOUGH = 75  # packets: a second and a half
_FORGED = 30  # packets
_PINGS = 1  # RTCP in the clear with which baresip opens firewalls when a stream begins, before it encrypts


@pytest.fixture(scope="module")
def daemon(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    agent = {"inbound_agent": "echo"}
    local = {"accept_from": ["127.0.0.0/8"]}
    daemon = Daemon(
        tmp_path_factory.mktemp("daemon"),
        tls={"ca": certificates.ca, "certificate": certificates.server.certificate, "key": certificates.server.key},
        trunks={
            "optional": {**local, "srtp": "optional"},
            "required": {**local, "srtp": "required"},
            "off": local,
        },
        numbers={
            OPTIONAL: {"trunk": "optional", **agent},
            REQUIRED: {"trunk": "required", **agent},
            OFF: {"trunk": "off", **agent},
        },
        agents={"echo": {"handler": f"{AGENTS}:measured_echo"}},
    )
    with daemon:
        yield daemon


def hears_itself(phone: Phone, uri: str) -> None:
    phone.dial(uri)
    phone.wait_heard(_ENOUGH)
    phone.quit()
    assert phone.heard_dbfs() == pytest.approx(TONE_DBFS, abs=0.5)


@pytest.mark.parametrize(
    ("mediaenc", "number", "transport"),
    [
        ("srtp", OPTIONAL, "udp"),
        ("srtp", REQUIRED, "tls"),
        ("srtp-mand", OPTIONAL, "tls"),
        ("srtp-mand", REQUIRED, "tcp"),
        ("srtp-mandf", REQUIRED, "udp"),
        ("", OPTIONAL, "udp"),
        ("srtp", OFF, "udp"),
    ],
)
def test_a_phone_that_calls_hears_itself(
    mediaenc: str, number: str, transport: str, daemon: Daemon, certificates: Certificates, tmp_path: Path
) -> None:
    with Phone(tmp_path, transport=transport, ca=certificates.ca, mediaenc=mediaenc) as phone:
        hears_itself(phone, daemon.uri(transport, number))

        encrypted = bool(mediaenc) and number != OFF
        assert ("SRTP is Enabled" in phone.log()) is encrypted
    heard = daemon.wait_said("^heard")[-1]
    assert (heard["lost"], heard["unauthentic"] <= _PINGS) == (0, True)


@pytest.mark.parametrize("rtcp_mux", [True, False])
@pytest.mark.parametrize("number", [OPTIONAL, REQUIRED])
def test_a_phone_that_calls_with_dtls_hears_itself(rtcp_mux: bool, number: str, daemon: Daemon, tmp_path: Path) -> None:
    with Phone(tmp_path, mediaenc="dtls_srtp", rtcp_mux=rtcp_mux) as phone:
        hears_itself(phone, daemon.uri("udp", number))

        assert "DTLS-SRTP complete" in phone.log()
    heard = daemon.wait_said("^heard")[-1]
    assert (heard["lost"], heard["unauthentic"] <= _PINGS) == (0, True)


@pytest.mark.parametrize(
    ("mediaenc", "number", "why"),
    [
        ("srtp-mand", OFF, "the audio uses RTP/SAVP, this trunk allows unencrypted RTP/AVP only"),
        ("", REQUIRED, "the audio uses RTP/AVP without keys, this trunk requires encryption"),
    ],
)
def test_a_phone_whose_encryption_does_not_fit_is_told_why(
    mediaenc: str, number: str, why: str, daemon: Daemon, tmp_path: Path
) -> None:
    with Phone(tmp_path, mediaenc=mediaenc) as phone:
        phone.command("dial", daemon.uri("udp", number))

        assert "488" in phone.wait_event("CALL_CLOSED")["param"]
    assert daemon.wait_said(why)


def test_what_does_not_authenticate_is_dropped_and_counted_and_never_heard(daemon: Daemon, tmp_path: Path) -> None:
    low, high = map(int, daemon.configuration["media"]["ports"].split("-"))
    forged = [header(0, sequence, 160 * sequence, 7) + bytes(170) for sequence in range(_FORGED)]
    with Phone(tmp_path, mediaenc="srtp-mand") as phone, socket(AF_INET, SOCK_DGRAM) as stranger:
        phone.dial(daemon.uri("udp", REQUIRED))
        phone.wait_heard(25)
        for packet in forged:
            for port in range(low, high + 1, 2):
                stranger.sendto(packet, ("127.0.0.1", port))
        phone.wait_heard(_ENOUGH)
        phone.quit()
        assert phone.heard_dbfs() == pytest.approx(TONE_DBFS, abs=0.5)
    heard = daemon.wait_said("^heard")[-1]
    assert _FORGED <= heard["unauthentic"] <= _FORGED + _PINGS
    assert (heard["lost"], heard["strays"], heard["malformed"], heard["unexpected"]) == (0, 0, 0, 0)


def test_a_phone_puts_an_encrypted_call_on_hold_and_takes_it_back(daemon: Daemon, tmp_path: Path) -> None:
    with Phone(tmp_path, mediaenc="srtp-mand") as phone:
        phone.dial(daemon.uri("udp", REQUIRED))
        phone.wait_heard(50)
        phone.command("hold")
        daemon.wait_said("^on hold")
        phone.command("resume")
        daemon.wait_said("^resumed")
        phone.wait_heard(50)
        phone.quit()
    heard = daemon.wait_said("^heard")[-1]
    assert (heard["lost"], heard["unauthentic"] <= 3 * _PINGS) == (0, True)


@pytest.mark.parametrize(
    ("srtp", "keys", "mediaenc"),
    [
        ("optional", "sdes", "srtp"),
        ("optional", "sdes", ""),
        ("required", "sdes", "srtp-mand"),
        ("required", "dtls", "dtls_srtp"),
        ("optional", "dtls", ""),
    ],
)
def test_a_phone_that_is_called_hears_us_and_is_heard(srtp: str, keys: str, mediaenc: str, tmp_path: Path) -> None:
    with Phone(tmp_path / "phone", mediaenc=mediaenc, rtcp_mux=True) as phone:
        options = ("--tone", "440", "--seconds", "600", "--record", str(tmp_path / "heard.wav"), "--srtp", srtp)
        with Caller(tmp_path / "call.log", phone.uri, *options, "--srtp-keys", keys, password="") as caller:
            phone.wait_event("CALL_ESTABLISHED")
            phone.wait_heard(_ENOUGH)
            phone.quit()
            report = caller.finish()

        assert (report.exit_status, report.media["lost"]) == (0, 0), report
        assert phone.heard_dbfs(440) == pytest.approx(-12.0, abs=0.5)
        assert ("SRTP" in phone.log()) is bool(mediaenc)
    heard = read_wav((tmp_path / "heard.wav").read_bytes()).pcm[8000:]
    assert steady_dbfs(heard, TONE_HZ) == pytest.approx(TONE_DBFS, abs=0.5)
