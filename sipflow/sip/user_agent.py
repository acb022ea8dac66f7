"""The user agent: takes parsed messages and time, returns messages to send and events for the calls above.

Everything that decides is in the rooms below: transactions match and repeat, usages hold the dialogs. This module only
says who gets what.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto

from sipflow.errors import RemoteProtocolError
from sipflow.sip.admission import Refusal, refuse, warning
from sipflow.sip.client_request import ClientRequest, OnFinal
from sipflow.sip.dialog import dialog_id_of
from sipflow.sip.hop import Hop
from sipflow.sip.ids import Ids
from sipflow.sip.message import Request, Response
from sipflow.sip.outputs import (
    Finished,
    InviteReceived,
    MessageReceived,
    Output,
    Refused,
    RequestReceived,
    Transmit,
)
from sipflow.sip.parser import Malformed, Parsed
from sipflow.sip.plan import Outcome, RequestPlan
from sipflow.sip.resting import Resting
from sipflow.sip.session_timer import is_too_small
from sipflow.sip.stack import Lines, Settings, Stack
from sipflow.sip.takeover import replaced_by
from sipflow.sip.transaction.layer import ClientTransaction, ServerTransaction
from sipflow.sip.transaction.outputs import (
    Ack,
    Expired,
    Failed,
    LayerOutput,
    NewRequest,
    NewResponse,
    StrayResponse,
)
from sipflow.sip.transaction.overload import Guard
from sipflow.sip.transaction.return_path import note_source, response_hops
from sipflow.sip.usage.in_dialog import ignore_provisional
from sipflow.sip.usage.invite import InviteUsage
from sipflow.sip.usage.referral import PATIENCE_S, Referral, refer_lines
from sipflow.sip.usage.uac import UacInvite
from sipflow.sip.usage.uas import UasInvite
from sipflow.sip.validate import check_request, check_response

# What PBXs tell whoever registers with them although nobody subscribed to it. RFC 6665 §4.1.3 wants 481, which many of
# them take for a fault of ours; there is nothing in it that we would have to know.
_UNASKED = frozenset({"message-summary", "keep-alive"})


class Silence(Enum):
    """Answer nothing at all."""

    SILENCE = auto()


Verdict = Refusal | Silence | None
Gate = Callable[[Request | None, Hop], Verdict]


def admit_all(request: Request | None, hop: Hop) -> Verdict:  # noqa: ARG001  (a Gate's shape)
    """The gate that lets everybody in; for tests and for clients that take no calls."""
    return None


class UserAgent:
    """Both sides of SIP for one process, without sockets or clock.

    Args:
        settings: names, timers, limits.
        ids: the source of tags, branches and Call-IDs.
        gate: asked about every request outside a dialog before anything but its syntax is looked at. It gets None
            for a message too broken to be a request, and then only says whether to be silent.
        guard: asked before that, and before there is a transaction; None lets all pass.
    """

    def __init__(self, settings: Settings, ids: Ids, *, gate: Gate = admit_all, guard: Guard | None = None) -> None:
        self._stack = Stack(settings, ids)
        self._stack.layer.guard = guard
        self._deadlines, self._alarms = self._stack.layer.deadlines, self._stack.alarms
        self._gate = gate

    @property
    def ids(self) -> Ids:
        return self._stack.ids

    @property
    def resting(self) -> Resting:
        """Which targets did not answer lately, or asked to be left alone."""
        return self._stack.resting

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`: monotonic seconds, None if nothing is pending."""
        transactions, usages = self._stack.layer.deadline, self._stack.deadline
        if transactions is None or (usages is not None and usages < transactions):
            return usages
        return transactions

    @property
    def soonest(self) -> float:
        """A moment that is not after `deadline`, found at once; infinite if nothing is pending."""
        transactions, usages = self._deadlines.soonest, self._alarms.soonest
        return transactions if transactions < usages else usages

    @property
    def counts(self) -> dict[str, int]:
        """How much state there is; all zero when nothing is going on."""
        return {"transactions": len(self._stack.layer), "dialogs": len(self._stack.dialogs)}

    @property
    def sizes(self) -> dict[str, int]:
        """How many entries every index has, for tests and bug reports; all zero when nothing is going on."""
        return self._stack.sizes

    # What the shell tells

    def listening(self, ports: Mapping[str, int]) -> None:
        """Learn our listening port per transport, once the sockets are open."""
        self._stack.listen_ports = dict(ports)

    def receive(self, parsed: Parsed, hop: Hop, *, now: float) -> list[Output]:
        """Handle one message from the network."""
        if isinstance(parsed, Request):
            return self._receive_request(parsed, hop, now)
        if isinstance(parsed, Response):
            return self._receive_response(parsed, hop, now)
        if isinstance(parsed, Malformed):
            if isinstance(parsed.message, Request):
                return self._refuse_statelessly(parsed.message, hop, parsed.error)
            return [Refused(None, hop, 0, str(parsed.error))]
        return []

    def handle_timer(self, *, now: float) -> list[Output]:
        """Do whatever is due."""
        outputs = self._route(self._stack.layer.handle_timer(now=now), now)
        return outputs + self._stack.due(now=now)

    def hop_failed(self, hop: Hop, *, now: float) -> list[Output]:
        """Handle the loss of a connection or an unreachable host (RFC 3261 §17.1.4)."""
        return self._route(self._stack.layer.hop_failed(hop, now=now), now)

    def transport_failed(self, transaction: object, *, now: float) -> list[Output]:
        """Handle a message that could not be sent (RFC 3261 §17.1.4)."""
        if not isinstance(transaction, ClientTransaction | ServerTransaction):
            return []
        return self._route(self._stack.layer.transport_failed(transaction, now=now), now)

    def resolved(self, key: object, hops: tuple[Hop, ...], *, now: float) -> list[Output]:
        """Answer a `Resolve`."""
        return self._stack.resolved(key, hops, now=now)

    def unresolved(self, key: object, reason: str, *, now: float) -> list[Output]:
        """Answer a `Resolve` that found no address."""
        return self._stack.unresolved(key, reason, now=now)

    # What the calls above ask for

    def invite(self, plan: RequestPlan, *, now: float, hops: tuple[Hop, ...] = ()) -> tuple[UacInvite, list[Output]]:
        """Place a call. With `hops` no look-up is made; progress and end come as events."""
        digest = self._stack.digest(plan.accounts, plan.destination, allow_md5=plan.allow_md5)
        usage = UacInvite(self._stack, plan, hops=hops, digest=digest)
        return usage, usage.start(now=now)

    def request(self, plan: RequestPlan, key: object, *, now: float) -> list[Output]:
        """Send any other request outside a dialog; its end comes as `Finished(key, outcome)`."""

        def finished(outcome: Outcome, now: float) -> list[Output]:  # noqa: ARG001  (a final handler's shape)
            return [Finished(key, outcome)]

        return self._client(plan, finished).start(now=now)

    def refer(
        self,
        plan: RequestPlan,
        refer_to: str,
        *,
        now: float,
        referred_by: str = "",
        subscribes: bool = True,
        patience_s: float = PATIENCE_S,
    ) -> tuple[Referral, list[Output]]:
        """Send a REFER outside a dialog (RFC 3515); what becomes of it comes as `ReferProgressed` and `ReferEnded`.

        Args:
            plan: the request, with Target-Dialog among its headers if it is about a call.
            refer_to: whom the far end is to call; from `write_refer_to`.
            now: monotonic seconds.
            referred_by: who wants that, as an address (RFC 3892).
            subscribes: whether we want to hear what comes of it (RFC 4488).
            patience_s: how long we wait to hear the end.

        Raises:
            LocalProtocolError: CR, LF or NUL in what was to be sent; nothing has been sent.
        """
        plan = replace(plan, headers=(*plan.headers, *refer_lines(refer_to, referred_by, subscribes=subscribes)))
        referral = Referral(
            self._stack,
            lambda on_final: self._client(plan, on_final),
            call_id=plan.call_id,
            local_tag=plan.from_.tag or "",
            patience_s=patience_s,
        )
        return referral, referral.start(now=now)

    def _client(self, plan: RequestPlan, on_final: OnFinal) -> ClientRequest:
        stack = self._stack
        cseq = [plan.cseq - 1]

        def next_cseq() -> int:
            cseq[0] += 1
            return cseq[0]

        return ClientRequest(
            stack,
            destination=plan.destination,
            build=lambda hop, number: stack.plan_request(plan, hop, number),
            next_cseq=next_cseq,
            on_provisional=ignore_provisional,
            on_final=on_final,
            digest=stack.digest(plan.accounts, plan.destination, allow_md5=plan.allow_md5),
            advertise=plan.advertise,
        )

    def respond(
        self, transaction: ServerTransaction, status: int, reason: str = "", *, now: float, headers: Lines = ()
    ) -> list[Output]:
        """Answer a `RequestReceived`, or a `MessageReceived` outside a call."""
        return self._stack.respond(transaction, status, reason, headers=headers, now=now)

    # Requests

    def _receive_request(self, request: Request, hop: Hop, now: float) -> list[Output]:
        try:
            check_request(request)
        except RemoteProtocolError as error:
            return self._refuse_statelessly(request, hop, error)
        return self._route(self._stack.layer.receive_request(request, hop, now=now), now)

    def _refuse_statelessly(self, request: Request, hop: Hop, error: RemoteProtocolError) -> list[Output]:
        """Answer a request too broken for a transaction, if it can be answered at all."""
        event = Refused(request, hop, error.status, str(error))
        if request.method == "ACK" or self._gate(None, hop) is Silence.SILENCE:
            return [event]
        answer_to = _return_hop(request, hop)
        response = self._stack.stateless_response(request, error.status, (warning(str(error)),))
        return [Transmit(bytes(response), answer_to, None), event]

    def _route(self, outputs: list[LayerOutput], now: float) -> list[Output]:
        routed: list[Output] = []
        for output in outputs:
            match output:
                case NewRequest():  # first what comes most often: each case costs a question
                    routed += self._new_request(output, now)
                case Transmit():
                    routed.append(output)
                case NewResponse(transaction, response, hop):
                    if transaction.owner is not None:
                        routed += transaction.owner.receive(response, hop, now=now)
                case Ack(request, _, invite):
                    usage = self._acknowledged(request, invite)
                    if usage is not None:
                        routed += usage.receive_ack(request, now=now)
                case Expired(transaction):
                    if isinstance(transaction, ClientTransaction) and transaction.owner is not None:
                        routed += transaction.owner.timed_out(now=now)
                case Failed(transaction):
                    if isinstance(transaction, ClientTransaction) and transaction.owner is not None:
                        routed += transaction.owner.failed("", now=now)
                case StrayResponse(response, _):
                    routed += self._answered_late(response, now)
        return routed

    def _acknowledged(self, ack: Request, invite: ServerTransaction | None) -> InviteUsage | None:
        """Find the call that an ACK is for: by its dialog, else by its INVITE's branch (RFC 6026 §7.1).

        pyVoIP writes a To tag of its own invention into it, and the INVITE's branch.
        """
        usage = self._stack.dialogs.get(dialog_id_of(ack)) if ack.to.tag else None
        if usage is not None or invite is None:
            return usage
        owner, caller = invite.owner, (invite.request.call_id, invite.request.from_.tag)
        return owner if isinstance(owner, InviteUsage) and caller == (ack.call_id, ack.from_.tag) else None

    def _new_request(self, new: NewRequest, now: float) -> list[Output]:
        request, transaction = new.request, new.transaction
        if request.method == "CANCEL":
            return self._cancel(request, transaction, new.hop, now)
        if request.to.tag is not None:
            return self._in_dialog(request, transaction, new.hop, now)
        verdict = self._ask_gate(request, new.hop)
        if isinstance(verdict, Silence):
            self._stack.layer.discard(transaction)
            return []
        if verdict is not None and verdict.status == 403:
            return self._turn_away(transaction, new.hop, verdict)
        if verdict is None and new.merged:
            verdict = Refusal(482, "the same request came by another path already")  # §8.2.2.2
        verdict = verdict or refuse(request, self._stack.able)
        if verdict is not None:
            return self._refuse(transaction, new.hop, verdict, now)
        return self._serve(request, transaction, new.hop, now)

    def _turn_away(self, transaction: ServerTransaction, hop: Hop, refusal: Refusal) -> list[Output]:
        """Say so once and keep nothing (§8.2.7): no answer is repeated at a source that somebody may have forged."""
        self._stack.layer.discard(transaction)
        lines = (*refusal.headers, warning(refusal.why))
        response = self._stack.stateless_response(transaction.request, refusal.status, lines)
        event = Refused(transaction.request, hop, refusal.status, refusal.why)
        return [Transmit(bytes(response), transaction.hop, None), event]

    def _ask_gate(self, request: Request, hop: Hop) -> Verdict:
        try:
            return self._gate(request, hop)
        except RemoteProtocolError as error:  # it read a header that nobody has looked at before
            return Refusal(error.status, str(error))

    def _serve(self, request: Request, transaction: ServerTransaction, hop: Hop, now: float) -> list[Output]:
        match request.method:
            case "INVITE":
                return self._invited(request, transaction, hop, now)
            case "OPTIONS":
                return self._stack.respond_options(transaction, now=now)
            case "NOTIFY" if (request.headers.get("Event") or "").partition(";")[0].strip().lower() in _UNASKED:
                return self._stack.respond(transaction, 200, now=now)
            case "BYE" | "INFO" | "UPDATE" | "PRACK" | "NOTIFY":
                return self._refuse(transaction, hop, Refusal(481, "it names no dialog (no To tag)"), now)
            case "MESSAGE":
                return [MessageReceived(None, transaction, request, hop)]
            case "REFER":
                return self._stack.subscriptions.referred(request, transaction, hop, None, now=now)
            case _:
                return [RequestReceived(transaction, request, hop)]

    def _invited(self, request: Request, transaction: ServerTransaction, hop: Hop, now: float) -> list[Output]:
        keys, replaced = request.headers._keys, None
        if "replaces" in keys:
            found = replaced_by(request, self._stack.dialogs, allowed=self._stack.settings.replaces)
            if isinstance(found, Refusal):
                return self._refuse(transaction, hop, found, now)
            replaced = found
        session = self._stack.settings.session
        if "session-expires" in keys and session.on and is_too_small(request, session):
            why = f"the session would have to be refreshed more often than every {session.min_s} s"
            return self._refuse(transaction, hop, Refusal(422, why, (("Min-SE", str(session.min_s)),)), now)
        try:
            usage = UasInvite(self._stack, transaction, request, hop, now=now)
        except RemoteProtocolError as error:
            return self._refuse(transaction, hop, Refusal(error.status, str(error)), now)
        transaction.owner = usage
        outputs = self._stack.trying(transaction, now=now)
        outputs.append(InviteReceived(usage, request, hop, replaced))
        return outputs

    def _in_dialog(self, request: Request, transaction: ServerTransaction, hop: Hop, now: float) -> list[Output]:
        usage = self._stack.dialogs.get(dialog_id_of(request))
        subscriptions = self._stack.subscriptions
        if usage is None:
            if subscriptions.knows(request):
                return subscriptions.receive_alone(request, transaction, now=now)
            if self._gate(None, hop) is Silence.SILENCE:
                self._stack.layer.discard(transaction)
                return []
            return self._turn_away(transaction, hop, Refusal(481, "no call of ours has this Call-ID and tags"))
        refusal = refuse(request, self._stack.able)
        if refusal is not None:
            if request.method == "SUBSCRIBE" and subscriptions.knows(request):
                return subscriptions.receive_alone(request, transaction, now=now)
            return self._refuse(transaction, hop, refusal, now)
        return usage.receive(request, transaction, now=now)

    def _cancel(self, request: Request, transaction: ServerTransaction, hop: Hop, now: float) -> list[Output]:
        invite = transaction.invite
        if invite is None:
            if self._gate(None, hop) is Silence.SILENCE:
                self._stack.layer.discard(transaction)
                return []
            return self._turn_away(transaction, hop, Refusal(481, "there is no INVITE to cancel"))  # §9.2
        usage = invite.owner
        if not isinstance(usage, InviteUsage):  # §9.2: it found its INVITE, refused by us or with a call that is over
            late = self._stack.response(request, 200, to_tag=invite.response_tag)
            return list(self._stack.layer.respond(transaction, late, now=now))
        response = self._stack.response(request, 200, to_tag=usage.established.local_tag)  # §9.2: the INVITE's tag
        outputs: list[Output] = list(self._stack.layer.respond(transaction, response, now=now))
        return outputs + usage.cancelled(invite, request, now=now)

    def _refuse(self, transaction: ServerTransaction, hop: Hop, refusal: Refusal, now: float) -> list[Output]:
        lines = [*refusal.headers]
        if refusal.status not in (401, 407):
            lines.append(warning(refusal.why))
        outputs = self._stack.respond(transaction, refusal.status, headers=lines, now=now)
        return [*outputs, Refused(transaction.request, hop, refusal.status, refusal.why)]

    # Responses

    def _receive_response(self, response: Response, hop: Hop, now: float) -> list[Output]:
        try:
            check_response(response)
        except RemoteProtocolError as error:
            return [Refused(None, hop, 0, f"response dropped: {error}")]
        return self._route(self._stack.layer.receive_response(response, hop, now=now), now)

    def _answered_late(self, response: Response, now: float) -> list[Output]:
        """Find the call that a 2xx without transaction belongs to; without one it is discarded (§18.1.2)."""
        if not 200 <= response.status < 300 or response.cseq.method != "INVITE":
            return []
        usage = self._stack.callers.get((response.call_id, response.from_.tag))
        return usage.answered_late(response, now=now) if usage is not None else []


def _return_hop(request: Request, source: Hop) -> Hop:
    """Complete the top Via and say where the answer goes (§18.2, RFC 3581 §4); to the source if nobody can read it."""
    try:
        note_source(request, source)
        return response_hops(request.via, source)[0]
    except RemoteProtocolError:
        return source
