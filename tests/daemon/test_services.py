"""What runs beside the calls: opened late, tidied up, and said when it cannot be had."""

import asyncio
import gc
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipflow.calls.ending import Ending
from sipflow.calls.record import CallRecord
from sipflow.config.configuration import Configuration
from sipflow.daemon.daemon import Daemon as RunningDaemon
from sipflow.daemon.storage import Storage
from sipflow.errors import LocalProtocolError
from sipflow.media.settings import Settings as MediaSettings
from sipflow.net.settings import ListenAddress
from sipflow.net.settings import Settings as NetSettings
from sipflow.store.calls import CallRecords
from sipflow.store.directory import Directory
from sipflow.store.settings import Settings
from tests.daemon.api_client import Api
from tests.interop.daemon import Daemon, call
from tests.interop.free_ports import free_media_ports

EXIT_UNAVAILABLE = 69
KEY = "a key for the tests, of many characters"


def test_port_that_is_taken_ends_the_daemon_with_a_sentence(tmp_path: Path) -> None:
    api = Api()
    host, _, port = api.section["listen"].partition(":")  # type: ignore[attr-defined]
    daemon = Daemon(tmp_path, api=api.section)
    with closing(socket.create_server((host, int(port)))):
        daemon.start()
        status = daemon.program.wait()

    assert status == EXIT_UNAVAILABLE
    assert re.search(rf"^sipflow: the API .*{port}", daemon.program.output, re.MULTILINE)


def test_store_that_cannot_be_read_leaves_declared_numbers_alone(tmp_path: Path) -> None:
    (tmp_path / "sipflow.db").write_bytes(b"this is no database" * 1000)
    daemon = Daemon(tmp_path)
    with daemon:
        (said,) = daemon.wait_said("^the store cannot be opened")
        declared = call(tmp_path, daemon.uri(), "--seconds", "0.3").status
        unknown = call(tmp_path, daemon.uri("tcp", number="+12065550199"))
        state = daemon.state()

        (refused,) = daemon.said("^refused")

    assert (declared, unknown.status) == (200, 503)
    assert refused["why"] == "sipflow has just started, and has not read all of its numbers yet"
    assert f"store {tmp_path / 'sipflow.db'}: {said['why']}" in state


@pytest.fixture
def as_before() -> Iterator[None]:
    """A daemon tells the collector of garbage to look away; this process is to look again."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


async def started(folder: Path, settings: Settings) -> RunningDaemon:
    """A daemon in this process, its store open."""
    net = NetSettings(listen=(ListenAddress("udp", "127.0.0.1", 0),))
    media = free_media_ports(4)
    ports = MediaSettings(port_low=media.start, port_high=media.stop - 1, bind_host="127.0.0.1")
    daemon = RunningDaemon(folder / "sipflow.yaml", Configuration(store=settings, sip=net, media=ports))
    await daemon.start()
    async with asyncio.timeout(30):
        while daemon.storage.database is None:  # noqa: ASYNC110  (that it is open is told nobody)
            await asyncio.sleep(0.01)
    return daemon


@pytest.mark.usefixtures("as_before")
async def test_records_that_are_old_enough_are_deleted_at_the_start_and_music_may_be_fetched(tmp_path: Path) -> None:
    settings = Settings(encryption_keys=(KEY,), keep_records_days=7)
    kept = Storage(settings, tmp_path, Directory())
    for days in (1, 30):
        at = datetime.now(UTC) - timedelta(days=days)
        record = CallRecord(str(days), f"{days}@x", "inbound", "", "", "", "", "", at)
        record.ended_at, record.ending = at, Ending.of("remote", 200, "hung up")
        kept.records.save(record)
    await kept.close()  # without ever having had a database
    daemon = await started(tmp_path, settings)
    assert daemon.storage.database is not None
    async with asyncio.timeout(30):
        records = CallRecords(daemon.storage.database)
        while not (young := await records.find("1")) or await records.find("30"):  # noqa: ASYNC110  (told to nobody)
            await asyncio.sleep(0.05)
    fetcher = daemon.edge.switchboard.transfers.fetcher
    await daemon.stop()

    assert young is not None
    assert young.ending == Ending.of("remote", 200, "hung up")
    assert fetcher is not None, "music for transfers is fetched under the rules of webhooks"
    with pytest.raises(LocalProtocolError, match="webhooks may not reach it"):
        fetcher.check("https://10.0.0.1/music.mp3")
