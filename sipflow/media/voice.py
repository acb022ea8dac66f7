"""A program that speaks: text on its standard input, a WAV file on its standard output."""

import asyncio
import subprocess
import threading
from collections.abc import Sequence
from tempfile import TemporaryFile

from sipflow.audio.frame import Frame
from sipflow.audio.wav import read_wav
from sipflow.errors import MediaError

_PATIENCE_S = 10.0
_MOST_BYTES = 16 << 20  # three minutes at 48 kHz
_SHOWN_BYTES = 200


class Voice:
    """Has texts spoken, each by a process of its own, which no shell starts."""

    def __init__(self, command: Sequence[str], *, patience_s: float = _PATIENCE_S) -> None:
        """Prepare.

        Args:
            command: the program and its arguments, such as `espeak-ng --stdin --stdout`.
            patience_s: how long it may take.
        """
        self._command = tuple(command)
        self._patience_s = patience_s

    async def say(self, text: str) -> Frame:
        """Have a text spoken, and give the sound at the program's own rate.

        Raises:
            MediaError: the program cannot be run, fails, takes too long, or gives no WAV file with sound in it.

        Cancelling kills the program.
        """
        saying = _Saying(self._command)
        try:
            return await asyncio.to_thread(saying.run, text.encode(errors="replace"), self._patience_s)
        except asyncio.CancelledError:
            saying.kill()
            raise


class _Saying:
    """One text on its way; `run` waits for the program, so it has a thread."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def kill(self) -> None:
        """End the program, or do not even start it."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def run(self, text: bytes, patience_s: float) -> Frame:
        """Run the program; what it complains of is kept in a file, so that nobody waits for anybody."""
        name = self._command[0]
        with TemporaryFile() as given, TemporaryFile() as said:
            given.write(text)
            given.seek(0)
            try:
                pipe = subprocess.PIPE
                self._process = subprocess.Popen(self._command, stdin=given, stdout=pipe, stderr=said)  # noqa: S603  (the operator's)
            except OSError as error:
                raise MediaError(f"{name} cannot be run: {error.strerror or error}") from None
            sound, in_time = self._listen(self._process, patience_s)
            said.seek(0)
            words = " ".join(said.read(_SHOWN_BYTES).decode(errors="replace").split())
        if not in_time:
            raise MediaError(f"{name} has not spoken a text in {patience_s:g} s")
        if len(sound) > _MOST_BYTES:
            raise MediaError(f"{name} gave more than {_MOST_BYTES >> 20} MiB")
        if self._process.returncode != 0:
            raise MediaError(f"{name} ended with status {self._process.returncode}: {words or 'it says nothing more'}")
        frame = read_wav(sound)
        if not frame.pcm:
            raise MediaError(f"{name} gave a WAV file without sound")
        return frame

    def _listen(self, process: subprocess.Popen[bytes], patience_s: float) -> tuple[bytes, bool]:
        """Read what it says, and say whether that came in time; it is over then in any case."""
        late = threading.Event()

        def too_late() -> None:
            late.set()
            process.kill()

        alarm = threading.Timer(patience_s, too_late)
        alarm.daemon = True
        if self._killed:
            process.kill()
        alarm.start()
        with process:
            assert process.stdout is not None
            sound = process.stdout.read(_MOST_BYTES + 1)
            if len(sound) > _MOST_BYTES:
                process.kill()
            process.wait()
        alarm.cancel()
        alarm.join()
        return sound, not late.is_set()
