"""A far end that is played by hand: it says exactly what a test lets it say, and remembers what it heard."""

from collections.abc import Sequence
from itertools import count

from sipflow.sip.hop import Hop
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.parser import parse_datagram
from tests.support.wire import Wire

Lines = Sequence[tuple[str, str]]


class Peer:
    """One far end with an address. As a caller it is alice, as a callee bob; both call each other by `sip:NAME@HOST`.

    Attributes:
        heard: what came, in order.
        contact: value of its Contact; "" sends none.
        answers: status by method, for what it answers by itself at once.
    """

    def __init__(self, wire: Wire, host: str, *, contact: str | None = None, transport: str = "udp") -> None:
        self.wire = wire
        self.host = host
        self.contact = f"<sip:{host}@{host}>" if contact is None else contact
        self.transport = transport
        self.heard: list[Request | Response] = []
        self.answers: dict[str, int] = {}
        self._sources: dict[int, str] = {}
        self._branches = count(1)
        wire.stations[host] = self

    def arrive(self, data: bytes, hop: Hop) -> None:
        message = parse_datagram(data)
        assert isinstance(message, Request | Response), message
        self.heard.append(message)
        self._sources[id(message)] = hop.host
        if isinstance(message, Request) and message.method in self.answers:
            self.reply(message, self.answers[message.method])

    def said(self, word: str) -> Request | Response:
        """The last message heard that is `word`: a method or a status."""
        found = [one for one in self.heard if word == (one.method if isinstance(one, Request) else str(one.status))]
        assert found, f"{self.host} heard no {word}"
        return found[-1]

    def request(self, method: str) -> Request:
        """The last request of a method that it heard."""
        message = self.said(method)
        assert isinstance(message, Request)
        return message

    def response(self, status: int) -> Response:
        """The last response of a status that it heard."""
        message = self.said(str(status))
        assert isinstance(message, Response)
        return message

    # As a client

    def ask(
        self,
        method: str,
        to: str,
        *,
        cseq: int = 1,
        to_tag: str = "",
        call_id: str = "call-1",
        from_tag: str = "peer",
        uri: str = "",
        branch: str = "",
        headers: Lines = (),
        body: bytes = b"",
        without: str = "",
    ) -> Request:
        """Send a request to `to`. `headers` replace what would stand there by default; `without` leaves one out."""
        lines = {
            "Via": f"SIP/2.0/{self.transport.upper()} {self.host}:5060;branch={branch or self.branch()};rport",
            "Max-Forwards": "70",
            "From": f"<sip:{self.host}@{self.host}>;tag={from_tag}",
            "To": f"<sip:{to}@{to}>" + (f";tag={to_tag}" if to_tag else ""),
            "Call-ID": call_id,
            "CSeq": f"{cseq} {method}",
            "Contact": self.contact,
        }
        if body:
            lines["Content-Type"] = "application/sdp"
        extra = [(name, value) for name, value in headers if name not in lines]
        lines.update((name, value) for name, value in headers if name in lines)
        request = Request(method, uri or f"sip:{to}@{to}")
        for name, value in [*lines.items(), *extra]:
            if name != without and value:
                request.headers.add(name, value)
        request.headers.add("Content-Length", str(len(body)))
        request.body = body
        self.tell(request, to)
        return request

    def branch(self) -> str:
        return f"z9hG4bK-{self.host}-{next(self._branches)}"

    def ack(self, invite: Request, to: str, *, body: bytes = b"", headers: Lines = (), to_tag: str = "") -> Request:
        """Acknowledge the 2xx to `invite`."""
        tag = to_tag or self.response(200).to.tag or ""
        return self.ask(
            "ACK", to, cseq=invite.cseq.number, to_tag=tag, call_id=invite.call_id,
            from_tag=invite.from_.tag or "", body=body, headers=headers,
        )  # fmt: skip

    def cancel(self, invite: Request, to: str) -> Request:
        """Cancel `invite`: its own branch, and its CSeq number (RFC 3261 §9.1)."""
        return self.ask(
            "CANCEL", to, cseq=invite.cseq.number, call_id=invite.call_id, branch=invite.branch,
            from_tag=invite.from_.tag or "", to_tag=invite.to.tag or "",
        )  # fmt: skip

    # As a server

    def reply(
        self,
        request: Request,
        status: int,
        *,
        tag: str | None = "bob",
        headers: Lines = (),
        body: bytes = b"",
        contact: str | None = None,
    ) -> Response:
        """Answer a request that it heard."""
        lines = list(headers)
        value = self.contact if contact is None else contact
        if value and request.method == "INVITE" and 100 < status < 300:
            lines.append(("Contact", value))
        response = make_response(
            request, status, to_tag=tag, headers=lines, body=body, content_type="application/sdp" if body else None
        )
        self.tell(response, self._sources.get(id(request), request.via.host))
        return response

    def tell(self, message: Request | Response | bytes, to: str) -> None:
        """Send anything at all."""
        self.wire.carry(self.host, to, bytes(message), self.transport)
