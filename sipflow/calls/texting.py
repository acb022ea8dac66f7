"""What is said beside the audio: texts (MESSAGE, RFC 3428) and INFO (RFC 6086)."""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from sipflow.calls.board import Board
from sipflow.calls.events import CallEvent, IdentityChanged, InfoReceived, Subscription, TextReceived
from sipflow.calls.hearing import Hearing
from sipflow.calls.referred import ReferAsked
from sipflow.calls.speaking import Speaking
from sipflow.calls.variables import variables_of
from sipflow.errors import LocalProtocolError, MediaError, RemoteProtocolError
from sipflow.sip.headers.content import MediaType
from sipflow.sip.message import Headers, Request
from sipflow.sip.usage.invite import InviteUsage

_LONGEST_TEXT_BYTES = 1200  # RFC 3428 §5: with its headers it has to fit into a datagram
_TEXT = "text/plain"


class Texting(Hearing, Speaking):
    """The part of a call that reads and writes texts; see `Call`."""

    usage: InviteUsage
    _switchboard: Board
    _sent: asyncio.Future[int] | None = None
    _decides = False
    _identity = ""

    if TYPE_CHECKING:

        def give(self, variables: Mapping[str, str]) -> None: ...

    @cached_property
    def _one_text(self) -> asyncio.Lock:
        return asyncio.Lock()

    @property
    def messages(self) -> Subscription[TextReceived]:
        """Each text that the far end sends from now on: `async for text in call.messages`. Ends with the call."""
        return self._subscribe(_text)

    @property
    def infos(self) -> Subscription[InfoReceived]:
        """Each INFO of the far end from now on that is no digit. Ends with the call."""
        return self._subscribe(_info)

    @property
    def referrals(self) -> Subscription[ReferAsked]:
        """Each wish of the far end to be sent on, from now on, where the trunk says `refer.receive: offer`.

        Somebody must listen, or such wishes are refused at once. Ends with the call.
        """
        self._decides = True
        return self._subscribe(_referral)

    async def send_message(self, text: str | bytes, *, content_type: str = _TEXT) -> None:
        """Send a text to the far end, and return when it has taken it. Several go one after the other.

        Args:
            text: at most 1200 bytes.
            content_type: of `text`.

        Raises:
            MediaError: the far end takes no texts, or refuses this one.
            LocalProtocolError: it is too long, or the call has no dialog yet: nothing has come from the far end.
            CallEnded: the call is over.

        Cancelling does not take it back.
        """
        body = text.encode() if isinstance(text, str) else text
        if len(body) > _LONGEST_TEXT_BYTES:
            raise LocalProtocolError(f"a text has at most {_LONGEST_TEXT_BYTES} bytes, and this one {len(body)}")
        charset = ";charset=utf-8" if isinstance(text, str) and content_type == _TEXT and not text.isascii() else ""
        board = self._switchboard
        with self._lifetime.scope():
            async with self._one_text:
                self._sent = asyncio.get_running_loop().create_future()
                board.apply(self.usage.message(body, content_type + charset, now=board.now))
                status = await self._sent
        if status >= 300:
            raise MediaError(f"the far end does not take the text: {status}")

    async def send_info(self, body: bytes, content_type: str, *, headers: Mapping[str, str] | None = None) -> None:
        """Send an INFO, and return when the far end has taken it. Several go one after the other, digits too.

        Raises:
            MediaError: the far end refuses it.
            LocalProtocolError: the call has no dialog yet, or no audio.
            CallEnded: the call is over.

        Cancelling does not take it back.
        """
        with self._lifetime.scope():
            status = await self.outbox.info(body, content_type, tuple((headers or {}).items()))
        if status >= 300:
            raise MediaError(f"the far end does not take the INFO: {status}")

    # What the switchboard tells

    def text_came(self, request: Request) -> None:
        """Take a MESSAGE that was answered already."""
        content_type, charset = _TEXT, "utf-8"
        try:
            media_type = MediaType.parse(request.headers.get("Content-Type") or _TEXT)
            content_type, charset = media_type.essence, media_type.param("charset") or charset
        except RemoteProtocolError:
            pass  # a type that cannot be read: the octets are still there
        try:
            text = request.body.decode(charset, "replace")
        except LookupError:  # a character set that nobody knows
            text = request.body.decode("utf-8", "replace")
        self._publish(TextReceived(text, content_type, request.body))

    def info_came(self, request: Request) -> None:
        """Take an INFO that was answered already and is no digit."""
        self._publish(InfoReceived(request.body, request.headers.get("Content-Type") or ""))

    def refer_asked(self, asked: ReferAsked) -> bool:
        """Offer a REFER to the agent; say whether it listens for such things."""
        if self._decides:
            self._publish(asked)
        return self._decides

    def says(self, headers: Headers) -> None:
        """Take what a re-INVITE or UPDATE says of its sender: Diversion and the like are known to the agent at once."""
        changed = variables_of(headers)
        if changed:
            self.give(changed)
        identity = headers.get("P-Asserted-Identity") or ""
        if identity and identity != self._identity:
            self._identity = identity
            self._publish(IdentityChanged(identity))

    def text_answered(self, status: int) -> None:
        """Take the far end's answer to the text that is under way."""
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(status)


def _text(event: CallEvent) -> TextReceived | None:
    return event if isinstance(event, TextReceived) else None


def _referral(event: CallEvent) -> ReferAsked | None:
    return event if isinstance(event, ReferAsked) else None


def _info(event: CallEvent) -> InfoReceived | None:
    return event if isinstance(event, InfoReceived) else None
