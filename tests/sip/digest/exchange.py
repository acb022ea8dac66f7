"""Requests, challenges and their answers, as short as the tests of both sides need them."""

from collections.abc import Callable, Sequence

from sipflow.sip.digest import Account, DigestClient, DigestServer
from sipflow.sip.headers.auth import Credentials
from sipflow.sip.message import Headers, Request, Response

SECRET = b"sixteen octets or more"
URI = "sip:bob@pbx.example.com"
ALICE = Account("alice", "wonderland")
PASSWORDS = {"alice": "wonderland"}


def cnonces() -> Callable[[], str]:
    """A cnonce source whose first text is `cnonce-1`."""
    numbers = iter(range(1, 1_000_000))
    return lambda: f"cnonce-{next(numbers)}"


def client(*accounts: Account, allow_md5: bool = True) -> DigestClient:
    return DigestClient(accounts or (ALICE,), cnonce=cnonces(), allow_md5=allow_md5)


def server(algorithms: Sequence[str] = ("MD5",), qop: Sequence[str] = ("auth",), **settings: int) -> DigestServer:
    return DigestServer(realm="pbx.example.com", secret=SECRET, algorithms=algorithms, qop=qop, **settings)


def response(
    *lines: tuple[str, str] | str, status: int = 401, cseq: int | None = 1, call_id: str = "call-1"
) -> Response:
    """A response with these header lines; a plain text is a WWW-Authenticate value."""
    headers = Headers()
    if cseq is not None:
        headers.add("Call-ID", call_id)
        headers.add("CSeq", f"{cseq} INVITE")
    for line in lines:
        name, value = ("WWW-Authenticate", line) if isinstance(line, str) else line
        headers.add(name, value)
    return Response(status, "", headers)


def request(
    lines: Sequence[tuple[str, str]] = (), *, method: str = "INVITE", uri: str = URI, body: bytes = b""
) -> Request:
    headers = Headers()
    for name, value in lines:
        headers.add(name, value)
    return Request(method, uri, headers, body)


def answer(
    asked: DigestClient, *lines: tuple[str, str] | str, cseq: int = 1, body: bytes = b""
) -> list[tuple[str, str]]:
    """What `asked` answers to a 401 with these lines that came to its INVITE."""
    return asked.authorize(response(*lines, cseq=cseq), method="INVITE", uri=URI, body=body)


def shown(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The parameters of the only credentials in `headers`."""
    ((_, value),) = headers
    return Credentials.parse(value).params
