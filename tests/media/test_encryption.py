import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from sipflow.errors import MediaError
from sipflow.media import dtls, encryption
from sipflow.media.dtls import DtlsHandshake
from sipflow.media.encryption import Encryption
from sipflow.media.latch import Address
from sipflow.rtp.packet import header
from sipflow.rtp.srtp import SrtpSession
from sipflow.sdp.agreement import PCMU, Agreed, SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms, Fingerprint

openssl = pytest.importorskip("sipflow.media.dtls_openssl")

SUITE = "AES_CM_128_HMAC_SHA1_80"
HERE, THERE = ("192.0.2.9", 10000), ("192.0.2.1", 4000)
PLAIN = Agreed(PCMU, 0, 0, 20, THERE[0], THERE[1], THERE[0], 4001, True, True, None, None, False)
OURS = SrtpKeys(SUITE, b"o" * 30, b"t" * 30)
REPORT = bytes.fromhex("80c9000100000007")
NOBODY = Fingerprint("sha-256", bytes(32))
PATIENCE_S = 20.0


@dataclass
class Half:
    """What a cipher is put into: the receiving half of a stream, the sending half, or its reports."""

    protect: Callable[[bytes], bytes] | None = None
    unprotect: Callable[[bytes], bytes | None] | None = None
    on_dtls: Callable[[bytes, Address], None] | None = None


class Wire:
    """A socket whose datagrams go somewhere else."""

    def __init__(self, sendto: Callable[[bytes, Address], object]) -> None:
        self.sendto = sendto


class Stage:
    """An encryption with the halves of a stream around it."""

    def __init__(self, sendto: Callable[[bytes, Address], object] = lambda data, to: None) -> None:
        self.inbound, self.outbound, self.reporting = Half(), Half(), Half()
        self.failures: list[str] = []
        halves = cast(Any, (self.inbound, self.outbound, self.reporting))
        self.encryption = Encryption(cast(Any, Wire(sendto)), *halves)
        self.encryption.on_failed = self.failures.append

    @property
    def ciphers(self) -> tuple[object, ...]:
        return (self.inbound.unprotect, self.outbound.protect, self.reporting.unprotect, self.reporting.protect)

    def agree(self, remote: Address | None = THERE, **changes: Any) -> None:
        self.encryption.agree(replace(PLAIN, **changes), remote)

    def send(self, packet: bytes) -> bytes:
        assert self.outbound.protect is not None
        return self.outbound.protect(packet)

    def receive(self, datagram: bytes) -> bytes | None:
        assert self.inbound.unprotect is not None
        return self.inbound.unprotect(datagram)


def other_end(keys: SrtpKeys) -> SrtpSession:
    """Give the peer's end for our keys."""
    return SrtpSession(replace(keys, send_key=keys.receive_key, receive_key=keys.send_key))


def rtp(sequence: int) -> bytes:
    return header(0, sequence, 160 * sequence, 7) + bytes(160)


def test_in_the_clear_no_cipher_is_in_the_way() -> None:
    stage = Stage()
    stage.agree()

    assert stage.ciphers == (None, None, None, None)
    assert stage.encryption.dropped == 0


def test_keys_from_the_description_protect_packets_and_reports_both_ways() -> None:
    stage, peer = Stage(), other_end(OURS)
    stage.agree(srtp=OURS)

    assert peer.unprotect(stage.send(rtp(1))) == rtp(1)
    assert stage.receive(peer.protect(rtp(1))) == rtp(1)
    assert stage.reporting.protect is not None
    assert stage.reporting.unprotect is not None
    assert peer.unprotect_rtcp(stage.reporting.protect(REPORT)) == REPORT
    assert stage.reporting.unprotect(peer.protect_rtcp(REPORT)) == REPORT
    assert stage.encryption.dropped == 0


def test_what_is_forged_in_the_clear_or_played_again_is_dropped_and_counted() -> None:
    stage, peer = Stage(), other_end(OURS)
    stage.agree(srtp=OURS)
    packet = peer.protect(rtp(1))

    received = [stage.receive(data) for data in (packet, packet, rtp(2), packet[:-1] + b"x", b"", b"\x80" * 400)]

    assert received == [rtp(1), None, None, None, None, None]
    assert stage.encryption.dropped == 5


def test_the_same_keys_go_on_through_hold_and_a_new_key_of_the_peers_begins_anew() -> None:
    stage, peer = Stage(), other_end(OURS)
    stage.agree(srtp=OURS)
    for sequence in (65535, 65536):
        peer.unprotect(stage.send(rtp(sequence)))
    stage.agree(srtp=OURS, sends=False)
    stage.agree(srtp=OURS)
    assert peer.unprotect(stage.send(rtp(65537))) == rtp(65537)  # the roll-over counter is still 1

    changed = replace(OURS, receive_key=b"n" * 30)
    stage.agree(srtp=changed)
    assert peer.unprotect(stage.send(rtp(65538))) == rtp(65538)
    assert stage.receive(other_end(changed).protect(rtp(5))) == rtp(5)
    assert stage.encryption.dropped == 0


def test_a_call_may_go_on_in_the_clear() -> None:
    stage = Stage()
    stage.agree(srtp=OURS)
    stage.agree()

    assert stage.ciphers == (None, None, None, None)


def test_keys_that_cannot_be_used_are_refused() -> None:
    stage = Stage()

    with pytest.raises(MediaError, match="an SRTP key of 3 bytes"):
        stage.agree(srtp=replace(OURS, send_key=b"abc"))
    assert stage.ciphers == (None, None, None, None)


# Keys from a handshake


class Peer:
    """The far end of a handshake, with a certificate of its own."""

    def __init__(self) -> None:
        self.own = openssl.make_identity()
        self.keys: list[SrtpKeys] = []
        self.handshake: DtlsHandshake | None = None

    def start(self, stage: Stage, *, active: bool) -> None:
        ours, loop = dtls.identity(), asyncio.get_running_loop()
        assert ours is not None

        def send(data: bytes, to: Address) -> None:
            assert stage.inbound.on_dtls is not None
            loop.call_soon(stage.inbound.on_dtls, data, THERE)

        self.handshake = DtlsHandshake(
            DtlsTerms(active, (ours.fingerprint,)),
            self.own,
            remote=HERE,
            send=send,
            on_keys=lambda keys, at: self.keys.append(keys),
            on_failed=lambda why: None,
        )

    def take(self, data: bytes, to: Address) -> None:
        assert self.handshake is not None
        asyncio.get_running_loop().call_soon(self.handshake.receive, data, HERE)


async def joined(*, active: bool) -> tuple[Stage, Peer]:
    """Let both shake hands, with us beginning or not; nothing has passed before."""
    peer = Peer()
    stage = Stage(peer.take)
    terms = DtlsTerms(active, (peer.own.fingerprint,))
    if active:
        stage.inbound.on_dtls = lambda data, at: None
        peer.start(stage, active=False)
        stage.agree(dtls=terms)
    else:
        stage.agree(dtls=terms)
        peer.start(stage, active=True)
    assert (stage.send(rtp(1)), stage.receive(rtp(1))) == (b"", None)
    async with asyncio.timeout(PATIENCE_S):
        while not (peer.keys and stage.encryption.srtp is not None):  # noqa: ASYNC110  (whichever comes last)
            await asyncio.sleep(0.005)
    return stage, peer


@pytest.mark.parametrize("active", [True, False])
async def test_nothing_passes_before_a_handshake_and_everything_after_it(active: bool) -> None:
    stage, peer = await joined(active=active)
    far = SrtpSession(peer.keys[0])

    assert far.unprotect(stage.send(rtp(1))) == rtp(1)
    assert stage.receive(far.protect(rtp(1))) == rtp(1)
    stage.encryption.close()
    stage.encryption.close()
    assert stage.inbound.on_dtls is None


async def test_the_same_certificate_again_keeps_the_keys_whoever_would_begin() -> None:
    stage, peer = await joined(active=False)
    far = SrtpSession(peer.keys[0])
    far.unprotect(stage.send(rtp(1)))

    stage.agree(("192.0.2.1", 4010), dtls=DtlsTerms(True, (peer.own.fingerprint,)))

    assert far.unprotect(stage.send(rtp(2))) == rtp(2)
    stage.encryption.close()


async def test_another_certificate_is_another_handshake_and_nothing_passes_until_then() -> None:
    stage, _ = await joined(active=False)

    stage.agree(dtls=DtlsTerms(False, (NOBODY,)))

    assert (stage.send(rtp(2)), stage.receive(rtp(2))) == (b"", None)
    stage.encryption.close()


async def test_keys_from_the_description_end_a_handshake() -> None:
    stage, _ = await joined(active=False)

    stage.agree(srtp=OURS)

    assert stage.inbound.on_dtls is None
    assert other_end(OURS).unprotect(stage.send(rtp(2))) == rtp(2)


async def test_a_handshake_that_fails_is_told_and_the_next_description_begins_another() -> None:
    def unreachable(data: bytes, to: Address) -> None:
        sent.append(to)
        raise OSError("unreachable")

    sent: list[Address] = []
    stage = Stage(unreachable)
    stage.agree(dtls=DtlsTerms(True, (NOBODY,)))
    handshake = stage.encryption._handshake
    assert handshake is not None
    handshake._fail()  # as after its time

    assert stage.failures == ["no DTLS handshake: the far end did not answer"]
    assert stage.send(rtp(1)) == b""
    stage.agree(dtls=DtlsTerms(True, (NOBODY,)))
    assert sent == [THERE, THERE]
    stage.encryption.close()


async def test_a_handshake_without_the_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "identity", lambda: None)
    stage = Stage()

    with pytest.raises(MediaError, match="needs the extra `dtls`"):
        stage.agree(dtls=DtlsTerms(False, (NOBODY,)))
