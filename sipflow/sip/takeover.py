"""Which call of ours a new INVITE is to take the place of, or why it may not (RFC 3891 §3)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sipflow.errors import RemoteProtocolError
from sipflow.sip.admission import Refusal
from sipflow.sip.dialog import Dialog, DialogId
from sipflow.sip.headers.replaces import Replaces
from sipflow.sip.message import Request

if TYPE_CHECKING:
    from sipflow.sip.usage.invite import InviteUsage


def replaced_by(request: Request, calls: Mapping[DialogId, "InviteUsage"], *, allowed: bool) -> "InviteUsage | Refusal":
    """Find the call that the Replaces of an INVITE names.

    Args:
        request: an INVITE with Replaces.
        calls: ours, by dialog.
        allowed: whether calls of ours may be replaced at all.
    """
    try:
        values = request.headers.values("Replaces")
        if len(values) != 1:
            raise RemoteProtocolError(f"an INVITE replaces one call, and this one names {len(values)}")
        replaces = Replaces.parse(values[0])
    except RemoteProtocolError as error:
        return Refusal(error.status, str(error))
    usage = calls.get((replaces.call_id, replaces.to_tag, replaces.from_tag))
    if usage is None:
        return Refusal(481, "Replaces names no call of ours")
    if usage.over:
        return Refusal(603, "the call that Replaces names is over")
    if usage.pending:
        return Refusal(481, "the call that Replaces names is not answered, and came in")
    if replaces.early_only and not usage.calling:
        return Refusal(486, "the call that Replaces names is answered already (early-only)")
    return usage if allowed else Refusal(603, "calls are not replaced here")


def replaces_for(dialog: Dialog, *, early_only: bool = False) -> Replaces:
    """Name a dialog of ours as its far end knows it: for the INVITE that is to take our place there."""
    return Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag, early_only)
