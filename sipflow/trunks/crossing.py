"""What an operator can set about two calls that are joined: which headers cross, and what else does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sipflow.errors import LocalProtocolError
from sipflow.sip.grammar import TOKEN

TOPOLOGIES = ("hidden", "shown")
CARRIED = ("hold", "codec", "info", "messages", "identity")
_PATTERN = re.compile(r"[-.!%_`'~+0-9A-Za-z]+\*?|\*")
_MOST = 64  # names of one list
_LONGEST_VALUE = 1024
# What holds a call together, or tells who we are: it is ours on each leg, and never crosses.
NEVER = frozenset({
    "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "max-forwards", "route",
    "record-route", "content-length", "l", "content-type", "c", "content-encoding", "e", "content-disposition",
    "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info",
    "supported", "k", "require", "proxy-require", "unsupported", "allow", "allow-events", "u", "accept", "rack", "rseq",
    "session-expires", "x", "min-se", "user-agent", "server", "expires", "timestamp", "replaces", "refer-to", "r",
    "refer-sub", "target-dialog", "event", "o", "subscription-state", "path", "service-route", "mime-version",
    "warning", "retry-after", "date", "organization",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeaderSettings:
    """Which header lines leave by a trunk on a call that is placed, answered or ended on behalf of another one.

    Names stand in any case; one that ends with `*` stands for all that begin so.

    Attributes:
        passed: what crosses from the other call's message to ours of the same kind: INVITE to INVITE, provisional and
            final response to response, BYE to BYE.
        set: lines that stand on every INVITE that leaves by the trunk, instead of whatever it has of that name;
            `{variables}` of the call are filled in, and a line that comes out empty is left out.
        hide: what leaves in no case, whoever put it there.
        topology: "hidden" puts our domain in the place of hosts in headers that are addresses (Diversion, History-Info
            and the like), "shown" leaves them.

    Raises:
        LocalProtocolError: a name cannot be one, or may not cross. The sentence begins with `headers.` and the field.
    """

    passed: tuple[str, ...] = ()
    set: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    hide: tuple[str, ...] = ()
    topology: str = "hidden"

    def __post_init__(self) -> None:
        if self.topology not in TOPOLOGIES:
            raise LocalProtocolError(f"headers.topology: {self.topology!r} is not one of {', '.join(TOPOLOGIES)}")
        for key, patterns in (("pass", self.passed), ("hide", self.hide)):
            _check_patterns(key, patterns)
        for name in self.passed:
            if name.lower() in NEVER:
                raise LocalProtocolError(f"headers.pass: {name} is of one leg alone, and never crosses")
        for name, value in self.set.items():
            if TOKEN.fullmatch(name) is None or name.lower() in NEVER:
                raise LocalProtocolError(f"headers.set: {name[:40]!r} is no header that can be set")
            if not value.isprintable() or len(value) > _LONGEST_VALUE:
                raise LocalProtocolError(f"headers.set: {name} is too long, or holds a character that does not print")

    def lets(self, name: str) -> bool:
        """Whether a line of this name, of the other call, crosses."""
        lower = name.lower()
        return lower not in NEVER and _listed(lower, self.passed) and not _listed(lower, self.hide)

    def hides(self, name: str) -> bool:
        """Whether a line of this name leaves in no case."""
        return bool(self.hide) and _listed(name.lower(), self.hide)


def _check_patterns(key: str, patterns: tuple[str, ...]) -> None:
    if len(patterns) > _MOST:
        raise LocalProtocolError(f"headers.{key}: it has {len(patterns)} names, and at most {_MOST} are read")
    for pattern in patterns:
        if _PATTERN.fullmatch(pattern) is None:
            raise LocalProtocolError(f"headers.{key}: {pattern[:40]!r} is no name of a header; write X-Name or X-*")


def _listed(lower: str, patterns: tuple[str, ...]) -> bool:
    for pattern in patterns:
        wanted = pattern.lower()
        if lower == wanted or (wanted.endswith("*") and lower.startswith(wanted[:-1])):
            return True
    return False


def check_carried(words: tuple[str, ...]) -> None:
    """Refuse what cannot be carried across.

    Raises:
        LocalProtocolError: a word is unknown; the sentence begins with `carry`.
    """
    for word in words:
        if word not in CARRIED:
            raise LocalProtocolError(f"carry: {word[:40]!r} is not one of {', '.join(CARRIED)}")
