"""Hold from our side: a re-INVITE that asks the far end to listen or to be silent, and one that takes it back."""

import asyncio
from collections.abc import Callable
from functools import cached_property

from sipflow.calls.board import Board
from sipflow.calls.leg import Leg
from sipflow.calls.media import LegMedia
from sipflow.calls.record import CallRecord
from sipflow.errors import MediaError
from sipflow.sdp.agreement import Codec
from sipflow.sip.usage.invite import InviteUsage


class Holding(Leg):
    """The part of a call that holds and takes back; see `Call`."""

    usage: InviteUsage
    record: CallRecord
    _switchboard: Board
    _reoffer: asyncio.Future[int] | None = None
    _outstanding: asyncio.Future[int] | None = None  # of an offer that may yet be answered, whoever waits for it

    @cached_property
    def _one_reoffer(self) -> asyncio.Lock:
        return asyncio.Lock()

    @property
    def holding(self) -> bool:
        """Whether we have put the far end on hold. The other direction is `held`."""
        return self.media is not None and self.media.holding

    async def put_on_hold(self, *, quiet: bool = False) -> None:
        """Put the far end on hold with a re-INVITE (RFC 3264 §8.4); returns when it has agreed.

        Nothing is heard of it any more; what is played still reaches it, such as music, unless `quiet`. Where it has
        put us on hold as well, nothing flows at all. Twice is once, unless `quiet` is another. While an offer of the
        far end is under way this waits, and where both offers cross (491) it is tried again by itself.

        Raises:
            MediaError: the far end refused; the call goes on as it was.
            LocalProtocolError: the call has not been answered.
            CallEnded: either side hung up, or the far end is gone: it never answered, or knows no such call.

        Cancelling does not take the request back: `holding` tells what came of it.
        """
        await self._set_hold(True, quiet=quiet)

    async def take_off_hold(self) -> None:
        """Take the far end back from our hold. If it holds us as well, `held` stays True until it takes us back.

        Raises:
            MediaError: the far end refused; the call goes on as it was.
            LocalProtocolError: the call has not been answered.
            CallEnded: as `put_on_hold`.

        Cancelling does not take the request back.
        """
        await self._set_hold(False)

    async def _set_hold(self, wanted: bool, *, quiet: bool = False) -> None:
        with self._lifetime.scope():
            async with self._one_reoffer:
                await self._settled()
                was = self.holding
                if was is wanted and (not wanted or self._live_media.quiet is quiet):
                    return
                status = await self._offer(lambda media: media.offer(hold=wanted, quiet=quiet))
                if status < 300 and was is not wanted:
                    self._switchboard.history.note(self.record, "hold" if wanted else "resumed", by="local")
        if status >= 300:
            what = "be put on hold" if wanted else "be taken off hold"
            raise MediaError(f"the far end refused to {what}: {status}")

    async def change_codec(self, codec: Codec) -> None:
        """Ask the far end, with a re-INVITE, to use a codec that it may like less than the one it uses.

        Raises:
            MediaError: it refused; the call goes on as it was.
            LocalProtocolError: the call has not been answered.
            CallEnded: as `put_on_hold`.
        """
        with self._lifetime.scope():
            async with self._one_reoffer:
                await self._settled()
                self._live_media.favour(codec)
                status = await self._offer(lambda media: media.offer())
        if status >= 300:
            raise MediaError(f"the far end refused to use {codec.name}: {status}")

    async def _offer(self, write: Callable[[LegMedia], bytes]) -> int:
        media = self._live_media
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def make_body() -> bytes:
            self._reoffer = answer  # from now on an answer is the answer to this
            return write(media)

        self._switchboard.apply(self.usage.offer(make_body, now=self._switchboard.now))
        self._outstanding = answer
        return await asyncio.shield(answer)

    async def _settled(self) -> None:
        """Wait for the end of an offer whose sender was cancelled: only then it is known what there is to change."""
        if self._outstanding is not None and not self._outstanding.done():
            await asyncio.wait((self._outstanding,))

    def reoffer_ended(self, status: int) -> None:
        """Take the outcome of the re-INVITE that is under way."""
        reoffer, self._reoffer = self._reoffer, None
        if reoffer is not None and not reoffer.done():
            reoffer.set_result(status)
