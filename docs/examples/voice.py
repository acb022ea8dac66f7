"""A voice for the examples: espeak-ng, a program of its own (`apt-get install espeak-ng`)."""

import asyncio
import subprocess

from sipflow.audio.frame import Frame
from sipflow.audio.wav import read_wav
from sipflow.errors import MediaError


async def say(text: str) -> Frame:
    """Make speech of a text: `await call.play(await say("Hello"))`.

    Raises:
        MediaError: espeak-ng is not installed, or fails.
    """
    return await asyncio.to_thread(_speak, text)  # so that no other call waits for it


def _speak(text: str) -> Frame:
    command = ["espeak-ng", "-v", "en-us", "-s", "140", "--stdin", "--stdout"]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise MediaError(f"espeak-ng cannot speak: {error}") from error
    return read_wav(done.stdout)
