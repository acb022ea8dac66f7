"""A REFER of a far end in the middle of a call that is left to the agent."""

import asyncio

from sipflow.calls.board import Board
from sipflow.calls.variables import printable
from sipflow.sip.outputs import ReferReceived
from sipflow.sip.usage.referred import Referred

DECLINE = 603
_PATIENCE_S = 8.0  # how long an agent has to decide; a far end may take a longer silence for a no


def note_refer(event: ReferReceived, name: str, **details: object) -> None:
    """Add what became of a REFER to the history of its call, where it came in one."""
    call = event.usage.app if event.usage is not None else None
    note = getattr(call, "note", None)
    if note is not None:
        note(name, target=printable(str(event.refer_to.uri)), **details)


class ReferAsked:
    """The far end asks that whom it talks with be connected to somebody else; the agent decides.

    Nobody need: what is not accepted within 8 s is refused.

    Attributes:
        target: whom, as an address.
        referred_by: who wants that, "" where nobody says (RFC 3892).
        replaces: whether it is the end of an attended transfer (RFC 3891).
    """

    def __init__(self, board: Board, event: ReferReceived) -> None:
        """Wait for the agent; refuse when it takes too long."""
        self.target = printable(str(event.refer_to.uri))
        self.referred_by = printable(str(event.referred_by or ""))
        self.replaces = event.refer_to.replaces is not None
        self._board = board
        self._event = event
        self._referred: Referred = event.referred
        note_refer(event, "refer_received")
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._forgotten)

    def accept(self) -> None:
        """Say that we try (202); tell what becomes of it with `progress` and `finish`.

        Raises:
            LocalProtocolError: it is decided already.
        """
        self._timer.cancel()
        self._board.apply(self._referred.accept(now=self._board.now))

    def refuse(self, status: int = DECLINE, why: str = "the agent declines") -> None:
        """Refuse; the call goes on.

        Raises:
            LocalProtocolError: it is decided already, or the status is no refusal.
        """
        self._timer.cancel()
        self._board.apply(self._referred.refuse(status, why, now=self._board.now))
        note_refer(self._event, "refer_refused", status=status, why=why)

    def progress(self, status: int, reason: str = "") -> None:
        """Report that the other one rings (100 to 199).

        Raises:
            LocalProtocolError: it is not accepted, or the status is no provisional one.
        """
        self._board.apply(self._referred.progress(status, reason, now=self._board.now))

    def finish(self, status: int, reason: str = "") -> None:
        """Report the end: 200 is success.

        Raises:
            LocalProtocolError: it is not accepted, or the status is no final one.
        """
        self._board.apply(self._referred.finish(status, reason, now=self._board.now))
        note_refer(self._event, "refer_followed" if status < 300 else "refer_failed", status=status, why=reason)

    def _forgotten(self) -> None:
        if self._referred.undecided:
            self.refuse(why="nobody decided in time")
