"""What a call asks before it is answered, and tells after: how its agent behaves, whatever the agent's code does."""

from typing import Protocol


class Manners(Protocol):
    """Whoever sees to how calls of an agent go; the agents room implements it."""

    async def before_answer(self) -> None:
        """Return when the call may be answered. Cancelled when the call is over."""

    async def after_answer(self) -> None:
        """Return when the agent may hear and speak: the call is answered, and its audio is settled."""
