"""The side that is challenged: finds the account, answers, and knows when to give up."""

from collections.abc import Callable, Sequence

from sipflow.errors import RemoteProtocolError
from sipflow.sip.digest.account import Account
from sipflow.sip.digest.algorithms import find_algorithm
from sipflow.sip.digest.session import Session
from sipflow.sip.headers.auth import Challenge, parse_info
from sipflow.sip.message import Response

_ANSWER_HEADERS = (("WWW-Authenticate", "Authorization"), ("Proxy-Authenticate", "Proxy-Authorization"))
_INFO_HEADERS = (("Authentication-Info", "Authorization"), ("Proxy-Authentication-Info", "Proxy-Authorization"))
_MOST_REALMS = 8  # a call crosses two or three; a peer that invents realms gets no more digests than this
_MOST_ANSWERS = 6  # to one request: two proxies and a server, each with one stale nonce
_MOST_ATTEMPTS = 256  # requests under way at once whose challenges are told apart

_Place = tuple[str, str]  # the header that carries the answer, and the realm
_Choice = tuple[Challenge, Session]  # a challenge that can be answered, and what answers it


class _Attempt:
    """One request with its repetitions: what we have answered for it so far."""

    __slots__ = ("answers", "next_cseq", "nonces")

    def __init__(self) -> None:
        self.answers = 0
        self.next_cseq = 0  # of the repetition; a response to a later request opens a new attempt
        self.nonces: dict[_Place, str] = {}


class DigestClient:
    """Answers the challenges of one trunk or call, and remembers nonces and their counts per realm.

    Requests under way at the same time may share one client: they are told apart by Call-ID, and a repetition is known
    by its CSeq, one more than that of the request it repeats (RFC 3261 §22.2). Tell it of every response: `authorize`
    for 401 and 407, `observe` for the others.

    Attributes:
        realm: of the last challenge, answered or not, for error texts; "" before the first.
    """

    def __init__(self, accounts: Sequence[Account], *, cnonce: Callable[[], str], allow_md5: bool = True) -> None:
        """Answer as the first of `accounts` that names the challenge's realm, else the first that names none.

        Args:
            accounts: who we are.
            cnonce: makes an unpredictable text of at least 64 bits; called once for each nonce.
            allow_md5: False refuses MD5 and MD5-sess, so that nobody on the way can ask for the weaker answer.
        """
        self._accounts = tuple(accounts)
        self._make_cnonce = cnonce
        self._allow_md5 = allow_md5
        self._sessions: dict[_Place, Session] = {}
        self._attempts: dict[str, _Attempt] = {}
        self.realm = ""

    def authorize(self, response: Response, *, method: str, uri: str, body: bytes = b"") -> list[tuple[str, str]]:
        """Answer the challenges of a 401 or 407; never raises, whatever these hold.

        Of several challenges of one realm the top-most that we support is answered (RFC 8760 §2.4). Credentials of
        other realms that are known already come along, so that two proxies can both be satisfied (RFC 3261 §22.3).

        Args:
            response: as received; anything but a 401 or 407 gets no answer.
            method: of the request to be sent again.
            uri: its Request-URI, exactly as it will be sent.
            body: its body, hashed when the server asks for auth-int and nothing else.

        Returns:
            Headers to put in the place of all Authorization and Proxy-Authorization lines of the request, one per
            realm; of several Authorization lines the latest realm comes first. Empty when none of the challenges can
            be answered: no account for the realm, unknown scheme or algorithm, broken text; or refused, because this
            request carried an answer to an earlier challenge of the realm and the server does not say that its nonce
            was stale.
        """
        if response.status not in (401, 407):
            return []
        attempt, cseq = self._attempt(response)
        chosen = self._choose(response)
        if attempt.answers >= _MOST_ANSWERS:
            return []
        taken = [self._take(place, choice, attempt) for place, choice in chosen.items()]
        if True not in taken:
            return []
        attempt.answers += 1
        attempt.next_cseq = cseq + 1
        return self.reuse(method=method, uri=uri, body=body)

    def reuse(self, *, method: str, uri: str, body: bytes = b"") -> list[tuple[str, str]]:
        """Write credentials for a next request before it is challenged, from the last good nonces (RFC 7616 §3.6).

        Returns:
            One header per realm, each nonce counted once more; empty when no realm is known yet.
        """
        known = self._sessions.items()
        # A registrar whose realm has changed may read no more than the first line.
        servers = [item for item in reversed(known) if item[0][0] == "Authorization"]
        proxies = [item for item in known if item[0][0] != "Authorization"]
        return [(place[0], session.credentials(method, uri, body)) for place, session in proxies + servers]

    def observe(self, response: Response) -> None:
        """Note a response that is no challenge; never raises.

        A `nextnonce` (RFC 7616 §3.5) in Authentication-Info or Proxy-Authentication-Info is used from now on. A 403
        forgets all nonces, since some servers refuse an old one that way: the next request goes without credentials
        and is challenged.
        """
        if self._attempts:
            self._attempts.pop(_identify(response)[0], None)
        if response.status == 403:
            self._sessions.clear()
        for info_header, answer_header in _INFO_HEADERS:
            value = response.headers.get(info_header)
            if value is not None:
                self._renew(answer_header, value)

    def _attempt(self, response: Response) -> tuple[_Attempt, int]:
        call_id, cseq = _identify(response)
        attempt = self._attempts.get(call_id)
        if attempt is None or cseq > attempt.next_cseq:
            self._attempts.pop(call_id, None)
            if len(self._attempts) >= _MOST_ATTEMPTS:
                del self._attempts[next(iter(self._attempts))]
            attempt = self._attempts[call_id] = _Attempt()
        return attempt, cseq

    def _choose(self, response: Response) -> dict[_Place, _Choice]:
        """Pick the top-most challenge of each realm that can be answered (RFC 8760 §2.4)."""
        chosen: dict[_Place, _Choice] = {}
        for header, answer_header in _ANSWER_HEADERS:
            for value in response.headers.all(header):
                for challenge in _read(value):
                    params = challenge.params
                    realm = params.get("realm")
                    if realm is None or not params.get("nonce") or not challenge.is_digest:
                        continue
                    self.realm = realm
                    place = (answer_header, realm)
                    if place not in chosen and len(chosen) < _MOST_REALMS:
                        session = self._open(challenge, realm)
                        if session is not None:
                            chosen[place] = (challenge, session)
        return chosen

    def _open(self, challenge: Challenge, realm: str) -> Session | None:
        algorithm = find_algorithm(challenge.params.get("algorithm"))
        account = self._account(realm)
        qop = _choose_qop(challenge.params.get("qop"))
        if algorithm is None or account is None or qop is None or (algorithm.is_md5 and not self._allow_md5):
            return None
        return Session(account, challenge, algorithm, qop)

    def _account(self, realm: str) -> Account | None:
        for wanted in (realm, None):
            for account in self._accounts:
                if account.realm == wanted:
                    return account
        return None

    def _take(self, place: _Place, choice: _Choice, attempt: _Attempt) -> bool:
        """Start the session of `choice`, or end the one there is if our answer has just been refused."""
        challenge, session = choice
        nonce = challenge.params["nonce"]
        refused = attempt.nonces.get(place)
        if refused is not None and (refused == nonce or not _is_stale(challenge)):
            self._sessions.pop(place, None)
            return False
        known = self._sessions.get(place)
        if known is not None and known.nonce == nonce:  # a server may offer one nonce twice: its count goes on
            session.start(nonce, known.cnonce, count=known.count)
        else:
            session.start(nonce, self._make_cnonce())
        if known is None and len(self._sessions) >= _MOST_REALMS:
            del self._sessions[next(iter(self._sessions))]
        if place[0] == "Authorization":
            self._sessions.pop(place, None)  # the latest is the last
        self._sessions[place] = session
        attempt.nonces[place] = nonce
        return True

    def _renew(self, answer_header: str, value: str) -> None:
        try:
            info = parse_info(value)
        except RemoteProtocolError:
            return  # the request succeeded: a broken hint for the next one is no reason to fail it
        nonce = info.get("nextnonce")
        sessions = [session for place, session in self._sessions.items() if place[0] == answer_header]
        if len(sessions) > 1:  # the header names no realm; our own cnonce says which session is meant
            sessions = [session for session in sessions if session.cnonce == info.get("cnonce")]
        if nonce and len(sessions) == 1 and sessions[0].nonce != nonce:
            sessions[0].start(nonce, self._make_cnonce())


def _identify(response: Response) -> tuple[str, int]:
    try:
        return response.call_id, response.cseq.number
    except RemoteProtocolError:
        return "", 0


def _read(value: str) -> list[Challenge]:
    try:
        return Challenge.parse_all(value)
    except RemoteProtocolError:
        return []  # a good one may stand in the next line


def _is_stale(challenge: Challenge) -> bool:
    return challenge.params.get("stale", "").lower() == "true"  # RFC 7616 §3.3: in any case


def _choose_qop(offered: str | None) -> str | None:
    """Choose auth before auth-int; "" when the server offers no choice (RFC 2069), None when we know none of it."""
    if not offered or offered == "auth":
        return offered or ""
    tokens = [token.strip().lower() for token in offered.split(",")]
    return "auth" if "auth" in tokens else "auth-int" if "auth-int" in tokens else None
