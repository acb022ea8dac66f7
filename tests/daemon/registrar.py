"""A registrar in a thread: it challenges once, grants a while, and never looks at the answer."""

import re
import socket
import threading
from types import TracebackType
from typing import Self


class Registrar:
    """A context manager. `heard` has every request it got, without keep-alives; `grant_s` is what it grants."""

    def __init__(self, *, grant_s: int = 120, host: str = "127.0.0.1") -> None:
        self._host = host
        self._grant_s = grant_s
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.sendto(b"end", (self._host, self.port))
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, source = self._socket.recvfrom(65535)
            if data == b"end":
                return
            if not data.strip():
                continue  # a keep-alive (RFC 5626 §3.5.1), which a slow test lives to see
            text = data.decode()
            self.heard.append(text)
            self._socket.sendto(self._answer(text).encode(), source)

    def _answer(self, request: str) -> str:
        lines = [line for line in request.split("\r\n") if re.match(r"(Via|From|To|Call-ID|CSeq):", line)]
        contact = re.search(r"^Contact: (<[^>]*>)", request, re.MULTILINE)
        if "\r\nAuthorization:" not in request:
            status = "401 Unauthorized"
            lines.append('WWW-Authenticate: Digest realm="here", nonce="n", qop="auth", algorithm=SHA-256')
        else:
            status = "200 OK"
            if contact is not None and "expires=0" not in request:
                lines.append(f"Contact: {contact[1]};expires={self._grant_s}")
        return "\r\n".join([f"SIP/2.0 {status}", *lines, "Content-Length: 0", "", ""])
