from collections.abc import Callable
from dataclasses import replace

import pytest

from sipflow.errors import MediaError
from sipflow.rtp import srtp
from sipflow.rtp.packet import header
from sipflow.rtp.srtp import SUITES, SrtpSession
from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.crypto import KEY_BYTES
from tests.rtp.other_srtp import Sender

SUITE = "AES_CM_128_HMAC_SHA1_80"
REPORT = bytes.fromhex("80c9000100000007")  # an RTCP receiver report without blocks


def key(name: str, seed: int) -> bytes:
    return bytes((seed + at) % 256 for at in range(SUITES[name].key_bytes))


def ends(name: str = SUITE, **more: bytes) -> tuple[SrtpSession, SrtpSession]:
    """Give the two ends of a call: ours, and the peer's."""
    ours = SrtpKeys(name, key(name, 1), key(name, 99), **more)  # type: ignore[arg-type]
    return SrtpSession(ours), SrtpSession(SrtpKeys(name, ours.receive_key, ours.send_key))


def rtp(sequence: int, ssrc: int = 7) -> bytes:
    return header(0, sequence, 160 * sequence, ssrc) + bytes([sequence % 256]) * 160


@pytest.mark.parametrize("name", SUITES)
def test_packets_pass_between_two_ends_with_the_same_keys(name: str) -> None:
    ours, peer = ends(name)

    sealed = [ours.protect(rtp(number)) for number in range(3)]
    reports = [ours.protect_rtcp(REPORT) for _ in range(2)]

    assert [peer.unprotect(packet) for packet in sealed] == [rtp(number) for number in range(3)]
    assert [peer.unprotect_rtcp(packet) for packet in reports] == [REPORT, REPORT]
    assert ours.unprotect(peer.protect(rtp(1, ssrc=8))) == rtp(1, ssrc=8)
    assert {len(packet) - len(rtp(0)) for packet in sealed} == {SUITES[name].tag_bytes}
    assert all(rtp(number)[12:] not in packet for number, packet in enumerate(sealed))
    assert (peer.unauthentic, peer.replayed) == (0, 0)


@pytest.mark.parametrize("name", SUITES)
def test_what_is_sent_is_what_the_rfcs_say(name: str) -> None:
    ours, peer = ends(name)
    suite = SUITES[name]
    salt_bytes = 12 if suite.aead else 14
    other = Sender(key(name, 1), suite.key_bytes - salt_bytes, suite.tag_bytes, suite.aead)

    sealed = [ours.protect(rtp(number)) for number in (65534, 65535, 65536)]  # the roll-over counter becomes 1

    assert sealed == [other.protect(rtp(65534)), other.protect(rtp(65535)), other.protect(rtp(65536), rollovers=1)]
    assert [peer.unprotect(packet) for packet in sealed] == [rtp(65534), rtp(65535), rtp(65536)]


def test_the_suites_are_those_of_the_descriptions() -> None:
    assert {name: suite.key_bytes for name, suite in SUITES.items()} == KEY_BYTES


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packet: packet[:-1] + bytes([packet[-1] ^ 1]),
        lambda packet: packet[:20] + bytes([packet[20] ^ 1]) + packet[21:],
        lambda packet: packet[:4] + bytes([packet[4] ^ 1]) + packet[5:],
        lambda packet: packet[:-10],
        lambda packet: packet + b"\0",
        lambda packet: b"",
        lambda packet: packet[:11],
        lambda packet: bytes(len(packet)),
        lambda packet: packet[:1] + b"\xff" * 3000,
        lambda packet: rtp(5),
        lambda packet: b"\x9f" + packet[1:20],
    ],
    ids=["tag", "payload", "timestamp", "no tag", "longer", "empty", "short", "zeros", "huge", "plain", "CSRC list"],
)
def test_a_packet_that_does_not_authenticate_is_dropped_and_counted(spoil: Callable[[bytes], bytes]) -> None:
    ours, peer = ends()
    sealed = ours.protect(rtp(5))

    assert peer.unprotect(spoil(sealed)) is None
    assert (peer.unauthentic, peer.replayed) == (1, 0)
    assert peer.unprotect(sealed) == rtp(5)


def test_a_packet_made_with_another_key_is_dropped_and_counted() -> None:
    ours, _ = ends()
    stranger = SrtpSession(SrtpKeys(SUITE, key(SUITE, 50), key(SUITE, 51)))

    assert ours.unprotect(stranger.protect(rtp(1))) is None
    assert ours.unprotect_rtcp(stranger.protect_rtcp(REPORT)) is None
    assert (ours.unauthentic, ours.replayed) == (2, 0)


def test_a_packet_that_came_before_is_dropped_and_counted_by_itself() -> None:
    ours, peer = ends()
    sealed = [ours.protect(rtp(number)) for number in range(300)]
    for packet in sealed[1:]:
        peer.unprotect(packet)

    assert peer.unprotect(sealed[299]) is None  # again
    assert peer.unprotect(sealed[0]) is None  # older than the replay window
    assert (peer.unauthentic, peer.replayed) == (0, 2)


def test_packets_may_come_out_of_order() -> None:
    ours, peer = ends()
    sealed = {number: ours.protect(rtp(number)) for number in range(65500, 65600)}

    order = sorted(sealed, key=lambda number: number * 37 % 64 + number)
    assert [peer.unprotect(sealed[number]) for number in order] == [rtp(number) for number in order]


def test_each_ssrc_has_its_own_counter() -> None:
    ours, peer = ends()

    packets = [rtp(40000, ssrc=7), rtp(3, ssrc=8), rtp(40001, ssrc=7), rtp(65535, ssrc=8), rtp(4, ssrc=8)]

    assert [peer.unprotect(ours.protect(packet)) for packet in packets] == packets


def test_the_same_keys_again_change_nothing() -> None:
    ours, peer = ends()
    for number in (65535, 65536):
        peer.unprotect(ours.protect(rtp(number)))

    ours.rekey(SrtpKeys(SUITE, key(SUITE, 1), key(SUITE, 99)))
    peer.rekey(SrtpKeys(SUITE, key(SUITE, 99), key(SUITE, 1)))

    sealed = ours.protect(rtp(65537))
    assert sealed == Sender(key(SUITE, 1), 16, 10).protect(rtp(65537), rollovers=1)
    assert peer.unprotect(sealed) == rtp(65537)
    assert peer.unprotect(sealed) is None
    assert peer.replayed == 1


def test_a_new_key_of_the_peers_restarts_its_direction_alone() -> None:
    ours, peer = ends()
    for number in (65535, 65536):
        peer.unprotect(ours.protect(rtp(number)))
        ours.unprotect(peer.protect(rtp(number, ssrc=8)))
    late = peer.protect(rtp(65537, ssrc=8))
    later = peer.protect(rtp(65538, ssrc=8))

    ours.rekey(SrtpKeys(SUITE, key(SUITE, 1), key(SUITE, 77)))
    peer.rekey(SrtpKeys(SUITE, key(SUITE, 77), key(SUITE, 1)))
    fresh = peer.protect(rtp(65539, ssrc=8))

    assert fresh == Sender(key(SUITE, 77), 16, 10).protect(rtp(65539, ssrc=8))
    assert ours.unprotect(late) == rtp(65537, ssrc=8)  # under the former key, on its way when the key changed
    assert ours.unprotect(fresh) == rtp(65539, ssrc=8)
    assert ours.unprotect(later) is None  # the former key is over once the new one is used
    assert peer.unprotect(ours.protect(rtp(65537))) == rtp(65537)
    assert (ours.unauthentic, ours.replayed, peer.unauthentic) == (1, 0, 0)


def test_another_suite_restarts_both_directions() -> None:
    ours, peer = ends()
    peer.unprotect(ours.protect(rtp(1)))
    name = "AEAD_AES_256_GCM"

    ours.rekey(SrtpKeys(name, key(name, 1), key(name, 2)))
    peer.rekey(SrtpKeys(name, key(name, 2), key(name, 1)))

    assert peer.unprotect(ours.protect(rtp(2))) == rtp(2)
    assert ours.unprotect(peer.protect(rtp(2, ssrc=8))) == rtp(2, ssrc=8)


@pytest.mark.parametrize("name", SUITES)
def test_an_mki_of_the_peers_is_taken_out_of_its_packets(name: str) -> None:
    ours, peer = ends(name, receive_mki=b"\0\x05")
    tag = 0 if SUITES[name].aead else SUITES[name].tag_bytes
    rtcp_tag = 0 if SUITES[name].aead else 10

    def named(packet: bytes, tag: int, mki: bytes = b"\0\x05") -> bytes:
        return packet[: len(packet) - tag] + mki + packet[len(packet) - tag :]

    assert ours.unprotect(named(peer.protect(rtp(1)), tag)) == rtp(1)
    assert ours.unprotect_rtcp(named(peer.protect_rtcp(REPORT), rtcp_tag)) == REPORT
    assert ours.unprotect(named(peer.protect(rtp(2)), tag, b"\0\x06")) is None
    assert ours.unprotect(peer.protect(rtp(3))) is None
    assert ours.unauthentic == 2
    assert len(ours.protect(rtp(1))) == len(peer.protect(rtp(4)))  # ours has none


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (SrtpKeys("F8_128_HMAC_SHA1_80", bytes(30), bytes(30)), "'F8_128_HMAC_SHA1_80' is no SRTP suite of ours"),
        (SrtpKeys(SUITE, bytes(29), bytes(30)), "an SRTP key of 29 bytes was agreed"),
        (SrtpKeys(SUITE, bytes(30), bytes(46)), "an SRTP key of 46 bytes was agreed"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_and_change_nothing(keys: SrtpKeys, sentence: str) -> None:
    ours, peer = ends()

    with pytest.raises(MediaError, match=sentence):
        SrtpSession(keys)
    with pytest.raises(MediaError, match=sentence):
        ours.rekey(keys)
    assert peer.unprotect(ours.protect(rtp(1))) == rtp(1)


@pytest.mark.parametrize("packet", [b"", b"\x80", bytes(2100), rtp(1)[:11]])
def test_what_is_no_packet_cannot_be_sent(packet: bytes) -> None:
    ours, _ = ends()

    with pytest.raises(MediaError, match="libsrtp cannot protect a packet"):
        ours.protect(packet)
    if packet[:1] != b"\x80":
        with pytest.raises(MediaError, match="libsrtp cannot protect a packet"):
            ours.protect_rtcp(packet)


def test_a_sequence_number_is_protected_only_once() -> None:
    ours, _ = ends()
    ours.protect(rtp(1))

    with pytest.raises(MediaError, match="status 9"):
        ours.protect(rtp(1))


def test_a_libsrtp_that_lays_its_policies_out_differently_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "_AES_128_POLICY", [1, 16, 3, 20, 10, 3])

    with pytest.raises(MediaError, match="AES-256 in counter mode does not work with this version of pylibsrtp"):
        ends("AES_256_CM_HMAC_SHA1_80")


def test_a_libsrtp_with_other_functions_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "_KNOWN", False)

    with pytest.raises(MediaError, match="audio cannot be encrypted with this version of pylibsrtp"):
        ends()


def test_keys_stand_in_no_text() -> None:
    keys = SrtpKeys(SUITE, b"s" * 30, b"r" * 30)
    session = SrtpSession(keys)

    assert "sss" not in f"{keys!r} {session!r} {replace(keys, receive_mki=b'1')}"
