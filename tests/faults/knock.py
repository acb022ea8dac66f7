"""A caller by hand, in datagrams, who sees every line of the answers."""

import re
import socket
import time
from itertools import count
from types import TracebackType
from typing import Self

from sipflow.sip.message import Request, Response
from sipflow.sip.parser import parse_datagram
from tests.interop.daemon import ANSWERED
from tests.interop.waiting import PATIENCE_S

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
_numbers = count(1)


class Knock:
    """One call of his, a context manager.

    Attributes:
        cseq: of the next request.
        answer: the last final response.
    """

    def __init__(self, port: int, number: str = ANSWERED) -> None:
        self._called = number
        self._target = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE_S)
        self._number = next(_numbers)
        self._branch = 0
        self._to_tag = ""
        self.cseq = 1
        self.answer: Response | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def invite(self) -> Response:
        """Call, and give the final answer; it is acknowledged."""
        answer = self.ask("INVITE", SDP)
        self._to_tag = answer.to.tag or ""
        branch = self._branch if answer.status >= 300 else self._new_branch()  # RFC 3261 §17.1.1.3
        self._send("ACK", self.cseq - 1, branch, "")
        return answer

    def ask(self, method: str, body: str = "") -> Response:
        """Send a request, again and again until there is a final answer, and give that."""
        cseq, branch = self.cseq, self._new_branch()
        self.cseq += 1
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            self._send(method, cseq, branch, body)
            self._socket.settimeout(0.5)
            while (found := self._heard(method, cseq)) is not None:
                if found.status >= 200:
                    self.answer = found
                    return found
        raise AssertionError(f"no answer to {method}")

    def _heard(self, method: str, cseq: int) -> Response | None:
        """The next response to this request; others are passed over. None when nothing comes for a while."""
        while True:
            try:
                heard = parse_datagram(self._socket.recv(65535))
            except (TimeoutError, ConnectionRefusedError):
                return None
            if isinstance(heard, Response) and (heard.cseq.method, heard.cseq.number) == (method, cseq):
                return heard
            assert isinstance(heard, Request | Response)

    def _new_branch(self) -> int:
        self._branch += 1
        return self._branch

    def _send(self, method: str, cseq: int, branch: int, body: str) -> None:
        host, port = self._socket.getsockname()
        tag = f";tag={self._to_tag}" if self._to_tag else ""
        lines = [
            f"{method} sip:{self._called}@127.0.0.1:{self._target[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-{port}-{branch}",
            f"From: <sip:knock@{host}:{port}>;tag=k{port}",
            f"To: <sip:{self._called}@127.0.0.1>{tag}",
            f"Call-ID: knock-{self._number}-{port}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:knock@{host}:{port}>",
            "Max-Forwards: 70",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._socket.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self._target)


def retry_after_s(answer: Response) -> int:
    """The seconds of Retry-After; fails where there is none."""
    found = re.fullmatch(r"([0-9]+).*", answer.headers.get("Retry-After") or "")
    assert found is not None, bytes(answer)
    return int(found[1])
