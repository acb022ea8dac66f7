"""Offers and answers that say what one before them said, but for where the audio goes: a trunk's calls are all alike.

What an answer of ours says hangs on little of an offer that differs from call to call: not on its o= line, and on the
peer's address and port only as far as they are copied. So what is left when those are taken out stands for all such
offers, and the same holds for what an answer of a peer settles. Only plain ones are taken apart; every other one goes
the long way.
"""

import re
from typing import Generic, NamedTuple, TypeVar

from sipflow.sdp.agreement import Capabilities, Encryption, LocalMedia
from sipflow.sdp.attributes import SENDRECV
from sipflow.sdp.peer import UNSPECIFIED, read_host

# An offer without keys, with one medium and one c= line in front of it (RFC 8866 §5). A NUL, or a line end that is no
# CRLF, may be in what the last group takes: that is kept as it is, and was judged when it came first.
_PLAIN = re.compile(
    rb"v=0\r\no=[^\r\n\0]*+\r\n((?>(?:[abeikprstuz]=[^\r\n\0]*+\r\n)*))"
    rb"c=IN IP4 ([0-9.]{7,15})\r\n((?>(?:[abikrtz]=[^\r\n\0]*+\r\n)*))"
    rb"m=audio ([1-9][0-9]{0,4}) (.*+)",
    re.DOTALL,
)
_ODD = re.compile(rb"\n(?:[mc]=|a=rtcp(?!-))")  # another medium, another address, another port for RTCP
_LONGEST = 1024  # bytes: with fewer no limit on lines or attributes can be met, which the parts taken out count towards
_MOST = 256  # shapes remembered: peers have a handful, and a flood of odd offers must not fill the memory

Key = tuple[int, bytes, bytes, bytes]
T = TypeVar("T")


class Reply(NamedTuple):
    """What an answer says, whoever's call it is.

    Attributes:
        time: of its t= line.
        before, after: the media around the audio, refused.
        terms: of the audio, as `write_terms` gives them.
    """

    time: str
    before: str
    terms: str
    after: str


class Offer(NamedTuple):
    """A plain offer or answer, taken apart.

    Attributes:
        key: what its answer hangs on, or what it settles; it knows our capabilities by their identity, for comparing
            them costs more than all the rest.
        host, port: where the peer wants its audio, an IPv4 address that can be sent to.
    """

    key: Key
    host: str
    port: int


def plain(offer: bytes, local: LocalMedia, capabilities: Capabilities) -> Offer | None:
    """Take an offer apart, or an answer; None for one that more than its shape counts of."""
    if (
        len(offer) > _LONGEST
        or capabilities.srtp is not Encryption.OFF
        or local.direction is not SENDRECV
        or ":" in local.address
    ):
        return None
    match = _PLAIN.match(offer)
    if match is None:
        return None
    session, address, behind, digits, audio = match.groups()
    port, host = int(digits), read_host(address.decode())
    if port > 65534 or host is None or host in UNSPECIFIED:
        return None
    if b"\na=rtcp:" in audio:  # RFC 3605: one that says what holds without it is as good as none
        audio = audio.replace(b"\na=rtcp:%d\r\n" % (port + 1), b"\n", 1)
        audio = audio.replace(b"\na=rtcp:%d IN IP4 %s\r\n" % (port + 1, address), b"\n", 1)
    if _ODD.search(audio) is not None:
        return None
    return Offer((id(capabilities), session, behind, audio), host, port)


class Remembered(Generic[T]):
    """What was worked out of late under capabilities of ours, by a key that begins with their identity."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[Capabilities, T]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, key: tuple[object, ...]) -> T | None:
        """Give what was kept under a key, if anything was."""
        known = self._known.get(key)
        return known[1] if known is not None else None

    def keep(self, key: tuple[object, ...], capabilities: Capabilities, what: T) -> None:
        """Remember; the capabilities with it, so that no others can come to have their identity."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (capabilities, what)
