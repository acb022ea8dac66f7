"""What a client keeps of one challenge so as to answer it again: the hashes, the nonce and its count."""

from sipflow.sip.digest.account import Account
from sipflow.sip.digest.algorithms import Algorithm, hash_a1, hash_secret, octets, request_digest
from sipflow.sip.headers.auth import Challenge, Credentials, quote


class Session:
    """The authentication session that one challenge opened (RFC 7616 §3.6). Holds hashes, never the password.

    Attributes:
        nonce: the server's, as last given.
        cnonce: ours; one serves a nonce for its whole life, so that the `-sess` forms have one session key.
        count: how many requests have carried `nonce`.
    """

    __slots__ = (
        "_a1_hash",
        "_algorithm",
        "_head",
        "_qop",
        "_secret_hash",
        "_shown",
        "_tail",
        "cnonce",
        "count",
        "nonce",
    )

    def __init__(self, account: Account, challenge: Challenge, algorithm: Algorithm, qop: str) -> None:
        """Answer `challenge`, which has a realm, as `account`; call `start` before the first `credentials`."""
        params = challenge.params
        realm = params["realm"]
        self._algorithm = algorithm
        self._qop = qop
        self._secret_hash = hash_secret(algorithm, account.username, realm, account.password)
        self._a1_hash = self._head = self._tail = ""
        self._shown = {"username": account.username, "realm": realm}
        if params.get("userhash", "").lower() == "true":  # RFC 7616 §3.4.4
            self._shown["username"] = algorithm.hash_hex(octets(f"{account.username}:{realm}"))
            self._shown["userhash"] = "true"
        for name in ("algorithm", "opaque"):  # as the server wrote them, and only if it did (RFC 7616 §3.4)
            if name in params:
                self._shown[name] = params[name]
        self.nonce = ""
        self.cnonce = ""
        self.count = 0

    def start(self, nonce: str, cnonce: str, *, count: int = 0) -> None:
        """Go on with another nonce, which has been used `count` times."""
        self.nonce = nonce
        self.cnonce = cnonce
        self.count = count
        self._a1_hash = hash_a1(self._algorithm, self._secret_hash, nonce, cnonce)
        self._head = str(Credentials("Digest", {**self._shown, "nonce": nonce}))
        self._tail = ""
        if self._qop:
            self._tail = f", cnonce={quote(cnonce)}, qop={self._qop}, nc="
        elif self._algorithm.session:
            self._tail = f", cnonce={quote(cnonce)}"  # A1 cannot be computed without it

    def credentials(self, method: str, uri: str, body: bytes) -> str:
        """Write the header value for one more request, and count it (RFC 7616 §3.4)."""
        self.count += 1
        nc = f"{self.count:08x}" if self._qop else ""
        digest = request_digest(
            self._algorithm,
            self._a1_hash,
            method=method,
            uri=uri,
            body=body,
            nonce=self.nonce,
            qop=self._qop,
            nc=nc,
            cnonce=self.cnonce,
        )
        return f'{self._head}, uri={quote(uri)}, response="{digest}"{self._tail}{nc}'
