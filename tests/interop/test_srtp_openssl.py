"""OpenSSL's own command line as the peer of a DTLS handshake: both ends must make the same keys (RFC 5764 §4.2)."""

import asyncio
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipflow.media.dtls import DtlsHandshake, is_dtls
from sipflow.media.latch import Address
from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms, Fingerprint
from tests.interop.programs import Program, require

openssl = pytest.importorskip("sipflow.media.dtls_openssl")

HOST = "127.0.0.1"
_PATIENCE_S = 30.0
_EXPORT = ("-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen")
_PROFILES = {"SRTP_AES128_CM_SHA1_80": (16, 14), "SRTP_AEAD_AES_256_GCM": (32, 12)}


@pytest.fixture
def port() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((HOST, 0))
        yield sock


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fingerprint]:
    """A file with a key and a certificate made by the program itself, and what it says of it."""
    folder = tmp_path_factory.mktemp("openssl")
    file, printed = folder / "both.pem", folder / "printed"
    program = require("openssl", "openssl")
    make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=peer", "-keyout", str(file), "-out", "-"]
    with Program("openssl", ["sh", "-c", f'{program} "$@" >> {file}', "sh", *make], folder / "log") as made:
        made.wait()
    with Program("openssl", [program, "x509", "-in", str(file), "-noout", "-fingerprint", "-sha256"], printed) as shown:
        shown.wait()
    found = re.search(r"=([0-9A-F:]{95})", printed.read_text(encoding="utf-8"))
    assert found is not None
    return file, Fingerprint.parse(f"sha-256 {found[1]}")


async def shake_hands(port: socket.socket, terms: DtlsTerms, remote: Address | None) -> SrtpKeys | str:
    """Run a handshake over a real socket, and give the keys or why there are none."""
    loop = asyncio.get_running_loop()
    settled: asyncio.Future[SrtpKeys | str] = loop.create_future()
    handshake = DtlsHandshake(
        terms,
        openssl.make_identity(),
        remote=remote,
        send=port.sendto,
        on_keys=lambda keys, _: settled.set_result(keys),
        on_failed=settled.set_result,
        timeout_s=_PATIENCE_S,
    )

    def readable() -> None:
        datagram, source = port.recvfrom(2048)
        assert is_dtls(datagram)
        handshake.receive(datagram, source)

    loop.add_reader(port, readable)
    try:
        return await settled
    finally:
        loop.remove_reader(port)
        await asyncio.sleep(0.2)  # the program prints what it has
        handshake.close()


def exported(program: Program) -> tuple[bytes, str]:
    """What the program has made of the handshake: keys, and the name of the profile."""
    keys = program.wait_for(r"Keying material: ([0-9A-F]+)")
    profile = re.search(r"SRTP Extension negotiated, profile=(\S+)", program.output)
    assert profile is not None, program.tail()
    return bytes.fromhex(keys[1]), profile[1]


def of(keys: SrtpKeys, profile: str, *, client: bool) -> bytes:
    """Put our keys together as RFC 5764 §4.2 lays them: both keys, then both salts, the client's first."""
    size, _ = _PROFILES[profile]
    first, second = (keys.send_key, keys.receive_key) if client else (keys.receive_key, keys.send_key)
    return first[:size] + second[:size] + first[size:] + second[size:]


@pytest.mark.parametrize("profile", _PROFILES)
async def test_openssl_as_the_one_who_begins_gets_our_keys(
    profile: str, port: socket.socket, certificate: tuple[Path, Fingerprint], tmp_path: Path
) -> None:
    file, fingerprint = certificate
    size = 2 * sum(_PROFILES[profile])
    options = ("-dtls1_2", "-use_srtp", profile, "-cert", str(file), "-key", str(file), *_EXPORT, str(size))
    command = f"sleep 60 | {require('openssl', 'openssl')} s_client -connect {HOST}:{port.getsockname()[1]} $0 $@"
    with Program("openssl s_client", ["sh", "-c", command, *options], tmp_path / "log") as program:
        keys = await shake_hands(port, DtlsTerms(False, (fingerprint,)), None)

        assert isinstance(keys, SrtpKeys), f"{keys}\n{program.tail()}"
        made, name = exported(program)
    assert (made, name) == (of(keys, profile, client=False), profile)


@pytest.mark.parametrize("profile", _PROFILES)
async def test_openssl_as_the_one_who_answers_gets_our_keys(
    profile: str, port: socket.socket, certificate: tuple[Path, Fingerprint], tmp_path: Path
) -> None:
    file, fingerprint = certificate
    size = 2 * sum(_PROFILES[profile])
    there = free_port()
    options = ("-dtls1_2", "-use_srtp", profile, "-cert", str(file), "-key", str(file), *_EXPORT, str(size))
    command = f"sleep 60 | {require('openssl', 'openssl')} s_server -accept {HOST}:{there} -Verify 1 $0 $@"
    with Program("openssl s_server", ["sh", "-c", command, *options], tmp_path / "log") as program:
        program.wait_for("ACCEPT")
        keys = await shake_hands(port, DtlsTerms(True, (fingerprint,)), (HOST, there))

        assert isinstance(keys, SrtpKeys), f"{keys}\n{program.tail()}"
        made, name = exported(program)
    assert (made, name) == (of(keys, profile, client=True), profile)


async def test_openssl_with_another_certificate_is_refused(
    port: socket.socket, certificate: tuple[Path, Fingerprint], tmp_path: Path
) -> None:
    file, _ = certificate
    there = free_port()
    command = f"sleep 60 | {require('openssl', 'openssl')} s_server -accept {HOST}:{there} $0 $@"
    options = ("-dtls1_2", "-use_srtp", "SRTP_AES128_CM_SHA1_80", "-cert", str(file), "-key", str(file))
    with Program("openssl s_server", ["sh", "-c", command, *options], tmp_path / "log") as program:
        program.wait_for("ACCEPT")
        why = await shake_hands(port, DtlsTerms(True, (Fingerprint("sha-256", bytes(32)),)), (HOST, there))

    assert (
        why == "no DTLS handshake: the far end's certificate is not the one that its description names (RFC 8122 §6.2)"
    )


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])
