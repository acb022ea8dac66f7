"""What becomes of a call whose bot has failed: another agent, a sound file, or its end."""

from typing import Protocol

from sipflow.agents.spec import HandOver
from sipflow.calls.call import Call
from sipflow.calls.ending import Word


class Fallback(Protocol):
    """The options that a handler with a bot has for this."""

    @property
    def fallback(self) -> str:
        """The agent that takes over, "" for none."""

    @property
    def fallback_file(self) -> str:
        """What is played before hanging up, "" for nothing."""

    @property
    def fallback_status(self) -> int:
        """What an unanswered call is refused with."""


async def fall_back(call: Call, options: Fallback, *, what: str, why: str) -> HandOver | None:
    """Give the call to the agent that takes over; where there is none, play the file and end the call.

    Args:
        call: that the bot had.
        options: of its handler.
        what: has failed, for the log: `stream`.
        why: one sentence; the far end is told it, too.

    Raises:
        CallEnded: the caller hung up while the file was played.
        MediaError: the file cannot be played.
    """
    call.log.warning(f"the {what} failed", why=why, fallback=options.fallback or options.fallback_file or None)
    if options.fallback:
        return HandOver(options.fallback, why)
    if options.fallback_file:
        if not call.answered:
            await call.answer()
        await call.play(options.fallback_file)
    call.end_for(Word.AGENT_FAILED, why, status=options.fallback_status)
    return None
