import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.fingerprint import (
    ACTIVE,
    PASSIVE,
    DtlsTerms,
    Fingerprint,
    read_fingerprints,
    read_setup,
    read_tls_id,
)

DIGEST = bytes(range(32))
HEX = ":".join(f"{octet:02X}" for octet in DIGEST)


@pytest.mark.parametrize("written", [f"sha-256 {HEX}", f"SHA-256\t{HEX.lower()} "])
def test_a_fingerprint_is_read_and_written_in_one_way_only(written: str) -> None:
    fingerprint = Fingerprint.parse(written)

    assert (fingerprint, str(fingerprint)) == (Fingerprint("sha-256", DIGEST), f"sha-256 {HEX}")


@pytest.mark.parametrize(
    "written",
    [
        "",
        "sha-256",
        "sha-256 0g",
        f"sha-256 {HEX}:",
        f"sha-256 {HEX}:00",
        f"sha-256 {HEX[:-3]}",
        f"sha-256 {HEX.replace(':', '')}",
        f"sha-512 {HEX}",
        "sha-256 " + "00:" * 4000,
        "x" * 8000,
    ],
)
def test_what_is_no_fingerprint_is_refused(written: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Fingerprint.parse(written)

    assert caught.value.status == 400


def test_only_fingerprints_that_prove_something_count() -> None:
    sha512 = "sha-512 " + ":".join(["AB"] * 64)
    attributes = [
        ("fingerprint", sha512),
        ("fingerprint", f"sha-256 {HEX}"),
        ("setup", "actpass"),
        ("fingerprint", f"sha-256 {HEX.lower()}"),
        ("fingerprint", "sha-1 " + ":".join(["00"] * 20)),
        ("fingerprint", "nonsense"),
    ]

    assert read_fingerprints(attributes) == (
        (Fingerprint("sha-256", DIGEST), Fingerprint("sha-512", b"\xab" * 64)),
        ["a sha-1 fingerprint proves nothing; sha-256 is needed", "not a fingerprint: 'nonsense' (RFC 8122 §5)"],
    )


def test_the_role_is_read_or_is_the_default() -> None:
    assert [read_setup(value, default=ACTIVE) for value in (" Passive ", "actpass", "holdconn", None)] == [
        "passive",
        "actpass",
        "holdconn",
        "active",
    ]
    with pytest.raises(RemoteProtocolError, match="a=setup:'actpas"):
        read_setup("actpas", default=PASSIVE)


def test_a_tls_id_is_read_or_passed_over() -> None:
    assert [read_tls_id(value) for value in ("abc3de65cddef001be82", "short", None)] == ["abc3de65cddef001be82", "", ""]


def test_an_association_stays_while_its_certificate_and_name_stay() -> None:
    one, other = Fingerprint("sha-256", DIGEST), Fingerprint("sha-256", DIGEST[::-1])
    terms = DtlsTerms(True, (one,), "abc3de65cddef001be82")

    assert terms.same_association(DtlsTerms(False, (one,), "abc3de65cddef001be82"))
    assert not terms.same_association(DtlsTerms(True, (other,), "abc3de65cddef001be82"))
    assert not terms.same_association(DtlsTerms(True, (one,), "abc3de65cddef001be83"))
