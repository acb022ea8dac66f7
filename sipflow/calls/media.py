"""The media of one leg: from an offer and what we can do to a running RTP session."""

import re
from collections.abc import Callable
from dataclasses import replace

from sipflow.calls.encryption import LegSecrets
from sipflow.errors import LocalProtocolError
from sipflow.media.desk import MediaDesk
from sipflow.media.session import MediaSession
from sipflow.sdp.agreement import Codec, Encryption
from sipflow.sdp.attributes import INACTIVE, SENDONLY, SENDRECV, Direction
from sipflow.sdp.offer_answer import Agreed, Capabilities, LocalMedia, answer_offer, make_offer, read_answer

_SILENT = re.compile(rb"^a=(?:sendonly|inactive)\r?$", re.MULTILINE)


class LegMedia:
    """Negotiates (RFC 3264) and carries one audio stream.

    Attributes:
        session: the RTP session, with a port of its own from the start.
        agreed: what both sides settled on; None until there is an answer.
        dtmf: how digits are sent: "auto", "rfc4733", "info" or "inband", as `Trunk.dtmf` says.
        prack: whether early media is announced reliably where the far end supports that (RFC 3262).
        on_tone: told each digit that is heard as tones; None where nobody is to listen for them.
    """

    def __init__(
        self,
        desk: MediaDesk,
        *,
        address: str,
        capabilities: Capabilities,
        session_id: int,
        on_digit: Callable[[str], None],
        dtmf: str = "auto",
        prack: bool = True,
        on_tone: Callable[[str], None] | None = None,
        on_silent: Callable[[float], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
    ) -> None:
        """Take a port pair.

        Raises:
            PortsExhausted: none is free.
        """
        self.session: MediaSession = desk.open(
            ipv6=":" in address, on_digit=on_digit, on_silent=on_silent, on_failed=on_failed
        )
        self.agreed: Agreed | None = None
        self.dtmf = dtmf
        self.prack = prack
        self.on_tone = on_tone
        self._capabilities = capabilities
        self._local = LocalMedia(
            address=address,
            rtp_port=self.session.pair.port,
            rtcp_port=self.session.pair.rtcp_port,
            session_id=session_id,
            version=1,
        )
        self._secrets = LegSecrets(capabilities) if capabilities.srtp is not Encryption.OFF else None
        self._held_besides = False  # while we want silence both ways: whether the far end holds us, too
        self._offered_under: Agreed | None = None  # what was agreed when our last offer was made
        self._pending: Agreed | None = None
        self._last = b""  # our description that is in force
        self._version = 0  # of what was sent last, whatever became of it
        self._offered: tuple[LocalMedia, bytes, Direction] | None = None
        self._open_offer = b""

    @property
    def codec(self) -> Codec | None:
        """The codec that was agreed on, or will be with our answer; None before there is either."""
        settled = self.agreed or self._pending
        return settled.codec if settled is not None else None

    @property
    def held(self) -> bool:
        """Whether the far end has put us on hold: it wants to hear nothing."""
        if self._local.direction is INACTIVE:  # it is us who want silence both ways: what is agreed does not tell
            return self._held_besides
        return self.agreed is not None and not self.agreed.sends

    @property
    def holding(self) -> bool:
        """Whether we have put the far end on hold: we want to hear nothing."""
        return not self._local.direction.receives

    @property
    def quiet(self) -> bool:
        """Whether we have said that we want silence both ways."""
        return self._local.direction is INACTIVE

    def accept(self, offer: bytes) -> bytes:
        """Answer an offer; nothing changes until `commit`.

        Raises:
            RemoteProtocolError: the SDP is broken (400) or has nothing in common with us (488).
        """
        local = self._next(offer)
        body, agreed = answer_offer(offer, local, self._capabilities, agreed=self.agreed)
        self._pending = agreed
        if local.direction is INACTIVE:
            self._held_besides = _SILENT.search(offer) is not None
        self._local, self._last, self._version = local, body, local.version
        return body

    def commit(self) -> None:
        """Let the last accepted offer take effect: start, change, hold or resume the stream."""
        if self._pending is not None:
            self._apply(self._pending)
            self._pending = None

    def favour(self, codec: Codec) -> None:
        """Put a codec first in what is offered from now on."""
        others = tuple(each for each in self._capabilities.codecs if each.name.upper() != codec.name.upper())
        self._capabilities = replace(self._capabilities, codecs=(codec, *others))

    def offer(self, *, hold: bool | None = None, quiet: bool = False) -> bytes:
        """Make an offer of all we can. Nothing changes until `take_answer`; a refused one leaves all as it was.

        Args:
            hold: whether the far end is to be on hold; None leaves that as it is.
            quiet: on hold, nothing is sent either.
        """
        if self._local.direction is not INACTIVE:
            self._held_besides = self.held
        local = self._next()
        held = INACTIVE if quiet else SENDONLY
        wanted = local.direction if hold is None else held if hold else SENDRECV
        # RFC 3264 §8.4: a stream that the far end holds already is held by inactive, any other by sendonly.
        says = INACTIVE if wanted is SENDONLY and self.held else wanted
        if says is not local.direction:
            local = replace(local, direction=says)
        settled = self.agreed
        self._offered_under = settled if settled is not None and settled.begun else None
        body = make_offer(local, self._capabilities, after=self._last, agreed=self._offered_under)
        self._open_offer = body if self._last else b""
        self._offered = (local, body, wanted)
        self._version = local.version
        return body

    def _next(self, offer: bytes = b"") -> LocalMedia:
        """What is sent next is a newer version of what was sent last, by exactly one (RFC 3264 §8)."""
        local = replace(self._local, version=self._version + 1) if self._version else self._local
        return self._secrets.provide(local, self.agreed, offer=offer) if self._secrets is not None else local

    def take_answer(self, answer: bytes) -> None:
        """Read the answer to our offer and start, or change, the stream.

        Of a call that rings in several places each may answer the one offer: the last answer counts.

        Raises:
            RemoteProtocolError: the answer is broken, or accepts nothing.
            LocalProtocolError: it is empty, or there was no offer.
        """
        if not answer:
            raise LocalProtocolError("the far end answered without SDP")
        if self._offered is None:
            raise LocalProtocolError("the far end answered what was never offered")
        local, body, wanted = self._offered
        agreed = read_answer(answer, local, self._capabilities, offer=self._open_offer, agreed=self._offered_under)
        self._apply(agreed)
        self._local = local if local.direction is wanted else replace(local, direction=wanted)
        self._last = body

    def _apply(self, agreed: Agreed) -> None:
        if self.agreed is None:
            self.session.start(agreed)
        elif agreed != self.agreed:
            self.session.update(agreed)
        if self.on_tone is not None:
            self.session.hear_tones(self.on_tone if agreed.telephone_event_receive is None else None)
        self.agreed = agreed

    def close(self) -> None:
        """Stop, and give the ports back. May be called twice."""
        self.session.close()
