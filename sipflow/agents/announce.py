"""`handler: announce`: answer, play a sound file, hang up."""

import asyncio
from collections.abc import Mapping
from math import inf
from pathlib import Path

from sipflow.calls.call import Call
from sipflow.errors import AgentError, MediaError
from sipflow.media.sound_file import check_sound

_OPTIONS = {"file", "repeat", "pause_s"}


def check(options: Mapping[str, object]) -> None:
    """Refuse options that cannot work.

    Raises:
        AgentError: an unknown option, no file, or a value of the wrong kind.
    """
    for name in options.keys() - _OPTIONS:
        raise AgentError(f"handler announce takes no option {name}: it has {', '.join(sorted(_OPTIONS))}")
    file = options.get("file")
    if not isinstance(file, str) or not file:
        raise AgentError("handler announce needs `file`: the path of a sound file")
    if not Path(file).is_file():
        raise AgentError(f"handler announce: no file {file}")
    try:
        check_sound(file)
    except MediaError as error:
        raise AgentError(f"handler announce: {error}") from None
    repeat, pause = options.get("repeat", 1), options.get("pause_s", 1.0)
    if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
        raise AgentError(f"handler announce: repeat is {repeat!r}, not a number from 1")
    if not isinstance(pause, int | float) or isinstance(pause, bool) or not 0 <= pause < inf:
        raise AgentError(f"handler announce: pause_s is {pause!r}, not seconds")


async def announce(call: Call) -> None:
    """Answer, play the file as often as asked (`repeat`, `pause_s` between), and return, which hangs up."""
    file = str(call.options["file"])
    repeat = int(str(call.options.get("repeat", 1)))
    pause_s = float(str(call.options.get("pause_s", 1.0)))
    await call.answer()
    for turn in range(repeat):
        if turn:
            await asyncio.sleep(pause_s)
        await call.play(file)
