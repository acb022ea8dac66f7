"""When a number should rest: its calls are answered no more, or it is told that it is not wanted (RFC 8197, RFC 8688).

Carriers and telephones mark numbers as spam without telling anybody. What shows is that its calls are answered less
than those of its neighbours and less than its own were. Each call is weighed as it ends (a CUSUM test): how much more
likely is this if the answer rate had fallen to a third than if it were what it was? Once the evidence is overwhelming
the number rests. It comes back by itself, on probation: until one call is answered it has one call at a time, and after
too many in vain it rests again, twice as long.
"""

from dataclasses import dataclass
from enum import Enum
from math import ceil, inf, log
from typing import Any, NamedTuple

from sipflow.errors import LocalProtocolError

_POOL_MEMORY, _OWN_MEMORY = 200.0, 200.0  # calls after which one weighs a third of what it did
_EVIDENCE = log(10_000)  # a number that is well is rested by mistake once in 10,000 calls or more
_LEAST_RATE, _HIGHEST_RATE = 0.02, 0.95  # below, silence says nothing; above, one unanswered call would say it all
_PATIENCE = 3.0  # on probation: so many times the calls that bring one answer on average
_MOST_DOUBLINGS = 16
_NOT_ITS_FAULT = frozenset({404, 410, 484, 604})  # the callee's number is wrong
_NO_ANSWERS = frozenset({408, 480, 486, 487, 600, 603})


class Outcome(Enum):
    """What a call says about the number it came from."""

    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    UNWANTED = "unwanted"
    BLOCKED = "blocked"
    NOTHING = "nothing"  # it never got so far, or the fault was elsewhere


def outcome_of(status: int, *, answered: bool, by_us: bool = False) -> Outcome:
    """Say what an ended call means for its number.

    Args:
        status: final SIP status.
        by_us: we gave up, before it had rung for its time.
    """
    if answered:
        return Outcome.ANSWERED
    if status == 607:  # RFC 8197 §4: the callee does not want calls of this caller
        return Outcome.UNWANTED
    if status == 608:  # RFC 8688 §4: somebody on the way takes it for spam
        return Outcome.BLOCKED
    if by_us or status in _NOT_ITS_FAULT or status not in _NO_ANSWERS:
        return Outcome.NOTHING
    return Outcome.UNANSWERED


@dataclass(frozen=True, slots=True)
class RestSettings:
    """When the numbers of a pool rest.

    Attributes:
        enabled: False lets nothing rest.
        for_s: the first rest; each further one is twice as long as the one before.
        at_most_s: the longest rest.
        after_calls: fewer calls of a number than this say nothing about its answer rate.
        share: so many of a pool's numbers may rest for their answer rate at once, 0 to 1; if more seem to need it, it
            is not the numbers.
        probation_calls: calls in vain after a rest that send it back at least.

    Raises:
        LocalProtocolError: one of them makes no sense.
    """

    enabled: bool = True
    for_s: float = 3600.0
    at_most_s: float = 86_400.0
    after_calls: int = 30
    share: float = 0.5
    probation_calls: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.for_s <= self.at_most_s < inf:
            raise LocalProtocolError(f"for_s: must be more than 0 and at most at_most_s, not {self.for_s:g}")
        if not 0 <= self.share <= 1:
            raise LocalProtocolError(f"share: must be from 0 to 1, not {self.share:g}")
        if self.after_calls < 1 or self.probation_calls < 1:
            raise LocalProtocolError("after_calls: it and probation_calls must be at least 1")


DEFAULT_REST = RestSettings()


class Rate:
    """An answer rate that forgets slowly."""

    __slots__ = ("_answered", "_calls", "_keep", "calls")

    def __init__(self, memory: float) -> None:
        self.calls = 0  # ever
        self._keep = 1 - 1 / memory
        self._calls = self._answered = 0.0

    def note(self, *, answered: bool) -> None:
        """Count a call."""
        self.calls += 1
        self._calls = self._calls * self._keep + 1
        self._answered = self._answered * self._keep + answered

    @property
    def value(self) -> float:
        """0 to 1; 0 before the first call."""
        return self._answered / self._calls if self._calls else 0.0

    def state(self) -> list[float]:
        """Return what `restore` takes."""
        return [self.calls, round(self._calls, 3), round(self._answered, 3)]

    def restore(self, state: list[float]) -> None:
        """Go on where `state` was taken."""
        self.calls, self._calls, self._answered = int(state[0]), float(state[1]), float(state[2])


def pool_rate() -> Rate:
    """Make the answer rate of a pool."""
    return Rate(_POOL_MEMORY)


class Rest(NamedTuple):
    """A decision that a number should rest.

    Attributes:
        for_s: how long.
        why: one sentence.
    """

    for_s: float
    why: str


class Health:
    """How the calls of one number fare.

    Attributes:
        rate: its own answer rate.
        until: when its rest ends, monotonic; 0.0 for none.
        why: it rests, or rested last; "" if it never did.
        on_probation: it came back and no call of it has been answered since.
    """

    __slots__ = (
        "_evidence",
        "_own_before",
        "_rests",
        "_run",
        "_run_answered",
        "_since",
        "on_probation",
        "rate",
        "until",
        "why",
    )

    def __init__(self) -> None:
        self.rate = Rate(_OWN_MEMORY)
        self.until = 0.0
        self.why = ""
        self.on_probation = False
        self._evidence = 0.0
        self._run = self._run_answered = 0  # calls since there was no evidence at all
        self._own_before = 1.0  # its answer rate when there was no evidence
        self._rests = 0
        self._since = 0  # calls since the last rest

    def judge(self, outcome: Outcome, pool: Rate, settings: RestSettings) -> Rest | None:
        """Weigh an ended call; a Rest is a proposal: `rest` carries it out."""
        if outcome in (Outcome.UNWANTED, Outcome.BLOCKED):
            return self._proposed(settings, _REFUSED[outcome]) if settings.enabled else None
        if outcome is Outcome.NOTHING:
            return None
        answered = outcome is Outcome.ANSWERED
        if not self._run:
            self._own_before = self.rate.value if self.rate.calls >= settings.after_calls else 1.0
        expected = min(self._own_before, pool.value)
        self.rate.note(answered=answered)
        pool.note(answered=answered)
        if self.on_probation:
            return self._judge_probation(answered, pool, settings)
        if not settings.enabled:
            return None
        self._since += 1
        if self._since >= _OWN_MEMORY:
            self._rests = 0
        self._weigh(answered, expected)
        if self._evidence < _EVIDENCE or self._run < settings.after_calls:
            return None
        return self._proposed(
            settings,
            f"of its last {self._run} calls {self._run_answered} were answered, "
            f"where {expected * 100:.0f} % of the pool's, or of its own before, were",
        )

    def _weigh(self, answered: bool, expected: float) -> None:
        if expected < _LEAST_RATE:
            return
        rate = min(expected, _HIGHEST_RATE)
        self._run += 1
        self._run_answered += answered
        self._evidence += log(1 / 3) if answered else log((1 - rate / 3) / (1 - rate))
        if self._evidence <= 0:
            self._evidence, self._run, self._run_answered = 0.0, 0, 0

    def _judge_probation(self, answered: bool, pool: Rate, settings: RestSettings) -> Rest | None:
        self._run += 1
        if answered:
            self.on_probation = False
            self._forget()
            return None
        enough = max(settings.probation_calls, ceil(_PATIENCE / max(pool.value, _LEAST_RATE)))
        if not settings.enabled or self._run < enough:
            return None
        return self._proposed(settings, f"none of its {self._run} calls after a rest was answered")

    def _proposed(self, settings: RestSettings, why: str) -> Rest:
        doublings = min(self._rests, _MOST_DOUBLINGS)
        return Rest(min(settings.for_s * 2**doublings, settings.at_most_s), why)

    def rest(self, rest: Rest, *, now: float) -> None:
        """Begin to rest."""
        self.until, self.why = max(self.until, now + rest.for_s), rest.why
        self.on_probation = True
        self._rests += 1
        self._since = 0
        self._forget()

    def wake(self) -> None:
        """End the rest at once, without probation."""
        self.until, self.on_probation = 0.0, False
        self._rests = 0
        self._forget()

    def not_now(self) -> None:
        """Drop what speaks against it: it may not rest."""
        self._forget()

    def _forget(self) -> None:
        self._evidence, self._run, self._run_answered = 0.0, 0, 0

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes; without `until`, which is told by another clock."""
        return {"rate": self.rate.state(), "why": self.why, "probation": self.on_probation, "rests": self._rests}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.rate.restore(state["rate"])
        self.why, self.on_probation, self._rests = str(state["why"]), bool(state["probation"]), int(state["rests"])


_REFUSED = {
    Outcome.UNWANTED: "a callee marked it as unwanted (607)",
    Outcome.BLOCKED: "somebody on the way blocks it as spam (608)",
}
