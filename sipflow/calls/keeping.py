"""What is kept of a call's sound: recordings."""

import os
from typing import TYPE_CHECKING

from sipflow.calls.leg import Leg
from sipflow.calls.record import CallRecord
from sipflow.media.recording import Format, Recording


class Keeping(Leg):
    """The recording half of a call; see `Call`.

    Attributes:
        recording: the one that was begun last, None where there was none.
    """

    record: CallRecord
    recording: Recording | None

    if TYPE_CHECKING:

        def note(self, name: str, /, **details: object) -> None: ...

    async def record_to(
        self,
        path: str | os.PathLike[str],
        *,
        format: Format = "wav",
    ) -> Recording:
        """Record the call into a stereo file, caller left and agent right, from now until `stop` or the call's end.

        The file is written while the call goes on: of a process that is killed it has all but the last second, and
        plays. `Recording.pause` and `resume` leave out what must not be kept; both voices stay aligned to the sample.

        Args:
            path: of the file; one that is there is replaced.
            format: "wav" (16-bit PCM at the rate of the call's codec) or "ogg" (Opus).

        Raises:
            CallEnded: the call is over.
            LocalProtocolError: there is no audio yet.
            MediaError: the file cannot be made.

        Cancelling leaves an empty file.
        """
        with self._lifetime.scope():
            recording = await self._live_media.session.record(os.fspath(path), format=format)
        self.recording = recording
        self.record.recording = str(recording.path)
        recording.when_stopped(lambda: self._recorded(recording))
        self.note("recording_started", format=format)
        return recording

    def _recorded(self, recording: Recording) -> None:
        if self.recording is recording:
            self.record.recording_s = recording.duration_ms / 1000
        self.note("recording_stopped", seconds=recording.duration_ms / 1000)
