"""Recordings of whole calls: where the files go, which calls are recorded, and when a file is whole."""

import asyncio
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from sipflow.calls.call import Call
from sipflow.errors import Conflict, LocalProtocolError, MediaError
from sipflow.media.recording import Format, Recording
from sipflow.tasks import Tasks

log = structlog.get_logger("sipflow.calls")
_MOST_HOURS = 24 * 365
_URL = re.compile(r"https?://[!-~]*[!-.0-~]")


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can set about recordings.

    Attributes:
        folder: where they go, one folder a day.
        format: `wav` (16-bit PCM, at the rate of the call's codec) or `ogg` (Opus, a tenth of the size).
        automatic: whether calls are recorded whose agent does not say.
        link_hours: how long a link to a recording opens it.
        link_secret: what links are signed with; "" is a secret of the store's own.
        public_url: where clients reach the API, such as `https://sip.example.com`: links begin with it. "" is where
            whoever asks for the link has reached it.

    Raises:
        LocalProtocolError: a value is wrong; the sentence begins with its name.
    """

    folder: str = "recordings"
    format: Format = "wav"
    automatic: bool = False
    link_hours: float = 24.0
    link_secret: str = field(default="", repr=False)
    public_url: str = ""

    def __post_init__(self) -> None:
        if self.public_url and _URL.fullmatch(self.public_url) is None:
            raise LocalProtocolError("public_url: write it as in https://sip.example.com, without / at the end")
        if not 0 < self.link_hours <= _MOST_HOURS:
            raise LocalProtocolError(f"link_hours: it is more than 0, and at most {_MOST_HOURS}")
        if self.link_secret and len(self.link_secret) < 16:
            raise LocalProtocolError("link_secret: it has at least 16 characters; make one with: openssl rand -hex 32")


class Recorder:
    """Records calls into files of its own choice, and knows which of them are still being written."""

    def __init__(self, settings: Settings, tasks: Tasks) -> None:
        self.settings = settings
        self._tasks = tasks
        self._unfinished: dict[str, Recording] = {}
        self._starting: set[str] = set()

    def wanted(self, says: bool | None) -> bool:
        """Whether calls of an agent that says this (None for nothing) are recorded."""
        return self.settings.automatic if says is None else says

    async def start(self, call: Call) -> Recording:
        """Record a call from now until it ends, or somebody stops that.

        Raises:
            Conflict: it is being recorded already.
            MediaError: the file cannot be made.
            LocalProtocolError: there is no audio yet, for the call has not been answered.
            CallEnded: the call is over.
        """
        if (call.recording is not None and not call.recording.stopped) or call.id in self._starting:
            raise Conflict(f"call {call.id} is being recorded already")
        self._starting.add(call.id)
        try:
            path = await asyncio.to_thread(self._new_path, call)
            recording = await call.record_to(path, format=self.settings.format)
        finally:
            self._starting.discard(call.id)
        self._unfinished[call.id] = recording
        recording.when_stopped(lambda: self._stopped(call.id, recording))
        return recording

    def _new_path(self, call: Call) -> Path:
        """Make the folder of the day, and a name in it that is not taken; a call may be recorded more than once."""
        folder = Path(self.settings.folder) / call.record.started_at.strftime("%Y-%m-%d")
        try:
            os.makedirs(folder, mode=0o750, exist_ok=True)
        except OSError as error:
            raise MediaError(f"{folder} cannot be made for recordings: {error.strerror}") from None
        names = (f"{call.id}{part}.{self.settings.format}" for part in ("", *(f"-{n}" for n in range(2, 1000))))
        for name in names:
            if not (folder / name).exists():
                return folder / name
        raise MediaError(f"call {call.id} was recorded 999 times already")

    def _stopped(self, call_id: str, recording: Recording) -> None:
        self._tasks.spawn(self._finish(call_id, recording), name=f"end of the recording of call {call_id}")

    async def _finish(self, call_id: str, recording: Recording) -> None:
        try:
            await recording.stop()
        except MediaError as error:
            log.error("a recording is not whole", call=call_id, why=str(error))
        finally:
            if self._unfinished.get(call_id) is recording:
                del self._unfinished[call_id]

    def being_made(self, call_id: str) -> Recording | None:
        """Give the recording of a call that goes on, or whose file is not finished yet."""
        return self._unfinished.get(call_id)

    async def finished(self, call_id: str) -> bool:
        """Wait until the file of a call that is no more recorded is whole; False while it is still being recorded."""
        recording = self._unfinished.get(call_id)
        if recording is None:
            return True
        if not recording.stopped:
            return False
        with suppress(MediaError):  # what there is of it can be had
            await recording.stop()
        return True
