"""The media of one leg: from an offer and what we can do to a running RTP session."""

from collections.abc import Callable

from sipflow.errors import LocalProtocolError
from sipflow.media.desk import MediaDesk
from sipflow.media.session import MediaSession
from sipflow.sdp.offer_answer import Agreed, Capabilities, LocalMedia, answer_offer, make_offer, read_answer


class LegMedia:
    """Negotiates (RFC 3264) and carries one audio stream.

    Attributes:
        session: the RTP session, with a port of its own from the start.
        agreed: what both sides settled on; None until there is an answer.
    """

    def __init__(
        self,
        desk: MediaDesk,
        *,
        address: str,
        capabilities: Capabilities,
        session_id: int,
        on_digit: Callable[[str], None],
    ) -> None:
        """Take a port pair.

        Raises:
            PortsExhausted: none is free.
        """
        self.session: MediaSession = desk.open(ipv6=":" in address, on_digit=on_digit)
        self.agreed: Agreed | None = None
        self._capabilities = capabilities
        self._local = LocalMedia(
            address=address,
            rtp_port=self.session.pair.port,
            rtcp_port=self.session.pair.rtcp_port,
            session_id=session_id,
            version=1,
        )
        self._pending: Agreed | None = None
        self._last = b""
        self._open_offer = b""

    @property
    def held(self) -> bool:
        """Whether the far end has put us on hold: it wants to hear nothing."""
        return self.agreed is not None and not self.agreed.sends

    def accept(self, offer: bytes) -> bytes:
        """Answer an offer; nothing changes until `commit`.

        Raises:
            RemoteProtocolError: the SDP is broken (400) or has nothing in common with us (488).
        """
        local = self._next()
        body, agreed = answer_offer(offer, local, self._capabilities)
        self._pending = agreed
        self._local, self._last = local, body
        return body

    def commit(self) -> None:
        """Let the last accepted offer take effect: start, change, hold or resume the stream."""
        if self._pending is not None:
            self._apply(self._pending)
            self._pending = None

    def offer(self) -> bytes:
        """Make an offer of all we can."""
        local = self._next()
        body = make_offer(local, self._capabilities, after=self._last)
        self._open_offer = body if self._last else b""
        self._local, self._last = local, body
        return body

    def _next(self) -> LocalMedia:
        """What is sent next is a newer version of what was sent last, by exactly one (RFC 3264 §8)."""
        return self._local.revised() if self._last else self._local

    def take_answer(self, answer: bytes) -> None:
        """Read the answer to our offer and start, or change, the stream.

        Raises:
            RemoteProtocolError: the answer is broken, or accepts nothing.
            LocalProtocolError: it is empty.
        """
        if not answer:
            raise LocalProtocolError("the far end answered without SDP")
        agreed = read_answer(answer, self._local, self._capabilities, offer=self._open_offer)
        self._apply(agreed)

    def _apply(self, agreed: Agreed) -> None:
        if self.agreed is None:
            self.session.start(agreed)
        elif agreed != self.agreed:
            self.session.update(agreed)
        self.agreed = agreed

    def close(self) -> None:
        """Stop, and give the ports back. May be called twice."""
        self.session.close()
