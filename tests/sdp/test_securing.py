from base64 import b64encode
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import SUITES, Agreed, Capabilities, Encryption, Keying, LocalMedia, SrtpKeys
from sipflow.sdp.crypto import SECRET_BYTES, own_crypto, own_key
from sipflow.sdp.fingerprint import DtlsTerms, Fingerprint
from sipflow.sdp.offer_answer import answer_offer, make_offer, read_answer

SUITE, GCM = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"
OUR_SECRET, THEIR_SECRET = (bytes((seed + at) % 256 for at in range(SECRET_BYTES)) for seed in (0, 100))
OUR_PRINT, THEIR_PRINT = Fingerprint("sha-256", bytes(32)), Fingerprint("sha-256", bytes([255] * 32))
OURS = LocalMedia("192.0.2.9", 10000, 10001, session_id=77, version=1, secret=OUR_SECRET)
THEIRS = LocalMedia("192.0.2.1", 4000, 4001, session_id=5, version=1, secret=THEIR_SECRET)
OUR_DTLS, THEIR_DTLS = replace(OURS, fingerprint=OUR_PRINT), replace(THEIRS, fingerprint=THEIR_PRINT)
OFF = Capabilities()
OPTIONAL = Capabilities(srtp=Encryption.OPTIONAL)
REQUIRED = Capabilities(srtp=Encryption.REQUIRED)
OPTIONAL_DTLS = replace(OPTIONAL, keying=Keying.DTLS)
REQUIRED_DTLS = replace(REQUIRED, keying=Keying.DTLS)


def key_text(length: int = 30, octet: int = 9) -> str:
    return b64encode(bytes([octet] * length)).decode()


def offer(*lines: str, protocol: str = "RTP/SAVP", session: str = "") -> bytes:
    rest = "".join(f"{line}\r\n" for line in lines)
    return (
        f"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{session}"
        f"m=audio 4000 {protocol} 0\r\n{rest}"
    ).encode()


def crypto(tag: int = 1, name: str = SUITE, length: int = 30, octet: int = 9, rest: str = "") -> str:
    return f"a=crypto:{tag} {name} inline:{key_text(length, octet)}{rest}"


def prints(print_: Fingerprint = THEIR_PRINT, setup: str = "actpass") -> tuple[str, str]:
    return f"a=fingerprint:{print_}", f"a=setup:{setup}"


def secured(body: bytes) -> list[str]:
    """Give the lines of a description that are about encryption, and the profile."""
    about = ("a=crypto", "a=fingerprint", "a=setup", "a=rtcp-mux")
    lines = body.decode().split("\r\n")
    return [line.split()[2] for line in lines if line[:2] == "m="] + [line for line in lines if line.startswith(about)]


def refusal(body: bytes, capabilities: Capabilities = REQUIRED, local: LocalMedia = OURS) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        answer_offer(body, local, capabilities)
    assert caught.value.status == 488
    return str(caught.value)


def call(
    first: bytes, ours: LocalMedia, theirs: LocalMedia, their_capabilities: Capabilities, capabilities: Capabilities
) -> tuple[bytes, Agreed, Agreed]:
    """Answer an offer of theirs: the answer, what we agreed, and what they did."""
    answer, agreed = answer_offer(first, ours, capabilities)
    return answer, agreed, read_answer(answer, theirs, their_capabilities)


# Off


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "rtp/savpf", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"])
def test_without_encryption_an_encrypted_stream_is_refused_in_words(protocol: str) -> None:
    sentence = f"the audio uses {protocol}, this trunk allows unencrypted RTP/AVP only (srtp: off)"

    assert refusal(offer(crypto(), protocol=protocol), OFF) == sentence


def test_without_encryption_keys_beside_a_plain_stream_are_passed_over() -> None:
    answer, agreed = answer_offer(offer(crypto(), *prints(), protocol="RTP/AVP"), OURS, OFF)

    assert (secured(answer), agreed.srtp, agreed.dtls) == (["RTP/AVP"], None, None)
    assert secured(make_offer(OURS, OFF)) == ["RTP/AVP"]


# Keys in the description (RFC 4568)


def test_optional_encryption_is_offered_beside_a_plain_stream() -> None:
    assert secured(make_offer(OURS, OPTIONAL)) == [
        "RTP/AVP",
        f"a=crypto:{own_crypto(1, SUITE, OUR_SECRET)}",
        f"a=crypto:{own_crypto(2, GCM, OUR_SECRET)}",
    ]


def test_required_encryption_is_offered_as_savp() -> None:
    capabilities = replace(REQUIRED, offered_suites=("AES_CM_128_HMAC_SHA1_32",))

    assert secured(make_offer(OURS, capabilities)) == [
        "RTP/SAVP",
        f"a=crypto:{own_crypto(1, 'AES_CM_128_HMAC_SHA1_32', OUR_SECRET)}",
    ]


@pytest.mark.parametrize("theirs", [OPTIONAL, REQUIRED])
@pytest.mark.parametrize("ours", [OPTIONAL, REQUIRED])
def test_both_sides_get_the_same_two_keys_crosswise(theirs: Capabilities, ours: Capabilities) -> None:
    first = make_offer(THEIRS, theirs)
    answer, agreed, read = call(first, OURS, THEIRS, theirs, ours)
    our_key, their_key = own_key(SUITE, OUR_SECRET), own_key(SUITE, THEIR_SECRET)

    assert agreed.srtp == SrtpKeys(SUITE, our_key, their_key, b"", own_crypto(1, SUITE, OUR_SECRET))
    assert read.srtp == SrtpKeys(SUITE, their_key, our_key, b"", own_crypto(1, SUITE, THEIR_SECRET))
    assert secured(answer) == [secured(first)[0], f"a=crypto:{own_crypto(1, SUITE, OUR_SECRET)}"]


def test_keys_beside_a_plain_profile_mean_encryption_and_the_answer_keeps_the_profile() -> None:
    answer, agreed = answer_offer(offer(crypto(7), protocol="RTP/AVPF"), OURS, REQUIRED)

    assert secured(answer) == ["RTP/AVPF", f"a=crypto:{own_crypto(7, SUITE, OUR_SECRET)}"]
    assert agreed.srtp is not None
    assert agreed.srtp.receive_key == bytes([9] * 30)


def test_the_first_line_that_can_be_used_is_taken_with_its_tag() -> None:
    lines = [
        crypto(1, "F8_128_HMAC_SHA1_80"),
        crypto(2, SUITE, 29),
        crypto(3, rest=" UNENCRYPTED_SRTP"),
        crypto(4, "AES_CM_256_HMAC_SHA1_80", 46, 4, "|2^31|3:2"),
        crypto(5),
    ]

    answer, agreed = answer_offer(offer(*lines), OURS, OPTIONAL)

    own = own_crypto(4, "AES_CM_256_HMAC_SHA1_80", OUR_SECRET)
    assert secured(answer) == ["RTP/SAVP", f"a=crypto:{own}"]
    assert agreed.srtp == SrtpKeys("AES_256_CM_HMAC_SHA1_80", own.keys[0].key, bytes([4] * 46), b"\0\3", own)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "the audio uses RTP/SAVP without keys, this trunk requires encryption (srtp: required)"),
        (
            [crypto(1, SUITE, 29)],
            "the audio uses RTP/SAVP, and its encryption cannot be used: "
            "a=crypto has a key of 29 bytes, AES_CM_128_HMAC_SHA1_80 takes 30",
        ),
        (
            [crypto(1, "AEAD_AES_128_GCM", 28), crypto(2, rest=" UNAUTHENTICATED_SRTP")],
            "the audio uses RTP/SAVP, and its encryption cannot be used: AEAD_AES_128_GCM is not allowed; this trunk "
            "takes AES_CM_128_HMAC_SHA1_80; AES_CM_128_HMAC_SHA1_80 with UNAUTHENTICATED_SRTP is not allowed; this "
            "trunk takes AES_CM_128_HMAC_SHA1_80",
        ),
    ],
)
def test_an_encrypted_stream_that_cannot_be_read_is_refused_in_words(lines: list[str], sentence: str) -> None:
    assert refusal(offer(*lines), replace(REQUIRED, suites=(SUITE,))) == sentence


def test_required_encryption_refuses_a_plain_stream_in_words() -> None:
    assert (
        refusal(offer(protocol="RTP/AVP"))
        == "the audio uses RTP/AVP without keys, this trunk requires encryption (srtp: required)"
    )


def test_optional_encryption_takes_a_plain_stream_and_one_with_unusable_keys() -> None:
    for lines in ([], [crypto(1, SUITE, 29)]):
        answer, agreed = answer_offer(offer(*lines, protocol="RTP/AVP"), OURS, OPTIONAL)

        assert (secured(answer), agreed.srtp) == (["RTP/AVP"], None)


def test_of_a_plain_and_an_encrypted_stream_optional_encryption_takes_the_encrypted_one() -> None:
    both = offer(protocol="RTP/AVP") + f"m=audio 4002 RTP/SAVP 0\r\n{crypto(3)}\r\n".encode()

    answer, agreed = answer_offer(both, OURS, OPTIONAL)
    assert b"m=audio 0 RTP/AVP 0\r\nm=audio 10000 RTP/SAVP 0\r\n" in answer
    assert (agreed.remote_rtp_port, agreed.srtp is not None) == (4002, True)
    assert answer_offer(both, OURS, OFF)[1].remote_rtp_port == 4000


def test_a_profile_that_is_no_rtp_is_refused() -> None:
    assert refusal(offer(protocol="TCP/RTP/AVP"), OPTIONAL) == "the audio uses TCP/RTP/AVP, only RTP is known"


# Answers to our offers


def test_a_peer_without_encryption_answers_an_optional_offer_in_the_clear() -> None:
    answer, _ = answer_offer(make_offer(OURS, OPTIONAL), THEIRS, OFF)

    agreed = read_answer(answer, OURS, OPTIONAL)

    assert (secured(answer), agreed.srtp, agreed.dtls) == (["RTP/AVP"], None, None)


@pytest.mark.parametrize(
    ("capabilities", "answer", "said"),
    [
        (REQUIRED, offer(protocol="RTP/AVP"), "without keys, this trunk requires encryption"),
        (REQUIRED, offer(crypto(3)), "the answer takes line 3 with AES_CM_128_HMAC_SHA1_80, which was not offered"),
        (REQUIRED, offer(crypto(1, GCM, 44)), "the answer takes line 1 with AEAD_AES_256_GCM, which was not offered"),
        (OPTIONAL, offer(crypto(3), protocol="RTP/AVP"), "the answer takes line 3"),
        (OPTIONAL, offer(crypto(1, SUITE, 3), protocol="RTP/AVP"), "a key of 3 bytes"),
        (OPTIONAL, offer(*prints(setup="active")), "RTP/SAVP without keys"),
    ],
)
def test_an_answer_that_takes_what_was_not_offered_is_refused(
    capabilities: Capabilities, answer: bytes, said: str
) -> None:
    with pytest.raises(RemoteProtocolError, match=said) as caught:
        read_answer(answer, OUR_DTLS, capabilities)
    assert caught.value.status == 488


# The next offers of a call (RFC 4568 §7.1.4)


def test_our_next_offer_repeats_the_line_in_use_alone() -> None:
    answer, agreed = answer_offer(offer(crypto(1, "F8"), crypto(2, GCM, 44), crypto(3)), OURS, REQUIRED)

    again = make_offer(OURS.revised(), REQUIRED, after=answer, agreed=agreed)
    line = f"a=crypto:{own_crypto(2, GCM, OUR_SECRET)}"
    settled = read_answer(offer(crypto(2, GCM, 44)), OURS.revised(), REQUIRED, offer=again, agreed=agreed)

    assert secured(answer) == secured(again) == ["RTP/SAVP", line]
    assert settled.srtp == agreed.srtp


def test_a_call_in_the_clear_stays_so_in_our_next_offer() -> None:
    first = make_offer(OURS, OPTIONAL)
    agreed = read_answer(offer(protocol="RTP/AVP"), OURS, OPTIONAL)

    assert secured(make_offer(OURS.revised(), OPTIONAL, after=first, agreed=agreed)) == ["RTP/AVP"]


def test_a_peer_that_offers_again_gets_our_key_again_and_may_change_its_own() -> None:
    first, agreed = answer_offer(offer(crypto(1)), OURS, REQUIRED)

    same, kept = answer_offer(offer(crypto(1)), OURS.revised(), REQUIRED, agreed=agreed)
    _, changed = answer_offer(offer(crypto(1, octet=8)), OURS.revised(), REQUIRED, agreed=agreed)

    assert secured(same) == secured(first)
    assert kept.srtp == agreed.srtp
    assert agreed.srtp is not None
    assert changed.srtp == replace(agreed.srtp, receive_key=bytes([8] * 30))


# Keys by DTLS (RFC 5763)


def test_dtls_is_offered_with_both_roles_and_one_port() -> None:
    lines = ["a=setup:actpass", f"a=fingerprint:{OUR_PRINT}", "a=rtcp-mux"]

    assert secured(make_offer(OUR_DTLS, REQUIRED_DTLS)) == ["UDP/TLS/RTP/SAVP", *lines]
    assert secured(make_offer(OUR_DTLS, OPTIONAL_DTLS)) == ["RTP/AVP", *lines]


@pytest.mark.parametrize("theirs", [OPTIONAL_DTLS, REQUIRED_DTLS])
def test_who_answers_begins_the_handshake(theirs: Capabilities) -> None:
    answer, agreed, read = call(make_offer(THEIR_DTLS, theirs), OUR_DTLS, THEIR_DTLS, theirs, OPTIONAL)

    assert secured(answer)[1:] == ["a=setup:active", f"a=fingerprint:{OUR_PRINT}", "a=rtcp-mux"]
    assert (agreed.dtls, agreed.srtp, agreed.rtcp_mux) == (DtlsTerms(True, (THEIR_PRINT,)), None, True)
    assert (read.dtls, read.srtp, read.rtcp_mux) == (DtlsTerms(False, (OUR_PRINT,)), None, True)


@pytest.mark.parametrize(
    ("told", "ours", "active"),
    [("actpass", "active", True), ("passive", "active", True), ("active", "passive", False)],
)
def test_the_roles_of_a_handshake(told: str, ours: str, active: bool) -> None:
    answer, agreed = answer_offer(offer(*prints(setup=told), protocol="UDP/TLS/RTP/SAVPF"), OUR_DTLS, OPTIONAL)

    assert secured(answer) == ["UDP/TLS/RTP/SAVPF", f"a=setup:{ours}", f"a=fingerprint:{OUR_PRINT}"]
    assert agreed.dtls == DtlsTerms(active, (THEIR_PRINT,))


def test_a_peer_whose_address_cannot_be_reached_is_left_to_begin() -> None:
    private = offer(*prints(), protocol="UDP/TLS/RTP/SAVP").replace(b"192.0.2.1", b"10.0.0.1")

    def active(local: str) -> bool:
        _, agreed = answer_offer(private, replace(OUR_DTLS, address=local), OPTIONAL)
        assert agreed.dtls is not None
        return agreed.dtls.active

    assert (active("8.8.8.8"), active("10.0.0.2")) == (False, True)


def test_what_is_said_for_the_session_holds_for_the_stream() -> None:
    session = f"a=fingerprint:{THEIR_PRINT}\r\na=setup:active\r\na=tls-id:abc3de65cddef001be82\r\n"
    body = offer(protocol="UDP/TLS/RTP/SAVP", session=session)
    _, agreed = answer_offer(body, OUR_DTLS, OPTIONAL)
    _, own = answer_offer(body + b"a=setup:passive\r\n", OUR_DTLS, OPTIONAL)

    assert agreed.dtls == DtlsTerms(False, (THEIR_PRINT,), "abc3de65cddef001be82")
    assert own.dtls == DtlsTerms(True, (THEIR_PRINT,), "abc3de65cddef001be82")


def test_of_both_ways_the_trunks_own_is_taken() -> None:
    both = offer(crypto(1), *prints(), protocol="RTP/SAVP")

    assert answer_offer(both, OUR_DTLS, OPTIONAL)[1].srtp is not None
    assert answer_offer(both, OUR_DTLS, OPTIONAL_DTLS)[1].dtls is not None


@pytest.mark.parametrize(
    ("lines", "local", "said"),
    [
        ([], OUR_DTLS, "without keys"),
        (prints(), OURS, 'DTLS-SRTP needs pip install "sipflow[dtls]"'),
        (prints(setup="holdconn"), OUR_DTLS, "a=setup:holdconn begins no handshake"),
        (prints(setup="nonsense"), OUR_DTLS, "not a role for DTLS: a=setup:'nonsense'"),
        (["a=fingerprint:sha-1 " + ":".join(["00"] * 20)], OUR_DTLS, "sha-256 is needed"),
        (["a=fingerprint:sha-256 00"], OUR_DTLS, "a sha-256 fingerprint of 1 bytes"),
        ([crypto()], OUR_DTLS, "without keys"),
    ],
)
def test_a_handshake_that_cannot_be_made_is_refused_in_words(lines: list[str], local: LocalMedia, said: str) -> None:
    assert said in refusal(offer(*lines, protocol="UDP/TLS/RTP/SAVP"), local=local)


def test_an_answer_that_leaves_the_role_open_is_refused_and_no_role_means_that_we_begin() -> None:
    with pytest.raises(RemoteProtocolError, match="a=setup:actpass begins no handshake"):
        read_answer(offer(*prints()), OUR_DTLS, REQUIRED_DTLS)
    silent = read_answer(offer(prints()[0]), OUR_DTLS, REQUIRED_DTLS)

    assert silent.dtls == DtlsTerms(True, (THEIR_PRINT,))


def test_a_call_with_a_handshake_keeps_it_and_its_roles() -> None:
    protocol = "UDP/TLS/RTP/SAVP"
    answer, agreed = answer_offer(offer(*prints(setup="active"), protocol=protocol), OUR_DTLS, OPTIONAL)

    again, kept = answer_offer(offer(*prints(), protocol=protocol), OUR_DTLS.revised(), OPTIONAL, agreed=agreed)
    ours = make_offer(OUR_DTLS.revised(), OPTIONAL, after=answer, agreed=agreed)
    other = prints(Fingerprint("sha-256", bytes([1] * 32)))
    _, moved = answer_offer(offer(*other, protocol=protocol), OUR_DTLS.revised(), OPTIONAL, agreed=agreed)

    assert kept.dtls == agreed.dtls == DtlsTerms(False, (THEIR_PRINT,))
    assert secured(again) == secured(answer)
    assert secured(ours) == [protocol, "a=setup:actpass", f"a=fingerprint:{OUR_PRINT}", "a=rtcp-mux"]
    assert moved.dtls == DtlsTerms(True, (Fingerprint("sha-256", bytes([1] * 32)),))


def test_secrets_stand_in_no_text() -> None:
    _, agreed = answer_offer(offer(crypto()), OURS, REQUIRED)

    assert "secret" not in repr(OURS)
    assert key_text()[:10] not in repr(agreed)
    assert "\\t\\t\\t" not in repr(agreed)


WORDS = st.sampled_from(
    [
        *SUITES,
        "F8",
        "1",
        "0",
        "999999999",
        "inline:",
        "inline:AAAA",
        f"inline:{key_text()}",
        "|2^20",
        "|1:4",
        "|9:0",
        ";",
        "KDR=0",
        "WSH=1",
        "UNENCRYPTED_SRTP",
        "-x",
        "sha-256",
        "sha-1",
        "AB:CD",
        str(THEIR_PRINT),
        "active",
        "actpass",
        "holdconn",
        " ",
        "\t",
        ":",
        "\udcff",
        "٣",
    ]
)
LINES = st.tuples(
    st.sampled_from(["crypto:", "crypto", "fingerprint:", "setup:", "tls-id:", "rtcp-mux", "sendonly"]),
    st.lists(WORDS, max_size=6).map("".join),
).map(lambda parts: "a=" + "".join(parts))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(LINES, max_size=8),
    st.sampled_from(["RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "x"]),
    st.sampled_from([OPTIONAL, REQUIRED, OPTIONAL_DTLS, REQUIRED_DTLS]),
)
def test_hostile_lines_about_encryption_are_answered_or_refused(
    lines: list[str], protocol: str, capabilities: Capabilities
) -> None:
    text = "".join(f"{line}\r\n" for line in lines)
    body = offer(protocol=protocol) + text.encode("utf-8", "surrogateescape")

    with suppress(RemoteProtocolError):
        _, agreed = answer_offer(body, OUR_DTLS, capabilities)
        assert capabilities.srtp is not Encryption.REQUIRED or agreed.srtp is not None or agreed.dtls is not None
    with suppress(RemoteProtocolError):
        read_answer(body, OUR_DTLS, capabilities)
