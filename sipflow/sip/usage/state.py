"""Where a call stands."""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where an INVITE usage stands."""

    CALLING = auto()  # no answer of any kind, or no provisional of ours, yet
    EARLY = auto()  # a provisional response made an early dialog (§12.1)
    ANSWERED = auto()  # 2xx sent, ACK not seen: no BYE may be sent yet (§15)
    CONFIRMED = auto()  # both sides agree that the call is up
    ENDING = auto()  # our BYE is on its way
    ENDED = auto()


# The same by name: reaching a member through its class costs more than the comparison (as in transaction/machine.py).
CALLING: Final = State.CALLING
EARLY: Final = State.EARLY
ANSWERED: Final = State.ANSWERED
CONFIRMED: Final = State.CONFIRMED
ENDING: Final = State.ENDING
ENDED: Final = State.ENDED


def earliest(*times: float | None) -> float | None:
    """The first of several moments, None where there is none."""
    return min([at for at in times if at is not None], default=None)
