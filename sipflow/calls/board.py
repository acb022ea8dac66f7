"""What the parts of a call need of the switchboard that it is on."""

from typing import Protocol

from sipflow.calls.history import History
from sipflow.sip.outputs import Output


class Board(Protocol):
    """Whoever has the clock, and carries out what a dialog returns; `Switchboard` does.

    Attributes:
        history: takes the lines of the call's history.
    """

    history: History

    @property
    def now(self) -> float:
        """Monotonic seconds."""

    def apply(self, outputs: list[Output]) -> None:
        """Send what is to be sent, and tell everybody what has happened."""
