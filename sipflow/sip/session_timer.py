"""Session timers (RFC 4028): what two sides agree on, and when the one of us who refreshes must, or the other gives up.

Who refreshes is written as "uac" or "uas" of the one transaction that says so; in here it is *us* or *them*.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.session_expires import SessionExpires, parse_min_se
from sipflow.sip.message import Request, Response

TIMER = "timer"  # the option tag (§4)
SMALLEST_S = 90  # §5: what Min-SE may not go below, and what it is where it is left out
_MARGIN_S = 32.0  # §10: who waits for a refresh hangs up so long, or a third of the interval, before the end
_SHORTEST_PAUSE_S = 1.0  # between a refresh that was refused and the next
_MOST_RAISES = 4  # 422 after 422 is a loop
Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What we ask for, and what we put up with.

    Attributes:
        on: whether we say that we know session timers at all.
        expires_s: the interval we ask for, in seconds; the one we cut a longer wish down to.
        min_s: the smallest interval that we agree to, in seconds; at least 90.
        refresher: who sends the refreshes where the far end leaves that to us: "us", "them", or "auto": the callee as
            we call, we as we are called.
    """

    on: bool = True
    expires_s: int = 1800  # §4: RECOMMENDED
    min_s: int = SMALLEST_S
    refresher: Literal["auto", "us", "them"] = "auto"

    def __post_init__(self) -> None:
        if self.min_s < SMALLEST_S:
            raise LocalProtocolError(f"min_s: {self.min_s} is below {SMALLEST_S} s (RFC 4028 §5)")
        if self.expires_s < self.min_s:
            raise LocalProtocolError(f"expires_s: {self.expires_s} is below min_s, {self.min_s}")


class _Interval:
    """How long a session lasts without a refresh; a far end that wants longer ones may raise it a few times."""

    __slots__ = ("_raises", "interval_s", "min_s")
    _raises: int
    interval_s: int
    min_s: int

    def raise_to(self, response: Response) -> bool:
        """Take the Min-SE of a 422 (§7.3); False where it asks for nothing new, or too often."""
        self._raises += 1
        least = min_se_of(response) or 0
        if least <= self.interval_s or self._raises > _MOST_RAISES:
            return False
        self.min_s = self.interval_s = least
        return True


class SessionTimer(_Interval):
    """The agreement of one call, and its two moments.

    Attributes:
        interval_s: seconds that a session lasts without a refresh.
        min_s: the largest Min-SE that anybody has named; never below 90.
        we_refresh: whether that is our part.
        refresh_at: when to send the next refresh, None where that is theirs; monotonic seconds.
        hang_up_at: when to say BYE unless a refresh has come through; monotonic seconds.
    """

    __slots__ = ("hang_up_at", "refresh_at", "we_refresh")

    def __init__(self, interval_s: int, *, we_refresh: bool, min_s: int, now: float) -> None:
        self.interval_s = interval_s
        self.we_refresh = we_refresh
        self.min_s = min_s
        self._raises = 0
        self.refresh_at: float | None = None
        self.hang_up_at = now
        self.restart(now=now)

    @property
    def deadline(self) -> float:
        """The earlier of the two moments."""
        return self.hang_up_at if self.refresh_at is None else min(self.refresh_at, self.hang_up_at)

    def restart(self, *, now: float) -> None:
        """Begin the interval anew: a refresh was answered with 2xx, by either side (§7.2, §9)."""
        if self.we_refresh:
            self.refresh_at = now + self.interval_s / 2  # §7.2: RECOMMENDED half-way
            self.hang_up_at = now + self.interval_s
        else:
            self.refresh_at = None
            self.hang_up_at = now + self.interval_s - min(_MARGIN_S, self.interval_s / 3)  # §10

    def postpone(self, *, now: float, pause_s: float | None = None) -> None:
        """Refresh again in `pause_s`, or half-way to the end: what was tried now did not come through (§7.4)."""
        if pause_s is None:
            pause_s = (self.hang_up_at - now) / 2
        self.refresh_at = now + max(pause_s, _SHORTEST_PAUSE_S)

    def wait(self) -> None:
        """Send no refresh until `restart` or `postpone`: one is under way."""
        self.refresh_at = None

    def request_lines(self) -> Lines:
        """Write what a re-INVITE or UPDATE of ours says: nothing is to change (§7.4)."""
        return request_lines(self.interval_s, self.min_s, "uac" if self.we_refresh else "uas")


class Asking(_Interval):
    """What a first INVITE of ours asks for, until it is answered (§7.1)."""

    __slots__ = ("refresher",)

    def __init__(self, settings: SessionSettings) -> None:
        self.interval_s = settings.expires_s
        self.min_s = settings.min_s
        self.refresher = {"us": "uac", "them": "uas"}.get(settings.refresher, "")  # §7.1: better left open
        self._raises = 0

    def request_lines(self) -> Lines:
        return request_lines(self.interval_s, self.min_s, self.refresher)

    def settle(self, response: Response, *, now: float) -> SessionTimer | None:
        """Read the 2xx (§7.2); None where nobody wants a timer."""
        agreed = session_expires_of(response)
        if agreed is None:
            return None
        # A far end that goes below our Min-SE, which it must not (§9), is not to make us refresh without end.
        interval_s = max(agreed.interval_s, self.min_s)
        return SessionTimer(interval_s, we_refresh=agreed.refresher != "uas", min_s=self.min_s, now=now)


def settle_again(timer: SessionTimer, response: Response, *, now: float) -> None:
    """Read the 2xx to a re-INVITE or UPDATE of ours (§7.2).

    One that says nothing of timers ends them by the letter. Whoever believed that would stop refreshing while the other
    side, or a proxy, still counts: so we go on, and take the refreshes upon us.
    """
    agreed = session_expires_of(response)
    if agreed is None:
        timer.we_refresh = True
    else:
        timer.interval_s = max(agreed.interval_s, timer.min_s)
        timer.we_refresh = agreed.refresher != "uas"
    timer.restart(now=now)


class Settled(NamedTuple):
    """What a 2xx of ours says of timers, and what holds from then on; None where there is no timer."""

    lines: Lines
    timer: SessionTimer | None


def settle_as_uas(request: Request, settings: SessionSettings, timer: SessionTimer | None, *, now: float) -> Settled:
    """Decide what our 2xx to an INVITE or UPDATE says (§9); `timer` is what holds already, and is changed.

    A call that has a timer keeps it, whatever a re-INVITE leaves out.
    """
    knows = knows_timers(request)
    asked = session_expires_of(request)
    floor_s = max(settings.min_s, min_se_of(request) or 0, timer.min_s if timer is not None else 0)
    if asked is not None and asked.interval_s < floor_s and not knows:
        asked = None  # §9: there is no 422 for who knows no timers, and no refreshing each second either
    if asked is not None:
        interval_s = min(asked.interval_s, max(settings.expires_s, floor_s))  # §9: MUST NOT be more than was asked
    elif timer is not None:
        interval_s = timer.interval_s
    elif knows:
        interval_s = max(settings.expires_s, floor_s)
    else:
        return Settled((), None)
    we_refresh = _we_refresh(asked.refresher if asked is not None else "", knows, settings, timer)
    min_s = min(floor_s, interval_s)
    if timer is None:
        timer = SessionTimer(interval_s, we_refresh=we_refresh, min_s=min_s, now=now)
    else:
        timer.interval_s, timer.we_refresh, timer.min_s = interval_s, we_refresh, min_s
        timer.restart(now=now)
    line = ("Session-Expires", str(SessionExpires(interval_s, "uas" if we_refresh else "uac")))
    return Settled((line, ("Require", TIMER)) if knows else (line,), timer)


def _we_refresh(asked: str, knows: bool, settings: SessionSettings, timer: SessionTimer | None) -> bool:
    """Decide who refreshes, by table 2 of §9."""
    if not knows:
        return True
    if asked:
        return asked == "uas"
    return timer.we_refresh if timer is not None else settings.refresher != "them"


def is_too_small(request: Request, settings: SessionSettings) -> bool:
    """Whether to answer 422 (§9): only to who has said that it knows timers, and so what a 422 is (§8.1)."""
    asked = session_expires_of(request)
    return asked is not None and asked.interval_s < settings.min_s and knows_timers(request)


def knows_timers(request: Request) -> bool:
    """Whether the sender says `Supported: timer`, or requires it. Never raises."""
    return any(
        tag.strip(" \t").lower() == TIMER
        for name in ("Supported", "Require")
        for line in request.headers.all(name)
        for tag in line.split(",")
    )


def session_expires_of(message: Request | Response) -> SessionExpires | None:
    """The Session-Expires of a message; None where there is none, or none that can be read. Never raises."""
    value = message.headers.get("Session-Expires")
    if value is None:
        return None
    try:
        return SessionExpires.parse(value)
    except RemoteProtocolError:
        return None


def min_se_of(message: Request | Response) -> int | None:
    """The Min-SE of a message, in seconds; None where there is none, or none that can be read."""
    value = message.headers.get("Min-SE")
    return parse_min_se(value) if value is not None else None


def request_lines(interval_s: int, min_s: int, refresher: str) -> Lines:
    """Write what a request says of its session (§7.1, §7.4); Min-SE is left out where it says the default."""
    line = ("Session-Expires", str(SessionExpires(interval_s, refresher)))
    return (line, ("Min-SE", str(min_s))) if min_s > SMALLEST_S else (line,)


def concerns_timers(message: Request) -> bool:
    """Whether a request says anything that timers could be about; cheap, for every call asks."""
    keys, lines = message.headers._keys, message.headers._lines
    if "session-expires" in keys:
        return True
    if "supported" not in keys:
        return False
    mentioned = TIMER in lines[keys.index("supported")].lower() or keys.count("supported") > 1
    return mentioned and knows_timers(message)
