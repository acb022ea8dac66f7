"""`handler: voicemail`: a greeting, a beep, and what the caller says, in a file that plays even if we are killed."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sipflow.agents.second_leg import check_text, seconds
from sipflow.audio.tones import level_dbfs, sine
from sipflow.calls.call import Call
from sipflow.errors import AgentError, MediaError
from sipflow.media.recording import Format, Recording
from sipflow.media.sound_file import check_sound

_OPTIONS = frozenset({"file", "beep", "folder", "longest_s", "silence_s", "shortest_s", "end_key", "format"})
_HANDLER = "handler voicemail"
_FORMATS: tuple[Format, ...] = ("wav", "ogg")
_KEYS = "0123456789*#"
_BEEP = sine(800, 400)
_QUIET_DBFS = -45.0  # what is softer is no speech


@dataclass(frozen=True, slots=True)
class VoicemailOptions:
    """What is said, and how much is kept.

    Attributes:
        file: sound file of the greeting, "" for none.
        beep: whether a beep says when to speak, and another one that the message is kept.
        folder: where messages go; it is made if need be.
        longest_s: how long a message may be.
        silence_s: how long the caller may be silent before the message ends.
        shortest_s: what holds less speech than this is no message, and is thrown away; 0 keeps everything.
        end_key: the key that ends it, "" for none.
        format: "wav" or "ogg".
    """

    file: str = ""
    beep: bool = True
    folder: str = "voicemail"
    longest_s: float = 180.0
    silence_s: float = 10.0
    shortest_s: float = 0.0
    end_key: str = "#"
    format: Format = "wav"


def check(options: Mapping[str, object]) -> None:
    """Refuse options that cannot work.

    Raises:
        AgentError: one cannot.
    """
    file = read_options(options).file
    if not file:
        return
    if not Path(file).is_file():
        raise AgentError(f"{_HANDLER}: no file {file}")
    try:
        check_sound(file)
    except MediaError as error:
        raise AgentError(f"{_HANDLER}: {error}") from None


def read_options(options: Mapping[str, object]) -> VoicemailOptions:
    """Check the options and fill in what they leave out.

    Raises:
        AgentError: one cannot work.
    """
    for name in sorted(options.keys() - _OPTIONS):
        raise AgentError(f"{_HANDLER} takes no option {name}: it has {', '.join(sorted(_OPTIONS))}")
    beep, end_key, wanted = options.get("beep", True), str(options.get("end_key", "#")), options.get("format", "wav")
    if not isinstance(beep, bool):
        raise AgentError(f"{_HANDLER}: beep is true or false")
    if end_key and (len(end_key) != 1 or end_key not in _KEYS):
        raise AgentError(f"{_HANDLER}: end_key is {end_key!r}, not one of {_KEYS}")
    format_ = next((each for each in _FORMATS if each == wanted), None)
    if format_ is None:
        raise AgentError(f"{_HANDLER}: format is {wanted!r}, not one of {', '.join(_FORMATS)}")
    shortest = options.get("shortest_s", 0.0)
    return VoicemailOptions(
        file=check_text(_HANDLER, "file", options.get("file", "")),
        beep=beep,
        folder=check_text(_HANDLER, "folder", options.get("folder", "voicemail")) or ".",
        longest_s=seconds(_HANDLER, "longest_s", options.get("longest_s", 180.0)),
        silence_s=seconds(_HANDLER, "silence_s", options.get("silence_s", 10.0)),
        shortest_s=0.0 if shortest == 0 else seconds(_HANDLER, "shortest_s", shortest),
        end_key=end_key,
        format=format_,
    )


async def voicemail(call: Call) -> None:
    """Greet, beep, and keep what the caller says until a key, silence, the longest time, or the caller hangs up.

    The file has its name from the first moment and plays at any: a process that is killed loses the last half second.
    Beside it stands a JSON file that says who called and, once the message is whole, how long it is and what ended it.

    Raises:
        CallEnded: the caller hung up.
        MediaError: the file cannot be written; the caller has heard no beep, and knows that nothing was kept.
    """
    options = read_options(call.options)
    file = await asyncio.to_thread(_new_file, call, options)
    await call.answer()
    if options.file:
        await call.play(options.file)
    recording = await call.record_to(file, format=options.format)
    recording.pause()
    note = _Note(call, file)
    ended_by, spoken_s = "hanging up", 0.0
    try:
        await asyncio.to_thread(note.write)
        if options.beep:
            await call.play(_BEEP)
        recording.resume()
        ended_by, spoken_s = await _listen(call, options)
    finally:
        await asyncio.shield(_keep(call, recording, note, ended_by, kept=spoken_s >= options.shortest_s))
    if call.ending is None and options.beep:
        await call.play(_BEEP)


async def _listen(call: Call, options: VoicemailOptions) -> tuple[str, float]:
    """Listen to the end of the message; say what it was, and how long somebody spoke."""
    digits, heard_s, quiet_s, spoken_s = call.dtmf, 0.0, 0.0, 0.0
    async for frame in call.audio:
        length_s = frame.duration_ms / 1000
        heard_s += length_s
        if level_dbfs(frame.pcm) < _QUIET_DBFS:
            quiet_s += length_s
        else:
            quiet_s, spoken_s = 0.0, spoken_s + length_s
        if heard_s >= options.longest_s:
            return "time", spoken_s
        if quiet_s >= options.silence_s:
            return "silence", spoken_s
        while digits.waiting:
            if await anext(digits) == options.end_key:
                return options.end_key, spoken_s
    return "hanging up", spoken_s


async def _keep(call: Call, recording: Recording, note: "_Note", ended_by: str, *, kept: bool) -> None:
    """Finish the files, and say where the message is."""
    try:
        await recording.stop()
    except MediaError as error:
        call.log.error("a message is not whole", file=str(note.file), why=str(error))
    length_s = recording.duration_ms / 1000
    if not kept:
        await asyncio.to_thread(note.throw_away)
        call.record.recording, call.record.recording_s = "", 0.0
        call.log.info("nobody said anything: no message", ended_by=ended_by)
        return
    await asyncio.to_thread(note.write, length_s=length_s, ended_by=ended_by)
    call.log.info("message kept", file=str(note.file), seconds=length_s, ended_by=ended_by)
    call.note("message_kept", file=str(note.file), seconds=length_s, ended_by=ended_by)


def _new_file(call: Call, options: VoicemailOptions) -> Path:
    folder = Path(options.folder)
    try:
        os.makedirs(folder, mode=0o750, exist_ok=True)
    except OSError as error:
        raise MediaError(f"{folder} cannot be made for messages: {error.strerror}") from None
    return folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{call.id}.{options.format}"


class _Note:
    """What is known of a message, in a JSON file beside it, which is whole at any moment."""

    def __init__(self, call: Call, file: Path) -> None:
        self.file = file
        self._place = file.with_suffix(".json")
        self._said: dict[str, object] = {
            "call_id": call.id,
            "caller": call.caller,
            "callee": call.callee,
            "began_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "file": file.name,
        }

    def write(self, *, length_s: float | None = None, ended_by: str = "") -> None:
        """Write it; without a length the message is still being recorded, or we were killed meanwhile."""
        whole = {"complete": length_s is not None, "seconds": length_s, "ended_by": ended_by or None}
        text = json.dumps({**self._said, **whole}, indent=2)
        draft = self._place.with_suffix(".json.new")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            if length_s is not None:
                _to_disk(self.file)
            draft.replace(self._place)
        except OSError as error:
            raise MediaError(f"{self._place} cannot be written: {error.strerror}") from None

    def throw_away(self) -> None:
        """Leave nothing behind."""
        for place in (self._place, self.file):
            place.unlink(missing_ok=True)


def _to_disk(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
