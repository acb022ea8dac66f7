"""Listening to real calls over real HTTP."""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest_asyncio

from sipflow.audio.tones import sine
from sipflow.store.settings import Settings
from tests.api.callstage import CallStage, callstage
from tests.calls.stage import WAIT_S

HEADER_BYTES, PART_BYTES, LOUD = 44, 1600, 2000


@pytest_asyncio.fixture
async def edge(sqlite_settings: Settings, tmp_path: Path) -> AsyncIterator[CallStage]:
    async with callstage(sqlite_settings, tmp_path) as made:
        yield made


async def names(edge: CallStage, call_id: str) -> list[str]:
    events = (await edge.get(f"/v2/calls/{call_id}/events"))["response"]["events"]
    return [each["name"] for each in events if each["name"].startswith("listening")]


async def listened(edge: CallStage, path: str, channels: int) -> tuple[bytes, "np.ndarray[Any, np.dtype[Any]]"]:
    """Listen until something is heard; returns the header, and the samples of the loud part, a column a voice."""
    sound = b""
    async with asyncio.timeout(WAIT_S), edge.client.stream("GET", path) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        async for part in answer.aiter_bytes():
            sound += part
            whole = (len(sound) - HEADER_BYTES) // (2 * channels) * 2 * channels
            if whole > PART_BYTES:
                last = np.frombuffer(sound[HEADER_BYTES:][:whole][-PART_BYTES:], "<i2").reshape(-1, channels)
                if max(loudness(last)) > LOUD:
                    return sound[:HEADER_BYTES], last
    raise AssertionError("it ended before anything was heard")


def loudness(samples: "np.ndarray[Any, np.dtype[Any]]") -> list[float]:
    """Root mean square of each voice."""
    return [float(each) for each in np.sqrt(np.mean(np.square(samples.astype(np.float64)), axis=0))]


async def test_a_live_call_is_heard_while_it_goes_on(edge: CallStage) -> None:
    call_id, far = await edge.called_in()
    near = edge.near.switchboard.calls[call_id]
    assert near.media is not None
    near.media.session.enqueue(sine(440, 10_000))
    one_header, mono = await listened(edge, f"/v2/calls/{call_id}/listen", 1)
    two_header, stereo = await listened(edge, f"/v2/calls/{call_id}/listen?channels=2", 2)
    async with asyncio.timeout(WAIT_S):
        while near.media.session.tapped:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    noted = await names(edge, call_id)
    await far.hangup()

    assert [struct.unpack("<HI", header[22:28]) for header in (one_header, two_header)] == [(1, 8000), (2, 8000)]
    assert loudness(mono)[0] > LOUD
    assert [each > LOUD for each in loudness(stereo)] == [False, True]
    assert noted == ["listening_started", "listening_stopped"] * 2


async def test_listening_ends_with_the_call(edge: CallStage) -> None:
    call_id, far = await edge.called_in()
    async with asyncio.timeout(WAIT_S), edge.client.stream("GET", f"/v2/calls/{call_id}/listen") as answer:
        parts = answer.aiter_bytes()
        header = await anext(parts)
        await far.hangup()
        rest = [part async for part in parts]

    assert (header[:4], header[8:12]) == (b"RIFF", b"WAVE")
    assert len(b"".join(rest)) % 2 == 0


async def test_listening_needs_its_scope_and_a_call_that_lives(edge: CallStage) -> None:
    call_id, far = await edge.called_in()
    others = await edge.token("calls:write", "logs:read")
    refused = await edge.refused("GET", f"/v2/calls/{call_id}/listen", status=403, headers=others)
    await far.hangup()
    await edge.over(call_id)
    over = await edge.refused("GET", f"/v2/calls/{call_id}/listen", status=409)
    nobody = await edge.refused("GET", "/v2/calls/nobody/listen", status=404)

    assert "recordings:read" in refused
    assert over == f"call {call_id} is over"
    assert nobody == "there is no call 'nobody'"
