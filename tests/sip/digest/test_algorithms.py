"""The arithmetic, against the examples that RFCs and their errata print."""

import pytest

from sipflow.sip.digest.algorithms import ALGORITHMS, find_algorithm, hash_a1, hash_secret, octets, request_digest

RFC7616_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RFC2617_NONCE = "dcd98b7102dd2f0e8b11d0f600bfb0c093"


def digest(
    name: str,
    secret: tuple[str, str, str],
    *,
    uri: str,
    nonce: str,
    qop: str = "auth",
    cnonce: str,
    body: bytes = b"",
) -> str:
    algorithm = find_algorithm(name)
    assert algorithm is not None
    return request_digest(
        algorithm,
        hash_a1(algorithm, hash_secret(algorithm, *secret), nonce, cnonce),
        method="GET",
        uri=uri,
        body=body,
        nonce=nonce,
        qop=qop,
        nc="00000001",
        cnonce=cnonce,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc7616_3_9_1(name: str, expected: str) -> None:
    mufasa = ("Mufasa", "http-auth@example.org", "Circle of Life")

    assert digest(name, mufasa, uri="/dir/index.html", nonce=RFC7616_NONCE, cnonce=RFC7616_CNONCE) == expected


def test_rfc7616_3_9_2_as_its_erratum_4897_corrects_it() -> None:
    jason = ("Jäsøn Doe", "api@example.org", "Secret, or not?")
    nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"

    assert digest("SHA-512-256", jason, uri="/doe.json", nonce=nonce, cnonce=cnonce) == (
        "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    )


def test_rfc2617_3_5() -> None:
    mufasa = ("Mufasa", "testrealm@host.com", "Circle Of Life")

    assert digest("MD5", mufasa, uri="/dir/index.html", nonce=RFC2617_NONCE, cnonce="0a4f113b") == (
        "6629fae49393a05397450978507c4ef1"
    )


def test_rfc2069_2_4_as_its_erratum_749_corrects_it() -> None:
    mufasa = ("Mufasa", "testrealm@host.com", "CircleOfLife")

    assert digest("MD5", mufasa, uri="/dir/index.html", nonce=RFC2617_NONCE, qop="", cnonce="") == (
        "1949323746fe6a43ef61f9606e7febea"
    )


def test_a_session_form_binds_the_secret_to_both_nonces() -> None:
    mufasa = ("Mufasa", "testrealm@host.com", "Circle Of Life")

    def session(nonce: str, cnonce: str) -> str:
        return digest("MD5-sess", mufasa, uri="/", nonce=nonce, cnonce=cnonce, qop="")

    assert len({session("n", "c"), session("n", "d"), session("m", "c")}) == 3


def test_auth_int_covers_the_body_and_auth_does_not() -> None:
    def covering(qop: str, body: bytes) -> str:
        return digest("SHA-256", ("a", "b", "c"), uri="/", nonce="n", qop=qop, cnonce="c", body=body)

    assert covering("auth-int", b"v=0") != covering("auth-int", b"v=1")
    assert covering("auth", b"v=0") == covering("auth", b"v=1")


def test_algorithms_are_found_in_any_case_and_md5_by_default() -> None:
    assert [find_algorithm(name) for name in (None, "md5", "Sha-256-SESS", "SHA-1", "", "MD5 ")] == [
        ALGORITHMS["md5"],
        ALGORITHMS["md5"],
        ALGORITHMS["sha-256-sess"],
        None,
        None,
        None,
    ]


def test_each_algorithm_knows_its_name_and_length() -> None:
    assert [(a.name, a.session, a.is_md5, len(a.hash_hex(b""))) for a in ALGORITHMS.values()] == [
        ("SHA-512-256", False, False, 64),
        ("SHA-512-256-sess", True, False, 64),
        ("SHA-256", False, False, 64),
        ("SHA-256-sess", True, False, 64),
        ("MD5", False, True, 32),
        ("MD5-sess", True, True, 32),
    ]


def test_octets_that_were_not_utf8_are_hashed_as_they_came() -> None:
    assert octets(b"Z\xfcrich".decode("utf-8", "surrogateescape") + "ü") == b"Z\xfcrich\xc3\xbc"
