"""Take a message: a beep, then whatever the caller says goes into a file, until #, silence or the longest time."""

from datetime import UTC, datetime
from pathlib import Path

from sipflow.audio.tones import level_dbfs, sine
from sipflow.calls.inbound import InboundCall

BEEP = sine(800, 400)
QUIET_DBFS = -45.0  # what is softer is no speech


async def voicemail(call: InboundCall) -> None:
    folder = Path(str(call.options.get("folder", "voicemail")))
    longest_s, silence_s = (float(str(call.options.get(name, 60.0))) for name in ("longest_s", "silence_s"))
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  (a moment)
    file = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{call.id}.wav"
    unfinished = file.with_suffix(".part")

    await call.answer()
    await call.play(BEEP)
    recording = await call.record_to(unfinished)  # the caller is its left channel
    try:
        ended_by = await message(call, longest_s, silence_s)
    finally:
        await recording.stop()
        unfinished.rename(file)  # so that whoever watches the folder finds whole messages only
    call.log.info("message kept", file=str(file), seconds=recording.duration_ms / 1000, ended_by=ended_by)
    if call.ending is None:
        await call.play(BEEP)


async def message(call: InboundCall, longest_s: float, silence_s: float) -> str:
    """Listen to the end of the message, and say what it was."""
    digits, heard_s, quiet_s = call.dtmf, 0.0, 0.0
    async for frame in call.audio:
        seconds = frame.duration_ms / 1000
        heard_s += seconds
        quiet_s = quiet_s + seconds if level_dbfs(frame.pcm) < QUIET_DBFS else 0.0
        if heard_s >= longest_s:
            return "time"
        if quiet_s >= silence_s:
            return "silence"
        if digits.waiting and await anext(digits) == "#":
            return "#"
    return "hanging up"
