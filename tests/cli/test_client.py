"""Finding the daemon and its token, and saying in words what is wrong, over real HTTP."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sipflow.cli.client import CONFIG, FORBIDDEN, NOT_FOUND, UNAVAILABLE, USAGE, Client
from sipflow.errors import ClientError
from tests.net.certificates import Certificate, Certificates, make_certificates

TOKEN, OTHER = "a-token-of-the-configuration", "a-token-of-the-environment"


class Far(HTTPServer):
    """A server that answers each path as told, and remembers the tokens it was shown."""

    def __init__(self, answers: dict[str, tuple[int, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answers = answers
        self.shown: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    server: Far

    def do_GET(self) -> None:
        self.server.shown.append(self.headers.get("Authorization", ""))
        status, body = self.server.answers[self.path.partition("?")[0]]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def refusal(sentence: str) -> str:
    return json.dumps({"detail": {"description": sentence}})


@pytest.fixture
def far() -> Iterator[Far]:
    with Far({
        "/good": (200, '{"status": "ok", "response": {"a": 1}}'),
        "/none": (404, refusal("there is no call 'x'")),
        "/mine": (403, refusal("this token may not do that")),
        "/whose": (401, refusal("this token is unknown")),
        "/away": (503, refusal("the store cannot be used")),
        "/odd": (200, "<html>"),
        "/proxy": (502, "<html>Bad Gateway"),
    }) as server:  # fmt: skip
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def configured(folder: Path, text: str) -> Path:
    file = folder / "sipflow.yaml"
    file.write_text(text + "agents: {echo: {handler: echo}}\n", encoding="utf-8")
    return file


def failed(config: Path, **environ: str) -> ClientError:
    with pytest.raises(ClientError) as refused:
        Client.find(config, environ=environ)
    return refused.value


def test_the_configuration_says_where_the_daemon_is_and_which_token_opens_it(tmp_path: Path, far: Far) -> None:
    port = far.server_address[1]
    file = configured(tmp_path, f"api: {{listen: '0.0.0.0:{port}', tokens: [{TOKEN}]}}\n")
    with Client.find(file, environ={}) as client:
        assert client.get("/good") == {"a": 1}

    assert (client.url, far.shown) == (far.url, [f"Bearer {TOKEN}"])


def test_the_environment_goes_first_and_a_token_of_the_configuration_is_for_nobody_else(
    tmp_path: Path, far: Far
) -> None:
    file = configured(tmp_path, f"api: {{tokens: [{TOKEN}]}}\n")
    with Client.find(file, environ={"SIPFLOW_URL": far.url, "SIPFLOW_TOKEN": OTHER}) as client:
        client.get("/good")
    missing = failed(file, SIPFLOW_URL=far.url)

    assert far.shown == [f"Bearer {OTHER}"]
    assert missing.status == CONFIG
    assert str(missing).startswith(f"there is no token for {far.url}: set SIPFLOW_TOKEN to one")


def test_a_token_that_only_the_daemon_can_read_is_asked_for(tmp_path: Path) -> None:
    file = configured(tmp_path, "api: {tokens: ['${A_TOKEN_OF_THE_DAEMON}']}\n")
    missing = failed(file)
    with Client.find(file, environ={"SIPFLOW_TOKEN": OTHER}) as client:
        assert client.url == "http://127.0.0.1:8080"

    assert str(missing).startswith("there is no token for http://127.0.0.1:8080: set SIPFLOW_TOKEN")


def test_an_api_with_a_certificate_is_asked_by_https(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    text = f"api: {{listen: '[::1]:8443', certificate: server.pem, key: server.key, tokens: [{TOKEN}]}}\n"
    with Client.find(configured(tmp_path, text), environ={}) as client:
        assert client.url == "https://[::1]:8443"
    (tmp_path / "server.pem").write_text("anything")
    assert "server.pem cannot be used" in str(failed(configured(tmp_path, text)))


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[Far, Certificates]]:
    """A server that shows a certificate of an authority that nobody here knows, for another name than its address."""
    made = make_certificates(tmp_path)
    with Far({"/good": (200, '{"status": "ok", "response": {"a": 1}}')}) as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(made.other_host.certificate, made.other_host.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server, made
        server.shutdown()
        thread.join()


def test_the_certificate_of_the_configuration_is_trusted_whatever_name_is_in_it_and_no_other(
    tmp_path: Path, secured: tuple[Far, Certificates], monkeypatch: pytest.MonkeyPatch
) -> None:
    far, made = secured
    port = far.server_address[1]

    def asked(certificate: Certificate, **environ: str) -> object:
        text = f"api:\n  listen: 127.0.0.1:{port}\n  certificate: {certificate.certificate}\n  key: {certificate.key}\n"
        with Client.find(configured(tmp_path, text), environ={"SIPFLOW_TOKEN": OTHER, **environ}) as client:
            return client.get("/good")

    assert asked(made.other_host) == {"a": 1}
    with pytest.raises(
        ClientError, match=r"it shows no good certificate, or another than .*server\.pem: .*; restart it"
    ):
        asked(made.server)
    with pytest.raises(ClientError, match=r"its certificate is not trusted: .*; SSL_CERT_FILE names a file"):
        asked(made.other_host, SIPFLOW_URL=f"https://127.0.0.1:{port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
    with pytest.raises(ClientError, match=r"for another name: .*mismatch.*; write a name that is in it into SIPFLOW_U"):
        asked(made.other_host, SIPFLOW_URL=f"https://127.0.0.1:{port}")
    with pytest.raises(ClientError, match="is it https instead"):
        asked(made.other_host, SIPFLOW_URL=f"http://127.0.0.1:{port}")


def test_a_configuration_without_an_api_or_none_at_all_is_said(tmp_path: Path) -> None:
    without, nowhere = failed(configured(tmp_path, "")), failed(tmp_path / "nope.yaml")

    assert "opens no API" in str(without)
    assert "SIPFLOW_URL and SIPFLOW_TOKEN" in str(without)
    assert "cannot be read" in str(nowhere)
    assert "name its configuration with --config, or set SIPFLOW_URL and SIPFLOW_TOKEN" in str(nowhere)
    assert (without.status, nowhere.status) == (CONFIG, CONFIG)


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/none", NOT_FOUND, "there is no call 'x'"),
        ("/mine", FORBIDDEN, "this token may not do that"),
        (
            "/whose",
            FORBIDDEN,
            "this token is unknown; SIPFLOW_TOKEN or `api.tokens` has it, `sipflow token create` makes",
        ),
        ("/away", UNAVAILABLE, "the store cannot be used"),
        ("/odd", UNAVAILABLE, "does not answer as sipflow does"),
        ("/proxy", UNAVAILABLE, "answered 502"),
    ],
)
def test_each_refusal_is_a_sentence_and_an_exit_status(far: Far, path: str, status: int, sentence: str) -> None:
    with Client(far.url, TOKEN) as client, pytest.raises(ClientError) as refused:
        client.get(path)

    assert (refused.value.status, sentence in str(refused.value)) == (status, True)


def test_a_daemon_that_does_not_run_is_said_with_what_to_look_at() -> None:
    with Client("http://127.0.0.1:1", TOKEN) as client, pytest.raises(ClientError) as refused:
        client.get("/good")

    assert refused.value.status == UNAVAILABLE
    why = "Connection refused; does the daemon run, and has it an `api:` section?"
    assert str(refused.value) == f"http://127.0.0.1:1 cannot be reached: {why}"


def test_a_url_or_token_that_is_none_is_said() -> None:
    with pytest.raises(ClientError) as refused:
        Client("http://[::1", TOKEN)
    with pytest.raises(ClientError) as unsendable:
        Client("http://127.0.0.1:1", "tokén")
    with pytest.raises(ClientError, match=r"'127\.0\.0\.1:8080' begins with neither http:// nor https://") as bare:
        Client("127.0.0.1:8080", TOKEN)

    assert (refused.value.status, unsendable.value.status, bare.value.status) == (USAGE, USAGE, USAGE)
