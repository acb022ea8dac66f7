"""Where responses go: the source of the request, as noted in its top Via (RFC 3261 §18.2, RFC 3581 §4)."""

from sipflow.sip.headers.via import Via
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.transaction.matching import sent_by_port

_MARKS = frozenset({"rport", "received"})


def note_source(request: Request, source: Hop) -> None:
    """Write the request's real source into its top Via.

    `received` is added whenever sent-by is not literally the source address (RFC 3261 §18.2.1), and always where
    rport asks for both (RFC 3581 §4). What the sender wrote into either is overwritten: it could make us, or a proxy
    behind us, answer a third party.
    """
    via = request.via
    if via.host == source.host and not _MARKS.intersection([name for name, _ in via.params]):
        return  # nothing to say, nothing to take away
    marked = False
    params: list[tuple[str, str | None]] = []
    for param in via.params:
        if param[0] == "rport":
            params.append(("rport", str(source.port)))
            marked = True
        elif param[0] == "received":
            marked = True
        else:
            params.append(param)
    if marked or via.host != source.host:
        params.append(("received", source.host))
        request.via = Via(via.transport, via.host, via.port, tuple(params))


def response_hops(via: Via, source: Hop) -> tuple[Hop, Hop | None]:
    """Say where the response to a request from `source` goes, and where if that connection is gone (§18.2.2).

    A response on UDP never leaves for any address but the source's: maddr, and a received of the sender's own
    making, are ignored, so that nobody can have us flood somebody else.
    """
    if source.transport != "udp":
        return source, source._replace(port=sent_by_port(via), connection=0)
    port = sent_by_port(via)
    if port == source.port or via.wants_rport:  # RFC 3581 §4
        return source, None
    return source._replace(port=port), None
