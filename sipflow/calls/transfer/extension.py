"""Keys that are pressed once a target has answered, with pauses: `ww123#`."""

import asyncio
import re
from typing import NamedTuple

from sipflow.calls.speaking import Speaking
from sipflow.errors import LocalProtocolError

_WRITTEN = re.compile(r"[0-9*#A-Da-dwW, ]{1,64}")
_PAUSES_S = {"w": 0.5, "W": 1.0, ",": 2.0}
_STEP = re.compile(r"[wW,]+|[0-9*#A-D]+")


class Step(NamedTuple):
    """A pause, and then keys.

    Attributes:
        pause_s: before them.
        digits: "" for none.
    """

    pause_s: float
    digits: str


def read_extension(text: str) -> tuple[Step, ...]:
    """Read keys with pauses: `w` is half a second, `W` a whole one, and a comma two; blanks mean nothing.

    Raises:
        LocalProtocolError: it holds something else.
    """
    if not text:
        return ()
    if _WRITTEN.fullmatch(text) is None:
        raise LocalProtocolError(
            f"extension: {text[:80]!r} must be keys (0-9 * # A-D), with w, W or a comma for pauses, 64 at most"
        )
    steps: list[Step] = []
    pause_s = 0.0
    for piece in _STEP.findall(re.sub(r"[a-d]", lambda key: key[0].upper(), text.replace(" ", ""))):
        if piece[0] in _PAUSES_S:
            pause_s = sum(_PAUSES_S[each] for each in piece)
        else:
            steps.append(Step(pause_s, piece))
            pause_s = 0.0
    return (*steps, Step(pause_s, "")) if pause_s else tuple(steps)


async def press(leg: Speaking, steps: tuple[Step, ...]) -> None:
    """Press the keys.

    Raises:
        CallEnded: the far end hung up meanwhile.
        MediaError, LocalProtocolError: the far end takes no digits.
    """
    for step in steps:
        if step.pause_s:
            await asyncio.sleep(step.pause_s)
        if step.digits:
            await leg.send_digits(step.digits)
