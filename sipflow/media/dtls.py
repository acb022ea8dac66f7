"""Keys made by a DTLS handshake on the RTP port itself (RFC 5763, RFC 5764), for peers that want it so.

Certificates are told apart by the fingerprint in the description alone: nobody signs them. ICE is not spoken; a peer
that insists on it never begins.
"""

import asyncio
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sipflow.media.latch import Address
from sipflow.sdp.agreement import SrtpKeys
from sipflow.sdp.fingerprint import DtlsTerms

if TYPE_CHECKING:
    from sipflow.media.dtls_openssl import Association, Identity

TIMEOUT_S = 15.0  # people hang up on silence sooner
_AFTER_ANSWER_S = 0.1  # rtpengine forgets a handshake that has begun when our answer reaches it

_RECORD_HEADER_BYTES = 13  # RFC 6347 §4.1
_HANDSHAKE = 22  # a record's type
_CANDIDATES = 4  # of sources that may try at the same time to be the peer

Send = Callable[[bytes, Address], object]


def is_dtls(datagram: bytes) -> bool:
    """Say whether a datagram on the RTP port is DTLS (RFC 7983 §7: first octet 20 to 63; RTP has 128 to 191)."""
    return len(datagram) > _RECORD_HEADER_BYTES and 20 <= datagram[0] <= 63


def _is_first(datagram: bytes) -> bool:
    """Whether it is the first of the handshake records that its sender counts (RFC 6347 §4.1)."""
    return datagram[0] == _HANDSHAKE and not any(datagram[3:11])  # epoch and number


def installed() -> bool:
    """Whether the extra `dtls` is there."""
    return find_spec("OpenSSL") is not None


@cache
def identity() -> "Identity | None":
    """Give this process's identity, made when it is first needed; None without the extra `dtls`."""
    if not installed():
        return None
    from sipflow.media.dtls_openssl import make_identity  # 10 MB that most processes need not load

    return make_identity()


class DtlsHandshake:
    """Settles the keys of one stream. Datagrams are handed in; what is to be sent goes out through `send`.

    Where the peer begins, several sources may try: the one that owns the certificate is the peer, whatever its address.
    Afterwards repeated datagrams of the peer are still answered, because our last ones may have been lost. A peer that
    was heard and does not go on may have forgotten: beside what is repeated, it is offered a handshake anew.

    Attributes:
        terms: what it goes by.
        keys: once they are settled.
    """

    def __init__(
        self,
        terms: DtlsTerms,
        own: "Identity",
        *,
        remote: Address | None,
        send: Send,
        on_keys: Callable[[SrtpKeys, Address], None],
        on_failed: Callable[[str], None],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Begin, where it is for us to begin; needs a running loop.

        Args:
            terms: agreed in the descriptions.
            own: see `identity`.
            remote: where the peer's description says that it is, None where it says nothing.
            send: sends a datagram.
            on_keys: told the keys and where the peer is, once.
            on_failed: told why there are none, once, at the latest after `timeout_s`.
            timeout_s: seconds until then.
        """
        self.terms = terms
        self.keys: SrtpKeys | None = None
        self._own = own
        self._remote = remote
        self._send = send
        self._on_keys = on_keys
        self._on_failed = on_failed
        self._why = "the far end did not answer" if terms.active else "the far end did not begin one"
        self._tries: dict[Address, Association] = {}
        self._anew: Association | None = None  # for a peer that has forgotten the one before
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.call_later(timeout_s, self._fail)
        self._closed = False
        self._start: asyncio.TimerHandle | None = None
        if terms.active and terms.offered:
            self._start = self._loop.call_later(_AFTER_ANSWER_S, self._begin)
        elif terms.active:
            self._begin()

    def redirect(self, remote: Address) -> None:
        """Take another address of the peer's, from a new description."""
        if remote == self._remote or self._closed:
            return
        self._remote = remote
        if self.terms.active and self.keys is None and self._start is None:
            self._forget_anew()
            self._drop(*self._tries)
            self._begin()

    def receive(self, datagram: bytes, source: Address) -> None:
        """Take a datagram for which `is_dtls` is true; what it changes is done at once."""
        association = None if self._closed else self._tries.get(source) or self._taken_on(source)
        if association is not None:
            if self._anew is not None and _is_first(datagram):  # whoever counts from 0 again has forgotten the other
                self._drop(*self._tries)
                self._tries[source] = association = self._anew
                self._anew = None
            association.take(datagram, source)
            self._turn(association)

    def close(self) -> None:
        """Forget everything; nobody is told."""
        self._closed = True
        self._end.cancel()
        if self._start is not None:
            self._start.cancel()
        self._forget_anew()
        self._drop(*self._tries)

    def _begin(self) -> None:
        self._start = None
        if self._remote is not None:
            self._turn(self._open(self._remote))

    def _taken_on(self, source: Address) -> "Association | None":
        """Find who answers a source that was not heard before, None for nobody."""
        if self.terms.active or self.keys is not None:
            # Whom we called, or know, may speak from another port; a stranger may not.
            known = next(iter(self._tries.values()), None)
            return known if known is not None and known.remote[0] == source[0] else None
        if len(self._tries) >= _CANDIDATES:
            strangers = [at for at in self._tries if self._remote is None or at[0] != self._remote[0]]
            self._drop((strangers or list(self._tries))[0])
        return self._open(source)

    def _open(self, remote: Address) -> "Association":
        self._tries[remote] = association = self._own.associate(self.terms, remote)
        return association

    def _turn(self, association: "Association") -> None:
        """Let an association go on; send what it has to say, and come back when it wants to repeat it."""
        outcome = association.advance()
        for datagram in association.waiting():
            self._send(datagram, association.remote)
        if isinstance(outcome, SrtpKeys):
            self._settle(association, outcome)
        elif outcome:
            self._give_up(association, outcome)
        if association.timer is not None:
            association.timer.cancel()
        pause_s = None if association.closed else association.pause_s()
        if pause_s is not None:
            association.timer = self._loop.call_later(pause_s, self._repeat, association)

    def _repeat(self, association: "Association") -> None:
        association.repeat()
        self._turn(association)
        if self.terms.active and association.heard and self._anew is None and not association.closed:
            self._anew = self._own.associate(self.terms, association.remote)
            self._turn(self._anew)

    def _settle(self, association: "Association", keys: SrtpKeys) -> None:
        """Keep the association that made the keys, forget the others."""
        self.keys = keys
        self._end.cancel()
        self._forget_anew()
        self._drop(*[at for at, other in self._tries.items() if other is not association])
        self._on_keys(keys, association.remote)

    def _give_up(self, association: "Association", why: str) -> None:
        """Drop one association; when it was the only one that there can be, the whole handshake."""
        self._drop(*[at for at, other in self._tries.items() if other is association])
        if self.keys is None:
            self._why = why
            if self.terms.active:
                self._fail()

    def _fail(self) -> None:
        self.close()
        self._on_failed(f"no DTLS handshake: {self._why}")

    def _forget_anew(self) -> None:
        if self._anew is not None:
            self._anew.close()
            self._anew = None

    def _drop(self, *sources: Address) -> None:
        for source in sources:
            self._tries.pop(source).close()
