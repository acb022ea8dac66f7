"""Sources that belong to no trunk: what each has tried, and when nothing of it is read any more.

Every event is one log line of a fixed form, which `config/fail2ban/` reads:

    stranger refused from 192.0.2.9 by udp: INVITE +12065550100: no trunk accepts calls from there
    stranger scanner from 192.0.2.9 by udp: friendly-scanner: shut out for 600 s
    stranger flood from 192.0.2.9 by tcp: more than 10 requests at once: told 503
"""

from collections import OrderedDict
from collections.abc import Callable
from math import ceil

import structlog

from sipflow.calls.routes import Router
from sipflow.calls.stranger_settings import StrangerSettings
from sipflow.calls.variables import printable
from sipflow.errors import RemoteProtocolError
from sipflow.net.acl import Networks
from sipflow.net.flood import SourceBuckets
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Refused
from sipflow.sip.transaction.overload import Busy
from sipflow.sip.uri import SipUri, TelUri

_SOURCES = 8192  # remembered; those heard of longest ago go first
_VOUCHED_S, _VOUCHED = 14_400.0, 4096  # how long, and how many, far ends that we called ourselves
_LONGEST_S = 86_400.0
_LINES_PER_S, _LINES_AT_ONCE = 20.0, 200.0
_WARNINGS_PER_S = 0.1  # to each source
_LONGEST_WHY = 200
_REQUESTS = frozenset({"INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "CANCEL"})
_SILENT = Busy(0, "")
_log = structlog.get_logger("sipflow.strangers")


class _Tried:
    """What one source has tried since `since`."""

    __slots__ = ("refused", "since", "users")

    def __init__(self, since: float) -> None:
        self.since = since
        self.refused = 0
        self.users: set[str] = set()


class Strangers:
    """Judges sources that belong to no trunk; and how fast those may be that do.

    Args:
        router: knows the trunks.
        clock: monotonic seconds.
        silent: whether strangers get no answer at all.

    Attributes:
        refused: requests and messages of strangers.
        scanners: how often a source was shut out.
        flooded: requests that were answered with 503, or with nothing, because there were too many.
        unsaid: log lines that were not written because there were too many.
    """

    def __init__(
        self, settings: StrangerSettings, router: Router, *, clock: Callable[[], float], silent: bool = False
    ) -> None:
        self.refused = self.scanners = self.flooded = self.unsaid = 0
        self._settings = settings
        self._names = tuple(each.strip().lower() for each in settings.scanners)
        self._never = Networks(settings.never)
        self._router = router
        self._clock = clock
        self._silent = silent
        rate, burst = settings.refusals_per_s, settings.refusals_burst
        self._patience = SourceBuckets(rate=rate, burst=burst)
        self._trunks = SourceBuckets(rate=settings.trunk_requests_per_s, burst=2 * settings.trunk_requests_per_s)
        self._lines = SourceBuckets(rate=_LINES_PER_S, burst=_LINES_AT_ONCE)
        self._warnings = SourceBuckets(rate=_WARNINGS_PER_S, burst=1)
        self._tried: OrderedDict[str, _Tried] = OrderedDict()
        self._shut: OrderedDict[str, tuple[float, float]] = OrderedDict()  # source -> until, for how long
        self._vouched: OrderedDict[str, float] = OrderedDict()  # -> until
        self._judged: Request | None = None

    # What the sockets ask

    def admit(self, host: str) -> bool:
        """Whether anything from this source is read; asked about each datagram and each connection."""
        shut = self._shut.get(host)
        if shut is None or self._clock() >= shut[0]:
            return True
        return self._is_ours(host)  # its trunk may have come since

    @property
    def shut_out(self) -> tuple[str, ...]:
        """The sources of which nothing is read now."""
        now = self._clock()
        return tuple(host for host, (until, _) in self._shut.items() if until > now)

    # What the transaction layer asks

    def guard(self, request: Request, hop: Hop) -> Busy | None:
        """Judge a new request outside a call, before it costs a transaction; None lets it pass to who decides."""
        host, now = hop.host, self._clock()
        if self._router.trunks.knows(hop):
            return None if self._trunks.allow(host, now=now) else self._hurried(hop, now)
        if self._router.unread is not None or self._vouches(host, now):
            return None
        if not self.admit(host):  # over a connection that was open before
            return _SILENT
        match = self._router.match(request, hop)
        if match.trunk is not None:  # it came to a registration of ours, from another address of the registrar
            self.vouch(host)
            return None
        self._judged = request
        return self._refuse(request, hop, now, match.why[-1])

    def vouch(self, host: str) -> None:
        """Trust a far end that we call ourselves: what it sends belongs to that call."""
        self._vouched[host] = self._clock() + _VOUCHED_S
        self._vouched.move_to_end(host)
        if len(self._vouched) > _VOUCHED:
            self._vouched.popitem(last=False)

    # What the switchboard tells

    def note(self, event: Refused) -> bool:
        """Take a refusal into account; whether nothing more needs to be logged of it."""
        hop, request = event.hop, event.request
        if request is not None and request is self._judged:
            self._judged = None
            return True
        now = self._clock()
        if self._router.unread is not None or self._is_ours(hop.host) or self._vouches(hop.host, now):
            return False
        tried = self._count(hop.host, now)
        if tried.refused > self._settings.most_refused:
            self._shut_out(hop, now, f"{tried.refused} refusals in {self._settings.window_s:g} s")
            return True
        if request is None:  # who logs it says what it was
            return not self._lines.allow("", now=now)
        self._say("refused", hop, f"{_method(request)} {_user(request) or 'for nobody'}: {event.why}", now)
        return True

    # How it is judged

    def _refuse(self, request: Request, hop: Hop, now: float, why: str) -> Busy | None:
        settings, tried = self._settings, self._count(hop.host, now)
        agent = (request.headers.get("User-Agent") or "").lower()
        name = next((each for each in self._names if each in agent), "") if agent else ""
        user = _user(request)
        if user and len(tried.users) <= settings.most_users:
            tried.users.add(user)
        if name:
            return self._shut_out(hop, now, name)
        if len(tried.users) > settings.most_users:
            return self._shut_out(hop, now, f"{len(tried.users)} different users tried in {settings.window_s:g} s")
        if tried.refused > settings.most_refused:
            return self._shut_out(hop, now, f"{tried.refused} refusals in {settings.window_s:g} s")
        if not self._patience.allow(hop.host, now=now):
            return self._flooded(hop, now)
        self._say("refused", hop, f"{_method(request)} {user or 'for nobody'}: {why}", now)
        return None

    def _count(self, host: str, now: float) -> _Tried:
        self.refused += 1
        tried = self._tried.pop(host, None)
        if tried is None or now - tried.since > self._settings.window_s:
            tried = _Tried(now)
        self._tried[host] = tried
        if len(self._tried) > _SOURCES:
            self._tried.popitem(last=False)
        tried.refused += 1
        return tried

    def _shut_out(self, hop: Hop, now: float, why: str) -> Busy:
        """Read nothing more of a source, for a while."""
        host, settings = hop.host, self._settings
        self._tried.pop(host, None)
        if host in self._never or not settings.shut_out_s:
            self._say("scanner", hop, f"{why}: refused", now)
            return self._busy(why)
        before = self._shut.pop(host, (0.0, 0.0))[1]
        for_s = min(2 * before or settings.shut_out_s, _LONGEST_S)
        self._shut[host] = (now + for_s, for_s)
        if len(self._shut) > _SOURCES:
            self._shut.popitem(last=False)
        self.scanners += 1
        self._say("scanner", hop, f"{why}: shut out for {for_s:.0f} s", now)
        return _SILENT

    def _flooded(self, hop: Hop, now: float) -> Busy:
        self.flooded += 1
        settings = self._settings
        if self._warnings.allow(hop.host, now=now):
            answer = "not answered" if self._silent else "told 503"
            self._say("flood", hop, f"more than {settings.refusals_burst} requests at once: {answer}", now)
        return self._busy("too many requests from your address")

    def _hurried(self, hop: Hop, now: float) -> Busy:
        """Put off a trunk that sends faster than it may; it is no stranger, and nobody bans it."""
        self.flooded += 1
        rate = self._settings.trunk_requests_per_s
        if self._warnings.allow(hop.host, now=now):
            why = f"more than {rate:g} new requests a second (sip.strangers.trunk_requests_per_s): told 503"
            _log.warning("a trunk sends too fast", source=str(hop), why=why)
        return Busy(1, "too many requests a second from your address")

    def _busy(self, why: str) -> Busy:
        return _SILENT if self._silent else Busy(ceil(max(1.0, 10 / self._settings.refusals_per_s)), why)

    def _is_ours(self, host: str) -> bool:
        return self._router.trunks.knows(Hop("udp", host, 0))

    def _vouches(self, host: str, now: float) -> bool:
        return self._vouched.get(host, 0.0) > now

    def _say(self, what: str, hop: Hop, detail: str, now: float) -> None:
        """Write the line. All that a stranger wrote stands behind the address, in characters that print."""
        if not self._lines.allow("", now=now):
            self.unsaid += 1
            return
        left_out, self.unsaid = self.unsaid, 0
        more = f" ({left_out} lines left out)" if left_out else ""
        text = printable(detail)[:_LONGEST_WHY]
        _log.warning(f"stranger {what} from {hop.host} by {hop.transport}: {text}{more}")


def _method(request: Request) -> str:
    return request.method if request.method in _REQUESTS else "request"


def _user(request: Request) -> str:
    """Name whom a request is for: whom REGISTER names in To, and others in the Request-URI; what it tries."""
    try:
        uri = request.to.uri if request.method == "REGISTER" else request.request_uri
    except RemoteProtocolError:  # it was refused for just that
        return ""
    text = uri.user or "" if isinstance(uri, SipUri) else uri.number if isinstance(uri, TelUri) else ""
    return printable(text)[:64]
