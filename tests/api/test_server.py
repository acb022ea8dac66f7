import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sipflow.api.server import ApiServer
from sipflow.api.settings import Settings
from sipflow.errors import TransportError
from sipflow.store.settings import Settings as StoreSettings
from tests.api.stage import ADMIN, stage
from tests.net.certificates import make_certificates

FREE = Settings(port=0)


@asynccontextmanager
async def serving(store: StoreSettings, folder: Path, settings: Settings = FREE) -> AsyncIterator[ApiServer]:
    async with stage(store, folder, settings=settings) as api:
        server = ApiServer(api.app, settings)
        await server.start()
        try:
            yield server
        finally:
            await server.close()


async def said(server: ApiServer, *sent: bytes, pause_s: float = 0.0) -> bytes:
    """Send these octets, and read until the server closes the connection."""
    reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
    for part in sent:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause_s)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def test_requests_are_answered_over_http(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    async with serving(sqlite_settings, tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        health = await client.get("/v2/health")
        closed = await client.get("/v2/numbers")
        opened = await client.get("/v2/numbers", headers={"Authorization": f"Bearer {ADMIN}"})

    assert (health.status_code, closed.status_code, opened.status_code) == (200, 401, 200)
    assert health.json()["status"] == "ok"
    assert "server" not in health.headers


async def test_answers_do_not_wait_for_acknowledgements(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    """Head and body are two writes: with Nagle's algorithm each answer would take 40 ms."""
    async with serving(sqlite_settings, tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        took_s = []
        for _ in range(40):
            begun = asyncio.get_running_loop().time()
            await client.get("/v2/health")
            took_s.append(asyncio.get_running_loop().time() - begun)

    assert min(took_s) < 0.03


async def test_whoever_sends_too_much_reads_why_it_is_not_taken(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(48):
            yield b" " * 65536

    async with (
        serving(sqlite_settings, tmp_path) as server,
        httpx.AsyncClient(base_url=server.url, headers=headers) as client,
    ):
        whole = await client.post("/v2/custom-numbers", content=b" " * 3 * 2**20)
        in_parts = await client.post("/v2/custom-numbers", content=parts())

    assert (whole.status_code, in_parts.status_code) == (413, 413)
    assert whole.json()["detail"]["description"] == "the body is larger than 1048576 bytes"


async def test_after_close_nobody_listens_and_the_port_is_free(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    async with serving(sqlite_settings, tmp_path) as server:
        address = server.address

    again = ApiServer(None, Settings(port=address.port))
    await again.start()
    await again.close()


async def test_a_port_that_somebody_has_is_told_in_words(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    async with serving(sqlite_settings, tmp_path) as server:
        second = ApiServer(None, Settings(port=server.address.port))
        with pytest.raises(TransportError) as refusal:
            await second.start()

    assert str(refusal.value) == (
        f"the API cannot listen on {server.address}: another program (or another sipflow) has this port; "
        "stop it or choose another port"
    )


async def test_it_speaks_tls_where_it_has_a_certificate(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    settings = replace(FREE, certificate=made.server.certificate, key=made.server.key)
    trust = ssl.create_default_context(cafile=made.ca)
    async with (
        serving(sqlite_settings, tmp_path, settings) as server,
        httpx.AsyncClient(verify=trust) as client,
    ):
        answer = await client.get(f"https://localhost:{server.address.port}/v2/health")

    assert answer.status_code == 200
    assert server.url.startswith("https://127.0.0.1:")


async def shown(server: ApiServer) -> str:
    """Connect, and give the certificate that is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(server.address.host, server.address.port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return ssl.DER_cert_to_PEM_cert(found)


async def test_renewed_files_are_shown_after_a_reload_and_broken_ones_never(tmp_path: Path) -> None:
    made, files = make_certificates(tmp_path), (tmp_path / "now.pem", tmp_path / "now.key")
    first, other = (Path(each.certificate).read_text() for each in (made.server, made.other_host))  # noqa: ASYNC240

    def put(certificate: str, key: str) -> None:
        files[0].write_text(Path(certificate).read_text())
        files[1].write_text(Path(key).read_text())

    put(made.server.certificate, made.server.key)
    server = ApiServer(None, replace(FREE, certificate=str(files[0]), key=str(files[1])))
    await server.start()
    try:
        seen = [await shown(server)]
        put(made.other_host.certificate, made.other_host.key)
        server.reload_certificate()
        seen.append(await shown(server))
        put(made.server.certificate, made.other_host.key)
        with pytest.raises(TransportError, match="the key does not belong to the certificate"):
            server.reload_certificate()
        seen.append(await shown(server))
    finally:
        await server.close()

    assert [first.startswith(seen[0]), *(other.startswith(each) for each in seen[1:])] == [True, True, True]
    assert first != other


async def test_a_certificate_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "not.pem"
    file.write_text("no certificate")
    server = ApiServer(None, replace(FREE, certificate=str(file), key=str(file)))

    with pytest.raises(
        TransportError, match=r"the API cannot use certificate .*: one of the two is no PEM file, or is damaged"
    ):
        await server.start()


async def test_whoever_says_nothing_or_drips_a_head_is_let_go(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    settings = replace(FREE, idle_timeout_s=1.0)
    async with serving(sqlite_settings, tmp_path, settings) as server:
        silent, dripping = await asyncio.gather(
            said(server), said(server, b"GET /v2/health HTTP/1.1\r\n", b"X-A: 1\r\n", b"X-B: 2\r\n", pause_s=0.3)
        )

    assert (silent, dripping) == (b"", b"")


async def test_whoever_takes_nothing_of_an_answer_is_let_go() -> None:
    """Else a few who ask for large recordings, and read none of them, keep everybody out."""
    given_up = asyncio.Event()

    async def endless(_scope: object, _receive: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b" " * 100_000, "more_body": True})
        given_up.set()  # nobody waits for who is gone

    server = ApiServer(endless, replace(FREE, idle_timeout_s=1.0))
    await server.start()
    _, writer = await asyncio.open_connection(server.address.host, server.address.port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        await given_up.wait()
    writer.close()
    await server.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v2/health HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000,
        b"GET /v2/health HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 5_000,
        b"GET /v2/health" + b"a" * 40_000,
        b"GET /v2/health HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /v2/health HTTP/1.1\r\nX-A: " + b"a" * 80_000,
    ],
)
async def test_a_head_without_end_is_refused(sqlite_settings: StoreSettings, tmp_path: Path, sent: bytes) -> None:
    async with serving(sqlite_settings, tmp_path) as server:
        answer = await said(server, sent[:20_000], sent[20_000:], pause_s=0.02)

    assert b"HTTP/1.1 400 Bad Request\r\n" in answer
    assert answer.endswith(b"Invalid HTTP request received.")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /v2/h\xe4lth HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/health HTTP/9.9\r\nHost: x\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v2/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/calls HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_what_is_no_http_is_refused(sqlite_settings: StoreSettings, tmp_path: Path, sent: bytes) -> None:
    async with serving(sqlite_settings, tmp_path) as server:
        answer = await said(server, sent)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_requests_sent_behind_each_other_are_answered_in_order(
    sqlite_settings: StoreSettings, tmp_path: Path
) -> None:
    head = f"Host: x\r\nAuthorization: Bearer {ADMIN}\r\n"
    create = f"POST /v2/phonebooks HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 16\r\n\r\n"
    trailing = f"GET /v2/health HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n0\r\nX-After: 1\r\n\r\n"
    last = f"GET /v2/nothing HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    async with serving(sqlite_settings, tmp_path) as server:
        answer = await said(server, f'{create}{{"name": "team"}}{trailing}{last}'.encode())

    assert re.findall(rb"HTTP/1.1 ([0-9]{3}) ", answer) == [b"200", b"200", b"404"]


async def test_a_body_may_be_longer_than_a_head_and_come_at_once_after_it(
    sqlite_settings: StoreSettings, tmp_path: Path
) -> None:
    body = json.dumps({"name": "x" * 60_000}).encode()
    head = f"POST /v2/trunks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with serving(sqlite_settings, tmp_path) as server:
        answers = [await said(server, head.encode(), body, pause_s=0.1) for _ in range(5)]

    assert [b'"category":"validation_error"' in answer for answer in answers] == [True] * 5


async def test_a_body_that_does_not_come_in_time_is_not_waited_for(
    sqlite_settings: StoreSettings, tmp_path: Path
) -> None:
    head = (
        f"POST /v2/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\n"
        "Content-Type: application/json\r\nContent-Length: 40\r\n\r\n"
    )
    async with serving(sqlite_settings, tmp_path, replace(FREE, body_timeout_s=0.2)) as server:
        answer = await said(server, head.encode(), b'{"name": ')

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["detail"]["description"] == "the body did not come in time"


async def test_more_requests_at_once_than_connections_are_allowed_are_told_to_come_back(
    sqlite_settings: StoreSettings, tmp_path: Path
) -> None:
    half = b"POST /v2/phonebooks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + ADMIN.encode()
    half += b"\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n"
    async with serving(sqlite_settings, tmp_path, replace(FREE, max_connections=2)) as server:
        busy = [await asyncio.open_connection(server.address.host, server.address.port) for _ in range(2)]
        for _, writer in busy:
            writer.write(half)
        await asyncio.sleep(0.05)
        answer = await said(server)
        for _, writer in busy:
            writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert json.loads(body)["detail"]["category"] == "unavailable"


async def test_whoever_only_holds_connections_makes_room_the_longest_idle_first(
    sqlite_settings: StoreSettings, tmp_path: Path
) -> None:
    async with serving(sqlite_settings, tmp_path, replace(FREE, max_connections=3)) as server:
        idle = [await asyncio.open_connection(server.address.host, server.address.port) for _ in range(3)]
        for _, writer in idle[1:]:
            writer.write(b"GET /healthz HTTP/1.1\r\nX-Never-Ending: ")
        asked = b"GET /v2/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answers = [await said(server, asked) for _ in range(2)]
        first = await idle[0][0].read()
        still = [not reader.at_eof() for reader, _ in idle[1:]]
        for _, writer in idle:
            writer.close()

    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 2
    assert (first, still) == (b"", [True, True])


async def test_requests_under_way_are_answered_before_it_closes(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    async with serving(sqlite_settings, tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        body = {"name": "CRM", "scopes": ["admin"]}
        headers = {"Authorization": f"Bearer {ADMIN}"}
        asking = asyncio.ensure_future(client.post("/v2/tokens", json=body, headers=headers))
        await asyncio.sleep(0.02)
        await server.close()
        answer = await asking

    assert answer.status_code == 200
