"""A call that we place."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from sipflow.calls.call import Call
from sipflow.calls.ending import Ending
from sipflow.calls.media import LegMedia
from sipflow.calls.record import CallRecord
from sipflow.errors import CallFailed, LocalProtocolError, MediaError, RemoteProtocolError
from sipflow.net.endpoint import Endpoint
from sipflow.sip.message import Headers, Request, Response
from sipflow.sip.usage.uac import UacInvite

if TYPE_CHECKING:
    from sipflow.calls.switchboard import Switchboard

_MOST_PLACES = 16  # that ring at once, as in sip.usage.uac


class OutboundCall(Call):
    """A call to somebody. `await call.wait_answered()` first; then as any `Call`.

    Early media, such as an announcement of the network, is heard through `call.audio` from the first provisional
    response with SDP on; what is played is sent from then on too. Where it rings in several places the one that spoke
    up last is heard, and from the answer on whoever answered.

    Attributes:
        progress: provisional statuses so far, in order.
        on_progress: told status and reason of each as it comes.
    """

    def __init__(self, switchboard: "Switchboard", usage: UacInvite, record: CallRecord, media: LegMedia) -> None:
        super().__init__(switchboard, usage, record, Headers())
        self.media = media
        self.progress: list[int] = []
        self.on_progress: Callable[[int, str], None] = lambda _status, _reason: None
        self._calling = usage
        self._answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early: dict[str, tuple[bytes, bool]] = {}  # of each place that rings: its SDP, and whether it is settled
        self._heard = ""  # tag of the place that is heard now

    @property
    def where(self) -> str:
        """Where the INVITE went, such as `udp:10.0.0.5:5060`."""
        return str(self._calling.hop)

    def unreachable_because(self, endpoint: Endpoint) -> str:
        """Why the last target could not be reached, "" where nobody knows."""
        return endpoint.why(self._calling.hop) if self._calling.hop is not None else ""

    async def wait_answered(self) -> None:
        """Wait until the far end answers.

        Raises:
            CallFailed: it refused, never answered, or could not be reached; or we hung up meanwhile.

        Cancelling leaves the call ringing: `hangup` ends it.
        """
        await asyncio.shield(self._answer)

    def end(self, why: str, *, headers: tuple[tuple[str, str], ...] = (), status: int = 603) -> None:  # noqa: ARG002
        """Send CANCEL, or BYE once it is answered, with `headers`; `status` means nothing for a call of ours."""
        now = self._switchboard.now
        if self.answered:
            self._switchboard.apply(self._calling.bye(now=now, headers=headers, why=why))
        else:
            self._switchboard.apply(self._calling.cancel(now=now, headers=headers))

    def progressed(self, response: Response, body: bytes, *, reliable: bool = False) -> None:
        """Note ringing; with SDP, hear early media: of several places that ring, the last one that spoke up."""
        self.progress.append(response.status)
        self.on_progress(response.status, response.reason)
        self.log.debug("ringing", status=response.status, reason=response.reason)
        tag = response.to.tag or ""
        known, settled = self._early.get(tag, (b"", False))
        if not body or settled or (known == body and tag == self._heard) or (not known and self._full):
            return  # RFC 3261 §13.2.1: the first answer of a place counts, where it was sure to arrive
        self._early[tag] = (body, reliable)
        self._hear(tag, body)

    def confirmed(self, message: Request | Response, body: bytes) -> None:
        """Take the answer; a call whose SDP cannot be used is hung up (RFC 3261 §13.2.2.4)."""
        self.headers = message.headers
        self.was_answered()
        tag = message.to.tag or ""
        known, settled = self._early.get(tag, (b"", False))
        self._early.clear()
        if settled or not body:
            body = known  # RFC 3262 §5: the answer came before; another place may have been heard since
        if (tag != self._heard or body != known or not body) and not self._hear(tag, body):
            return
        if not self._answer.done():
            self._answer.set_result(None)

    @property
    def _full(self) -> bool:
        return len(self._early) >= _MOST_PLACES

    def _hear(self, tag: str, body: bytes) -> bool:
        """Let the audio be what a place that rings, or has answered, wants."""
        if self.media is None:
            return True
        try:
            self.media.take_answer(body)
        except (RemoteProtocolError, LocalProtocolError, MediaError) as error:
            self.end(f"the far end's SDP cannot be used: {error}")
            return False
        self._heard = tag
        self.media_changed()
        return True

    def has_ended(self, ending: Ending) -> None:
        """Also tell whoever waits for the answer that there will be none."""
        super().has_ended(ending)
        if not self._answer.done():
            status = ending.status if ending.status >= 300 else 487
            self._answer.set_exception(CallFailed(status, ending.why))
            self._answer.exception()  # whoever never waits for the answer needs no warning about it
