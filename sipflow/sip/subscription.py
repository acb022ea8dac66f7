"""Finds the REFER that a NOTIFY or SUBSCRIBE is about, whatever has become of its call (RFC 3515, RFC 5057 §3)."""

from contextlib import suppress
from typing import TYPE_CHECKING

from sipflow.errors import RemoteProtocolError
from sipflow.sip.admission import warning
from sipflow.sip.dialog import uas_dialog
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.headers.refer_to import ReferTo
from sipflow.sip.headers.replaces import TargetDialog
from sipflow.sip.headers.subscription import EventType
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Output, ReferReceived
from sipflow.sip.transaction.layer import ServerTransaction
from sipflow.sip.usage.referral import Referral
from sipflow.sip.usage.referred import Referred

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack
    from sipflow.sip.usage.invite import InviteUsage

Subscription = Referral | Referred


class Subscriptions:
    """Every REFER whose end is open, by Call-ID and our tag: of ours, and of peers."""

    __slots__ = ("_by_dialog", "_stack")

    def __init__(self, stack: "Stack") -> None:
        self._stack = stack
        self._by_dialog: dict[tuple[str, str], list[Subscription]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self._by_dialog.values()))

    def add(self, subscription: Subscription) -> None:
        """Let NOTIFYs and SUBSCRIBEs reach it."""
        self._by_dialog.setdefault((subscription.call_id, subscription.local_tag), []).append(subscription)

    def discard(self, subscription: Subscription) -> None:
        """Let them be answered 481."""
        key = (subscription.call_id, subscription.local_tag)
        left = [one for one in self._by_dialog.get(key, ()) if one is not subscription]
        if left:
            self._by_dialog[key] = left
        else:
            self._by_dialog.pop(key, None)

    def knows(self, request: Request) -> bool:
        """Whether a request is for one of them, and not for a call."""
        return request.method in ("NOTIFY", "SUBSCRIBE") and bool(self._of(request))

    def _of(self, request: Request) -> list[Subscription]:
        """Those that the sender of a request may speak of."""
        wanted = Referral if request.method == "NOTIFY" else Referred
        found = self._by_dialog.get((request.call_id, request.to.tag or ""), ())
        return [one for one in found if isinstance(one, wanted) and one.is_from(request)]

    def receive_alone(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Handle a request that no call has taken yet; its place in the dialog is not checked either."""
        if not self._of(request)[0].accepts(request):
            return self._stack.respond(transaction, 500, "CSeq Out of Order", now=now)
        return self.receive(request, transaction, now=now)

    def receive(self, request: Request, transaction: ServerTransaction, *, now: float) -> list[Output]:
        """Handle a NOTIFY or SUBSCRIBE inside a dialog."""
        subscription = self._meant(request)
        if isinstance(subscription, Referral):
            return subscription.notified(request, transaction, now=now)
        if isinstance(subscription, Referred):
            return subscription.subscribed(request, transaction, now=now)
        return self._stack.respond(transaction, 481, "Subscription Does Not Exist", now=now)  # RFC 6665 §4.1.3

    def _meant(self, request: Request) -> Subscription | None:
        """The one that a request names by its id; where there is but one, that one, for many do not name it."""
        found = self._of(request)
        name = ""
        with suppress(RemoteProtocolError):
            name = EventType.parse(request.headers.get("Event") or "").id
        named = [one for one in found if name and name == _id_of(one)]
        return named[0] if named else found[0] if len(found) == 1 else None

    def referred(
        self,
        request: Request,
        transaction: ServerTransaction,
        hop: Hop,
        usage: "InviteUsage | None",
        *,
        now: float,
    ) -> list[Output]:
        """Hand up a REFER of a peer, or refuse one that cannot be understood (RFC 3515 §2.4.2)."""
        stack = self._stack
        try:
            values = request.headers.values("Refer-To")
            if len(values) != 1:
                raise RemoteProtocolError(f"a REFER has one Refer-To, and this one has {len(values)}")
            refer_to = ReferTo.parse(values[0])
            dialog = usage.established if usage is not None else uas_dialog(request, stack.ids.tag(), hop)
        except RemoteProtocolError as error:
            return stack.respond(transaction, error.status, headers=(warning(str(error)),), now=now)
        referred = Referred(stack, request, transaction, dialog, usage, now=now)
        self.add(referred)
        stack.schedule(referred)
        about = usage or self._target(request)
        return [ReferReceived(referred, about, request, hop, refer_to, _referred_by(request))]

    def _target(self, request: Request) -> "InviteUsage | None":
        """The call that a REFER outside it names (RFC 4538 §5)."""
        with suppress(RemoteProtocolError):
            target = TargetDialog.parse(request.headers.get("Target-Dialog") or "")
            return self._stack.dialogs.get((target.call_id, target.remote_tag, target.local_tag))
        return None


def _id_of(subscription: Subscription) -> str:
    return subscription.id if isinstance(subscription, Referral) else str(subscription.request.cseq.number)


def _referred_by(request: Request) -> NameAddr | None:
    """Who wants the transfer; a value that cannot be read is as good as none, for nothing is decided by it here."""
    value = request.headers.get("Referred-By")
    with suppress(RemoteProtocolError):
        return NameAddr.parse(value) if value is not None else None
    return None
