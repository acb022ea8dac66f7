import asyncio
import json
import ssl
from collections.abc import AsyncIterator
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
        await client.get("/v2/health")
        begun = asyncio.get_running_loop().time()
        for _ in range(40):
            await client.get("/v2/health")
        took_s = asyncio.get_running_loop().time() - begun

    assert took_s < 1.2


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


async def test_a_certificate_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "not.pem"
    file.write_text("no certificate")
    server = ApiServer(None, replace(FREE, certificate=str(file), key=str(file)))

    with pytest.raises(TransportError, match="the API's certificate or key cannot be used"):
        await server.start()


async def test_whoever_says_nothing_or_drips_a_head_is_let_go(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    settings = replace(FREE, idle_timeout_s=1.0)
    async with serving(sqlite_settings, tmp_path, settings) as server:
        silent, dripping = await asyncio.gather(
            said(server), said(server, b"GET /v2/health HTTP/1.1\r\n", b"X-A: 1\r\n", b"X-B: 2\r\n", pause_s=0.3)
        )

    assert (silent, dripping) == (b"", b"")


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


async def test_more_connections_than_allowed_are_told_to_come_back(
    sqlite_settings: StoreSettings, tmp_path: Path
) -> None:
    async with serving(sqlite_settings, tmp_path, replace(FREE, max_connections=2)) as server:
        idle = [await asyncio.open_connection(server.address.host, server.address.port) for _ in range(2)]
        answer = await said(server)
        for _, writer in idle:
            writer.close()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert json.loads(body)["detail"]["category"] == "unavailable"


async def test_requests_under_way_are_answered_before_it_closes(sqlite_settings: StoreSettings, tmp_path: Path) -> None:
    async with serving(sqlite_settings, tmp_path) as server, httpx.AsyncClient(base_url=server.url) as client:
        body = {"name": "CRM", "scopes": ["admin"]}
        headers = {"Authorization": f"Bearer {ADMIN}"}
        asking = asyncio.ensure_future(client.post("/v2/tokens", json=body, headers=headers))
        await asyncio.sleep(0.02)
        await server.close()
        answer = await asking

    assert answer.status_code == 200
