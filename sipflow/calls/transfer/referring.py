"""A call told to go elsewhere by REFER, and what its far end really did (RFC 3515, RFC 5589)."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from sipflow.calls.board import Board
from sipflow.calls.dialling import find_target
from sipflow.calls.ending import Ending
from sipflow.calls.transfer.targets import Target
from sipflow.errors import CallEnded, LocalProtocolError, RemoteProtocolError
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.refer_to import write_refer_to
from sipflow.sip.outputs import ReferEnded, ReferOutcome, ReferProgressed
from sipflow.sip.takeover import replaces_for
from sipflow.sip.uri import SipUri, TelUri, escape_user, parse_uri
from sipflow.sip.usage.invite import InviteUsage
from sipflow.trunks.trunk import Trunk

if TYPE_CHECKING:
    from sipflow.calls.call import Call

_LAST_WORD_S = 2.0  # how long after the far end's BYE its report may still come (RFC 5057 §3)
_ANSWER_S = 10.0  # a REFER is answered at once (RFC 4320 §4), or lost; five copies of it are out by then
_LATER = 3  # how many times its patience a REFER is listened for, once its target is called by us
_RING = range(180, 184)
Lines = tuple[tuple[str, str], ...]


class Referred(NamedTuple):
    """What came of a REFER.

    Attributes:
        outcome: how it ended.
        status: of the far end's own call, or of its refusal; 0 where nothing is known.
        rang: whether the target is known to have rung.
        why: one sentence.
        unsure: whether the far end took the call away and never said how that went.
        taken: whether the far end said that it takes the REFER.
    """

    outcome: ReferOutcome
    status: int
    rang: bool
    why: str
    unsure: bool = False
    taken: bool = False

    @property
    def ok(self) -> bool:
        """Whether the far end has the call at its target, as far as anybody can know."""
        return self.outcome in (ReferOutcome.SUCCEEDED, ReferOutcome.UNREPORTED) or self.unsure


class Waiter:
    """Takes what is heard of one REFER; the switchboard tells it.

    Attributes:
        end: its end.
        heard: done when the far end has said that it takes the REFER.
        rang: whether the target is known to have rung.
        news: done when a far end that was given up on is heard to send the caller on after all.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.end: asyncio.Future[ReferEnded] = loop.create_future()
        self.heard: asyncio.Future[None] = loop.create_future()
        self.news: asyncio.Future[None] | None = None
        self.rang = False

    @property
    def taken(self) -> bool:
        """Whether the far end has said that it takes the REFER."""
        return self.heard.done()

    def told(self, event: ReferProgressed | ReferEnded) -> None:
        """Take news: accepted, ringing, over."""
        if isinstance(event, ReferProgressed):
            rings = event.status in _RING
            if rings or not self.heard.done():
                self._goes_on()
            self.rang = self.rang or rings
        elif not self.end.done():
            self.end.set_result(event)
            if event.outcome in (ReferOutcome.SUCCEEDED, ReferOutcome.UNREPORTED):
                self._goes_on()

    def _goes_on(self) -> None:
        for each in (self.heard, self.news):
            if each is not None and not each.done():
                each.set_result(None)


def useless_because(call: "Call", trunk: Trunk | None) -> str:
    """Say why no REFER need be sent in a call; "" where it may help."""
    if not call.answered:
        return "the call is not answered yet"
    if trunk is not None and trunk.refer.send == "never":
        return f"trunk {trunk.name} takes none (refer.send: never)"
    usage = call.usage
    if not usage.allows("REFER") and usage.peer_allow:
        return "the far end's Allow does not name it"
    return ""


class Sent:
    """A REFER that is out in a call: to be waited for until its end, and closed.

    Args:
        patience_s: how long a far end that has taken it may report no end.
        headers: beside Refer-To and Referred-By.

    Raises:
        CallEnded: the call is over.
    """

    def __init__(self, board: Board, call: "Call", refer_to: str, *, patience_s: float, headers: Lines = ()) -> None:
        try:
            dialog = call.usage.established
            by = NameAddr.parse(dialog.local)
            self._referral, outputs = call.usage.refer(
                refer_to,
                now=board.now,
                referred_by=f"<{by.uri}>",
                headers=headers,
                patience_s=_LATER * patience_s,
            )
        except LocalProtocolError as error:
            raise CallEnded(str(error), by="local") from None
        self._call = call
        self._patience_s = patience_s
        self._waiter = self._referral.app = Waiter()
        board.apply(outputs)

    @property
    def news(self) -> "asyncio.Future[None] | None":
        """Done when a far end that was given up on sends the caller on after all; None where it was not."""
        return self._waiter.news

    async def outcome(self) -> Referred:
        """Wait for its end: reported, or told by a BYE, or given up on.

        A far end that takes the call away with a BYE and reports nothing is taken at its word, its 202. One that says
        neither yes nor no in ten seconds, or in `patience_s` where that is less, is taken to refuse, and told no more.
        What is heard of one that was given up on is `news`, after which this may be waited for once more.

        Raises:
            CallEnded: the call was over before the far end had taken the REFER.

        Cancelling waits for no report any more; a far end that has taken the REFER may go through with it.
        """
        call, waiter = self._call, self._waiter
        waiter.news = None
        gone = call.beside(call.ended(), name=f"end of referred call {call.id}")
        try:
            await self._listen(gone)
            if gone.done() and not waiter.end.done() and waiter.taken:
                await asyncio.wait((waiter.end,), timeout=_LAST_WORD_S)
        finally:
            gone.cancel()
        if call.ending is None and not waiter.end.done():
            return self._given_up()
        return _judged(call, waiter)

    async def _listen(self, gone: asyncio.Task[Ending]) -> None:
        """Wait for the end of the REFER or of its call, but for the first word of the far end not long."""
        waiter = self._waiter
        first = (waiter.heard, waiter.end, gone)
        answer_s = min(_ANSWER_S, self._patience_s)
        done, _ = await asyncio.wait(first, timeout=answer_s, return_when=asyncio.FIRST_COMPLETED)
        if done:
            ends = (waiter.end, gone)
            await asyncio.wait(ends, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED)

    def _given_up(self) -> Referred:
        waiter, status = self._waiter, self._referral.status
        waiter.news = asyncio.get_running_loop().create_future()
        self._referral.hush()
        if not waiter.taken:
            return Referred(ReferOutcome.REFUSED, 0, False, "the far end did not answer the REFER")
        last = f"the last was {status}" if status else "not even that it is trying"
        why = f"the far end took the REFER and reported no end of it ({last})"
        return Referred(ReferOutcome.TIMED_OUT, status, waiter.rang, why, taken=True)

    def close(self) -> None:
        """Wait for nothing any more; the far end learns of it by 481 to its next report. Twice is once."""
        if not self._referral.over:
            self._referral.abandon()


async def refer(board: Board, call: "Call", refer_to: str, *, patience_s: float, headers: Lines = ()) -> Referred:
    """Send a REFER in a call, and wait for its end; see `Sent`."""
    sent = Sent(board, call, refer_to, patience_s=patience_s, headers=headers)
    try:
        return await sent.outcome()
    finally:
        sent.close()


def _judged(call: "Call", waiter: Waiter) -> Referred:
    ending = call.ending
    if waiter.end.done():
        end = waiter.end.result()
        lost = end.outcome is ReferOutcome.UNKNOWN and ending is not None and ending.by == "remote"
        taken = waiter.taken or end.outcome is ReferOutcome.FAILED
        return Referred(end.outcome, end.status, waiter.rang, end.why, unsure=lost, taken=taken)
    if ending is None or not waiter.taken or ending.by != "remote":
        raise CallEnded(ending.why if ending is not None else "the call is over", by=ending.by if ending else "remote")
    why = "the far end took the REFER, hung up on us, and reported nothing"
    return Referred(ReferOutcome.UNREPORTED, 0, waiter.rang, why, unsure=True)


def leave(call: "Call", referred: Referred) -> bool:
    """End a call whose caller was sent away with a REFER that came to nothing; say whether that is so.

    Some far ends do so as soon as they have taken it (`refer.final`): nobody would hear what we say to a caller then.
    """
    trunk = call.trunk
    if trunk is None or not trunk.refer.final or not referred.taken or referred.ok:
        return False
    if call.ending is None:
        call.end(f"the far end has sent the caller away, and {referred.why}")
    return True


def address_for(target: Target, call: "Call", trunk: Trunk | None, headers: Lines = ()) -> tuple[str, Lines]:
    """Write Refer-To for a target; X-headers go into it, or beside it where a `tel:` can carry none.

    A number or extension is one of the trunk's domain, or else of the host that the call came from.

    Raises:
        LocalProtocolError: there is no such address.
    """
    if target.text.strip()[:4].lower() == "tel:":
        return write_refer_to(TelUri(target.dial)), headers
    if ":" in target.dial:
        uri = parse_uri(target.dial)
        assert isinstance(uri, SipUri)
    elif trunk is not None and trunk.domain is not None:
        uri = find_target(target.dial, trunk)[0]
    else:
        host = _far_host(call)
        uri = SipUri("sip", escape_user(target.dial), None, host.host, host.port)
    return write_refer_to(uri, headers=headers), ()


def _far_host(call: "Call") -> SipUri:
    """The host of whoever is at the far end: its own address, or else where its requests come from."""
    dialog = call.usage.established
    try:
        uri = NameAddr.parse(dialog.remote).uri
    except RemoteProtocolError:
        return dialog.target
    return uri if isinstance(uri, SipUri) else dialog.target


def replacing(usage: InviteUsage) -> str:
    """Write Refer-To that names a call of ours to replace: whom it is with, and which dialog (RFC 5589 §7)."""
    dialog = usage.established
    return write_refer_to(dialog.target, replaces=replaces_for(dialog))
