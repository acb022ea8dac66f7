"""How a call ended: who, why and whose fault."""

from enum import StrEnum
from typing import NamedTuple


class Word(StrEnum):
    """Our one word for an ending."""

    HUNG_UP = "hung_up"  # answered, and then one side said goodbye
    CANCELLED = "cancelled"  # the caller gave up before the answer
    REJECTED = "rejected"  # somebody said no
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    NOT_FOUND = "not_found"  # no such number, here or there
    UNREACHABLE = "unreachable"  # no target could be reached, or none answered at all
    NO_ACK = "no_ack"  # our answer was never acknowledged
    MEDIA_FAILED = "media_failed"  # nothing in common, or no RTP port
    MEDIA_LOST = "media_lost"  # the far end fell silent for good
    LOST = "lost"  # the far end was gone in the middle of the call: no refresh came, or it knew the call no more
    AGENT_FAILED = "agent_failed"  # the agent's code raised
    TIMED_OUT = "timed_out"  # it lasted longer than its agent allows, or nobody said anything for too long
    OVERLOADED = "overloaded"  # our own limits, or draining for a restart


class Fault(StrEnum):
    """Who must act if the ending was not wanted."""

    NOBODY = "nobody"
    REMOTE = "remote"
    LOCAL = "local"
    NETWORK = "network"


# RFC 3398 §7.2.4.1 and §8.2.6.1, as far as a SIP-only edge meets them.
_Q850 = {
    200: 16, 401: 21, 403: 21, 404: 1, 408: 102, 410: 22, 415: 79, 420: 127, 480: 18, 481: 127, 482: 25, 483: 25,
    484: 28, 486: 17, 487: 16, 488: 65, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 600: 17, 603: 21, 604: 1,
    606: 58,
}  # fmt: skip
_WORDS = {
    404: Word.NOT_FOUND, 410: Word.NOT_FOUND, 604: Word.NOT_FOUND, 484: Word.NOT_FOUND, 486: Word.BUSY, 600: Word.BUSY,
    408: Word.NO_ANSWER, 480: Word.NO_ANSWER, 487: Word.CANCELLED, 488: Word.MEDIA_FAILED, 606: Word.MEDIA_FAILED,
    503: Word.UNREACHABLE,
}  # fmt: skip


def q850_of(status: int) -> int:
    """The ISDN cause that corresponds to a SIP status (RFC 3398); 31 where there is none."""
    return _Q850.get(status, 31)


class Ending(NamedTuple):
    """How a call ended.

    Attributes:
        by: "remote", "local" (agent or operator) or "system" (time-outs, limits, transport).
        status: the SIP status that ended it; 200 for a BYE.
        q850: ISDN cause, the peer's own where it sent one (RFC 3326).
        word: our one word.
        fault: who must act if it was not wanted.
        why: one sentence for a person.
    """

    by: str
    status: int
    q850: int
    word: Word
    fault: Fault
    why: str

    @classmethod
    def of(cls, by: str, status: int, why: str, *, q850: int | None = None, word: Word | None = None) -> "Ending":
        """Classify an ending by its status, unless the word is known better."""
        if word is None:
            word = Word.HUNG_UP if 200 <= status < 300 else _WORDS.get(status, Word.REJECTED)
        return cls(by, status, q850 if q850 is not None else q850_of(status), word, _fault(by, word), why)


def _fault(by: str, word: Word) -> Fault:
    match word:
        case Word.HUNG_UP | Word.CANCELLED | Word.BUSY | Word.NO_ANSWER | Word.TIMED_OUT:
            return Fault.NOBODY
        case Word.AGENT_FAILED | Word.OVERLOADED:
            return Fault.LOCAL
        case Word.NO_ACK | Word.UNREACHABLE | Word.MEDIA_LOST | Word.LOST:
            return Fault.NETWORK
        case _:
            return Fault.REMOTE if by == "remote" else Fault.LOCAL
