import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from sipflow.errors import TransportError
from sipflow.net.acl import Networks
from sipflow.webhooks.addresses import Guard
from sipflow.webhooks.exchange import Exchange, Reply, shown_headers
from tests.net.certificates import make_certificates
from tests.webhooks.receiver import Answer, Receiver

HEADERS = [("Content-Type", "application/json"), ("X-Sipflow-Event", "post_call")]


class Names:
    """A resolver that a test changes its mind about."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise TransportError(f"no address for {host}: DNS says the name does not exist")
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest_asyncio.fixture
async def exchange(names: Names) -> AsyncIterator[Exchange]:
    made = Exchange(Guard(allowed=Networks(["127.0.0.1/32"]), allow_http=True, resolve=names))
    yield made
    await made.close()


async def post(exchange: Exchange, url: str, *, timeout_s: float = 5.0, most_bytes: int = 1000) -> Reply:
    return await exchange.post(url, b'{"a":1}', HEADERS, timeout_s=timeout_s, most_bytes=most_bytes)


async def test_a_body_is_sent_as_it_is_and_the_answer_is_read(exchange: Exchange, receiver: Receiver) -> None:
    url = receiver.script("/a", Answer(201, b'{"ok":true}', {"X-Kind": "test", "Set-Cookie": "session=1"}))
    reply = await post(exchange, url + "?b=c")

    assert (reply.status, reply.body, reply.body_bytes, reply.cut, reply.error) == (201, b'{"ok":true}', 11, False, "")
    assert reply.header("x-kind") == "test"
    assert ("Set-Cookie", "***") in reply.headers
    assert reply.ttfb_ms is not None
    assert reply.ttfb_ms <= reply.duration_ms
    (got,) = receiver.got
    assert (got.path, got.body) == ("/a?b=c", b'{"a":1}')
    assert got.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/json",
        "x-sipflow-event": "post_call",
        "content-length": "7",
    }


async def test_a_connection_is_used_again(exchange: Exchange, receiver: Receiver) -> None:
    for _ in range(3):
        await post(exchange, receiver.url())

    assert (len(receiver.got), receiver.connections) == (3, 1)


async def test_a_connection_that_was_closed_meanwhile_costs_nobody_an_error(
    exchange: Exchange, receiver: Receiver
) -> None:
    url = receiver.script("/a", Answer(), Answer(reset=True), Answer(202))

    replies = [await post(exchange, url) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 202]
    assert (len(receiver.got), receiver.connections) == (3, 2)


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (Answer(reset=True), None, "the connection was closed before an answer came"),
        (Answer(stall=True), 200, "the answer was not whole within 0.3 s"),
        (Answer(headers={"Content-Length": "no number"}), None, "the answer is not HTTP: "),
    ],
    ids=["reset", "stall", "not http"],
)
async def test_what_goes_wrong_is_told_in_a_sentence(
    exchange: Exchange, receiver: Receiver, answer: Answer, status: int | None, error: str
) -> None:
    reply = await post(exchange, receiver.script("/a", answer), timeout_s=0.3)

    assert (reply.status, reply.error[: len(error)], reply.final) == (status, error, False)


async def test_who_never_answers_is_not_waited_for(exchange: Exchange, receiver: Receiver) -> None:
    began = time.monotonic()
    reply = await post(exchange, receiver.script("/a", receiver.hanging()), timeout_s=0.2)

    assert (reply.status, reply.error) == (None, "no answer within 0.2 s")
    assert 0.2 <= time.monotonic() - began < 2.0


async def test_of_a_huge_answer_only_the_beginning_is_read(exchange: Exchange, receiver: Receiver) -> None:
    reply = await post(exchange, receiver.script("/a", Answer(huge_bytes=1 << 30)), most_bytes=1000)

    assert (reply.status, reply.body, reply.cut, reply.error) == (200, b"x" * 1000, True, "")
    assert reply.duration_ms < 5000


async def test_a_refused_connection_is_told_with_its_address(exchange: Exchange) -> None:
    reply = await post(exchange, "http://127.0.0.1:1/")

    assert (reply.status, reply.error, reply.final) == (None, "127.0.0.1: the connection was refused", False)


async def test_a_redirect_is_an_answer_and_leads_nowhere(exchange: Exchange, receiver: Receiver, names: Names) -> None:
    url = receiver.script("/a", Answer(302, b"", {"Location": "http://169.254.169.254/latest/meta-data/"}))
    reply = await post(exchange, url)

    assert (reply.status, reply.header("location")) == (302, "http://169.254.169.254/latest/meta-data/")
    assert (len(receiver.got), names.asked) == (1, [])


async def test_a_name_that_leads_inside_is_not_connected_to(exchange: Exchange, names: Names) -> None:
    names.answers["intranet.example.com"] = [["10.0.0.5"]]
    reply = await post(exchange, "http://intranet.example.com/")

    assert (reply.status, reply.final) == (None, True)
    assert reply.error.startswith("intranet.example.com is 10.0.0.5, which is private: webhooks may not reach it")


async def test_the_connection_goes_to_the_address_that_was_checked(
    exchange: Exchange, receiver: Receiver, names: Names
) -> None:
    names.answers["rebinding.example.com"] = [["127.0.0.1"], ["10.0.0.5"]]
    url = receiver.url("/a", host="rebinding.example.com")

    first = await post(exchange, url)
    await exchange.close()
    second = await post(exchange, url)

    assert (first.status, names.asked) == (200, ["rebinding.example.com"] * 2)  # asked once for each connection
    assert receiver.got[0].headers["host"] == f"rebinding.example.com:{receiver.port}"
    assert (second.status, second.final) == (None, True)


async def test_the_next_address_of_a_name_is_tried(exchange: Exchange, receiver: Receiver, names: Names) -> None:
    names.answers["two.example.com"] = [["127.0.0.1"]]
    allowing = Exchange(Guard(allowed=Networks(["127.0.0.0/8"]), allow_http=True, resolve=names))
    names.answers["two.example.com"] = [["127.0.0.2", "127.0.0.1"]]
    reply = await post(allowing, receiver.url("/a", host="two.example.com"))
    await allowing.close()

    assert reply.status == 200


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://user:word@example.com/", "the URL must not hold a user and password"),
        ("gopher://example.com/", "the URL must begin with https:// or http://"),
        ("http://192.168.1.1/", "192.168.1.1 is private: webhooks may not reach it"),
    ],
)
async def test_a_url_that_cannot_be_asked_is_final(exchange: Exchange, url: str, error: str) -> None:
    reply = await post(exchange, url)

    assert (reply.error[: len(error)], reply.final) == (error, True)


@pytest.mark.parametrize(
    ("host", "status", "error"),
    [
        ("pbx.example.com", 200, ""),
        ("127.0.0.1", 200, ""),
        ("other.example.com", None, "its certificate is not trusted: Hostname mismatch"),
    ],
)
async def test_the_certificate_is_asked_for_by_the_name_and_not_by_the_address(
    names: Names, tmp_path: Path, host: str, status: int | None, error: str
) -> None:
    names.answers |= {"pbx.example.com": [["127.0.0.1"]], "other.example.com": [["127.0.0.1"]]}
    made = make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.server.certificate, made.server.key)
    guard = Guard(allowed=Networks(["127.0.0.1/32"]), allow_http=False, resolve=names)
    trusting, wary = Exchange(guard, ca_file=made.ca), Exchange(guard)
    async with Receiver(tls) as receiver:
        reply = await post(trusting, receiver.url(host=host))
        stranger = await post(wary, receiver.url(host=host))
        await trusting.close()
        await wary.close()

    assert (reply.status, reply.error[: len(error)]) == (status, error)
    assert (stranger.status, stranger.error[:31]) == (None, "its certificate is not trusted:")


async def test_tls_must_be_spoken_where_the_url_says_so(exchange: Exchange, receiver: Receiver) -> None:
    reply = await post(exchange, receiver.url().replace("http:", "https:"), timeout_s=1.0)

    assert reply.status is None
    assert reply.error


async def test_cancelling_gives_up_at_once(exchange: Exchange, receiver: Receiver) -> None:
    asking = asyncio.create_task(post(exchange, receiver.script("/a", receiver.hanging()), timeout_s=60))
    await receiver.requests(1)
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


def test_secrets_in_headers_are_masked() -> None:
    given = [("Authorization", "Bearer 1"), ("HTTP_SYNTHFLOW_SIGNATURE", "2"), ("X-Api-Key", "3"), ("X-Kind", "4")]

    assert shown_headers(given) == (
        ("Authorization", "***"),
        ("HTTP_SYNTHFLOW_SIGNATURE", "***"),
        ("X-Api-Key", "***"),
        ("X-Kind", "4"),
    )
