"""Whether the packets of one stream are encrypted, and with what: keys from the description, or from a handshake."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sipflow.errors import MediaError
from sipflow.media.dtls import DtlsHandshake, identity
from sipflow.media.inbound import Inbound
from sipflow.media.latch import Address
from sipflow.media.outbound import Outbound
from sipflow.media.reporting import Reporting
from sipflow.sdp.agreement import Agreed, SrtpKeys

if TYPE_CHECKING:
    from sipflow.rtp.srtp import SrtpSession


class Encryption:
    """Sees to it that nothing leaves in the clear, and nothing is believed, that should be encrypted.

    Attributes:
        srtp: counts what was dropped; None without encryption, and until a handshake has made keys.
        on_failed: told why a handshake made no keys.
    """

    def __init__(self, rtp: socket.socket, inbound: Inbound, outbound: Outbound, reporting: Reporting) -> None:
        self._rtp = rtp
        self._inbound = inbound
        self._outbound = outbound
        self._reporting = reporting
        self._handshake: DtlsHandshake | None = None
        self.srtp: SrtpSession | None = None
        self.on_failed: Callable[[str], None] = lambda _why: None

    @property
    def dropped(self) -> int:
        """How many packets were forged, damaged or played again."""
        return self.srtp.unauthentic + self.srtp.replayed if self.srtp is not None else 0

    def agree(self, agreed: Agreed, remote: Address | None) -> None:
        """Take what was agreed; keys that stay the same go on, roll-over counters included.

        Raises:
            MediaError: the keys cannot be used, or a handshake was agreed that we cannot make. Nothing has changed.
        """
        if agreed.dtls is not None:
            self._shake_hands(agreed, remote)
        elif agreed.srtp is not None:
            self._use(agreed.srtp)
            self._end_handshake()
        elif self.srtp is not None or self._handshake is not None:
            self._end_handshake()
            self.srtp = None
            self._set(None, None, None, None)

    def close(self) -> None:
        """Forget handshake and keys."""
        self._end_handshake()

    def _shake_hands(self, agreed: Agreed, remote: Address | None) -> None:
        handshake = self._handshake
        if handshake is not None and agreed.dtls is not None and handshake.terms.same_association(agreed.dtls):
            if remote is not None:
                handshake.redirect(remote)
            return
        own = identity()
        if own is None or agreed.dtls is None:
            raise MediaError("a DTLS handshake was agreed, which needs the extra `dtls` (pip install 'sipflow[dtls]')")
        self._end_handshake()
        self.srtp = None
        self._set(_nothing, _nothing, _silence, _silence)
        self._inbound.on_dtls = self._received
        self._handshake = DtlsHandshake(
            agreed.dtls, own, remote=remote, send=self._send, on_keys=self._settled, on_failed=self._failed
        )

    def _received(self, datagram: bytes, source: Address) -> None:
        if self._handshake is not None:
            self._handshake.receive(datagram, source)

    def _send(self, datagram: bytes, to: Address) -> None:
        with suppress(OSError):  # a lost datagram; the handshake repeats it
            self._rtp.sendto(datagram, to)

    def _settled(self, keys: SrtpKeys, _source: Address) -> None:
        self._use(keys)

    def _failed(self, why: str) -> None:
        self._end_handshake()
        self.on_failed(why)

    def _use(self, keys: SrtpKeys) -> None:
        from sipflow.rtp.srtp import SrtpSession  # libsrtp's binding, which calls in the clear need not load

        if self.srtp is None:
            self.srtp = SrtpSession(keys)
        else:
            self.srtp.rekey(keys)
        srtp = self.srtp
        self._set(srtp.unprotect, srtp.unprotect_rtcp, srtp.protect, srtp.protect_rtcp)

    def _set(
        self,
        unprotect: Callable[[bytes], bytes | None] | None,
        unprotect_rtcp: Callable[[bytes], bytes | None] | None,
        protect: Callable[[bytes], bytes] | None,
        protect_rtcp: Callable[[bytes], bytes] | None,
    ) -> None:
        self._inbound.unprotect, self._reporting.unprotect = unprotect, unprotect_rtcp
        self._outbound.protect, self._reporting.protect = protect, protect_rtcp

    def _end_handshake(self) -> None:
        self._inbound.on_dtls = None
        if self._handshake is not None:
            self._handshake.close()
            self._handshake = None


def _nothing(_packet: bytes) -> None:
    """Believe nothing while there are no keys."""


def _silence(_packet: bytes) -> bytes:
    """Send nothing while there are no keys."""
    return b""
