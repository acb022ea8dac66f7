"""What an agent asks of a call to hand it to a person."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from sipflow.audio.frame import Frame
from sipflow.calls.aside import Aside
from sipflow.calls.record import CallRecord
from sipflow.calls.transfer.outcome import TransferOutcome
from sipflow.calls.transfer.targets import Target
from sipflow.errors import Conflict
from sipflow.trunks.trunk import Trunk

if TYPE_CHECKING:
    from sipflow.calls.call import Call
    from sipflow.calls.saving import Unsaid
    from sipflow.calls.switchboard import Switchboard
    from sipflow.calls.transfer.request import TransferOptions, TransferRequest
    from sipflow.calls.transfer.transfer import Transfer

T = TypeVar("T")


class Transferring(Aside):
    """The part of a call that hands it on; see `Call`."""

    record: CallRecord
    _switchboard: "Switchboard"
    _transfer: "Transfer | None" = None
    _sent_on: "Unsaid | None" = None  # a REFER of its far end that is being followed

    if TYPE_CHECKING:

        @property
        def trunk(self) -> Trunk | None: ...

    @property
    def transferring(self) -> "Transfer | None":
        """The transfer that was begun last, under way or over; None where there was none."""
        return self._transfer

    async def transfer(
        self,
        target: str | Target | Sequence[str | Target],
        *,
        raw: bool = False,
        after_hours: str | Target | Sequence[str | Target] = (),
        **how: "Unpack[TransferOptions]",
    ) -> TransferOutcome:
        """Hand the call to a person, and say what really came of it; a caller whom nobody takes is still here after it.

        A blind transfer tells the far end to go there (REFER, RFC 3515), and believes what it reports, not that it
        said yes. Where it refuses, or is known to take no REFER, the target is called by us, and joined with the caller
        when it answers. A warm one always calls the target, asks it, and joins it then; an attended one does so too,
        and then lets the trunk join both by itself where `refer.replaces` says that it can.

        It returns when the conversation with the person is over, or when nobody took the call. Meanwhile the agent's
        code may go on in other tasks: it talks with the caller until something is played to them or somebody takes the
        call, and from then on neither hears nor is heard. A caller who is joined with somebody (`handler: forward`,
        `sip_endpoint`, `joined`) goes on talking with them, and they are hung up on when the person has the call.

        Args:
            target: E.164, an extension of the trunk, `tel:`, `sip:` with port and transport, `phonebook:<id>` or
                `phonebook:<id>/<entry>`; several are tried in turn.
            raw: take `target` as it is, for PBXs with names of their own.
            after_hours: who is called in its place outside of `hours`.
            how: everything else, see `TransferOptions`.

        Raises:
            CallEnded: the caller hung up before anybody had the call.
            LocalProtocolError: something in what was asked for cannot be used; nobody was called.
            NotFound: there is no such phone book, or it is empty.
            StoreError: the phone book cannot be read now.
            Conflict: a transfer of this call is under way, or it is being put through to somebody already.

        Cancelling, and `take_back`, bring the caller back here; whoever was called is hung up on.
        """
        from sipflow.calls.transfer.request import TransferRequest, read_targets

        targets = read_targets(target, region=self.region, raw=raw)
        later = read_targets(after_hours, region=self.region)
        return await self.begin_transfer(TransferRequest(targets=targets, after_hours=later, **how)).run()

    def begin_transfer(self, request: "TransferRequest") -> "Transfer":
        """Make the transfer of this call that is under way from now on; `run` it.

        Raises:
            CallEnded: the call is over.
            Conflict: another one is under way, or the call is being put through to somebody who has not answered.
        """
        from sipflow.calls.transfer.transfer import Transfer

        self._lifetime.check()
        if self._transfer is not None and self._transfer.outcome is None:
            raise Conflict("a transfer of this call is under way")
        call = cast("Call", self)
        if call.joint is not None and not call.joint.partner(call).answered:
            raise Conflict("this call is being put through to somebody who has not answered")
        self._transfer = Transfer(self._switchboard, call, request)
        return self._transfer

    async def phone_book(self, named: str) -> list[str]:
        """Give whom to call behind `phonebook:<id>` or `phonebook:<id>/<entry>`, in order, as `dial` takes them.

        Raises:
            NotFound: there is no such book or entry, or it is empty.
            LocalProtocolError: a number of it cannot be called.
            StoreError: the store cannot be read.
        """
        from sipflow.calls.transfer.targets import read_target

        numbers = await self._switchboard.transfers.listed(named)
        return [read_target(number, region=self.region).dial for number in numbers]

    def take_back(self) -> None:
        """Give a call that is being transferred, or has been, back to the agent. No error if there is nothing to."""
        if self.transferring is not None:
            self.transferring.take_back()

    async def outlast_transfer(self) -> None:
        """Wait until a transfer that is under way is over; at once where none is."""
        if self.transferring is not None and self.transferring.outcome is None:
            await self.transferring.over()

    @cached_property
    def fetched_music(self) -> dict[str, Frame]:
        """What was fetched for the caller to hear, by URL; it lasts as long as the call."""
        return {}

    @property
    def region(self) -> str | None:
        """The country whose national numbers the call's trunk understands."""
        trunk = self.trunk
        return trunk.region if trunk is not None else None

    def beside(self, coro: Coroutine[Any, Any, T], *, name: str) -> "asyncio.Task[T]":
        """Run something beside the call; its owner sees to its end."""
        return self._tasks.spawn(coro, name=name)
