from sipflow.sip.digest.account import Account
from sipflow.sip.digest.algorithms import find_algorithm
from sipflow.sip.digest.session import Session
from sipflow.sip.headers.auth import Challenge


def opened(challenge: str, *, account: Account, qop: str = "auth") -> Session:
    parsed = Challenge.parse(challenge)
    algorithm = find_algorithm(parsed.param("algorithm"))
    assert algorithm is not None
    return Session(account, parsed, algorithm, qop)


def test_credentials_are_written_as_rfc7616_3_4_has_them() -> None:
    mufasa = Account("Mufasa", "Circle Of Life")
    session = opened('Digest realm="testrealm@host.com", nonce="x", opaque="5ccc", algorithm=MD5', account=mufasa)
    session.start("dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b")

    assert session.credentials("GET", "/dir/index.html", b"") == (
        'Digest username="Mufasa", realm="testrealm@host.com", algorithm=MD5, opaque="5ccc", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", '
        'response="6629fae49393a05397450978507c4ef1", cnonce="0a4f113b", qop=auth, nc=00000001'
    )


def test_the_count_grows_with_each_request_and_starts_again_with_a_nonce() -> None:
    session = opened('Digest realm="r", nonce="x"', account=Account("u", "p"))
    session.start("a", "c")
    counts = [session.credentials("GET", "/", b"")[-8:] for _ in range(11)]
    session.start("b", "c")

    assert (counts[0], counts[9], counts[10]) == ("00000001", "0000000a", "0000000b")
    assert session.credentials("GET", "/", b"")[-8:] == "00000001"


def test_the_user_name_is_hashed_when_the_server_asks_for_that() -> None:
    jason = Account("Jäsøn Doe", "Secret, or not?")
    session = opened(
        'Digest realm="api@example.org", nonce="x", algorithm=SHA-512-256, charset=UTF-8, userhash=true', account=jason
    )
    session.start("5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")

    assert session.credentials("GET", "/doe.json", b"").startswith(
        'Digest username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", '
        'realm="api@example.org", userhash=true, algorithm=SHA-512-256, '
    )


def test_neither_the_password_nor_its_hash_is_in_the_repr() -> None:
    session = opened('Digest realm="r", nonce="x"', account=Account("u", "wonderland"))
    session.start("a", "c")

    assert repr(session).startswith("<sipflow.sip.digest.session.Session object")
