"""How a call out gets its number and is let in: pools and limits as one step, at once or after a wait."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from sipflow.calls.limits import Limits, Permit
from sipflow.calls.order import Choice
from sipflow.calls.record import CallRecord
from sipflow.calls.waiting import Ticket, WaitingRoom
from sipflow.errors import LimitReached
from sipflow.numbers.pools import Picked, Pools
from sipflow.numbers.resting import Outcome, outcome_of


@dataclass(frozen=True, slots=True, eq=False)
class Admitted(Choice):
    """A number that was chosen for a call that was let in; `Admission.free` takes it back, once."""

    picked: Picked | None = None
    permit: Permit | None = None


class Admission:
    """The way out for calls that are ordered.

    Attributes:
        pools, limits: what it asks.
        room: where calls wait.
        on_rest: told a number and the sentence why it rests from now on.
    """

    def __init__(self, pools: Pools, limits: Limits) -> None:
        self.pools = pools
        self.limits = limits
        settings = limits.settings
        self.room = WaitingRoom(most=settings.queue_calls, longest_s=settings.queue_s)
        self.on_rest: Callable[[str, str], None] = lambda _number, _why: None
        limits.on_room = self._has_room

    def _has_room(self) -> None:
        self.room.most, self.room.longest_s = self.limits.settings.queue_calls, self.limits.settings.queue_s
        self.room.pump()

    def choose(self, agent: str, callee: str, from_number: str = "", *, token: str = "") -> Admitted:
        """Choose a number and let the call in; it counts until `free`.

        Args:
            from_number: the number that was asked for; "" for any of the agent's.
            token: id of the API client that orders it, "" for none.

        Raises:
            NotFound: the agent names a pool that is not there.
            Conflict: `from_number` is none of the agent's, or the agent has no number at all.
            LimitReached: there is no room now; nothing was counted.
        """
        self.room.pump()  # those who wait come first
        try:
            return self._admit(agent, callee, from_number, token)
        except LimitReached as error:
            raise self._with_those_ahead(error) from None

    def join(
        self, agent: str, callee: str, from_number: str = "", *, at_most_s: float, token: str = ""
    ) -> Ticket[Admitted] | Admitted:
        """Do as `choose`, and where there is no room now stand in line for it.

        Args:
            at_most_s: how long to wait.

        Raises:
            NotFound, Conflict: as `choose`.
            LimitReached: too many wait already.
        """
        self.room.pump()
        try:
            return self._admit(agent, callee, from_number, token)
        except LimitReached as error:
            return self.room.enter(
                lambda: self._admit(agent, callee, from_number, token),
                give_back=self.undo,
                refused=error,
                at_most_s=at_most_s,
            )

    def move(self, choice: Choice, trunk: str) -> None:
        """Let a call go on over another trunk than the one it was let in by.

        Raises:
            LimitReached: that trunk has no room; the call counts where it did.
        """
        if isinstance(choice, Admitted) and choice.permit is not None:
            choice.permit.move(trunk)

    def _admit(self, agent: str, callee: str, from_number: str, token: str) -> Admitted:
        limits, pools = self.limits, self.pools
        now, day = limits.now, limits.day
        picked = pools.choose(
            agent, callee, from_number, now=now, day=day, refusal=lambda trunk: limits.refusal(trunk, agent, token)
        )
        permit = limits.admit_outbound(picked.trunk, agent, token)
        pools.took(picked, callee, now=now, day=day)
        return Admitted(picked.number, picked.trunk, picked.why, picked, permit)

    def _with_those_ahead(self, error: LimitReached) -> LimitReached:
        """Say when it is really our turn: after those who wait for the same."""
        ahead = self.room.ahead(error.limit)
        if not ahead:
            return error
        wait_s = (error.again_s or error.retry_after_s) + ahead * self.limits.spacing_s(error.limit)
        text = f"{error}; {ahead} wait for it already"
        return LimitReached(text, limit=error.limit, retry_after_s=ceil(wait_s), again_s=wait_s)

    def free(self, choice: Choice, record: CallRecord) -> None:
        """Count a call out, and weigh what its end says about the number. Twice is once."""
        ending = record.ending
        by_us = ending is None or ending.by == "local"
        status = ending.status if ending is not None else 0
        self._free(choice, outcome_of(status, answered=record.answered_at is not None, by_us=by_us))

    def undo(self, choice: Choice) -> None:
        """Count a call out that was never placed. Twice is once."""
        self._free(choice, Outcome.NOTHING)

    def _free(self, choice: Choice, outcome: Outcome) -> None:
        if not isinstance(choice, Admitted) or choice.picked is None or choice.permit is None:
            return
        if not choice.permit.held:
            return
        limits = self.limits
        why = self.pools.released(choice.picked, outcome, now=limits.now, day=limits.day)
        if why:
            self.on_rest(choice.number, why)
        choice.permit.release()  # last: it lets those in who wait, and they shall see the number free
