"""Event and Subscription-State: what a subscription is to, and where it stands (RFC 6665 §8.2.1, §8.2.3)."""

from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import TOKEN, Params, find_param, parse_params
from sipflow.sip.headers.scalars import parse_number

_DELTA_LIMIT = 2**32  # RFC 3261 §25.1 delta-seconds


class EventType(NamedTuple):
    """One Event value.

    Attributes:
        package: in lower case, such as "refer".
        id: tells several subscriptions of one dialog apart; "" when there is none.
    """

    package: str
    id: str = ""

    @classmethod
    def parse(cls, value: str) -> "EventType":
        """Read an Event value, such as `refer;id=93809824`.

        Raises:
            RemoteProtocolError: it is none (status 400).
        """
        package, params = _token_and_params(value, "Event")
        return cls(package, find_param(params, "id") or "")

    def __str__(self) -> str:
        return f"{self.package};id={self.id}" if self.id else self.package


class SubscriptionState(NamedTuple):
    """One Subscription-State value.

    Attributes:
        state: in lower case: "active", "pending", "terminated" or an extension's.
        expires_s: how many seconds are left, None where nothing is said.
        reason: of a terminated one, in lower case: "noresource", "timeout", "rejected" ...; "" when there is none.
    """

    state: str
    expires_s: int | None = None
    reason: str = ""

    @classmethod
    def parse(cls, value: str) -> "SubscriptionState":
        """Read a Subscription-State value, such as `active;expires=60`.

        Raises:
            RemoteProtocolError: it is none (status 400).
        """
        state, params = _token_and_params(value, "Subscription-State")
        expires_s = parse_number(find_param(params, "expires") or "", _DELTA_LIMIT)
        return cls(state, expires_s, (find_param(params, "reason") or "").lower())

    @property
    def terminated(self) -> bool:
        return self.state == "terminated"

    def __str__(self) -> str:
        expires = "" if self.expires_s is None else f";expires={self.expires_s}"
        return f"{self.state}{expires}" + (f";reason={self.reason}" if self.reason else "")


def _token_and_params(value: str, header: str) -> tuple[str, Params]:
    token, semicolon, rest = value.partition(";")
    token = token.strip(" \t")
    if TOKEN.fullmatch(token) is None:
        raise RemoteProtocolError(f"not a value of {header}: {value[:80]!r}")
    return token.lower(), parse_params(semicolon + rest)
