"""What a server asks for, and what it lets pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import LocalProtocolError
from sipflow.sip.digest import Account, DigestServer, Verdict
from sipflow.sip.headers.auth import Challenge, Credentials
from sipflow.sip.message import Request
from tests.sip.digest.exchange import PASSWORDS, SECRET, URI, client, request, response, server

OK = Verdict(True, False, "alice", "'alice' is authenticated")


def credentials(asking: DigestServer, *, now: float = 0.0, uri: str = URI, password: str = "wonderland") -> Credentials:
    """What alice answers to a fresh challenge of `asking`, to be spoiled by the test."""
    alice = client(Account("alice", password))
    ((_, value),) = alice.authorize(response(*asking.challenge(now=now)), method="INVITE", uri=uri, body=b"body")
    return Credentials.parse(value)


def carrying(shown: Credentials | str, **settings: str) -> Request:
    return request([("Authorization", str(shown))], body=b"body", **settings)


def spoilt(shown: Credentials, **changes: str | None) -> Credentials:
    """The same credentials with some parameters changed, or left out where None."""
    params = shown.params | changes
    return Credentials("Digest", {name: value for name, value in params.items() if value is not None})


def test_challenges_are_offered_strongest_first_with_one_nonce() -> None:
    headers = server(("MD5", "SHA-512-256", "SHA-256"), qop=("auth", "auth-int")).challenge(now=5.0)
    nonce = Challenge.parse(headers[0][1]).params["nonce"]

    assert headers == [
        (
            "WWW-Authenticate",
            f'Digest realm="pbx.example.com", nonce="{nonce}", algorithm={algorithm}, qop="auth,auth-int"',
        )
        for algorithm in ("SHA-512-256", "SHA-256", "MD5")
    ]


def test_a_stale_challenge_of_a_proxy_without_qop_is_written_so() -> None:
    ((name, value),) = server(qop=()).challenge(now=5.0, stale=True, proxy=True)

    assert name == "Proxy-Authenticate"
    assert value.endswith(", algorithm=MD5, stale=true")


def test_no_two_challenges_share_a_nonce() -> None:
    asking = server()

    assert len({asking.challenge(now=1.0)[0][1] for _ in range(100)}) == 100


def test_the_default_is_sha256_and_md5_with_auth() -> None:
    asking = DigestServer(realm="r", secret=SECRET)

    assert [value.partition(", algorithm=")[2] for _, value in asking.challenge(now=0)] == [
        'SHA-256, qop="auth"',
        'MD5, qop="auth"',
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithms": ()},
        {"algorithms": ("MD5", "SHA-1")},
        {"qop": ("auth", "auth-conf")},
        {"secret": b"short"},
        {"realm": "a\r\nb"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError):
        DigestServer(**({"realm": "r", "secret": SECRET} | settings))  # type: ignore[arg-type]


def test_right_credentials_are_good() -> None:
    asking = server()

    assert asking.verify(carrying(credentials(asking)), PASSWORDS, now=1.0) == OK


def test_passwords_may_come_from_a_function() -> None:
    asking = server()

    assert asking.verify(carrying(credentials(asking)), PASSWORDS.get, now=1.0) == OK


def test_a_verdict_is_as_true_as_it_is_ok() -> None:
    assert OK
    assert not Verdict(False, True, "alice", "the nonce has expired")


def test_a_count_must_grow_and_may_skip() -> None:
    asking = server()
    alice = client()
    first = alice.authorize(response(*asking.challenge(now=0.0)), method="INVITE", uri=URI)
    second, third, fourth = (alice.reuse(method="INVITE", uri=URI) for _ in range(3))
    verdicts = [asking.verify(request(lines), PASSWORDS, now=1.0) for lines in (first, third, third, second, fourth)]

    assert [verdict.ok for verdict in verdicts] == [True, True, False, False, True]
    assert verdicts[2] == Verdict(False, False, "alice", "nonce count 00000003 was used before: a replay")


def test_a_captured_request_is_no_good_a_second_time() -> None:
    asking = server()
    captured = carrying(credentials(asking))

    assert asking.verify(captured, PASSWORDS, now=1.0).ok
    assert not asking.verify(captured, PASSWORDS, now=1.0).ok
    assert not asking.verify(captured, PASSWORDS, now=1000.0).ok


def test_without_qop_a_nonce_works_once() -> None:
    asking = server(qop=())
    captured = carrying(credentials(asking))

    assert asking.verify(captured, PASSWORDS, now=1.0) == OK
    assert asking.verify(captured, PASSWORDS, now=1.0) == Verdict(
        False, True, "alice", "without qop a nonce works once, and this one was used before"
    )


def test_a_client_that_knows_no_qop_is_taken_by_md5_and_its_nonce_works_once() -> None:
    asking = server(("MD5",))
    nonce = asking.challenge(now=0.0)[0][1].split('nonce="')[1].split('"')[0]
    unaware = client().authorize(
        response(("WWW-Authenticate", f'Digest realm="pbx.example.com", nonce="{nonce}"')), method="INVITE", uri=URI
    )

    empty = [(name, f'{value}, qop=""') for name, value in unaware]

    assert [asking.verify(request(lines), PASSWORDS, now=1.0).ok for lines in (unaware, unaware, empty)] == [
        True,
        False,
        False,
    ]


def test_an_expired_nonce_is_stale_if_the_password_is_right() -> None:
    asking = server(nonce_lifetime_s=60)
    shown, wrong = credentials(asking), credentials(asking, password="guess")

    assert asking.verify(carrying(shown), PASSWORDS, now=60.1) == Verdict(
        False, True, "alice", "the nonce has expired"
    )  # fmt: skip
    assert asking.verify(carrying(wrong), PASSWORDS, now=60.1) == Verdict(
        False, False, "alice", "the password of 'alice' is wrong"
    )


def test_a_nonce_from_before_a_restart_is_stale_if_the_password_is_right() -> None:
    before = DigestServer(realm="pbx.example.com", secret=b"another secret of yesterday", algorithms=("MD5",))
    shown, wrong = credentials(before), credentials(before, password="guess")

    assert server().verify(carrying(shown), PASSWORDS, now=1.0) == Verdict(
        False, True, "alice", "the nonce was not given out since the last start"
    )
    assert server().verify(carrying(wrong), PASSWORDS, now=1.0).stale is False


def test_a_nonce_of_the_clients_own_making_is_neither_good_nor_stale() -> None:
    alice = client()
    own = 'Digest realm="pbx.example.com", nonce="mine", algorithm=MD5, qop="auth"'
    lines = alice.authorize(response(own), method="INVITE", uri=URI)

    assert server().verify(request(lines), PASSWORDS, now=1.0) == Verdict(
        False, False, "alice", "the nonce was never given out here"
    )


def test_a_wrong_password_uses_up_no_nonce() -> None:
    asking = server()
    good = credentials(asking)

    assert not asking.verify(carrying(spoilt(good, response="0" * 32)), PASSWORDS, now=1.0).ok
    assert asking.verify(carrying(good), PASSWORDS, now=1.0) == OK


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"response": "0" * 32}, "the password of 'alice' is wrong"),
        ({"response": "é" * 32}, "the password of 'alice' is wrong"),
        ({"response": ""}, "the password of 'alice' is wrong"),
        ({"nonce": "x"}, "the password of 'alice' is wrong"),
        ({"cnonce": "other"}, "the password of 'alice' is wrong"),
        ({"nc": "00000002"}, "the password of 'alice' is wrong"),
        ({"username": "bob"}, "there is no account 'bob' with a password"),
        ({"username": ""}, "there is no account '' with a password"),
        ({"username": None}, "the credentials lack username"),
        ({"nonce": None}, "the credentials lack nonce"),
        ({"uri": None}, "the credentials lack uri"),
        ({"response": None}, "the credentials lack response"),
        ({"cnonce": None}, "the credentials lack cnonce"),
        ({"cnonce": ""}, "the credentials lack cnonce"),
        ({"qop": None}, "the credentials lack qop"),
        ({"qop": "auth-int"}, "the qop 'auth-int' was not offered"),
        ({"algorithm": "MD5"}, "the algorithm 'MD5' was not offered"),
        ({"algorithm": None}, "the algorithm 'MD5' was not offered"),
        ({"algorithm": "SHA-256-sess"}, "the algorithm 'SHA-256-sess' was not offered"),
        ({"algorithm": "ROT13"}, "the algorithm 'ROT13' was not offered"),
        ({"nc": None}, "the nonce count is not eight hexadecimal digits"),
        ({"nc": "1"}, "the nonce count is not eight hexadecimal digits"),
        ({"nc": "+0000001"}, "the nonce count is not eight hexadecimal digits"),
        ({"nc": "٠٠٠٠٠٠٠١"}, "the nonce count is not eight hexadecimal digits"),
        ({"nc": "9" * 5000}, "the nonce count is not eight hexadecimal digits"),
        ({"realm": "evil"}, "the credentials are for the realm 'evil', not 'pbx.example.com'"),
        ({"realm": None}, "the Authorization header names no realm"),
        ({"uri": "sip:bob@evil"}, f"the digest is for 'sip:bob@evil', the request for '{URI}'"),
        ({"uri": "x" * 500}, f"the digest is for '{'x' * 80}...', the request for '{URI}'"),
    ],
)  # fmt: skip
def test_each_fault_is_named(changes: dict[str, str | None], reason: str) -> None:
    asking = server(("SHA-256",))
    verdict = asking.verify(carrying(spoilt(credentials(asking), **changes)), PASSWORDS, now=1.0)

    assert verdict == Verdict(False, False, verdict.username, reason)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Basic YWxpY2U6cA==", "the scheme is 'Basic', not Digest"),
        ("NoOneKnowsThisScheme opaque-data=here", "the scheme is 'NoOneKnowsThisScheme', not Digest"),
        ('Digest realm="a', "the Authorization header cannot be read"),
        ("", "the Authorization header cannot be read"),
    ],
)
def test_other_headers_are_named(value: str, reason: str) -> None:
    assert server().verify(carrying(value), PASSWORDS, now=1.0) == Verdict(False, False, "", reason)


def test_no_credentials_at_all_is_said_so() -> None:
    assert server().verify(request(), PASSWORDS, now=1.0).reason == "the request has no Authorization header"
    assert server().verify(request(), PASSWORDS, now=1.0, proxy=True).reason == (
        "the request has no Proxy-Authorization header"
    )


def test_credentials_for_a_proxy_are_none_for_a_server() -> None:
    asking = server()
    lines = [("Proxy-Authorization", str(credentials(asking)))]

    assert not asking.verify(request(lines), PASSWORDS, now=1.0).ok
    assert asking.verify(request(lines, body=b"body"), PASSWORDS, now=1.0, proxy=True).ok


def test_ours_are_found_among_other_realms_and_schemes() -> None:
    asking = server()
    shown = str(credentials(asking))
    others = ['Basic realm="x"', 'Digest realm="a', 'Digest realm="other", username="alice"']

    assert asking.verify(request([("Authorization", value) for value in [*others, shown]]), PASSWORDS, now=1.0) == OK


def test_an_account_without_a_password_lets_nobody_in() -> None:
    asking = server()
    verdict = asking.verify(carrying(credentials(asking, password="")), {"alice": ""}, now=1.0)

    assert verdict == Verdict(False, False, "alice", "there is no account 'alice' with a password")


@pytest.mark.parametrize(
    ("claimed", "good"),
    [
        ("sip:bob@PBX.example.com", True),
        ("sip:%62ob@pbx.example.com", True),
        ("sip:bob@pbx.example.com:5061", False),
        ("sips:bob@pbx.example.com", False),
        ("sip:carol@pbx.example.com", False),
        ("tel:+12065550100", False),
        ("no uri", False),
        ("", False),
    ],
)
def test_the_digest_must_be_for_the_request_uri_or_an_equivalent_one(claimed: str, good: bool) -> None:
    asking = server()

    assert asking.verify(carrying(credentials(asking, uri=claimed)), PASSWORDS, now=1.0).ok is good


def test_the_method_and_with_auth_int_the_body_are_covered() -> None:
    asking = server(qop=("auth-int",))
    shown = credentials(asking)

    assert not asking.verify(carrying(shown, method="BYE"), PASSWORDS, now=1.0).ok
    assert not asking.verify(request([("Authorization", str(shown))], body=b"other"), PASSWORDS, now=1.0).ok
    assert asking.verify(carrying(shown), PASSWORDS, now=1.0) == OK


def test_upper_case_hex_is_the_same_digest() -> None:
    asking = server()
    shown = credentials(asking)

    assert asking.verify(carrying(spoilt(shown, response=shown.params["response"].upper())), PASSWORDS, now=1.0) == OK


def test_quotes_around_algorithm_qop_and_count_are_read() -> None:
    asking = server()
    value = str(credentials(asking))
    for name, text in (("algorithm", "MD5"), ("qop", "auth"), ("nc", "00000001")):
        value = value.replace(f"{name}={text}", f'{name} = "{text}"')

    assert '= "MD5"' in value
    assert asking.verify(carrying(value), PASSWORDS, now=1.0) == OK


def test_a_flood_of_wrong_answers_is_not_remembered() -> None:
    asking = server()
    for _ in range(100):
        asking.verify(carrying(credentials(asking, password="guess")), PASSWORDS, now=1.0)

    assert len(asking._nonces) == 0


def test_no_secret_is_in_a_reason_or_a_repr() -> None:
    asking = server()
    reasons = [
        asking.verify(carrying(credentials(asking, now=at, password=password)), PASSWORDS, now=1000.0)
        for at in (0.0, 1000.0)
        for password in ("wonderland", "guess")
    ]
    told = f"{reasons} {asking!r}"

    assert not [secret for secret in ("wonderland", "guess", "sixteen") if secret in told]


NAMES = st.sampled_from(
    ["username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce", "opaque", "userhash"]
)
VALUES = st.text(max_size=50) | st.sampled_from(
    ["alice", "pbx.example.com", URI, "MD5", "SHA-256", "MD5-sess", "auth", "00000001", "A" * 40, "0" * 32]
)
ANYTHING = st.text(max_size=300) | st.dictionaries(NAMES, VALUES).map(lambda params: str(Credentials("Digest", params)))


@given(st.lists(ANYTHING, max_size=3), st.booleans())
def test_broken_credentials_never_pass_and_never_raise(values: list[str], proxy: bool) -> None:
    asking = server(("MD5", "MD5-sess", "SHA-256"))
    name = "Proxy-Authorization" if proxy else "Authorization"
    lines = [(name, value) for value in values if not set(value) & set("\r\n\0")]

    assert not asking.verify(request(lines), PASSWORDS, now=1.0, proxy=proxy).ok


@given(st.dictionaries(NAMES, VALUES, max_size=2))
def test_credentials_with_a_part_exchanged_never_pass(changes: dict[str, str]) -> None:
    asking = server()
    good = credentials(asking)
    bad = spoilt(good, **changes)
    same = all(good.params.get(name) == value for name, value in changes.items() if name not in ("opaque", "userhash"))
    if set(str(bad)) & set("\r\n\0"):
        return

    assert asking.verify(carrying(bad), PASSWORDS, now=1.0).ok is same
