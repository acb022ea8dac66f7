"""What an operator can set about the API."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sipflow.errors import LocalProtocolError

LARGEST_BODY_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """How the API listens, and whom it lets in.

    Attributes:
        host, port: where it listens; port 0 is any free one.
        tokens: texts that open everything, besides the tokens in the store; in no repr.
        default_agent: agent whose handler and options a new agent gets that names no handler; "" for echo.
        certificate, key: PEM files; with them it speaks HTTPS only.
        max_body_bytes: a larger body is answered with 413.
        max_connections: at once; for one more the longest idle one is closed, and where none is idle it gets 503.
        body_timeout_s: within this time a body must have come.
        idle_timeout_s: a connection that says nothing for this long is closed, or takes nothing of its answer.
        console: whether there are pages for operators below `/console`.
        trusted_proxies: networks of the proxies in front; what they say of who asks is believed.
        proxy_header: in which they say it, `x-forwarded-for` or `forwarded`.

    Raises:
        LocalProtocolError: a value is wrong; the sentence begins with the field's name.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    tokens: Sequence[str] = field(default=(), repr=False)
    default_agent: str = ""
    certificate: str = ""
    key: str = ""
    max_body_bytes: int = 2**20
    max_connections: int = 1000
    body_timeout_s: float = 15.0
    idle_timeout_s: float = 30.0
    console: bool = False
    trusted_proxies: Sequence[str] = ()
    proxy_header: str = "x-forwarded-for"

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise LocalProtocolError("certificate: certificate and key go together; set both or none")
        if not 1024 <= self.max_body_bytes <= LARGEST_BODY_BYTES:
            raise LocalProtocolError(f"max_body_bytes: it is not in 1024..{LARGEST_BODY_BYTES}")
