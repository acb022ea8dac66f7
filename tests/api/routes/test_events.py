"""Histories and live streams of events, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sipflow.api.routes import events
from sipflow.store.settings import Settings
from tests.api.callstage import CallStage, callstage
from tests.calls.outstage import rings_on
from tests.calls.stage import WAIT_S

Told = dict[str, Any]


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


@asynccontextmanager
async def listening(edge: CallStage, path: str, **headers: str) -> AsyncIterator[AsyncIterator[Told]]:
    """Open a stream; gives its events as dictionaries of their fields, comments as `{"": text}`."""
    async with asyncio.timeout(WAIT_S), edge.client.stream("GET", path, headers=headers) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        yield read(answer)


async def read(answer: httpx.Response) -> AsyncIterator[Told]:
    told: Told = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(":")
            told[name] = json.loads(value) if name == "data" else value.strip()
        elif told:
            if "retry" not in told:
                yield told
            told = {}


async def names(stream: AsyncIterator[Told], *, until: str) -> list[str]:
    found: list[str] = []
    async for told in stream:
        found.append(told.get("event") or told["data"]["name"])
        if found[-1] == until:
            return found
    return found


async def test_the_history_of_a_call_is_the_same_live_and_from_the_store(edge: CallStage) -> None:
    call_id = await edge.answered()
    live = (await edge.get(f"/v2/calls/{call_id}/events"))["response"]
    await edge.post(f"/v2/calls/{call_id}/hangup")
    await edge.over(call_id)
    stored = (await edge.get(f"/v2/calls/{call_id}/events"))["response"]

    assert live["call_id"] == call_id
    assert [event["name"] for event in live["events"]] == ["started", "ringing", "answered"]
    assert stored["events"][:3] == live["events"]
    assert [event["position"] for event in stored["events"]] == [1, 2, 3, 4]
    assert stored["events"][3]["details"]["why"] == "hung up over the API"


async def test_a_line_with_something_strange_in_it_harms_no_reader(edge: CallStage) -> None:
    call_id = await edge.answered()
    call = edge.near.switchboard.calls[call_id]
    call.note("odd", at=call.record.started_at, what={1})
    listed = (await edge.get(f"/v2/calls/{call_id}/events"))["response"]["events"]
    await edge.post(f"/v2/calls/{call_id}/hangup")
    async with listening(edge, f"/v2/calls/{call_id}/events/stream") as stream:
        told = await names(stream, until="over")

    assert listed[-1]["details"]["what"] == [1]
    assert told == ["started", "ringing", "answered", "odd", "ended", "over"]


async def test_a_stream_of_one_call_begins_with_what_was_and_ends_with_the_call(edge: CallStage) -> None:
    call_id = await edge.answered()
    other = await edge.answered()
    async with listening(edge, f"/v2/calls/{call_id}/events/stream") as stream:
        begun = await names(stream, until="answered")
        await edge.post(f"/v2/calls/{other}/hangup")
        await edge.post(f"/v2/calls/{call_id}/hangup")
        rest = await names(stream, until="never")

    assert begun == ["started", "ringing", "answered"]
    assert rest == ["ended", "over"]


async def test_a_stream_of_all_calls_begins_now_and_says_which_call(edge: CallStage) -> None:
    before = await edge.answered()
    async with listening(edge, "/v2/events") as stream:
        await edge.post(f"/v2/calls/{before}/hangup")
        ended = await anext(stream)
        after, _ = await edge.called_in()
        started = await anext(stream)

    assert (ended["data"]["call_id"], ended["data"]["name"]) == (before, "ended")
    assert (started["data"]["call_id"], started["data"]["name"]) == (after, "started")
    assert (started["data"]["type_of_call"], started["data"]["model_id"]) == ("inbound", "desk")


@pytest.mark.parametrize("path", ["/v2/events", "/v2/calls/{}/events/stream"])
async def test_a_client_that_comes_back_goes_on_behind_its_last_event(edge: CallStage, path: str) -> None:
    call_id = await edge.answered()
    first = f"/v2/calls/{call_id}/events/stream"
    async with listening(edge, first) as stream:
        started = await anext(stream)
    await edge.post(f"/v2/calls/{call_id}/hangup")
    async with listening(edge, path.format(call_id), **{"Last-Event-ID": started["id"]}) as stream:
        missed = await names(stream, until="ended")

    assert missed == ["ringing", "answered", "ended"]


async def test_a_client_of_before_a_restart_is_told_that_lines_are_missing(edge: CallStage) -> None:
    call_id = await edge.answered()
    async with listening(edge, "/v2/events", **{"Last-Event-ID": "0badc0de-12"}) as stream:
        lost = await anext(stream)
        first = await anext(stream)

    assert (lost["event"], lost["data"]) == ("lost", {"lines": None})
    assert (first["data"]["call_id"], first["data"]["name"]) == (call_id, "started")


async def test_a_slow_client_loses_the_oldest_lines_and_is_told(
    edge: CallStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.desk.events, "_lines", [None] * 4)
    call_id = await edge.answered()
    record = edge.near.switchboard.calls[call_id].record
    async with listening(edge, "/v2/events") as stream:
        for number in range(50):  # in one go: nobody could have read them
            edge.near.switchboard.history.note(record, f"line {number}")
        lost = await anext(stream)
        last = await names(stream, until="line 49")

    assert (lost["event"], lost["data"]) == ("lost", {"lines": 46})
    assert last == ["line 46", "line 47", "line 48", "line 49"]


async def test_a_stream_on_which_nothing_happens_shows_that_it_lives(
    edge: CallStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    edge.behaviour = rings_on
    call_id = await edge.place()
    await edge.happened(call_id, "ringing")
    async with listening(edge, f"/v2/calls/{call_id}/events/stream") as stream:
        await names(stream, until="ringing")
        call_beat = await anext(stream)
    async with listening(edge, "/v2/events") as stream:
        beat = await anext(stream)

    assert call_beat == beat == {"": "still here"}


async def test_the_stream_of_a_call_that_was_over_long_ago_is_its_history(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    async with callstage(sqlite_settings, tmp_path) as edge:
        call_id = await edge.answered()
        await edge.post(f"/v2/calls/{call_id}/hangup")
        await edge.over(call_id)
    async with (
        callstage(sqlite_settings, tmp_path) as edge,
        listening(edge, f"/v2/calls/{call_id}/events/stream") as stream,
    ):
        found = await names(stream, until="never")

    assert found == ["started", "ringing", "answered", "ended", "over"]


async def test_a_client_that_goes_leaves_nothing_behind(edge: CallStage) -> None:
    async with listening(edge, "/v2/events") as stream:
        call_id = await edge.answered()
        await anext(stream)
        during = edge.desk.events._readers
    await edge.post(f"/v2/calls/{call_id}/hangup")
    async with asyncio.timeout(WAIT_S):
        while edge.desk.events._readers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert during == 1
