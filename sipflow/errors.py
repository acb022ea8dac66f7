"""Every error sipflow raises on purpose, in one tree.

    SipflowError
    ├── ProtocolError
    │   ├── RemoteProtocolError   the peer broke a rule: carries the status to answer
    │   └── LocalProtocolError    we (or a caller of ours) broke a rule: a bug or bad input on this side
    ├── ConfigError               the configuration is wrong: file, line, key
    ├── TransportError            a message could not be carried to a peer
    ├── CallEnded                 the call is over; quiet end of an agent
    ├── CallFailed                an outbound call was not answered: status and reason
    ├── MediaError                audio could not be set up, read or played
    │   └── PortsExhausted        every RTP port is lent or draining
    ├── StoreError                the database cannot be opened, read or written
    ├── NotFound                  what was named does not exist
    ├── Conflict                  what was asked for contradicts what is there: taken, declared, in use
    ├── LimitReached              a limit of ours refuses it for now: when to try again
    ├── ApiError                  an answer of the HTTP API other than 2xx that none of the others says
    ├── ClientError               a command asked a running edge for what cannot be had: the status to exit with
    └── AgentError                an agent could not be loaded, or broke its contract

Each says whose fault it was, what to answer and what an operator should do; catch the narrowest that has your remedy.
"""

from collections.abc import Mapping


class SipflowError(Exception):
    """Base of every error raised on purpose; catching it catches all of ours and nothing else."""


class ProtocolError(SipflowError):
    """A rule of SIP, SDP or RTP was broken by one side."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something an RFC forbids. Never a bug on our side.

    Attributes:
        status: SIP status to answer with, if the message was a request (400-699).
        warning: code of a Warning header that says why (RFC 3261 §20.43); 399 where there is no better one.
    """

    def __init__(self, message: str, *, status: int = 400, warning: int = 399) -> None:
        super().__init__(message)
        self.status = status
        self.warning = warning


class LocalProtocolError(ProtocolError):
    """We, or the code that calls us, asked for something an RFC forbids."""


class ConfigError(SipflowError):
    """The configuration cannot be used as written.

    Attributes:
        file: path as the operator gave it, or "" when there is none.
        line: 1-based line in `file`, or 0 when the error belongs to no line.
        key: dotted path of the key, such as `trunks.pbx.password`, or "".
        message: the sentence alone.
        others: what else is wrong, an error each; the text of this one tells them, too.
    """

    def __init__(
        self, message: str, *, file: str = "", line: int = 0, key: str = "", others: "tuple[ConfigError, ...]" = ()
    ) -> None:
        super().__init__("\n".join([message, *map(str, others)]))
        self.message = message
        self.file = file
        self.line = line
        self.key = key
        self.others = others

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.key + ': ' if self.key else ''}{super().__str__()}"


class TransportError(SipflowError):
    """A message could not be carried: no address, refused, reset, timed out, or TLS not trusted.

    Attributes:
        final: asking again changes nothing: the far end said no, and was not just out of reach.
    """

    def __init__(self, message: str = "", *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class CallEnded(SipflowError):  # noqa: N818  (the quiet end of a call is an event first, an error second)
    """The call is over. An agent that lets it pass ends quietly.

    Attributes:
        by: "remote", "local" or "system": who ended it.
        reason: one sentence for a person.
    """

    def __init__(self, reason: str = "the call is over", *, by: str = "remote") -> None:
        super().__init__(reason)
        self.by = by
        self.reason = reason


class CallFailed(SipflowError):  # noqa: N818
    """An outbound call was not answered.

    Attributes:
        status: final SIP status, 408 when nobody answered in time, 503 when no target could be reached.
        reason: the far end's words, or ours.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class MediaError(SipflowError):
    """Audio could not be set up, read or played."""


class PortsExhausted(MediaError):  # noqa: N818
    """Every RTP port pair is lent or draining: answer 503 with Retry-After, and widen `media.ports`."""


class AgentError(SipflowError):
    """An agent could not be loaded, or broke its contract."""


class StoreError(SipflowError):
    """The database cannot be opened, read or written; the sentence says which and what to do."""


class NotFound(SipflowError):  # noqa: N818
    """What was named does not exist; the sentence names it."""


class Conflict(SipflowError):  # noqa: N818
    """What was asked for contradicts what is there: a number that is taken, or one that the configuration declares."""


class LimitReached(SipflowError):  # noqa: N818
    """A limit of ours refuses a call for now.

    Attributes:
        limit: dotted name of the limit, such as `limits.calls` or `trunks.pbx.max_calls`.
        retry_after_s: when to try again, in whole seconds, at least 1.
        again_s: the same without rounding; None where it ends with an event and not with time.
    """

    def __init__(self, message: str, *, limit: str, retry_after_s: int = 1, again_s: float | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after_s = max(1, retry_after_s)
        self.again_s = again_s


class ApiError(SipflowError):
    """An answer of the HTTP API other than 2xx, where no other error says it.

    Attributes:
        status: of HTTP.
        description: one sentence for a person.
        category: one word for a program; "" is that of the status.
        headers: further ones.
    """

    def __init__(
        self, status: int, description: str, category: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.category = category
        self.headers = dict(headers or {})


class ClientError(SipflowError):
    """A command asked a running edge for what cannot be had; the text says why and what to do.

    Attributes:
        status: to exit with.
    """

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
