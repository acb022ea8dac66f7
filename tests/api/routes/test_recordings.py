"""Recordings over real HTTP: made on a real call, fetched by links, in parts, deleted."""

import asyncio
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from sipflow.agents.conduct import Conduct
from sipflow.audio.wav import read_wav
from sipflow.calls.recorder import Settings as RecordingSettings
from sipflow.store.settings import Settings
from tests.api.callstage import CallStage, callstage


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path, conduct=Conduct(is_recording=True)) as made:
        yield made


async def recorded(edge: CallStage) -> str:
    """Make a call that is recorded, and end it; returns its id."""
    call_id = await edge.answered()
    await edge.happened(call_id, "recording_started")
    await edge.near.switchboard.calls[call_id].play(bytes(3200))
    await edge.post(f"/v2/calls/{call_id}/hangup")
    await edge.over(call_id)
    return call_id


async def link(edge: CallStage, call_id: str) -> str:
    answer = await edge.client.get(f"/v2/calls/{call_id}/recording")
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


@pytest_asyncio.fixture
async def anybody(edge: CallStage) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient() as client:
        yield client


async def test_the_recording_of_a_call_is_a_link_that_opens_it_without_a_token(
    edge: CallStage, anybody: httpx.AsyncClient
) -> None:
    call_id = await recorded(edge)
    where = await link(edge, call_id)
    answer = await anybody.get(where)
    shown = await edge.one(call_id)

    assert where.startswith(f"{edge.server.url}/v2/recordings/{call_id}.wav?expires=")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.headers["content-disposition"] == f'inline; filename="{call_id}.wav"'
    assert len(read_wav(answer.content).pcm) / 16000 == pytest.approx(shown["recording_duration"], abs=0.001)
    assert shown["recording_url"] == f"{edge.server.url}/v2/calls/{call_id}/recording"


async def test_everybody_who_asks_gets_the_same_link_and_a_wrong_one_opens_nothing(
    edge: CallStage, anybody: httpx.AsyncClient
) -> None:
    call_id = await recorded(edge)
    first, second = await link(edge, call_id), await link(edge, call_id)
    head = await edge.client.head(f"/v2/calls/{call_id}/recording")
    wrong = [
        (await anybody.get(url)).status_code
        for url in (first[:-1], first.replace("expires=", "expires=1"), first.partition("?")[0])
    ]

    assert first == second == head.headers["location"]
    assert wrong == [403] * 3
    assert (await anybody.get(f"{edge.server.url}/v2/calls/{call_id}/recording")).status_code == 401


async def test_parts_of_a_recording_can_be_had(edge: CallStage, anybody: httpx.AsyncClient) -> None:
    where = await link(edge, await recorded(edge))
    whole = await anybody.get(where)
    size, etag = len(whole.content), whole.headers["etag"]

    async def part(asked: str, **headers: str) -> httpx.Response:
        return await anybody.get(where, headers={"Range": asked, **headers})

    begun, middle, end = await part("bytes=0-43"), await part("bytes=44-99"), await part("bytes=-100")
    rest, several = await part("bytes=100-"), await part("bytes=0-3,8-11")
    beyond = await part(f"bytes={size}-")
    nonsense = [
        await part(asked) for asked in ("seconds=0-3", "bytes=5-2", "bytes=-", "bytes=", "bytes=1", "bytes=0-3,b")
    ]

    assert whole.headers["accept-ranges"] == "bytes"
    assert (begun.status_code, begun.content, begun.headers["content-range"]) == (
        206, whole.content[:44], f"bytes 0-43/{size}",
    )  # fmt: skip
    assert (middle.content, end.content, rest.content) == (
        whole.content[44:100], whole.content[-100:], whole.content[100:],
    )  # fmt: skip
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert b"RIFF" in several.content
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.json()["detail"]["description"] == f"Range: the recording has {size} octets"
    assert [(await part(asked)).status_code for asked in ("bytes=-0", f"bytes={size}-, -0", f"bytes={size}-, -1")] == [
        416, 416, 206,
    ]  # fmt: skip
    assert (await part(f"bytes={size}-", **{"If-Range": '"another"'})).content == whole.content
    assert [(each.status_code, each.content) for each in nonsense] == [(200, whole.content)] * 6
    assert (await part("bytes=0-3", **{"If-Range": etag})).content == b"RIFF"
    assert (await part("bytes=0-3", **{"If-Range": '"another"'})).content == whole.content


async def test_a_recording_that_a_client_has_is_not_sent_again(edge: CallStage, anybody: httpx.AsyncClient) -> None:
    where = await link(edge, await recorded(edge))
    etag = (await anybody.get(where)).headers["etag"]

    async def asked(known: str) -> tuple[int, bool, str]:
        answer = await anybody.get(where, headers={"If-None-Match": known, "Range": "bytes=0-3"})
        return answer.status_code, bool(answer.content), answer.headers["etag"]

    assert [await asked(known) for known in (etag, f'"x", W/{etag}', "*")] == [(304, False, etag)] * 3
    assert await asked('"x"') == (206, True, etag)


async def test_head_tells_size_and_time_and_sends_nothing(edge: CallStage, anybody: httpx.AsyncClient) -> None:
    where = await link(edge, await recorded(edge))
    whole, head = await anybody.get(where), await anybody.head(where)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert parsedate_to_datetime(head.headers["last-modified"]).tzinfo is not None


async def test_links_and_recordings_outlive_a_restart(sqlite_settings: Settings, tmp_path: Path) -> None:
    async with callstage(sqlite_settings, tmp_path, conduct=Conduct(is_recording=True)) as edge:
        call_id = await recorded(edge)
        where = await link(edge, call_id)
    async with callstage(sqlite_settings, tmp_path) as edge, httpx.AsyncClient() as client:
        answer = await client.get(where.replace(where[: where.index("/v2/")], edge.server.url))

    assert answer.status_code == 200


async def test_a_call_without_a_recording_says_so(edge: CallStage) -> None:
    call_id = await edge.answered()
    await edge.happened(call_id, "recording_started")
    under_way = await edge.refused("GET", f"/v2/calls/{call_id}/recording", status=404)
    shown = await edge.one(call_id)
    await edge.post(f"/v2/calls/{call_id}/hangup")
    busy = await unanswered(edge)

    assert under_way == f"call {call_id} is still being recorded; there is a recording when it is over or stopped"
    assert shown["sipflow"]["recording"] is True
    assert await edge.refused("GET", f"/v2/calls/{busy}/recording", status=404) == f"call {busy} has no recording"
    assert (await edge.one(busy))["recording_url"] is None


async def unanswered(edge: CallStage) -> str:
    async def behaviour(call: object) -> None:
        """Do nothing: the call is refused."""

    edge.behaviour = behaviour
    call_id = await edge.place()
    await edge.over(call_id)
    return call_id


async def test_a_recording_that_was_deleted_is_gone(edge: CallStage, anybody: httpx.AsyncClient) -> None:
    call_id = await recorded(edge)
    where = await link(edge, call_id)
    (file,) = await files(edge)
    assert await edge.ask("DELETE", f"/v2/calls/{call_id}/recording") == {"status": "ok"}
    shown = await edge.one(call_id)

    assert await files(edge) == []
    assert file.endswith(f"{call_id}.wav")
    assert (await anybody.get(where)).status_code == 404
    assert (shown["recording_url"], shown["recording_duration"], shown["sipflow"]["recording"]) == (None, None, False)
    assert shown["sipflow"]["ending"]["why"] == "hung up over the API"
    said = await edge.refused("DELETE", f"/v2/calls/{call_id}/recording", status=404)
    assert said == f"call {call_id} has no recording"


async def files(edge: CallStage) -> list[str]:
    folder = Path(edge.desk.recorder.settings.folder)
    return await asyncio.to_thread(lambda: [str(path) for path in folder.rglob("*.wav")])


async def test_the_recording_of_a_live_call_is_not_deleted(edge: CallStage) -> None:
    call_id = await edge.answered()
    await edge.happened(call_id, "recording_started")
    said = await edge.refused("DELETE", f"/v2/calls/{call_id}/recording", status=409)

    assert said == f"call {call_id} is not over; its recording can be stopped, and deleted when it is"


async def test_a_file_that_somebody_has_removed_is_told(edge: CallStage) -> None:
    call_id = await recorded(edge)
    for file in await files(edge):
        await asyncio.to_thread(Path(file).unlink)
    said = await edge.refused("GET", f"/v2/calls/{call_id}/recording", status=404)

    assert said == f"the recording of call {call_id} is gone: its file was deleted"


async def test_a_recording_is_paused_resumed_and_stopped(edge: CallStage, anybody: httpx.AsyncClient) -> None:
    call_id = await edge.answered()
    await edge.happened(call_id, "recording_started")
    call = edge.near.switchboard.calls[call_id]
    await call.play(bytes(1600))
    await edge.post(f"/v2/calls/{call_id}/recording/pause")
    await edge.post(f"/v2/calls/{call_id}/recording/pause")
    await call.play(bytes(8000))
    await edge.post(f"/v2/calls/{call_id}/recording/resume")
    await call.play(bytes(1600))
    await edge.post(f"/v2/calls/{call_id}/recording/stop")
    where = await link(edge, call_id)  # while the call goes on
    seconds = len(read_wav((await anybody.get(where)).content).pcm) / 16000
    events = (await edge.get(f"/v2/calls/{call_id}/events"))["response"]["events"]
    again = await edge.refused("POST", f"/v2/calls/{call_id}/recording/stop", status=409)
    twice = await edge.refused("POST", f"/v2/calls/{call_id}/recording/start", status=409)

    assert 0.2 <= seconds <= 0.5  # without the half second
    assert [event["name"] for event in events if event["name"].startswith("recording")] == [
        "recording_started", "recording_paused", "recording_resumed", "recording_stopped",
    ]  # fmt: skip
    assert again == f"call {call_id} is not being recorded"
    assert twice.startswith(f"call {call_id} was recorded already")


async def test_a_live_call_is_recorded_from_the_moment_that_is_asked_for(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    settings = RecordingSettings(folder=str(tmp_path / "calls"), format="ogg", public_url="https://sip.example.com")
    async with callstage(sqlite_settings, tmp_path, recordings=settings) as edge:
        call_id = await edge.answered()
        await edge.post(f"/v2/calls/{call_id}/recording/start")
        said = await edge.refused("POST", f"/v2/calls/{call_id}/recording/start", status=409)
        await edge.near.switchboard.calls[call_id].play(bytes(3200))
        await edge.post(f"/v2/calls/{call_id}/hangup")
        await edge.over(call_id)
        where = await link(edge, call_id)
        answer = await edge.client.get(where.removeprefix("https://sip.example.com"))

    assert said.startswith(f"call {call_id} was recorded already")
    assert where.startswith(f"https://sip.example.com/v2/recordings/{call_id}.ogg?")
    assert (answer.headers["content-type"], answer.content[:4]) == ("audio/ogg", b"OggS")
