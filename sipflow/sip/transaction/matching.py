"""The keys under which a message finds its transaction (RFC 3261 §17.1.3, §17.2.3, §8.2.2.2)."""

from sipflow.sip.addressing import DEFAULT_PORTS
from sipflow.sip.headers.via import Via
from sipflow.sip.message import Request, Response

ClientKey = tuple[str, str]  # branch, method
ServerKey = tuple[str, str, int, str]  # branch, sent-by host, sent-by port, method
ViaKey = tuple[str, str, int, frozenset[tuple[str, str | None]]]
LegacyAckKey = tuple[str, str | None, str, int, ViaKey]  # Request-URI, From tag, Call-ID, CSeq number, top Via
LegacyKey = tuple[LegacyAckKey, str | None, str]  # the same, To tag, method
MergeKey = tuple[str | None, str, int, str]  # From tag, Call-ID, CSeq number and method


def response_key(response: Response) -> ClientKey:
    """Key of the client transaction a response belongs to (§17.1.3): CANCEL shares its INVITE's branch.

    Raises:
        RemoteProtocolError: top Via or CSeq cannot be read.
    """
    return (response.branch, response.cseq.method)


def sent_by_port(via: Via) -> int:
    """The port of sent-by, or the transport's default (§18.2.2)."""
    return via.port or DEFAULT_PORTS.get(via.transport.lower(), 5060)


def server_key(branch: str, via: Via, method: str) -> ServerKey:
    """Key of a server transaction whose branch is unique (§17.2.3); an ACK is looked up as INVITE."""
    return (branch, via.host.lower(), sent_by_port(via), method)


def legacy_ack_key(request: Request, via: Via) -> LegacyAckKey:
    """What an ACK without a unique branch has in common with its INVITE (§17.2.3, RFC 2543).

    Raises:
        RemoteProtocolError: From, Call-ID or CSeq cannot be read.
    """
    sent_by = (via.transport.lower(), via.host.lower(), sent_by_port(via), frozenset(via.params))
    return (request.uri, request.from_.tag, request.call_id, request.cseq.number, sent_by)


def merge_key(request: Request) -> MergeKey:
    """What a request has in common with its copies that came by another path (§8.2.2.2).

    Raises:
        RemoteProtocolError: From, Call-ID or CSeq cannot be read.
    """
    return (request.from_.tag, request.call_id, request.cseq.number, request.method)
