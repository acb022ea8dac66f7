"""CSeq: the number and method of a request (RFC 3261 §20.16)."""

import re
from dataclasses import dataclass
from typing import Self

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.grammar import NAME_CHARACTERS

# Leading zeros are legal (RFC 4475 §3.1.1.1); twenty digits before a refusal are enough of them.
_CSEQ = re.compile(rf"0{{0,10}}([0-9]{{1,10}})[ \t]+([{NAME_CHARACTERS}]+)")  # RFC 3261 §25.1
_CSEQ_LIMIT = 2**31  # RFC 3261 §8.1.1.5


@dataclass(frozen=True, slots=True)
class CSeq:
    """Orders the requests of one dialog (RFC 3261 §20.16).

    Attributes:
        number: 0 to 2**31 - 1.
        method: the request's method; case-sensitive.
    """

    number: int
    method: str

    def __post_init__(self) -> None:
        if not 0 <= self.number < _CSEQ_LIMIT:
            raise LocalProtocolError(f"CSeq {self.number} is not in 0..2**31-1")

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read a CSeq header value.

        Raises:
            RemoteProtocolError: `value` is not a CSeq, or its number is too large (status 400).
        """
        match = _CSEQ.fullmatch(value)
        if match is None:
            raise RemoteProtocolError(f"not a CSeq: {value[:80]!r}")
        number = int(match[1])
        if number >= _CSEQ_LIMIT:
            raise RemoteProtocolError(f"CSeq {number} is not in 0..2**31-1 (RFC 3261 §8.1.1.5)")
        return cls(number, match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"
