import asyncio
import errno
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from sipflow.errors import TransportError
from sipflow.net.settings import Settings, TlsSettings
from sipflow.net.tls import TlsContexts, client_context, explain, server_context
from sipflow.sip.hop import Hop
from tests.net.certificates import Certificate, Certificates
from tests.net.fakes import OK, hop_to, listen, request, running, transmit
from tests.net.loops import on_both_loops

pytestmark = pytest.mark.plain  # names in the place of transactions, in most of them


def trusting(certificates: Certificates, **more: Any) -> TlsSettings:
    return replace(TlsSettings(ca=certificates.ca), **more)


def serving(certificate: Certificate, certificates: Certificates, **more: Any) -> Settings:
    tls = TlsSettings(certificate=certificate.certificate, key=certificate.key, ca=certificates.ca)
    return Settings(listen=listen("tls:127.0.0.1:0", "tls:[::1]:0"), tls=replace(tls, **more))


def calling(tls: TlsSettings) -> Settings:
    return Settings(listen=listen("tcp:127.0.0.1:0", "tcp:[::1]:0"), tls=tls)


@asynccontextmanager
async def peer(certificate: Certificate) -> AsyncIterator[Hop]:
    """A server that is not ours: it closes whoever gets through the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield Hop("tls", "127.0.0.1", server.sockets[0].getsockname()[1], server_name="pbx.example.com")
    finally:
        server.close()


@contextmanager
def blunt_peer(certificate: Certificate, newest: ssl.TLSVersion) -> Iterator[Hop]:
    """A server that speaks nothing newer than `newest` and, unlike asyncio, says in an alert why it refuses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.set_ciphers("DEFAULT@SECLEVEL=0")  # lets OpenSSL speak what it no longer should
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as stream:
            stream.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield Hop("tls", "127.0.0.1", listener.getsockname()[1], server_name="pbx.example.com")
        thread.join()


async def failure(tls: TlsSettings, hop: Hop) -> str:
    """Send to `hop` and give the sentence why that fails."""
    async with running(settings=calling(tls)) as (client, core):
        client.perform([transmit(request(), hop, "transaction")])
        await core.until(lambda: bool(core.failed_transactions))
        return client.why(hop)


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("name", ["pbx.example.com", ""])
@on_both_loops
async def test_a_message_and_its_answer_travel_over_tls(certificates: Certificates, position: int, name: str) -> None:
    async with (
        running(settings=serving(certificates.server, certificates)) as (server, server_core),
        running(settings=calling(trusting(certificates))) as (client, client_core),
    ):
        server_core.replies = lambda parsed, hop: [transmit(OK, hop)]

        client.perform([transmit(request(), hop_to(server, position, server_name=name))])
        await client_core.until_received(1)

        assert (server_core.methods, client_core.methods) == (["OPTIONS"], ["200"])
        assert client_core.received[0][1].server_name == name


@pytest.mark.parametrize("position", [0, 1])
@on_both_loops
async def test_over_tls_too_the_port_that_we_name_leads_back_on_the_open_connection(
    certificates: Certificates, position: int
) -> None:
    settings = replace(calling(trusting(certificates)), listen=listen("udp:127.0.0.1:0"))
    async with (
        running(settings=serving(certificates.server, certificates)) as (server, server_core),
        running(settings=settings) as (client, client_core),
    ):
        named = client.local_address(hop_to(server, position))
        client.perform([transmit(request("REGISTER"), named)])
        await server_core.until_received(1)

        server.perform([transmit(request("INVITE"), Hop("tls", named.local_host, named.local_port))])
        await client_core.until_received(1)

        assert (server_core.methods, client_core.methods) == (["REGISTER"], ["INVITE"])
        assert server.counts["connections"] == 1


async def test_after_a_handshake_that_failed_another_port_is_named_and_used(certificates: Certificates) -> None:
    settings = replace(calling(trusting(certificates)), listen=listen("udp:127.0.0.1:0"))
    async with peer(certificates.expired) as hop, running(settings=settings) as (client, core):
        before = client.local_address(hop)
        client.perform([transmit(request(), before, "transaction")])
        await core.until(lambda: bool(core.failed_transactions))

        assert client.local_address(hop).local_port not in (0, before.local_port)


async def test_the_server_is_asked_for_by_name_and_never_by_address(certificates: Certificates) -> None:
    asked: list[str | None] = []
    context = server_context(serving(certificates.server, certificates).tls)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with running(settings=calling(trusting(certificates))) as (client, core):
        for number, name in enumerate(("pbx.example.com", ""), 1):
            client.perform([transmit(request(), Hop("tls", "127.0.0.1", port, server_name=name))])
            await core.until(lambda number=number: len(core.failed_hops) == number)  # type: ignore[misc]
    server.close()

    assert asked == ["pbx.example.com", None]


@pytest.mark.parametrize(
    ("which", "why"),
    [
        (
            "other_host",
            "its certificate is for another name (it names other.example.com, not pbx.example.com)",
        ),
        ("expired", "its certificate has expired: it must be renewed there (certificate has expired)"),
        (
            "stranger",
            "we do not trust the authority of its certificate: set tls.ca to that authority's certificate "
            "(unable to get local issuer certificate)",
        ),
    ],
)
@on_both_loops
async def test_a_server_that_cannot_prove_its_name_is_refused(certificates: Certificates, which: str, why: str) -> None:
    async with peer(getattr(certificates, which)) as hop:
        sentence = await failure(trusting(certificates), hop)

    assert sentence == f"TLS to pbx.example.com (127.0.0.1:{hop.port}) failed: {why}"


async def test_a_server_asked_for_by_address_must_carry_that_address(certificates: Certificates) -> None:
    async with peer(certificates.other_host) as hop:
        sentence = await failure(trusting(certificates), hop._replace(server_name=""))

    assert sentence == (
        f"TLS to 127.0.0.1:{hop.port} failed: its certificate does not carry its IP address: use the name that it does "
        "carry (it names other.example.com, not 127.0.0.1)"
    )


async def test_the_system_does_not_trust_our_authority(certificates: Certificates) -> None:
    async with peer(certificates.server) as hop:
        assert "we do not trust the authority of its certificate" in await failure(TlsSettings(), hop)


@pytest.mark.parametrize("which", ["other_host", "expired", "stranger"])
async def test_without_verification_any_server_will_do(certificates: Certificates, which: str) -> None:
    async with (
        running(settings=serving(getattr(certificates, which), certificates)) as (server, core),
        running(settings=calling(TlsSettings(verify=False))) as (client, _),
    ):
        client.perform([transmit(request(), hop_to(server, server_name="pbx.example.com"))])
        await core.until_received(1)


@pytest.mark.parametrize("name", ["pbx.example.com", "PBX.Example.com", "edge7.example.net"])
@on_both_loops
async def test_a_server_may_prove_its_domain_by_a_sip_uri_or_a_host_name(certificates: Certificates, name: str) -> None:
    async with (
        running(settings=serving(certificates.sip_domain, certificates)) as (server, core),
        running(settings=calling(trusting(certificates))) as (client, _),
    ):
        client.perform([transmit(request(), hop_to(server, server_name=name))])
        await core.until_received(1)


@pytest.mark.parametrize("name", ["other.example.com", "www.example.com"])
@on_both_loops
async def test_a_server_that_names_a_user_or_a_web_site_does_not_prove_that_domain(
    certificates: Certificates, name: str
) -> None:
    async with running(settings=serving(certificates.sip_domain, certificates)) as (server, core):
        sentence = await failure(trusting(certificates), hop_to(server, server_name=name))

        assert f"(it names edge7.example.net, pbx.example.com, not {name})" in sentence
        assert core.received == []


@pytest.mark.parametrize(("ours", "theirs"), [("1.2", ssl.TLSVersion.TLSv1_1), ("1.3", ssl.TLSVersion.TLSv1_2)])
@on_both_loops
async def test_a_server_below_the_configured_floor_is_refused(
    certificates: Certificates, ours: str, theirs: ssl.TLSVersion
) -> None:
    with blunt_peer(certificates.server, theirs) as hop:
        sentence = await failure(trusting(certificates, minimum_version=ours), hop)

    assert sentence.startswith(f"TLS to pbx.example.com (127.0.0.1:{hop.port}) failed: no TLS version in common (")


async def test_a_server_at_the_configured_floor_is_not(certificates: Certificates) -> None:
    with blunt_peer(certificates.server, ssl.TLSVersion.TLSv1_2) as hop:
        async with running(settings=calling(trusting(certificates))) as (client, core):
            client.perform([transmit(request(), hop, "transaction")])
            await core.until(lambda: bool(core.failed_hops))

            assert core.failed_transactions == []


async def test_a_client_below_the_configured_floor_is_refused(certificates: Certificates) -> None:
    old = client_context(trusting(certificates))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    settings = serving(certificates.server, certificates, minimum_version="1.3")
    async with running(settings=settings) as (server, _):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await asyncio.open_connection("127.0.0.1", server.listening[0].port, ssl=old)


@on_both_loops
async def test_a_client_shows_its_certificate_when_asked(certificates: Certificates) -> None:
    ours = certificates.client
    mutual = trusting(certificates, client_certificate=ours.certificate, client_key=ours.key)
    async with (
        running(settings=serving(certificates.server, certificates, verify_client=True)) as (server, core),
        running(settings=calling(mutual)) as (client, _),
    ):
        client.perform([transmit(request(), hop_to(server))])
        await core.until_received(1)


async def test_a_client_without_the_certificate_that_is_asked_for_fails_at_once(certificates: Certificates) -> None:
    async with (
        running(settings=serving(certificates.server, certificates, verify_client=True)) as (server, server_core),
        running(settings=calling(trusting(certificates))) as (client, core),
    ):
        hop = hop_to(server)
        client.perform([transmit(request(), hop, "transaction")])
        await core.until(lambda: bool(core.failed_hops or core.failed_transactions))

        assert server_core.received == []
        assert client.why(hop) != ""


async def test_one_who_speaks_no_tls_to_a_tls_port_is_closed(certificates: Certificates) -> None:
    async with running(settings=serving(certificates.server, certificates)) as (server, core):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.listening[0].port)
        writer.write(request())

        with suppress(ConnectionResetError):
            await reader.read(-1)
        writer.close()
        await asyncio.sleep(0)

        assert core.received == []


async def test_a_peer_without_tls_is_named_as_such(certificates: Certificates) -> None:
    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    plain = await asyncio.start_server(answer, "127.0.0.1", 0)
    hop = Hop("tls", "127.0.0.1", plain.sockets[0].getsockname()[1])
    sentence = await failure(trusting(certificates), hop)
    plain.close()

    assert "the far end does not speak TLS on this port" in sentence


async def test_a_handshake_that_does_not_end_is_given_up(certificates: Certificates) -> None:
    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    settings = calling(trusting(certificates))
    settings = replace(settings, streams=replace(settings.streams, handshake_s=0.1))
    hop = Hop("tls", *server.sockets[0].getsockname())
    async with running(settings=settings) as (client, core):
        client.perform([transmit(request(), hop, "transaction")])
        await core.until(lambda: bool(core.failed_transactions))

        assert client.why(hop).startswith(f"TLS to 127.0.0.1:{hop.port} failed: ")
    server.close()
    for writer in held:
        writer.close()
        await writer.wait_closed()


async def test_one_who_connects_and_never_shakes_hands_is_closed(certificates: Certificates) -> None:
    settings = serving(certificates.server, certificates)
    settings = replace(settings, streams=replace(settings.streams, handshake_s=0.05))
    async with running(settings=settings) as (server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.listening[0].port)
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):
                assert await reader.read(-1) == b""
        writer.close()


async def test_a_context_may_be_chosen_for_each_hop(certificates: Certificates) -> None:
    chosen: list[Hop] = []

    def choose(hop: Hop) -> ssl.SSLContext | None:
        chosen.append(hop)
        return client_context(trusting(certificates)) if hop.server_name == "pbx.example.com" else None

    async with (
        running(settings=serving(certificates.server, certificates)) as (server, core),
        running(settings=calling(TlsSettings()), tls_context=choose) as (client, client_core),
    ):
        client.perform([transmit(request(), hop_to(server, server_name="pbx.example.com"))])
        await core.until_received(1)
        client.perform([transmit(request(), hop_to(server, server_name="localhost"), "refused")])
        await client_core.until(lambda: client_core.failed_transactions == ["refused"])

        assert [hop.server_name for hop in chosen] == ["pbx.example.com", "localhost"]


async def test_no_tickets_are_handed_out_that_nobody_would_use(certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)

    def session_of(port: int) -> ssl.SSLSession | None:
        sock = socket.create_connection(("127.0.0.1", port))
        with context.wrap_socket(sock, server_hostname="pbx.example.com") as stream:
            stream.sendall(b"\r\n\r\n")
            stream.recv(2)
            return stream.session

    async with running(settings=serving(certificates.server, certificates)) as (server, _):
        session = await asyncio.to_thread(session_of, server.listening[0].port)

    assert session is None or not session.has_ticket


async def test_renewed_certificates_serve_the_next_connections(certificates: Certificates, tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"

    def install(which: Certificate) -> None:
        certificate.write_bytes(Path(which.certificate).read_bytes())
        key.write_bytes(Path(which.key).read_bytes())

    install(certificates.expired)
    settings = serving(Certificate(str(certificate), str(key)), certificates)
    async with running(settings=settings) as (server, core):
        hop = hop_to(server)
        assert "has expired" in await failure(trusting(certificates), hop)

        install(certificates.server)
        await server.reload_certificates()
        async with running(settings=calling(trusting(certificates))) as (client, _):
            client.perform([transmit(request(), hop)])
            await core.until_received(1)

        certificate.write_text("nothing of use")
        with pytest.raises(TransportError, match="cannot use certificate"):
            await server.reload_certificates()
        async with running(settings=calling(trusting(certificates))) as (client, _):
            client.perform([transmit(request(), hop)])
            await core.until_received(2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"certificate": "/none/such.pem", "key": "/none/such.key"}, "cannot use certificate /none/such.pem with key"),
        ({"ca": "/none/such.pem"}, "tls.ca: cannot use /none/such.pem: No such file or directory"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    certificates: Certificates, changes: dict[str, Any], sentence: str
) -> None:
    ours = certificates.server
    tls = replace(TlsSettings(certificate=ours.certificate, key=ours.key), **changes)

    with pytest.raises(TransportError) as caught:
        TlsContexts(tls).server()

    assert str(caught.value).startswith(sentence)


@pytest.fixture
def encrypted_key(certificates: Certificates, tmp_path: Path) -> str:
    """The server's key, which "open sesame" opens."""
    plain = serialization.load_pem_private_key(Path(certificates.server.key).read_bytes(), None)
    file = tmp_path / "encrypted.key"
    lock = serialization.BestAvailableEncryption(b"open sesame")
    file.write_bytes(plain.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))
    return str(file)


def test_an_encrypted_key_never_asks_for_its_passphrase_on_the_terminal(
    certificates: Certificates, encrypted_key: str
) -> None:
    with pytest.raises(TransportError) as caught:
        server_context(TlsSettings(certificate=certificates.server.certificate, key=encrypted_key))

    assert str(caught.value) == (
        f"cannot use certificate {certificates.server.certificate} with key {encrypted_key}: the key is encrypted; "
        "set tls.key_passphrase"
    )


async def test_the_passphrase_opens_an_encrypted_key_of_a_listener_and_of_a_client(
    certificates: Certificates, encrypted_key: str
) -> None:
    ours = certificates.server.certificate
    client_tls = trusting(
        certificates, client_certificate=ours, client_key=encrypted_key, client_key_passphrase="open sesame"
    )
    encrypted = serving(Certificate(ours, encrypted_key), certificates, key_passphrase="open sesame")
    async with running(settings=encrypted) as (server, core), running(settings=calling(client_tls)) as (client, _):
        client.perform([transmit(request(), hop_to(server))])
        await core.until_received(1)


@pytest.mark.parametrize("which", ["", "client_"])
def test_a_wrong_passphrase_is_told_by_its_name_and_not_repeated(
    certificates: Certificates, encrypted_key: str, which: str
) -> None:
    wrong = {"certificate": certificates.server.certificate, "key": encrypted_key, "key_passphrase": "open barley"}
    tls = TlsSettings(**{f"{which}{name}": value for name, value in wrong.items()})  # type: ignore[arg-type]

    with pytest.raises(TransportError, match=f"tls.{which}key_passphrase does not open it") as caught:
        client_context(tls)

    assert "barley" not in str(caught.value) + repr(tls)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused: nothing listens there"),
        (TimeoutError(), "no answer in time"),
        (OSError(113, "No route to host"), "No route to host"),
        (TransportError("it is so"), "it is so"),
    ],
)
def test_a_failure_is_explained_with_name_address_and_port(error: Exception, why: str) -> None:
    assert explain(error, Hop("tls", "2001:db8::1", 5061, server_name="pbx.example.com")) == (
        f"TLS to pbx.example.com ([2001:db8::1]:5061) failed: {why}"
    )


def test_why_there_is_no_way_is_told_in_the_words_of_the_system() -> None:
    error = OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.5', 5060)")  # asyncio's own words

    assert explain(error, Hop("tcp", "10.0.0.5", 5060)) == "TCP to 10.0.0.5:5060 failed: No route to host"
