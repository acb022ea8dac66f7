"""RSeq and RAck: which provisional response, and which one was received (RFC 3262 §7.1, §7.2)."""

import re
from dataclasses import dataclass
from typing import Self

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.sip.grammar import NAME_CHARACTERS
from sipflow.sip.headers.cseq import CSeq

_NUMBER = re.compile(r"0{0,10}([0-9]{1,10})")
_RACK = re.compile(rf"0{{0,10}}([0-9]{{1,10}})[ \t]+([0-9]{{1,20}}[ \t]+[{NAME_CHARACTERS}]+)")  # RFC 3262 §10
_LIMIT = 2**32  # RFC 3262 §7.1


@dataclass(frozen=True, slots=True)
class RAck:
    """Names the provisional response that a PRACK acknowledges.

    Attributes:
        number: its RSeq, 1 to 2**32 - 1.
        cseq: its CSeq.
    """

    number: int
    cseq: CSeq

    def __post_init__(self) -> None:
        if not 0 < self.number < _LIMIT:
            raise LocalProtocolError(f"RSeq {self.number} is not in 1..2**32-1")

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read a RAck header value.

        Raises:
            RemoteProtocolError: it is no RAck, or a number is out of range (status 400).
        """
        match = _RACK.fullmatch(value)
        if match is None:
            raise RemoteProtocolError(f"not a RAck: {value[:80]!r}")
        return cls(parse_rseq(match[1]), CSeq.parse(match[2]))

    def __str__(self) -> str:
        return f"{self.number} {self.cseq}"


def parse_rseq(value: str) -> int:
    """Read an RSeq header value: 1 to 2**32 - 1.

    Raises:
        RemoteProtocolError: it is none (status 400).
    """
    match = _NUMBER.fullmatch(value)
    number = int(match[1]) if match is not None else 0
    if not 0 < number < _LIMIT:
        raise RemoteProtocolError(f"not an RSeq: {value[:80]!r}")
    return number
