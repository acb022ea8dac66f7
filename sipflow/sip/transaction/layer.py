"""The transaction layer: matches messages to transactions, carries out what the machines say, keeps the time."""

from sipflow.errors import LocalProtocolError
from sipflow.sip.hop import Hop
from sipflow.sip.ids import MAGIC_COOKIE
from sipflow.sip.message import Request, Response
from sipflow.sip.timers import DEFAULT_TIMERS, Timers
from sipflow.sip.transaction.deadlines import Deadlines
from sipflow.sip.transaction.machine import ACCEPTED, COMPLETED, TERMINATED
from sipflow.sip.transaction.machine_outputs import Deliver, MachineOutput, Send, TimedOut
from sipflow.sip.transaction.matching import legacy_ack_key, merge_key, response_key, server_key
from sipflow.sip.transaction.non_invite_client import NonInviteClient
from sipflow.sip.transaction.outputs import (
    Ack,
    Expired,
    Failed,
    LayerOutput,
    NewRequest,
    NewResponse,
    StrayResponse,
    Transmit,
)
from sipflow.sip.transaction.overload import Guard, acknowledges_refusal, refuse_statelessly
from sipflow.sip.transaction.records import ClientTransaction, Record, ServerTransaction
from sipflow.sip.transaction.return_path import note_source, response_hops
from sipflow.sip.transaction.table import Table

__all__ = ["ClientTransaction", "ServerTransaction", "TransactionLayer"]


class TransactionLayer:
    """Every transaction of one process (RFC 3261 §17).

    Each method returns what must be done, in order. Messages must have passed the syntax checks of `validate`.

    Args:
        timers: RFC 3261 table 4.
        max_transactions: above it a new request is answered 503 without any state. Requests inside a dialog, and
            CANCELs of INVITEs that we hold, may use an eighth more, so that calls can end while new ones are refused.
        retry_after_s: what that 503 says.

    Attributes:
        guard: asked about each new request outside a dialog before it gets a transaction; None lets all pass.
        deadlines: when which transaction wants to be called.
    """

    def __init__(
        self, *, timers: Timers = DEFAULT_TIMERS, max_transactions: int = 50_000, retry_after_s: int = 5
    ) -> None:
        self._timers = timers
        self._max_new = max_transactions
        self._max_all = max_transactions + max_transactions // 8
        self._retry_after_s = retry_after_s
        self.guard: Guard | None = None
        self._table = Table()
        self.deadlines = Deadlines()

    def __len__(self) -> int:
        """How many transactions are alive."""
        return len(self._table)

    @property
    def sizes(self) -> dict[str, int]:
        """How many entries each index has, for gauges and tests; all zero when nothing is going on."""
        return {**self._table.sizes, "deadlines": len(self.deadlines)}

    @property
    def deadline(self) -> float | None:
        """When to call `handle_timer`: monotonic seconds, None if nothing is pending."""
        return self.deadlines.next()

    # Requests of a peer

    def receive_request(self, request: Request, hop: Hop, *, now: float) -> list[LayerOutput]:
        """Handle a request that came on `hop`; only new ones and the dialogs' ACKs are handed up.

        Raises:
            RemoteProtocolError: a header that matching needs cannot be read; nothing has changed.
        """
        via = request.via
        branch = via.branch
        if branch is None or branch == MAGIC_COOKIE or not branch.startswith(MAGIC_COOKIE):
            return self._receive_legacy(request, hop, now)  # a cookie and nothing more: RFC 4475 §3.2.1
        method = request.method
        servers = self._table.servers
        if method == "ACK":
            known = servers.get(server_key(branch, via, "INVITE"))
            return self._run_server(known, request, hop, now) if known is not None else _unmatched_ack(request, hop)
        key = server_key(branch, via, method)
        known = servers.get(key)
        if known is not None:
            return self._run_server(known, request, hop, now)
        # RFC 3261 §9.2: a CANCEL names the INVITE that differs from it in nothing but the method.
        invite = servers.get(server_key(branch, via, "INVITE")) if method == "CANCEL" else None
        record = self._admit(request, hop, invite)
        if not isinstance(record, ServerTransaction):
            return record
        record.key = key
        return self._start_server(record, request, hop, now)

    def _receive_legacy(self, request: Request, hop: Hop, now: float) -> list[LayerOutput]:
        """Match a request whose branch says nothing by RFC 2543's fields (§17.2.3)."""
        table = self._table
        ack_key = legacy_ack_key(request, request.via)
        tag = request.to.tag
        if request.method == "ACK":
            known = table.legacy_invites.get(ack_key)
            if known is None or known.response_tag != tag:
                return _unmatched_ack(request, hop)
            return self._run_server(known, request, hop, now)
        key = (ack_key, tag, request.method)
        known = table.legacy.get(key)
        if known is not None:
            return self._run_server(known, request, hop, now)
        invite = table.legacy.get((ack_key, tag, "INVITE")) if request.method == "CANCEL" else None
        record = self._admit(request, hop, invite)
        if not isinstance(record, ServerTransaction):
            return record
        record.legacy_key = key
        if request.method == "INVITE":
            record.ack_key = ack_key
        return self._start_server(record, request, hop, now)

    def _admit(
        self, request: Request, hop: Hop, invite: ServerTransaction | None
    ) -> ServerTransaction | list[LayerOutput]:
        """Make a transaction for a new request, or say how it is refused for want of room."""
        note_source(request, hop)
        answer_to, fallback = response_hops(request.via, hop)
        if self.guard is not None and invite is None and request.to.tag is None:
            busy = self.guard(request, hop)
            if busy is not None:
                refusal = refuse_statelessly(request, busy.retry_after_s, busy.why) if busy.retry_after_s else b""
                return [Transmit(refusal, answer_to, None)] if refusal else []
        live = len(self._table)
        if live >= self._max_new and (live >= self._max_all or (invite is None and request.to.tag is None)):
            return [Transmit(refuse_statelessly(request, self._retry_after_s), answer_to, None)]
        record = ServerTransaction(request, answer_to, fallback, self._timers)
        record.invite = invite
        return record

    def _start_server(self, record: ServerTransaction, request: Request, hop: Hop, now: float) -> list[LayerOutput]:
        merged = False
        if request.method != "CANCEL" and request.to.tag is None:  # §8.2.2.2; the CANCELs of two copies are two CANCELs
            key = merge_key(request)
            merged = key in self._table.merged
            if not merged:
                record.merge_key = key
        self._table.add_server(record)
        record.machine.start(now=now)
        self.deadlines.note(record)
        return [NewRequest(record, request, hop, merged)]

    def _run_server(self, record: ServerTransaction, request: Request, hop: Hop, now: float) -> list[LayerOutput]:
        outputs: list[LayerOutput] = []
        if hop.transport != "udp" and hop.connection != record.hop.connection:
            outputs += self._found_again(record, request, hop)
        for output in record.machine.receive(request, now=now):
            if isinstance(output, Deliver):
                outputs.append(Ack(request, hop, record))  # RFC 6026 §7.1: all that a live machine hands up
            else:
                outputs.append(_named(record, output))
        self._settle(record)
        return outputs

    def _found_again(self, record: ServerTransaction, request: Request, hop: Hop) -> list[LayerOutput]:
        """Answer a peer that lost its connection where it says the same again: on another one from its address."""
        if (hop.transport, hop.host) != (record.hop.transport, record.hop.host):
            return []
        if record.fallback is not None:
            record.fallback = hop  # the end of the other connection is not known here yet, if it has ended
            return []
        self._table.move(record, hop)
        machine = record.machine
        if request.method == "ACK" or machine.state is not ACCEPTED or not machine.last_response:
            return []  # what is repeated in any other state, the machine repeats
        return [Transmit(machine.last_response, hop, record)]

    def respond(self, transaction: ServerTransaction, response: Response, *, now: float) -> list[Transmit]:
        """Send a response. One that the transaction may not send any more, or when it is over, is dropped."""
        outputs = []
        for step in transaction.machine.respond(response, now=now):
            if isinstance(step, Send):
                outputs.append(Transmit(step.data, transaction.hop, transaction))
        self._settle(transaction)
        if outputs and transaction.ack_key is not None and response.status >= 200:
            transaction.response_tag = response.to.tag  # §17.2.3: an RFC 2543 ACK repeats it
        return outputs

    # Requests of ours

    def request(self, request: Request, hop: Hop, *, now: float) -> tuple[ClientTransaction, list[Transmit]]:
        """Send a request, which carries its Via already, in a transaction of its own.

        Raises:
            LocalProtocolError: it is an ACK, has no branch, or the branch is in use for this method.
        """
        key = (request.branch, request.method)
        if request.method == "ACK" or not key[0].startswith(MAGIC_COOKIE):
            raise LocalProtocolError(f"{request.method} with branch {key[0]!r} cannot make a client transaction")
        if key in self._table.clients:
            raise LocalProtocolError(f"branch {key[0]} already carries a {request.method}")
        record = ClientTransaction(request, hop, key, self._timers)
        self._table.add_client(record)
        steps = record.machine.start(now=now)
        self.deadlines.note(record)
        return record, [Transmit(step.data, hop, record) for step in steps if isinstance(step, Send)]

    def hurry(self, transaction: ClientTransaction, *, now: float) -> None:
        """Let a request other than INVITE time out soon, if nothing is heard of it: there is another target to try."""
        machine = transaction.machine
        if isinstance(machine, NonInviteClient):
            machine.hurry(now=now)
            self.deadlines.note(transaction)

    def hush(self, transaction: ClientTransaction) -> None:
        """Repeat a request no more; an answer that comes after all still finds whoever asked."""
        transaction.machine.hush()
        self.deadlines.note(transaction)

    def receive_response(self, response: Response, hop: Hop, *, now: float) -> list[LayerOutput]:
        """Handle a response that came on `hop`.

        Raises:
            RemoteProtocolError: top Via or CSeq cannot be read; nothing has changed.
        """
        record = self._table.clients.get(response_key(response))
        if record is None:
            return [StrayResponse(response, hop)]
        if record.machine.state is COMPLETED and record.request.method == "INVITE" and response.status < 300:
            # A fork that answered after the refusal was acknowledged (§16.7 step 5 lets proxies send it).
            return [StrayResponse(response, hop)] if response.status >= 200 else []
        outputs: list[LayerOutput] = []
        for output in record.machine.receive(response, now=now):
            if isinstance(output, Deliver):
                outputs.append(NewResponse(record, response, hop))
            else:
                outputs.append(_named(record, output))
        self._settle(record)
        return outputs

    def discard(self, transaction: Record) -> None:
        """Forget a transaction at once: a request not worth an answer, or an INVITE given up after CANCEL (§9.1)."""
        transaction.machine.terminate()
        self._settle(transaction)

    # Failures and time

    def transport_failed(self, transaction: Record, *, now: float) -> list[LayerOutput]:
        """Handle a message of `transaction` that could not be sent (§17.1.4, §17.2.4).

        The last response goes out again if there is another way for it (§18.2.2). An ACK that is lost after a refusal
        was handed up is nobody's concern any more: the transaction ends silently.
        """
        if isinstance(transaction, ServerTransaction):
            if transaction.fallback is not None:
                return self._answer_elsewhere(transaction)
            return self._fail(transaction, now)
        acknowledging = transaction.state is COMPLETED
        outputs = self._fail(transaction, now)
        return [] if acknowledging else outputs

    def _fail(self, record: Record, now: float) -> list[LayerOutput]:
        outputs = [_named(record, output) for output in record.machine.transport_failed(now=now)]
        self._settle(record)
        return outputs

    def _answer_elsewhere(self, record: ServerTransaction) -> list[LayerOutput]:
        self._use_fallback(record)
        data = record.machine.last_response
        return [Transmit(data, record.hop, record)] if data else []

    def _use_fallback(self, record: ServerTransaction) -> None:
        hop, record.fallback = record.fallback, None
        if hop is None:
            return
        if record.state is TERMINATED:
            record.hop = hop
        else:
            self._table.move(record, hop)

    def hop_failed(self, hop: Hop, *, now: float) -> list[LayerOutput]:
        """Handle a connection that closed, or (`connection` 0) an address that could not be reached.

        Client transactions that wait for a first answer, or could send again, fail. Later responses of ours go by a
        new connection to the address in the request's Via (§18.2.2).
        """
        outputs: list[LayerOutput] = []
        for record in self._table.at_peer(hop):
            connection = record.hop.connection
            if isinstance(record, ServerTransaction) and record.fallback is not None:
                if connection == hop.connection:
                    self._use_fallback(record)
            elif connection == hop.connection or (connection == 0 and isinstance(record, ClientTransaction)):
                outputs += self.transport_failed(record, now=now)
        return outputs

    def handle_timer(self, *, now: float) -> list[LayerOutput]:
        """Do everything that is due."""
        outputs: list[LayerOutput] = []
        for record in self.deadlines.pop_due(now):
            told = [_named(record, output) for output in record.machine.handle_timer(now=now)]
            self._settle(record)
            if not told and record.machine.state is TERMINATED:
                record.owner = None  # or the two would hold each other until garbage is collected
            outputs += told
        return outputs

    def _settle(self, record: Record) -> None:
        """Take over what a machine's step left: a new deadline, or the end."""
        if record.machine.state is TERMINATED:
            self._table.remove(record)
            self.deadlines.drop(record)
        else:
            self.deadlines.note(record)


def _named(record: Record, output: MachineOutput) -> LayerOutput:
    """Say whose output it is."""
    if isinstance(output, Send):
        return Transmit(output.data, record.hop, record)
    return Expired(record) if isinstance(output, TimedOut) else Failed(record)


def _unmatched_ack(request: Request, hop: Hop) -> list[LayerOutput]:
    return [] if acknowledges_refusal(request) else [Ack(request, hop)]
