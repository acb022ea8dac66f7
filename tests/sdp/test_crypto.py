import time
from base64 import b64encode

import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import SUITES
from sipflow.sdp.crypto import (
    KEY_BYTES,
    SECRET_BYTES,
    Crypto,
    CryptoKey,
    own_crypto,
    own_key,
    read_cryptos,
    renewed,
)

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY = bytes(range(30))
TEXT = b64encode(KEY).decode()  # 40 characters, without padding
SECRET = bytes(at % 251 for at in range(SECRET_BYTES))


@pytest.mark.parametrize(
    ("line", "crypto"),
    [
        (f"1 {SUITE} inline:{TEXT}", Crypto(1, SUITE, (CryptoKey(KEY),))),
        (f"1 {SUITE} inline:{TEXT}|2^20|1:4", Crypto(1, SUITE, (CryptoKey(KEY, 2**20, b"\0\0\0\1"),))),
        (f"2\t{SUITE}  INLINE:{TEXT}|1048576", Crypto(2, SUITE, (CryptoKey(KEY, 2**20),))),
        (f"999999999 {SUITE} inline:{TEXT}|255:1 ", Crypto(999999999, SUITE, (CryptoKey(KEY, None, b"\xff"),))),
        (
            f"3 {SUITE} inline:{TEXT}|2^48|1:1;inline:{TEXT}|2^48|2:1 KDR=0 -later WSH=128",
            Crypto(
                3, SUITE, (CryptoKey(KEY, 2**48, b"\1"), CryptoKey(KEY, 2**48, b"\2")), ("KDR=0", "-later", "WSH=128")
            ),
        ),
        ("0 F8_128_HMAC_SHA1_80 inline:AAAA", Crypto(0, "F8_128_HMAC_SHA1_80", (CryptoKey(bytes(3)),))),
    ],
)
def test_a_line_is_read(line: str, crypto: Crypto) -> None:
    assert Crypto.parse(line) == crypto


@pytest.mark.parametrize("name", KEY_BYTES)
@pytest.mark.parametrize("padded", [True, False])
def test_a_key_of_each_suite_is_read_with_and_without_padding(name: str, padded: bool) -> None:
    key = bytes(range(KEY_BYTES[name]))
    text = b64encode(key).decode()

    crypto = Crypto.parse(f"1 {name} inline:{text if padded else text.rstrip('=')}")

    assert (crypto.suite, crypto.keys[0].key, crypto.why_not(SUITES)) == (name, key, "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "cannot be read"),
        (f"x {SUITE} inline:{TEXT}", "cannot be read"),
        (f"1234567890 {SUITE} inline:{TEXT}", "cannot be read"),
        (f"١ {SUITE} inline:{TEXT}", "cannot be read"),
        (f"1_0 {SUITE} inline:{TEXT}", "cannot be read"),
        (f"1 {SUITE}", "cannot be read"),
        (f"1 {SUITE}-x inline:{TEXT}", "cannot be read"),
        (f"1 {SUITE} {TEXT}", "has a key that cannot be read"),
        (f"1 {SUITE} inline:{TEXT[:-1]}*", "has a key that cannot be read"),
        (f"1 {SUITE} inline:{TEXT};", "has a key that cannot be read"),
        (f"1 {SUITE} inline:{TEXT}|2^", "has a key that cannot be read"),
        (f"1 {SUITE} inline:{TEXT}|1:4|2^20", "has a key that cannot be read"),
        (f"1 {SUITE} inline:{TEXT}a", "that is no Base64"),
        (f"1 {SUITE} inline:{TEXT}|2^49", "lifetime over 2"),
        (f"1 {SUITE} inline:{TEXT}|0", "lifetime over 2"),
        (f"1 {SUITE} inline:{TEXT}|999999999999999", "lifetime over 2"),
        (f"1 {SUITE} inline:{TEXT}|2^20|256:1", "an MKI that does not fit"),
        (f"1 {SUITE} inline:{TEXT}|2^20|1:0", "an MKI that does not fit"),
        (f"1 {SUITE} inline:{TEXT}|2^20|1:17", "an MKI that does not fit"),
        (f"1 {SUITE} inline:{TEXT[:36]}", "has a key of 27 bytes, AES_CM_128_HMAC_SHA1_80 takes 30"),
        (f"1 AES_256_CM_HMAC_SHA1_80 inline:{TEXT}", "has a key of 30 bytes, AES_256_CM_HMAC_SHA1_80 takes 46"),
    ],
)
def test_what_is_no_line_is_refused_without_repeating_the_key(line: str, said: str) -> None:
    with pytest.raises(RemoteProtocolError, match=said) as caught:
        Crypto.parse(line)

    assert caught.value.status == 400
    assert TEXT[:8] not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "1 " + "A" * 8000,
        "1 A inline:" + "A" * 8000,
        "1 A " + "inline:AAAA;" * 600,
        "1 A inline:AAAA" + " x" * 4000,
        "1" * 8000,
        "1 A inline:AAAA|" + "1" * 8000,
    ],
)
def test_hostile_lines_are_refused_at_once(line: str) -> None:
    began = time.process_time()
    with pytest.raises(RemoteProtocolError):
        Crypto.parse(line)
    assert time.process_time() - began < 0.05


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (f"01  {SUITE}\tinline:{TEXT}", f"1 {SUITE} inline:{TEXT}"),
        (f"1 {SUITE} inline:{TEXT}|2^20|1:4 KDR=0", f"1 {SUITE} inline:{TEXT}|1048576|1:4 KDR=0"),
        (
            "7 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "7 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        ),
    ],
)
def test_a_line_is_written_in_one_way_only(read: str, written: str) -> None:
    assert str(Crypto.parse(read)) == written
    assert str(Crypto.parse(written)) == written


def test_the_name_that_libsrtp_gives_aes_256_is_understood_and_kept() -> None:
    crypto = Crypto.parse(f"1 AES_CM_256_HMAC_SHA1_80 inline:{b64encode(bytes(46)).decode()}")

    assert (crypto.name, crypto.suite) == ("AES_CM_256_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80")
    assert own_crypto(1, crypto.name, SECRET).keys == own_crypto(1, crypto.suite, SECRET).keys


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"1 {SUITE} inline:{TEXT} -new", ""),
        (f"1 {SUITE} inline:{TEXT} new", f"{SUITE} with new"),
        (f"1 {SUITE} inline:{TEXT} KDR=1", f"{SUITE} with KDR"),
        (f"1 {SUITE} inline:{TEXT} FEC_KEY=inline:{TEXT}", f"{SUITE} with FEC_KEY"),
        (f"1 {SUITE} inline:{TEXT} inline:{TEXT}", f"{SUITE} with inline"),
        (f"1 {SUITE} inline:{TEXT} UNENCRYPTED_SRTP", f"{SUITE} with UNENCRYPTED_SRTP"),
        (f"1 {SUITE} inline:{TEXT} UNAUTHENTICATED_SRTP", f"{SUITE} with UNAUTHENTICATED_SRTP"),
        (f"1 {SUITE} inline:{TEXT}|1:1;inline:{TEXT}|2:1", f"{SUITE} with 2 keys"),
        ("1 F8_128_HMAC_SHA1_80 inline:AAAA", "F8_128_HMAC_SHA1_80"),
    ],
)
def test_what_cannot_be_used_is_said(line: str, why: str) -> None:
    assert Crypto.parse(line).why_not(SUITES) == why


def test_lines_that_cannot_be_read_are_passed_over_and_told() -> None:
    attributes = [("crypto", "nonsense"), ("rtpmap", "0 PCMU/8000"), ("crypto", f"2 {SUITE} inline:{TEXT}")]

    assert read_cryptos(attributes) == (
        [Crypto(2, SUITE, (CryptoKey(KEY),))],
        ["an a=crypto line cannot be read (RFC 4568 §9.1)"],
    )


def test_every_suite_has_a_key_of_its_own_cut_from_one_secret() -> None:
    keys = [own_key(name, SECRET) for name in KEY_BYTES]

    assert [len(key) for key in keys] == list(KEY_BYTES.values())
    assert b"".join(keys) == SECRET


def test_a_secret_is_renewed_but_for_the_key_in_use() -> None:
    fresh = bytes(255 for _ in range(SECRET_BYTES))

    again = renewed(SECRET, fresh, keep="AEAD_AES_128_GCM")

    assert own_key("AEAD_AES_128_GCM", again) == own_key("AEAD_AES_128_GCM", SECRET)
    assert {name for name in KEY_BYTES if own_key(name, again) == own_key(name, fresh)} == {
        *KEY_BYTES.keys() - {"AEAD_AES_128_GCM"}
    }
    assert renewed(SECRET, fresh) == fresh


def test_every_suite_that_is_taken_has_a_known_key_length() -> None:
    assert set(SUITES) == set(KEY_BYTES)


def test_keys_stand_in_no_repr() -> None:
    assert TEXT[:10] not in repr(Crypto.parse(f"1 {SUITE} inline:{TEXT}"))
    assert repr(CryptoKey(b"secret")) == "CryptoKey(lifetime_packets=None, mki=b'')"
