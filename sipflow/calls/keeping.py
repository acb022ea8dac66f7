"""What is kept of a call's sound: recordings."""

import os

from sipflow.calls.leg import Leg
from sipflow.media.recording import Format, Recording


class Keeping(Leg):
    """The recording half of a call; see `Call`."""

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
            return await self._live_media.session.record(os.fspath(path), format=format)
