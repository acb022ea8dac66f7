"""Client against server: each algorithm, each qop, asked by a server and by a proxy."""

from collections.abc import Sequence

import pytest

from sipflow.sip.digest import Account, DigestClient, DigestServer
from sipflow.sip.digest.algorithms import ALGORITHMS
from sipflow.sip.message import Headers, Request, Response

NAMES = [algorithm.name for algorithm in ALGORITHMS.values()]
REALM = 'the "Zürich" \\ exchange'
JASON = Account('Jäsøn "J" Doe', 'pässword: 100 % \\"')
PASSWORDS = {JASON.username: JASON.password}
URI = "sip:+12065550100@pbx.example.com;user=phone"
BODY = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n\xff\x00"


def server(algorithms: Sequence[str], qop: Sequence[str]) -> DigestServer:
    return DigestServer(
        realm=REALM, secret=b"sixteen octets or more", algorithms=algorithms, qop=qop, nonce_lifetime_s=60
    )


def client(*accounts: Account) -> DigestClient:
    cnonces = iter(f'c"{number}' for number in range(1000))
    return DigestClient(accounts or (JASON,), cnonce=lambda: next(cnonces))


def carrying(lines: Sequence[tuple[str, str]]) -> Request:
    headers = Headers()
    for name, value in lines:
        headers.add(name, value)
    return Request("INVITE", URI, headers, BODY)


def refusing(lines: Sequence[tuple[str, str]], *, cseq: int, proxy: bool) -> Response:
    headers = Headers()
    for name, value in (("Call-ID", "a"), ("CSeq", f"{cseq} INVITE"), *lines):
        headers.add(name, value)
    return Response(407 if proxy else 401, "", headers)


@pytest.mark.parametrize("proxy", [False, True], ids=["401", "407"])
@pytest.mark.parametrize("qop", [(), ("auth",), ("auth-int",), ("auth", "auth-int")], ids="+".join)
@pytest.mark.parametrize("name", NAMES)
def test_what_our_client_answers_our_server_accepts(name: str, qop: tuple[str, ...], proxy: bool) -> None:
    asking, asked = server([name], qop), client()
    challenge = refusing(asking.challenge(now=0.0, proxy=proxy), cseq=1, proxy=proxy)
    lines = asked.authorize(challenge, method="INVITE", uri=URI, body=BODY)
    again = asked.reuse(method="INVITE", uri=URI, body=BODY)

    assert [header for header, _ in lines] == ["Proxy-Authorization" if proxy else "Authorization"]
    assert asking.verify(carrying(lines), PASSWORDS, now=1.0, proxy=proxy).ok
    assert asking.verify(carrying(again), PASSWORDS, now=1.0, proxy=proxy).ok is bool(qop)
    assert not asking.verify(carrying(lines), PASSWORDS, now=1.0, proxy=proxy).ok


@pytest.mark.parametrize("name", NAMES)
def test_of_all_algorithms_the_strongest_that_both_know_is_used(name: str) -> None:
    asking, asked = server(NAMES[NAMES.index(name) :], ["auth"]), client()
    ((_, value),) = asked.authorize(
        refusing(asking.challenge(now=0.0), cseq=1, proxy=False), method="INVITE", uri=URI, body=BODY
    )

    assert f", algorithm={name}, " in value


@pytest.mark.parametrize("qop", [(), ("auth",)], ids=["without qop", "auth"])
def test_an_expired_nonce_costs_one_repetition(qop: tuple[str, ...]) -> None:
    asking, asked = server(["SHA-256"], qop), client()
    first = refusing(asking.challenge(now=0.0), cseq=1, proxy=False)
    late = asking.verify(carrying(asked.authorize(first, method="INVITE", uri=URI, body=BODY)), PASSWORDS, now=61.0)
    second = refusing(asking.challenge(now=61.0, stale=late.stale), cseq=2, proxy=False)
    lines = asked.authorize(second, method="INVITE", uri=URI, body=BODY)

    assert (late.ok, late.stale) == (False, True)
    assert asking.verify(carrying(lines), PASSWORDS, now=61.1).ok


def test_a_wrong_password_ends_after_one_answer() -> None:
    asking, asked = server(["MD5"], ["auth"]), client(Account(JASON.username, "guess"))
    lines = asked.authorize(
        refusing(asking.challenge(now=0.0), cseq=1, proxy=False), method="INVITE", uri=URI, body=BODY
    )
    verdict = asking.verify(carrying(lines), PASSWORDS, now=0.1)
    refused = refusing(asking.challenge(now=0.1, stale=verdict.stale), cseq=2, proxy=False)

    assert (verdict.ok, verdict.stale) == (False, False)
    assert asked.authorize(refused, method="INVITE", uri=URI, body=BODY) == []


def test_a_proxy_and_the_server_behind_it_are_both_content() -> None:
    proxy, asked = server(["MD5"], ["auth"]), client()
    behind = DigestServer(realm="behind", secret=b"another sixteen octets")
    asked.authorize(
        refusing(proxy.challenge(now=0.0, proxy=True), cseq=1, proxy=True), method="INVITE", uri=URI, body=BODY
    )
    lines = asked.authorize(
        refusing(behind.challenge(now=0.1), cseq=2, proxy=False), method="INVITE", uri=URI, body=BODY
    )

    assert proxy.verify(carrying(lines), PASSWORDS, now=0.2, proxy=True).ok
    assert behind.verify(carrying(lines), PASSWORDS, now=0.2).ok
