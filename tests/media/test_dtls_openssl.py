import pytest

from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms

openssl = pytest.importorskip("sipflow.media.dtls_openssl")

HERE, THERE = ("192.0.2.9", 10000), ("192.0.2.1", 4000)


def settled(ours: object, theirs: object) -> tuple[object, object]:
    """Carry datagrams until both have said something; give what."""
    outcomes: dict[int, object] = {}
    for _ in range(6):
        for number, (one, other, source) in enumerate(((ours, theirs, THERE), (theirs, ours, HERE))):
            outcome = one.advance()  # type: ignore[attr-defined]
            if outcome is not None:
                outcomes.setdefault(number, outcome)
            for datagram in one.waiting():  # type: ignore[attr-defined]
                other.take(datagram, source)  # type: ignore[attr-defined]
    return outcomes.get(0), outcomes.get(1)


@pytest.mark.parametrize(
    ("profiles", "suite", "size"),
    [
        (b"SRTP_AES128_CM_SHA1_80", "AES_CM_128_HMAC_SHA1_80", 30),
        (b"SRTP_AES128_CM_SHA1_32", "AES_CM_128_HMAC_SHA1_32", 30),
        (b"SRTP_AEAD_AES_128_GCM", "AEAD_AES_128_GCM", 28),
        (b"SRTP_AEAD_AES_256_GCM", "AEAD_AES_256_GCM", 44),
    ],
)
def test_every_profile_gives_both_ends_the_same_keys(profiles: bytes, suite: str, size: int) -> None:
    own, other = openssl.make_identity(), openssl.make_identity()
    other.context.set_tlsext_use_srtp(profiles)

    client, server = settled(
        own.associate(DtlsTerms(True, (other.fingerprint,)), THERE),
        other.associate(DtlsTerms(False, (own.fingerprint,)), HERE),
    )

    assert isinstance(client, SrtpKeys)
    assert isinstance(server, SrtpKeys)
    assert (client.suite, len(client.send_key)) == (suite, size)
    assert (client.send_key, client.receive_key) == (server.receive_key, server.send_key)
    assert client.send_key != client.receive_key


def test_a_peer_that_protects_packets_in_no_known_way_gets_no_keys() -> None:
    own, other = openssl.make_identity(), openssl.make_identity()
    own.context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_32")
    other.context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_256_GCM")

    client = own.associate(DtlsTerms(True, (other.fingerprint,)), THERE)
    server = other.associate(DtlsTerms(False, (own.fingerprint,)), HERE)

    assert settled(client, server)[0] == (
        "the far end has no way to protect packets in common with us (use_srtp, RFC 5764 §4.1.2)"
    )


def test_flights_are_cut_into_datagrams_at_the_ends_of_records() -> None:
    own, other = openssl.make_identity(), openssl.make_identity()
    client = own.associate(DtlsTerms(True, (other.fingerprint,)), THERE)
    server = other.associate(DtlsTerms(False, (own.fingerprint,)), HERE)
    records = [b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size) for size in (500, 600, 600, 1300, 1)]

    class Written:
        def bio_read(self, size: int) -> bytes:
            return b"".join(records)

    client.advance()
    (hello,) = client.waiting()
    server.take(hello, HERE)
    server.advance()
    real = server.waiting()
    server._connection = Written()

    assert all(13 < len(datagram) <= 1200 for datagram in [hello, *real])
    assert server.waiting() == [records[0] + records[1], records[2], records[3], records[4]]
