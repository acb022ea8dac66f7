"""Reason: why a request was sent or a call ended (RFC 3326); and what a Warning adds to a refusal (RFC 3261 §20.43)."""

import re
from contextlib import suppress
from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import TOKEN, find_param, parse_params, quote, split_list, unquote
from sipflow.sip.headers.lines import Headers
from sipflow.sip.headers.scalars import parse_number

_CAUSE_LIMIT = 1000  # SIP status or Q.850 cause: three digits
_NOT_WRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Reason(NamedTuple):
    """One Reason value.

    Attributes:
        protocol: as written: "SIP", "Q.850", "preemption".
        cause: SIP status or Q.850 cause, None when there is none that can be read.
        text: for a person, "" when there is none.
    """

    protocol: str
    cause: int | None = None
    text: str = ""

    @classmethod
    def parse(cls, value: str) -> "Reason":
        """Read one Reason value, such as `Q.850;cause=16;text="Normal call clearing"`.

        Raises:
            RemoteProtocolError: the value breaks the grammar of RFC 3326 §2 (status 400).
        """
        protocol, semicolon, rest = value.partition(";")
        protocol = protocol.strip(" \t")
        if TOKEN.fullmatch(protocol) is None:
            raise RemoteProtocolError(f"not a Reason: {value[:80]!r}")
        params = parse_params(semicolon + rest)
        return cls(
            protocol, parse_number(find_param(params, "cause") or "", _CAUSE_LIMIT), find_param(params, "text") or ""
        )

    def __str__(self) -> str:
        """Write the value; control characters in the text, which may quote a peer, become spaces."""
        cause = "" if self.cause is None else f";cause={self.cause}"
        text = f";text={quote(_NOT_WRITABLE.sub(' ', self.text))}" if self.text else ""
        return f"{self.protocol}{cause}{text}"


def reasons_in(headers: Headers) -> list[Reason]:
    """Read every Reason of a message, in order; one that cannot be read is as good as none."""
    found: list[Reason] = []
    for line in headers.all("Reason"):
        with suppress(RemoteProtocolError):
            found += [Reason.parse(value) for value in split_list(line)]
    return found


def warning_in(headers: Headers) -> str:
    """Give the text of the first Warning of a message; "" where none can be read (RFC 3261 §20.43)."""
    for line in headers.all("Warning"):
        with suppress(RemoteProtocolError):
            for value in split_list(line):
                _code, _agent, text = [*value.split(None, 2), "", "", ""][:3]
                if len(text) > 2 and text[0] == text[-1] == '"':
                    return unquote(text)
    return ""
