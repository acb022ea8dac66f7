"""Every live transaction, under each key by which a message or a failure may ask for it."""

from typing import TypeVar

from sipflow.sip.hop import Hop
from sipflow.sip.transaction.matching import ClientKey, LegacyAckKey, LegacyKey, MergeKey, ServerKey
from sipflow.sip.transaction.records import ClientTransaction, Record, ServerTransaction

_Peer = tuple[str, str, int]  # transport, host, port
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Table:
    """The indexes of the transaction layer; a transaction is in all of its own, or in none.

    Attributes:
        clients: by branch and method (RFC 3261 §17.1.3).
        servers: by branch, sent-by and method (§17.2.3).
        legacy: server transactions without a unique branch, by RFC 2543's fields.
        legacy_invites: the INVITEs among them, by what their ACK repeats.
        merged: the first of several copies of a request (§8.2.2.2).
    """

    __slots__ = ("_peers", "clients", "legacy", "legacy_invites", "merged", "servers")

    def __init__(self) -> None:
        self.clients: dict[ClientKey, ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.legacy: dict[LegacyKey, ServerTransaction] = {}
        self.legacy_invites: dict[LegacyAckKey, ServerTransaction] = {}
        self.merged: dict[MergeKey, ServerTransaction] = {}
        # Dicts for their order. No server transactions on UDP: no hop of theirs is ever reported lost.
        self._peers: dict[_Peer, dict[Record, None]] = {}

    def __len__(self) -> int:
        return len(self.clients) + len(self.servers) + len(self.legacy)

    @property
    def sizes(self) -> dict[str, int]:
        """How many entries each index has; all zero when nothing is going on."""
        return {
            "clients": len(self.clients),
            "servers": len(self.servers),
            "legacy": len(self.legacy),
            "legacy_invites": len(self.legacy_invites),
            "merged": len(self.merged),
            "peers": len(self._peers),
        }

    def add_client(self, record: ClientTransaction) -> None:
        self.clients[record.key] = record
        self._add_peer(record)

    def add_server(self, record: ServerTransaction) -> None:
        if record.key is not None:
            self.servers[record.key] = record
        if record.legacy_key is not None:
            self.legacy[record.legacy_key] = record
        if record.ack_key is not None:
            self.legacy_invites[record.ack_key] = record
        if record.merge_key is not None:
            self.merged[record.merge_key] = record
        if record.hop.transport != "udp":
            self._add_peer(record)

    def remove(self, record: Record) -> None:
        """Forget a transaction under every key; one that is not there is no error."""
        if isinstance(record, ClientTransaction):
            _remove(self.clients, record.key, record)
            self._remove_peer(record)
            return
        if record.key is not None:
            _remove(self.servers, record.key, record)
        if record.legacy_key is not None:
            _remove(self.legacy, record.legacy_key, record)
        if record.ack_key is not None:
            _remove(self.legacy_invites, record.ack_key, record)
        if record.merge_key is not None:
            _remove(self.merged, record.merge_key, record)
        if record.hop.transport != "udp":
            self._remove_peer(record)

    def at_peer(self, hop: Hop) -> list[Record]:
        """Client transactions, and server transactions on streams, whose next message goes to this address."""
        return list(self._peers.get((hop.transport, hop.host, hop.port), ()))

    def move(self, record: ServerTransaction, hop: Hop) -> None:
        """Have the responses of a live transaction go elsewhere."""
        self._remove_peer(record)
        record.hop = hop
        self._add_peer(record)

    def _add_peer(self, record: Record) -> None:
        hop = record.hop
        self._peers.setdefault((hop.transport, hop.host, hop.port), {})[record] = None

    def _remove_peer(self, record: Record) -> None:
        peer = (record.hop.transport, record.hop.host, record.hop.port)
        records = self._peers.get(peer)
        if records is not None:
            records.pop(record, None)
            if not records:
                del self._peers[peer]


def _remove(index: dict[_Key, _Value], key: _Key, record: _Value) -> None:
    """Remove an entry unless another transaction has taken it over."""
    if index.get(key) is record:
        del index[key]
