"""How long a registration waits: before its refresh, after a failure, after a refusal. All in seconds."""

from collections.abc import Callable

from sipflow.trunks.settings import RegisterSettings

# Refreshed at 65 to 75 % of what was granted: 500 trunks registered together drift apart, and what is left (75 s and
# more of 300) holds two whole time-outs of 32 s before calls are lost.
_REFRESH_LATEST = 0.75
_REFRESH_SPREAD = 0.10
_FIRST_PAUSE_S = 1.0  # once a trunk has been registered
_SECOND_CHANCE_S = 30.0  # a registrar that took us until now and refuses has perhaps just been restarted
_QUICK_LOSSES = 3  # in a row that are made up for at once: a registrar is restarted, and once more
_STEADY_S = 120.0  # RFC 5626 §4.5: a connection that held so long was a good one
_LOSS_S = 30.0  # RFC 5626 §4.5: base-time
_LONGEST_DOUBLING = 20  # 2**20 times the first pause is above every limit


class Pauses:
    """Counts what went wrong in a row, and says how long to wait for it.

    Args:
        settings: first and longest pauses.
        jitter: returns a number from 0 to 1, each time another one; with 1 failures wait their full time.
    """

    __slots__ = ("_failures", "_jitter", "_losses", "_settings", "_was_registered", "rejections")

    def __init__(self, settings: RegisterSettings, jitter: Callable[[], float]) -> None:
        self._settings = settings
        self._jitter = jitter
        self._failures = 0
        self._losses = 0
        self._was_registered = False
        self.rejections = 0

    def forget(self) -> None:
        """Begin anew, with short pauses."""
        self._failures = self.rejections = 0

    def until_refresh(self, expires_s: float) -> float:
        """Note a success; say when to refresh what was granted for `expires_s`."""
        self.forget()
        self._was_registered = True
        return expires_s * (_REFRESH_LATEST - _REFRESH_SPREAD * self._jitter())

    def after_failure(self, *, asked_s: float = 0.0) -> float:
        """Note a failure that may pass; say how long to wait.

        Args:
            asked_s: what the registrar asked for with Retry-After (RFC 3261 §20.33), 0 if nothing. All whom it turned
                away are told the same, so up to a tenth is added: they must not come back as one.
        """
        first_s = _FIRST_PAUSE_S if self._was_registered else self._settings.first_retry_s
        doubled_s = first_s * 2.0 ** min(self._failures, _LONGEST_DOUBLING)
        self._failures += 1
        if asked_s:
            return asked_s * (1 + 0.1 * self._jitter())
        return min(doubled_s, self._settings.longest_retry_s) * (0.75 + 0.25 * self._jitter())

    def after_rejection(self, *, bound: bool, asked_s: float = 0.0) -> float:
        """Note a refusal that trying again does not mend; say how long to wait, never less than the settings say.

        Args:
            bound: our Contact is still registered: then the first refusal is tried again after half a minute.
            asked_s: Retry-After, 0 if there was none.
        """
        self.rejections += 1
        settings = self._settings
        if bound and self.rejections == 1:
            pause_s = _SECOND_CHANCE_S
        else:
            doubled_s = settings.rejected_retry_s * 2.0 ** min(self.rejections - 1, _LONGEST_DOUBLING)
            pause_s = min(doubled_s, max(settings.rejected_retry_s, settings.longest_rejected_retry_s))
        return max(pause_s * (1 + 0.25 * self._jitter()), asked_s)

    def after_loss(self, lasted_s: float) -> float:
        """Note that the connection broke which we were registered over; say how long to wait, 0 for no time at all.

        A registrar that closes each connection soon would otherwise be asked without end (RFC 5626 §4.5).

        Args:
            lasted_s: since the last success.
        """
        if lasted_s >= _STEADY_S:
            self._losses = 0
        self._losses += 1
        doublings = self._losses - _QUICK_LOSSES - 1
        if doublings < 0:
            return 0.0
        longest_s = min(_LOSS_S * 2.0 ** min(doublings, _LONGEST_DOUBLING), self._settings.longest_retry_s)
        return longest_s * (1 - 0.5 * self._jitter())

    def chance(self, within_s: float) -> float:
        """A moment of chance before `within_s` seconds have passed."""
        return within_s * self._jitter()
