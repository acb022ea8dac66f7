import pytest
from structlog.testing import capture_logs

from sipflow.calls import encryption
from sipflow.calls.encryption import LegSecrets, encrypted
from sipflow.errors import LocalProtocolError
from sipflow.media import dtls
from sipflow.net.acl import Networks
from sipflow.sdp.agreement import SUITES, Capabilities, Encryption, Keying, LocalMedia
from sipflow.sdp.crypto import KEY_BYTES, SECRET_BYTES, own_key
from sipflow.sdp.offer_answer import answer_offer
from sipflow.sip.hop import Hop
from sipflow.trunks.trunk import Trunk

UDP, TLS = Hop("udp", "192.0.2.1", 5060), Hop("tls", "192.0.2.1", 5061)
PLAIN = Capabilities()
OPTIONAL = Capabilities(srtp=Encryption.OPTIONAL)
HERE = LocalMedia("192.0.2.9", 10000, 10001, session_id=7, version=1)
SUITE, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"


def trunk(name: str = "pbx", srtp: str = "optional", keys: str = "sdes", suites: tuple[str, ...] = ()) -> Trunk:
    return Trunk(name, accept_from=Networks(["192.0.2.1"]), srtp=srtp, srtp_keys=keys, srtp_suites=suites)


def offer(*lines: str) -> bytes:
    rest = "".join(f"a={line}\r\n" for line in lines)
    session = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    return f"{session}m=audio 4000 RTP/AVP 0\r\n{rest}".encode()


def line(name: str = SUITE) -> str:
    return f"crypto:1 {name} inline:{'A' * -(-KEY_BYTES[name] * 4 // 3)}"


def test_a_trunk_without_encryption_changes_nothing() -> None:
    assert encrypted(PLAIN, None, UDP) is PLAIN
    assert encrypted(PLAIN, trunk(srtp="off"), UDP) is PLAIN


def test_a_trunks_words_become_capabilities() -> None:
    two = ("AES_CM_128_HMAC_SHA1_32", SUITE)

    assert encrypted(PLAIN, trunk(), TLS) == Capabilities(srtp=Encryption.OPTIONAL, keying=Keying.SDES, suites=SUITES)
    assert encrypted(PLAIN, trunk(srtp="required", keys="dtls", suites=two), TLS) == Capabilities(
        srtp=Encryption.REQUIRED, keying=Keying.DTLS, suites=two, offered_suites=two
    )


def test_keys_in_the_open_are_warned_of_once_for_each_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "_warned", set())
    with capture_logs() as said:
        for name, hop, keys in (
            ("secure", TLS, "sdes"),
            ("open", UDP, "sdes"),
            ("open", UDP, "sdes"),
            ("handshake", UDP, "dtls"),
            ("other", Hop("tcp", "192.0.2.1", 5060), "sdes"),
        ):
            encrypted(PLAIN, trunk(name, keys=keys), hop)

    assert [(entry["log_level"], entry["trunk"], entry["transport"]) for entry in said] == [
        ("warning", "open", "udp"),
        ("warning", "other", "tcp"),
    ]
    assert "use TLS" in said[0]["event"]


def test_a_leg_without_encryption_has_no_secrets() -> None:
    assert LegSecrets(PLAIN).provide(HERE, None) is HERE


def test_every_leg_has_secrets_of_its_own() -> None:
    one, other = (LegSecrets(OPTIONAL).provide(HERE, None) for _ in range(2))

    assert len(one.secret) == len(other.secret) == SECRET_BYTES
    assert one.secret != other.secret
    assert one.fingerprint is None


def test_a_leg_keeps_the_key_in_use_and_draws_the_others_anew() -> None:
    secrets = LegSecrets(OPTIONAL)
    first = secrets.provide(HERE, None)
    _, agreed = answer_offer(offer(line()), first, OPTIONAL)
    second = secrets.provide(first, agreed)
    third = secrets.provide(second, agreed)

    kept = [name for name in SUITES if own_key(name, first.secret) == own_key(name, second.secret)]
    assert kept == [SUITE]
    assert second == third


def test_a_key_that_was_left_never_comes_back() -> None:
    secrets = LegSecrets(OPTIONAL)
    local = secrets.provide(HERE, None)
    agreed, used = None, []
    for lines in ([line()], [line(GCM)], [line()], [], [line()]):
        local = secrets.provide(local, agreed)
        _, agreed = answer_offer(offer(*lines), local, OPTIONAL, agreed=agreed)
        used.append(agreed.srtp.send_key if agreed.srtp is not None else b"")

    assert len(set(used)) == 5


def test_the_certificate_is_made_only_where_it_is_needed() -> None:
    own = dtls.identity()
    assert own is not None

    both = LegSecrets(OPTIONAL)
    assert both.provide(HERE, None, offer=offer(line())).fingerprint is None
    assert both.provide(HERE, None, offer=offer(f"fingerprint:{own.fingerprint}")).fingerprint == own.fingerprint
    ours = LegSecrets(Capabilities(srtp=Encryption.REQUIRED, keying=Keying.DTLS))
    assert ours.provide(HERE, None).fingerprint == own.fingerprint


def test_without_the_extra_there_is_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "identity", lambda: None)

    local = LegSecrets(OPTIONAL).provide(HERE, None, offer=offer("fingerprint:sha-256 00"))

    assert local.fingerprint is None


def test_a_trunk_that_wants_dtls_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "find_spec", lambda name: None)

    assert trunk(srtp="off", keys="dtls").srtp == "off"
    with pytest.raises(
        LocalProtocolError, match=r'^srtp_keys: dtls needs more software: pip install "sipflow\[dtls\]"'
    ):
        trunk(keys="dtls")
