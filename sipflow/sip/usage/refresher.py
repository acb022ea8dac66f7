"""Keeps the session of a call alive, or ends it (RFC 4028 §7.4, §10)."""

from typing import TYPE_CHECKING

from sipflow.sip.headers.scalars import parse_retry_after
from sipflow.sip.outputs import OfferAnswered, Output
from sipflow.sip.plan import Outcome
from sipflow.sip.session_timer import SessionTimer
from sipflow.sip.usage.state import CONFIRMED

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack
    from sipflow.sip.usage.invite import InviteUsage

_NOT_SERVED = (405, 501)


class Refresher:
    """Refreshes by UPDATE where the far end takes that, else by re-INVITE.

    Attributes:
        timer: what was agreed on.
    """

    __slots__ = ("_by_invite", "_stack", "_usage", "timer")

    def __init__(self, stack: "Stack", usage: "InviteUsage", timer: SessionTimer) -> None:
        self._stack = stack
        self._usage = usage
        self._by_invite = False
        self.timer = timer

    @property
    def deadline(self) -> float:
        """When to call `handle_timer`."""
        return self.timer.deadline

    def handle_timer(self, *, now: float) -> list[Output]:
        """Send the refresh that is due, or hang up when none has come through."""
        timer, usage = self.timer, self._usage
        if now < timer.deadline:
            return []
        if usage.state is not CONFIRMED:
            timer.restart(now=now)  # its ACK is waited for; without that the call ends of itself
            return []
        if now >= timer.hang_up_at:
            return usage.session_expired(timer.interval_s, now=now)
        return self._refresh(now)

    def _refresh(self, now: float) -> list[Output]:
        usage, timer = self._usage, self.timer
        if usage.negotiating:
            timer.postpone(now=now, pause_s=self._stack.timers.t2)  # a re-INVITE that is under way is a refresh itself
            self._stack.schedule(usage)
            return []
        timer.wait()
        if not self._by_invite and usage.allows("UPDATE"):
            return usage.send("UPDATE", on_final=self._updated, now=now)
        if not usage.describe and not usage.described:
            return usage.send("UPDATE", on_final=self._updated, now=now)  # better than nothing: there is no SDP
        return usage.offer(self._body, now=now, on_end=self._offered)

    def _body(self) -> bytes:
        usage = self._usage
        return usage.describe() if usage.describe is not None else usage.described

    def _updated(self, outcome: Outcome, now: float) -> list[Output]:
        usage, response = self._usage, outcome.response
        if usage.over:
            return []
        if response is not None and response.status < 300:
            usage.established.refresh_target(response, "UPDATE")
            usage.session_confirmed(response, now=now)
            return []
        if outcome.status in _NOT_SERVED and not self._by_invite:
            self._by_invite = True
            return self._refresh(now)
        return self._failed(outcome, now)

    def _offered(self, outcome: Outcome, now: float) -> list[Output]:
        response = outcome.response
        if response is None or response.status >= 300:
            return self._failed(outcome, now)
        usage = self._usage
        return [OfferAnswered(usage, response.status, usage.answer_in(response))] if usage.describe else []

    def _failed(self, outcome: Outcome, now: float) -> list[Output]:
        """Try again, unless the far end has no such call any more (§10)."""
        usage, response = self._usage, outcome.response
        if response is not None and outcome.status == 422 and usage.raise_session(response):
            return self._refresh(now)
        lost = usage.lost_if_gone(outcome, now=now)
        if lost:
            return lost
        retry_after = response.headers.get("Retry-After") if response is not None else None
        pause_s = parse_retry_after(retry_after) if retry_after is not None else None
        if outcome.status == 491:
            pause_s = 1 + self._stack.below(300) // 100
        self.timer.postpone(now=now, pause_s=pause_s)
        self._stack.schedule(usage)
        return []
