"""Challenges and credentials as they are really written."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.sip.headers.auth import Challenge, Credentials, parse_info, quote

ASTERISK_CHAN_SIP = 'Digest algorithm=MD5, realm="asterisk", nonce="5f2a1b3c"'
ASTERISK_PJSIP = (
    'Digest realm="asterisk",nonce="1718000000/6b0d1f8a5b6c7d8e9f",opaque="3f1d5a2b7c9e0f11",algorithm=MD5,qop="auth"'
)
FREESWITCH = (
    'Digest realm="pbx.example.com", nonce="c7903793-a86b-4129-98f0-e8893d44f3c1", algorithm=MD5, qop="auth,auth-int"'
)
KAMAILIO = 'Digest realm="sip.example.com", nonce="ZkqY0WZKl6XhV9v2m0sP2Q0pJ7+8xA1B", qop="auth"'
CISCO = 'Digest realm="ccmsipline",nonce="Y2lzY28xMjM=",algorithm=MD5,domain="sip:10.0.0.1"'
BROADSOFT = 'DIGEST qop="auth",realm="BroadWorks",algorithm=MD5,nonce="BroadWorksXjx8v2Tl0a"'
TWILIO = (
    'Digest realm="sip.twilio.com", qop="auth",nonce="AbCdEf0123456789-_==",opaque="0ab1",stale=false,algorithm="MD5"'
)


def read(value: str) -> list[tuple[str, dict[str, str]]]:
    return [(challenge.scheme, challenge.params) for challenge in Challenge.parse_all(value)]


@pytest.mark.parametrize(
    ("value", "params"),
    [
        (ASTERISK_CHAN_SIP, {"algorithm": "MD5", "realm": "asterisk", "nonce": "5f2a1b3c"}),
        (
            ASTERISK_PJSIP,
            {
                "realm": "asterisk",
                "nonce": "1718000000/6b0d1f8a5b6c7d8e9f",
                "opaque": "3f1d5a2b7c9e0f11",
                "algorithm": "MD5",
                "qop": "auth",
            },
        ),
        (
            FREESWITCH,
            {
                "realm": "pbx.example.com",
                "nonce": "c7903793-a86b-4129-98f0-e8893d44f3c1",
                "algorithm": "MD5",
                "qop": "auth,auth-int",
            },
        ),
        (KAMAILIO, {"realm": "sip.example.com", "nonce": "ZkqY0WZKl6XhV9v2m0sP2Q0pJ7+8xA1B", "qop": "auth"}),
        (CISCO, {"realm": "ccmsipline", "nonce": "Y2lzY28xMjM=", "algorithm": "MD5", "domain": "sip:10.0.0.1"}),
        (
            BROADSOFT,
            {"qop": "auth", "realm": "BroadWorks", "algorithm": "MD5", "nonce": "BroadWorksXjx8v2Tl0a"},
        ),
        (
            TWILIO,
            {
                "realm": "sip.twilio.com",
                "qop": "auth",
                "nonce": "AbCdEf0123456789-_==",
                "opaque": "0ab1",
                "stale": "false",
                "algorithm": "MD5",
            },
        ),
    ],
    ids=["asterisk chan_sip", "asterisk pjsip", "freeswitch", "kamailio", "cisco", "broadsoft", "twilio"],
)
def test_challenges_of_real_servers_are_read(value: str, params: dict[str, str]) -> None:
    challenge = Challenge.parse(value)

    assert challenge.is_digest
    assert challenge.params == params


@pytest.mark.parametrize(
    ("value", "params"),
    [
        ('Digest realm = "a b" , nonce\t=\t"n"', {"realm": "a b", "nonce": "n"}),
        ("Digest realm=a,nonce=n==", {"realm": "a", "nonce": "n=="}),
        ('Digest Realm="a",NONCE="n"', {"realm": "a", "nonce": "n"}),
        ('Digest realm="a" nonce="n"', {"realm": "a", "nonce": "n"}),
        ('Digest ,, realm="a",,nonce="n",', {"realm": "a", "nonce": "n"}),
        ('Digest realm="a\\"b\\\\c",nonce="\\n"', {"realm": 'a"b\\c', "nonce": "n"}),
        ('Digest realm="a, Digest realm=b",nonce=""', {"realm": "a, Digest realm=b", "nonce": ""}),
        ('Digest realm="Zürich \udcff",nonce="n"', {"realm": "Zürich \udcff", "nonce": "n"}),
        ('Digest realm="a",realm="a"', {"realm": "a"}),
        ("Digest", {}),
    ],
    ids=[
        "blanks around =",
        "no quotes",
        "names in any case",
        "missing comma",
        "empty elements",
        "escapes",
        "a comma and a scheme inside quotes",
        "UTF-8 and octets that are not",
        "one thing said twice",
        "no parameters",
    ],
)
def test_unusual_spellings_are_read(value: str, params: dict[str, str]) -> None:
    assert read(value) == [("Digest", params)]


def test_several_challenges_in_one_value_are_told_apart() -> None:
    value = 'Digest realm="a", nonce="1", algorithm=SHA-256, Digest realm="a", nonce="2",Basic realm="b", NTLM'

    assert read(value) == [
        ("Digest", {"realm": "a", "nonce": "1", "algorithm": "SHA-256"}),
        ("Digest", {"realm": "a", "nonce": "2"}),
        ("Basic", {"realm": "b"}),
        ("NTLM", {}),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        'Digest realm="x"y, nonce="1"',
        'Digest realm="x", realm="y", nonce="1"',
        "Digest :=x, nonce=1",
        'Digest realm="x", ;nonce="1"',
        'Digest realm=x"y", nonce=1',
        "Digest realm=x, nonce=\0",
    ],
)
def test_a_broken_challenge_does_not_hide_a_good_one_beside_it(broken: str) -> None:
    good = ("Digest", {"realm": "a", "nonce": "2"})

    assert read(f'{broken}, Digest realm="a", nonce="2"') == [good]
    assert read(f'Digest realm="a", nonce="2", {broken}') == [good]


@pytest.mark.parametrize("value", ["", " ", ",", "=", '"', '"x"', "=x", 'Digest realm="a', "Digest realm=a\0", "é"])
def test_a_value_without_a_whole_scheme_is_the_peers_fault(value: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Challenge.parse_all(value)
    assert caught.value.status == 400


@pytest.mark.parametrize("value", ["Digest a=b, Digest c=d", 'Digest a="', ""])
def test_parse_wants_exactly_one_scheme(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Credentials.parse(value)


def test_parameters_are_found_in_any_case() -> None:
    challenge = Challenge.parse(KAMAILIO)

    assert (challenge.param("Realm"), challenge.param("opaque")) == ("sip.example.com", None)


def test_a_challenge_quotes_qop_but_neither_algorithm_nor_stale() -> None:
    challenge = Challenge(
        "Digest", {"realm": 'a"b\\', "nonce": "n", "algorithm": "SHA-256", "qop": "auth,auth-int", "stale": "true"}
    )

    assert str(challenge) == (
        'Digest realm="a\\"b\\\\", nonce="n", algorithm=SHA-256, qop="auth,auth-int", stale=true'
    )  # fmt: skip


def test_credentials_quote_neither_algorithm_nor_qop_nor_nc() -> None:
    credentials = Credentials("Digest", {"username": "bob", "qop": "auth", "nc": "00000001", "algorithm": "MD5"})

    assert str(credentials) == 'Digest username="bob", qop=auth, nc=00000001, algorithm=MD5'


def test_a_value_that_is_no_token_is_quoted_wherever_it_stands() -> None:
    assert str(Credentials("Digest", {"algorithm": "MD5, x=y", "qop": ""})) == 'Digest algorithm="MD5, x=y", qop=""'


def test_authentication_info_is_read() -> None:
    assert parse_info('nextnonce="abc", qop=auth,rspauth="",cnonce="x", nc=00000001') == {
        "nextnonce": "abc",
        "qop": "auth",
        "rspauth": "",
        "cnonce": "x",
        "nc": "00000001",
    }


@pytest.mark.parametrize("value", ["Digest nextnonce=a", 'nextnonce="a', "a=b, a=c"])
def test_broken_authentication_info_is_the_peers_fault(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_info(value)


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_a_remote_protocol_error(value: str) -> None:
    for text in (value, f"Digest {value}", f'Digest realm="a",{value}'):
        try:
            found = Challenge.parse_all(text)
        except RemoteProtocolError:
            continue
        assert found


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
VALUES = st.text(
    st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]) | st.sampled_from('"\\,= '), max_size=20
)


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_what_is_written_reads_the_same(params: dict[str, str]) -> None:
    assert Credentials.parse(str(Credentials("Digest", params))).params == params
    assert Challenge.parse(str(Challenge("Digest", params))).params == params


@given(VALUES)
def test_a_quoted_value_is_one_value(text: str) -> None:
    assert Challenge.parse(f"Digest a={quote(text)}").params == {"a": text}


@pytest.mark.parametrize(
    "piece", [",", " ", "a", '"', "\\", "=", 'a="', 'a="\\', ' a="b"c', "Digest ", "a =", "\t,", '\\"', "a,=", 'x"y']
)
def test_reading_time_grows_with_length_only(piece: str) -> None:
    def seconds(length: int) -> float:
        value = "Digest " + piece * (length // len(piece))
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            with suppress(RemoteProtocolError):
                Challenge.parse_all(value)
            best = min(best, time.process_time() - start)
        return best

    assert seconds(64_000) < 80 * seconds(4_000) + 0.02  # linear: 16 times; quadratic: 256 times
