"""A request of ours inside a dialog, for every usage of it (RFC 3261 §12.2.1)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipflow.sip.client_request import ClientRequest, OnFinal, OnProvisional
from sipflow.sip.dialog import Dialog
from sipflow.sip.digest import DigestClient
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import Output
from sipflow.sip.plan import Outcome

if TYPE_CHECKING:
    from sipflow.sip.stack import Stack

_WITH_CONTACT = frozenset({"INVITE", "UPDATE", "OPTIONS", "SUBSCRIBE", "NOTIFY", "REFER"})  # RFC 3261 table 2
_WITH_ALLOW = frozenset({"INVITE", "UPDATE", "REFER"})  # §14.1, §13.2.1; RFC 3311 §5.1


def ignore_provisional(response: Response, hop: Hop, now: float) -> list[Output]:  # noqa: ARG001
    """For requests whose progress interests nobody."""
    return []


def ignore_outcome(outcome: Outcome, now: float) -> list[Output]:  # noqa: ARG001
    """For requests whose end interests nobody."""
    return []


def request_in(
    stack: "Stack",
    dialog: Dialog,
    method: str,
    *,
    on_final: OnFinal,
    on_provisional: OnProvisional = ignore_provisional,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "",
    advertise: str = "",
    digest: DigestClient | None = None,
    supported: str = "",
) -> ClientRequest:
    """Make a request; not sent yet.

    Args:
        stack: whose it is.
        dialog: where it goes.
        method: of the request.
        on_final: told what came of it.
        on_provisional: told what comes before that.
        headers: further lines, in order.
        body: with its type in `content_type`.
        content_type: of `body`.
        advertise: "host" or "host:port" for Via and Contact.
        digest: answers challenges.
        supported: what an INVITE or UPDATE says that we support.
    """

    def build(hop: Hop, cseq: int) -> Request:
        request = dialog.request(method, cseq=cseq)
        if method in _WITH_CONTACT:
            request.headers.add(*stack.contact(dialog, hop, advertise))
        if method in _WITH_ALLOW:
            request.headers.add("Allow", stack.able.allow)
        if supported:
            request.headers.add("Supported", supported)
        if headers:
            request.headers.add_all(headers)
        stack.complete(request, body, content_type)
        return request

    return ClientRequest(
        stack,
        destination=stack.destination(dialog),
        hops=stack.known_hops(dialog),
        build=build,
        next_cseq=dialog.next_cseq,
        on_provisional=on_provisional,
        on_final=on_final,
        digest=digest,
        advertise=advertise,
        flow=dialog.flow,
        fail_over=False,
        look_up_after=True,
    )
