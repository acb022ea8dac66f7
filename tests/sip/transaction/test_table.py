import gc
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.errors import LocalProtocolError
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, make_cancel
from sipflow.sip.timers import DEFAULT_TIMERS
from sipflow.sip.transaction.layer import ClientTransaction, ServerTransaction, TransactionLayer
from sipflow.sip.transaction.machine import State
from sipflow.sip.transaction.outputs import LayerOutput, NewRequest
from sipflow.sip.transaction.records import Record
from sipflow.sip.transaction.table import Table
from tests.sip.transaction.playing import OTHER, TCP, UDP, request, response, run_until_silent

# The indexes


def client(branch: str, hop: Hop = UDP) -> ClientTransaction:
    return ClientTransaction(request(branch=branch), hop, (branch, "INVITE"), DEFAULT_TIMERS)


def server(hop: Hop) -> ServerTransaction:
    record = ServerTransaction(request(), hop, None, DEFAULT_TIMERS)
    record.key = ("z9hG4bK-1", "192.0.2.1", 5060, "INVITE")
    record.merge_key = ("alice", "call-1", 1, "INVITE")
    return record


def legacy_server() -> ServerTransaction:
    record = ServerTransaction(request(branch=None), UDP, None, DEFAULT_TIMERS)
    record.ack_key = ("sip:bob@192.0.2.99", "alice", "call-1", 1, ("udp", "192.0.2.1", 5060, frozenset()))
    record.legacy_key = (record.ack_key, None, "INVITE")
    return record


def test_a_transaction_is_in_each_of_its_indexes_or_in_none() -> None:
    table = Table()
    calling, stream, legacy = client("z9hG4bK-1"), server(TCP), legacy_server()

    table.add_client(calling)
    table.add_server(stream)
    table.add_server(legacy)
    assert (len(table), table.sizes) == (
        3,
        {"clients": 1, "servers": 1, "legacy": 1, "legacy_invites": 1, "merged": 1, "peers": 2},
    )

    for record in (calling, stream, legacy, calling, stream, legacy):
        table.remove(record)
    assert (len(table), set(table.sizes.values())) == (0, {0})


def test_removing_a_transaction_leaves_another_of_the_same_key() -> None:
    table = Table()
    table.add_client(client("z9hG4bK-1"))

    table.remove(client("z9hG4bK-1"))

    assert len(table) == 1


def test_whoever_sends_to_an_address_is_found_by_it_in_order() -> None:
    table = Table()
    first, second, elsewhere = client("z9hG4bK-1"), client("z9hG4bK-2"), client("z9hG4bK-3", OTHER)
    for record in (first, second, elsewhere):
        table.add_client(record)
    table.add_server(server(UDP))

    assert table.at_peer(UDP._replace(local_port=9, connection=4)) == [first, second]


def test_a_moved_server_transaction_is_found_at_its_new_address() -> None:
    table = Table()
    record = server(TCP)
    table.add_server(record)

    table.move(record, TCP._replace(port=5070, connection=0))

    assert (table.at_peer(TCP), table.at_peer(record.hop), record.hop.port) == ([], [record], 5070)


# Whole lives


class Peer:
    """Plays one side against a layer, by chance, and remembers every transaction it has seen."""

    def __init__(self, layer: TransactionLayer, random: Random) -> None:
        self.layer = layer
        self.random = random
        self.now = 0.0
        self.seen: list[Record] = []

    def note(self, outputs: list[LayerOutput]) -> list[LayerOutput]:
        self.seen += [output.transaction for output in outputs if isinstance(output, NewRequest)]
        return outputs

    def receive(self, message: Request, hop: Hop) -> ServerTransaction | None:
        known = len(self.seen)
        self.note(self.layer.receive_request(message, hop, now=self.now))
        last = self.seen[-1] if len(self.seen) > known else None
        return last if isinstance(last, ServerTransaction) else None

    def respond(self, transaction: ServerTransaction, status: int) -> None:
        self.layer.respond(transaction, response(transaction.request, status), now=self.now)

    def send(self, message: Request, hop: Hop) -> None:
        try:
            transaction, _ = self.layer.request(message, hop, now=self.now)
        except LocalProtocolError:
            return  # the branch is in use
        self.seen.append(transaction)

    def answer(self, transaction: ClientTransaction, status: int) -> None:
        self.layer.receive_response(response(transaction.request, status), transaction.hop, now=self.now)

    def live(self) -> Iterator[Record]:
        return (record for record in self.seen if record.state is not State.TERMINATED)

    def assert_sane(self) -> None:
        """Every live transaction is counted, and only a user's own may wait without a deadline."""
        live = list(self.live())
        assert len(self.layer) == len(live)
        for record in live:
            owned = record.request.method == "INVITE" and record.state is State.PROCEEDING
            assert (record.machine.deadline is None) == owned, record
        deadlines = [at for record in live if (at := record.machine.deadline) is not None]
        assert self.layer.deadline == min(deadlines, default=None)

    def finish(self) -> None:
        """Do what a user does in the end: answer or give up what it owns; then let the timers run."""
        for record in list(self.live()):
            if isinstance(record, ServerTransaction):
                self.respond(record, 500)
            elif record.state is State.PROCEEDING:
                self.layer.discard(record)
        run_until_silent(self.layer, now=self.now)
        self.now += 100.0
        self.layer.handle_timer(now=self.now)
        assert set(self.layer.sizes.values()) == {0}
        assert list(self.live()) == []


def play_inbound(peer: Peer, number: int) -> None:
    random = peer.random
    hop = random.choice((UDP, TCP))
    branch = random.choice((f"z9hG4bK-{number}", f"{number}", None))
    call = {"branch": branch, "call_id": f"call-{number}"}
    transaction = peer.receive(request(**call), hop)  # type: ignore[arg-type]
    assert transaction is not None
    peer.receive(request(**call), hop)  # type: ignore[arg-type]
    peer.respond(transaction, random.choice((100, 180)))
    if random.random() < 0.3:
        cancel = peer.receive(request("CANCEL", **call), hop)  # type: ignore[arg-type]
        assert cancel is not None
        assert cancel.invite is transaction
        if random.random() < 0.5:
            peer.respond(cancel, 200)
    status = random.choice((200, 302, 487, 603))
    peer.respond(transaction, status)
    if random.random() < 0.8:
        peer.receive(request("ACK", to_tag="bob", **call), hop)  # type: ignore[arg-type]


def play_outbound(peer: Peer, number: int) -> None:
    random = peer.random
    hop = random.choice((UDP, TCP))
    invite = request(branch=f"z9hG4bK-out-{number}", call_id=f"out-{number}")
    peer.send(invite, hop)
    transaction = peer.seen[-1]
    assert isinstance(transaction, ClientTransaction)
    if random.random() < 0.1:
        peer.layer.transport_failed(transaction, now=peer.now)
        return
    if random.random() < 0.9:
        peer.answer(transaction, 180)
        if random.random() < 0.3:
            peer.send(make_cancel(invite), hop)
        peer.answer(transaction, random.choice((200, 404, 487)))
    peer.send(request("BYE", branch=f"z9hG4bK-bye-{number}", to_tag="bob"), hop)
    bye = peer.seen[-1]
    assert isinstance(bye, ClientTransaction)
    if random.random() < 0.8:
        peer.answer(bye, 200)


def test_thousands_of_mixed_calls_leave_nothing_behind() -> None:
    gc.collect()
    before = sum(isinstance(thing, ClientTransaction | ServerTransaction) for thing in gc.get_objects())
    layer = TransactionLayer()
    peer = Peer(layer, Random(4))

    highest = 0
    for number in range(4000):
        peer.now += 0.05
        layer.handle_timer(now=peer.now)
        (play_inbound if number % 2 else play_outbound)(peer, number)
        if number % 50 == 0:
            layer.hop_failed(TCP, now=peer.now)
        if number % 200 == 0:
            peer.seen = list(peer.live())
            peer.assert_sane()
            highest = max(highest, len(layer))
    peer.finish()

    assert 300 < highest < 2000  # what lives for 32 s of 20 calls a second, and no more
    peer.seen = []
    del peer
    gc.collect()
    assert sum(isinstance(thing, ClientTransaction | ServerTransaction) for thing in gc.get_objects()) == before
    assert len(layer) == 0


BRANCHES = ("z9hG4bK-1", "z9hG4bK-2", "3", None)
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS")
STATUSES = (100, 180, 200, 302, 487, 603)
HOPS = (UDP, TCP, TCP._replace(connection=0), OTHER)

STEPS = st.one_of(
    st.tuples(
        st.just("receive"),
        st.sampled_from(METHODS),
        st.sampled_from(BRANCHES),
        st.sampled_from((None, "bob")),
        st.sampled_from(HOPS),
    ),
    st.tuples(st.just("respond"), st.integers(0, 50), st.sampled_from(STATUSES)),
    st.tuples(st.just("send"), st.sampled_from(METHODS), st.sampled_from(BRANCHES), st.sampled_from(HOPS)),
    st.tuples(st.just("answer"), st.integers(0, 50), st.sampled_from(STATUSES)),
    st.tuples(st.just("fail"), st.integers(0, 50)),
    st.tuples(st.just("discard"), st.integers(0, 50)),
    st.tuples(st.just("hop"), st.sampled_from(HOPS)),
    st.tuples(st.just("wait"), st.sampled_from((0.0, 0.4, 0.5, 3.0, 5.0, 32.0, 64.0))),
)


def take(peer: Peer, step: tuple[object, ...]) -> None:
    layer = peer.layer
    match step:
        case ("receive", str(method), str() | None as branch, str() | None as tag, Hop() as hop):
            peer.receive(request(method, branch=branch, to_tag=tag), hop)
        case ("send", str(method), str() | None as branch, Hop() as hop):
            peer.send(request(method, branch=branch), hop)
        case ("hop", Hop() as hop):
            layer.hop_failed(hop, now=peer.now)
        case ("wait", float(seconds)):
            peer.now += seconds
            layer.handle_timer(now=peer.now)
        case (str(what), int(which), *rest) if peer.seen:
            alive = list(peer.live())
            pool = alive if alive and which % 4 else peer.seen  # mostly what still listens
            record = pool[which % len(pool)]
            match what, rest:
                case "respond", [int(status)] if isinstance(record, ServerTransaction):
                    peer.respond(record, status)
                case "answer", [int(status)] if isinstance(record, ClientTransaction):
                    peer.answer(record, status)
                case "fail", _:
                    layer.transport_failed(record, now=peer.now)
                case "discard", _:
                    layer.discard(record)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=60), st.sampled_from((2, 50_000)))
def test_no_order_of_events_raises_or_leaves_a_transaction_waiting_for_ever(
    steps: list[tuple[object, ...]], limit: int
) -> None:
    peer = Peer(TransactionLayer(max_transactions=limit), Random(1))

    for step in steps:
        take(peer, step)
        peer.assert_sane()

    peer.finish()


@pytest.mark.parametrize("seed", range(20))
def test_long_random_walks_end_with_every_table_empty(seed: int) -> None:
    random = Random(seed)
    peer = Peer(TransactionLayer(), random)
    for _ in range(400):
        match random.randrange(8):
            case 0 | 1:
                step: tuple[object, ...] = (
                    "receive", random.choice(METHODS), random.choice(BRANCHES),
                    random.choice((None, "bob")), random.choice(HOPS),
                )  # fmt: skip
            case 2:
                step = ("send", random.choice(METHODS), random.choice(BRANCHES), random.choice(HOPS))
            case 3 | 4:
                step = ("respond", random.randrange(99), random.choice(STATUSES))
            case 5:
                step = ("answer", random.randrange(99), random.choice(STATUSES))
            case 6:
                step = (random.choice(("fail", "discard")), random.randrange(99))
            case _:
                step = ("wait", random.choice((0.1, 0.5, 4.0, 33.0)))
        take(peer, step)
        peer.assert_sane()

    peer.finish()
