"""The side that challenges: makes challenges, verifies answers, and keeps nothing about a challenge nobody answers."""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.digest.algorithms import (
    ALGORITHMS,
    Algorithm,
    find_algorithm,
    hash_a1,
    hash_secret,
    octets,
    request_digest,
)
from sipflow.sip.digest.nonces import Nonce, NonceMint, Standing
from sipflow.sip.headers.auth import Challenge, Credentials
from sipflow.sip.message import Request
from sipflow.sip.uri import SipUri, parse_uri

Accounts = Mapping[str, str] | Callable[[str], str | None]
"""Plain-text passwords by username, or a function that finds one; None and "" mean that there is no such account."""

_NC = re.compile(r"[0-9A-Fa-f]{8}")  # RFC 7616 §3.4: 8LHEX
_QUOTED_LIMIT = 80  # characters of a stranger's text in one of our sentences
_NEEDED = ("username", "realm", "nonce", "uri", "response")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is from who it says it is. Its truth value is `ok`.

    Attributes:
        ok: the account is known, the digest right, the nonce good and its count new.
        stale: not `ok`, yet only because of the nonce: challenge again with stale=true.
        username: as the request gave it, "" if it gave none. Proved only when `ok`.
        reason: one sentence for an operator; it holds no secret.
    """

    ok: bool
    stale: bool
    username: str
    reason: str

    def __bool__(self) -> bool:
        return self.ok


class DigestServer:
    """Challenges requests and verifies the answers, for one realm (RFC 7616 §3, RFC 3261 §22)."""

    def __init__(
        self,
        *,
        realm: str,
        secret: bytes,
        algorithms: Sequence[str] = ("SHA-256", "MD5"),
        qop: Sequence[str] = ("auth",),
        nonce_lifetime_s: float = 300,
        nonces_remembered: int = 10_000,
    ) -> None:
        """Prepare to challenge.

        Args:
            realm: what the account belongs to; clients show it to people and hash it.
            secret: key of the nonces, at least 16 octets; make it anew at each start, or old answers can be replayed.
            algorithms: accepted ones; offered strongest first (RFC 8760 §2.3), whatever their order here.
            qop: "auth", "auth-int" or both; empty for RFC 2069 peers. These are taken where it is offered, too, if they
                answer by MD5: a nonce then works for one request only.
            nonce_lifetime_s: seconds.
            nonces_remembered: how many nonces in use are kept (some 200 octets each); beyond that the oldest expire.

        Raises:
            LocalProtocolError: an algorithm or qop we do not know, none at all, a short secret, or a realm with
                characters that do not print.
        """
        found = [find_algorithm(name) for name in algorithms]
        if not found or None in found:
            raise LocalProtocolError(f"digest algorithms are {', '.join(a.name for a in ALGORITHMS.values())}")
        if not set(qop) <= {"auth", "auth-int"}:
            raise LocalProtocolError("digest qop is auth, auth-int or both")
        if len(secret) < 16:
            raise LocalProtocolError("the key of the nonces needs at least 16 octets")
        if not realm.isprintable():
            raise LocalProtocolError("a realm cannot hold characters that do not print")
        self._realm = realm
        self._algorithms = [algorithm for algorithm in ALGORITHMS.values() if algorithm in found]
        self._qop = tuple(qop)
        self._nonces = NonceMint(
            secret=secret, realm=octets(realm), lifetime_s=nonce_lifetime_s, remembered=nonces_remembered
        )

    def challenge(self, *, now: float, stale: bool = False, proxy: bool = False) -> list[tuple[str, str]]:
        """Make the headers of a 401, or of a 407 if `proxy`: one per algorithm, strongest first (RFC 8760 §2.3).

        Args:
            now: monotonic seconds.
            stale: the last answer was right but for its nonce (`Verdict.stale`): the client need not ask its user.
            proxy: challenge as a proxy does.
        """
        nonce = self._nonces.issue(now=now)
        header = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        headers = []
        for algorithm in self._algorithms:
            params = {"realm": self._realm, "nonce": nonce, "algorithm": algorithm.name}
            if self._qop:
                params["qop"] = ",".join(self._qop)
            if stale:
                params["stale"] = "true"
            headers.append((header, str(Challenge("Digest", params))))
        return headers

    def verify(self, request: Request, accounts: Accounts, *, now: float, proxy: bool = False) -> Verdict:
        """Judge the credentials of `request`; never raises, whatever these hold.

        A right answer to one of our nonces counts as its use: the same count, or a lower one, is refused afterwards.

        Args:
            request: as received.
            accounts: whose passwords are good.
            now: monotonic seconds.
            proxy: look at Proxy-Authorization instead of Authorization.
        """
        header = "Proxy-Authorization" if proxy else "Authorization"
        params, fault = self._find(request.headers.all(header), header)
        if params is None:
            return Verdict(False, False, "", fault)
        username = params.get("username", "")
        algorithm = find_algorithm(params.get("algorithm"))
        fault = self._fault(params, algorithm, request)
        if fault or algorithm is None:
            return Verdict(False, False, username, fault)
        password = (accounts(username) if callable(accounts) else accounts.get(username)) or ""
        right = _digest_is_right(algorithm, params, request, password)
        if not password:  # looked at after the digest, so that the answer takes as long as for a wrong password
            return Verdict(False, False, username, f"there is no account {_cite(username)} with a password")
        if not right:
            return Verdict(False, False, username, f"the password of {_cite(username)} is wrong")
        return self._judge_nonce(self._nonces.read(params["nonce"], now=now), params, now)

    def _find(self, values: list[str], header: str) -> tuple[dict[str, str] | None, str]:
        """Find the digest credentials for our realm, or say what there is instead."""
        fault = f"the request has no {header} header"
        for value in values:
            try:
                found = Credentials.parse_all(value)
            except RemoteProtocolError:
                fault = f"the {header} header cannot be read"
                continue
            for credentials in found:
                realm = credentials.params.get("realm")
                if not credentials.is_digest:
                    fault = f"the scheme is {_cite(credentials.scheme)}, not Digest"
                elif realm is None:
                    fault = f"the {header} header names no realm"
                elif realm != self._realm:
                    fault = f"the credentials are for the realm {_cite(realm)}, not {_cite(self._realm)}"
                else:
                    return credentials.params, ""
        return None, fault

    def _fault(self, params: dict[str, str], algorithm: Algorithm | None, request: Request) -> str:
        """Say what is wrong with the credentials before any hash is computed, "" if nothing is."""
        for name in _NEEDED:
            if name not in params:
                return f"the credentials lack {name}"
        if algorithm not in self._algorithms:  # what was not offered is not accepted: no downgrade
            return f"the algorithm {_cite(params.get('algorithm', 'MD5'))} was not offered"
        qop = params.get("qop", "")
        old = (
            not qop and algorithm.is_md5 and not algorithm.session
        )  # RFC 3261 §22.4: knows no qop, and does not see ours
        if qop not in (self._qop or ("",)) and not old:
            return f"the qop {_cite(qop)} was not offered" if qop else "the credentials lack qop"
        if qop and not _NC.fullmatch(params.get("nc", "")):
            return "the nonce count is not eight hexadecimal digits"
        if (qop or algorithm.session) and not params.get("cnonce"):
            return "the credentials lack cnonce"
        if not _same_uri(params["uri"], request.uri):
            return f"the digest is for {_cite(params['uri'])}, the request for {_cite(request.uri)}"
        return ""

    def _judge_nonce(self, nonce: Nonce, params: dict[str, str], now: float) -> Verdict:
        """Decide on a request whose digest is right: only the nonce can still speak against it."""
        username = params["username"]
        match nonce.standing:
            case Standing.MALFORMED:
                return Verdict(False, False, username, "the nonce was never given out here")
            case Standing.FOREIGN:  # RFC 7616 §3.3: the nonce is invalid, the password is not
                return Verdict(False, True, username, "the nonce was not given out since the last start")
            case Standing.EXPIRED:
                return Verdict(False, True, username, "the nonce has expired")
            case Standing.GOOD:
                pass
        if not params.get("qop"):
            if not self._nonces.count(nonce, None, now=now):
                return Verdict(False, True, username, "without qop a nonce works once, and this one was used before")
        elif not self._nonces.count(nonce, int(params["nc"], 16), now=now):
            return Verdict(False, False, username, f"nonce count {params['nc']} was used before: a replay")
        return Verdict(True, False, username, f"{_cite(username)} is authenticated")


def _digest_is_right(algorithm: Algorithm, params: dict[str, str], request: Request, password: str) -> bool:
    nonce, cnonce = params["nonce"], params.get("cnonce", "")
    secret_hash = hash_secret(algorithm, params["username"], params["realm"], password)
    expected = request_digest(
        algorithm,
        hash_a1(algorithm, secret_hash, nonce, cnonce),
        method=request.method,
        uri=params["uri"],
        body=request.body,
        nonce=nonce,
        qop=params.get("qop", ""),
        nc=params.get("nc", ""),
        cnonce=cnonce,
    )
    # As octets: `compare_digest` refuses text that is not ASCII.
    return hmac.compare_digest(expected.encode("ascii"), octets(params["response"].lower()))


def _same_uri(claimed: str, actual: str) -> bool:
    """Whether both URIs are the same resource (RFC 7616 §3.4.6, RFC 3261 §19.1.4)."""
    if claimed == actual:
        return True
    try:
        one, other = parse_uri(claimed), parse_uri(actual)
    except RemoteProtocolError:
        return False
    return one.equivalent(other) if isinstance(one, SipUri) and isinstance(other, SipUri) else one == other


def _cite(text: str) -> str:
    return repr(text if len(text) <= _QUOTED_LIMIT else f"{text[:_QUOTED_LIMIT]}...")
