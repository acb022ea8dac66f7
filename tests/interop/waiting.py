"""Waiting for what other programs do: look often, give up late, and say what was waited for."""

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
PATIENCE_S = 60.0  # for a machine with more to do than it can; what works takes a second or two
_STEP_S = 0.02


def wait_until(
    condition: Callable[[], _T], what: str, *, timeout_s: float = PATIENCE_S, evidence: Callable[[], str] = str
) -> _T:
    """Return what `condition` gives as soon as that is true.

    Args:
        condition: asked again and again.
        what: completes "waited in vain for ...".
        timeout_s: seconds until we give up.
        evidence: what to show then, such as the end of a program's output.

    Raises:
        AssertionError: it never became true.
    """
    until = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}\n{evidence()}")
        time.sleep(_STEP_S)
    return found
