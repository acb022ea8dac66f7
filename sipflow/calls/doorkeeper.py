"""Who gets in: every request of a stranger is judged here, before it costs more than a look."""

from collections.abc import Callable

from sipflow.calls.routes import NoRoute, Route, Router, Unread
from sipflow.calls.settings import Settings
from sipflow.sip.admission import Refusal
from sipflow.sip.digest import DigestServer
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.user_agent import Silence, Verdict
from sipflow.trunks.table import Match
from sipflow.trunks.trunk import Trunk

_RETRY_AFTER = (("Retry-After", "5"),)


class Doorkeeper:
    """Attributes requests to trunks, challenges where the trunk wants it, and routes calls.

    Args:
        secret: key of the nonces we hand out; new at every start.
        clock: wall or monotonic seconds, for the age of nonces.
    """

    def __init__(self, router: Router, settings: Settings, *, secret: bytes, clock: Callable[[], float]) -> None:
        self.router = router
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._challengers: dict[str, tuple[Trunk, DigestServer]] = {}
        self._last: tuple[Request, Match] | None = None

    def __call__(self, request: Request | None, hop: Hop) -> Verdict:
        """Be the user agent's gate."""
        if request is None:
            return self._stranger("") if not self.router.trunks.knows(hop) else None
        match = self.match(request, hop)
        verdict = self.judge(request, hop, match)
        if verdict is None and match.trunk is not None and request.method == "INVITE":
            return self._challenge(match.trunk, request)
        return verdict

    def judge(self, request: Request, hop: Hop, match: Match) -> Verdict:
        """Say who is not let in, whatever password he knows; leaves no trace."""
        unread = self.router.unread
        if unread is not None and request.method == "INVITE" and isinstance(self.router.route(request, match), NoRoute):
            silent = match.trunk is None and self._settings.unknown_source == "silent"
            return Silence.SILENCE if silent else _later(unread, hop)
        if match.trunk is None:
            if match.candidates and request.method == "OPTIONS":
                return None  # whether we live, of whichever trunk: it names no number that could tell
            why = "; ".join(match.why)
            return Refusal(404, why) if match.candidates else self._stranger(why)
        return None

    def _stranger(self, why: str) -> Verdict:
        if self._settings.unknown_source == "silent":
            return Silence.SILENCE
        return Refusal(403, why) if why else None

    def _challenge(self, trunk: Trunk, request: Request) -> Verdict:
        """Ask the caller to prove who it is (RFC 3261 §22.2); a wrong proof is asked again, never explained."""
        auth = trunk.inbound_auth
        if auth is None:
            return None
        known, server = self._challengers.get(trunk.name, (None, None))
        if server is None or known is not trunk:
            server = DigestServer(realm=auth.realm, secret=self._secret, algorithms=auth.algorithms)
            self._challengers[trunk.name] = (trunk, server)
        now = self._clock()
        verdict = server.verify(request, {auth.username: auth.password}, now=now)
        if verdict.ok:
            return None
        return Refusal(401, verdict.reason, tuple(server.challenge(now=now, stale=verdict.stale)))

    def route(self, request: Request, hop: Hop, *, agent: str = "") -> Route | NoRoute:
        """Find trunk, number and agent of a call that was let in; `agent` is who was announced to take it."""
        return self.router.route(request, self.match(request, hop), agent=agent)

    def match(self, request: Request, hop: Hop) -> Match:
        """Say which trunk a request belongs to; of each call that is let in this is asked twice."""
        if self._last is None or self._last[0] is not request:
            self._last = (request, self.router.match(request, hop))
        return self._last[1]


def _later(unread: Unread, hop: Hop) -> Verdict:
    """Put off a call that may be for a number nobody has read yet.

    Over UDP it comes again by itself after half a second (RFC 3261 §17.1.1.2).
    """
    if unread.brief and not hop.reliable:
        return Silence.SILENCE
    return Refusal(503, unread.why, _RETRY_AFTER)
