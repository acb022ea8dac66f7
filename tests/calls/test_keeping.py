"""Recording of whole calls, over the wire and with a call that has none."""

from pathlib import Path

import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.calls.inbound import InboundCall
from sipflow.errors import LocalProtocolError, MediaError
from sipflow.testing import FakeCall, run
from tests.calls.stage import staged
from tests.interop.phone import steady_dbfs


def sides(path: Path) -> tuple[bytes, bytes]:
    """Left and right of a stereo WAV file of ours."""
    sound = path.read_bytes()[44:]
    return (
        b"".join(sound[at : at + 2] for at in range(0, len(sound), 4)),
        b"".join(sound[at : at + 2] for at in range(2, len(sound), 4)),
    )


async def test_a_call_is_recorded_with_the_caller_left_and_the_agent_right(tmp_path: Path) -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        recording = await call.record_to(tmp_path / "call.wav")
        await call.play(sine(1000, 600, level_dbfs=-10.0))
        await recording.stop()

    async with staged(agent) as stage:
        call = await stage.call()
        call.write(sine(440, 2000, level_dbfs=-16.0))
        await call.ended()
        await stage.quiet()

    left, right = sides(tmp_path / "call.wav")
    assert len(left) == len(right)
    assert steady_dbfs(right[3200:8000], 1000) == pytest.approx(-10.0, abs=1.0)
    assert steady_dbfs(left[3200:8000], 440) == pytest.approx(-16.0, abs=1.0)
    assert measure_tone(left[3200:8000], 1000) < -50


async def test_what_must_not_be_kept_is_left_out(tmp_path: Path) -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        recording = await call.record_to(tmp_path / "call.wav")
        await call.play(sine(1000, 400))
        recording.pause()
        await call.play(sine(440, 400))
        recording.resume()
        await call.play(sine(1000, 400))
        await recording.stop()

    call = FakeCall()
    await run(agent, call)

    _, right = sides(tmp_path / "call.wav")
    assert 6400 <= len(right) // 2 <= 6400 + 2 * 160
    assert measure_tone(right, 440) < -40


async def test_a_recording_needs_audio_and_a_place(tmp_path: Path) -> None:
    happened: list[str] = []

    async def agent(call: InboundCall) -> None:
        for answered in (False, True):
            if answered:
                await call.answer()
            try:
                await call.record_to(tmp_path / "no" / "call.wav")
            except (LocalProtocolError, MediaError) as error:
                happened.append(type(error).__name__)

    await run(agent, FakeCall())

    assert happened == ["LocalProtocolError", "MediaError"]
