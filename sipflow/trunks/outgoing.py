"""What an operator can set about calls out of a trunk: who is shown, how numbers are written, what is tried next."""

from dataclasses import dataclass

from sipflow.errors import LocalProtocolError

FROM_USERS = ("caller", "username")
IDENTITIES = ("none", "asserted", "preferred", "remote_party")
PRIVACIES = ("full", "header", "from")
DIVERSIONS = ("none", "number")
NUMBER_FORMS = ("e164", "digits", "national", "as_given")
REDIRECTS = ("reject", "same_host", "known_trunks", "anywhere")
_LONGEST_RING_S = 3600.0
_MOST_REDIRECTS = 10
_LONGEST_TEXT = 128


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """How calls leave a trunk.

    Attributes:
        caller_id: whose number is shown: "number" (of ours, that the call is placed from), "original" (of the caller
            on whose behalf it is placed, else as "number"), or a number or name that is shown on every call.
        caller_name: display name beside it; "" for none.
        from_user: what stands in From: "caller" (the number shown), or "username" (the account, for providers that
            insist; the number then goes into the identity header).
        from_domain: host of From; "" is the SIP domain.
        identity: the header that tells who calls: "none", "asserted" (P-Asserted-Identity), "preferred"
            (P-Preferred-Identity; RFC 3325), or "remote_party" (Remote-Party-ID).
        privacy: how a number is withheld: "full" (anonymous From and `Privacy: id`), "header" (`Privacy: id` alone),
            or "from" (anonymous From alone; RFC 3323).
        withhold: whether every call is to be withheld.
        diversion: "number" names our number in Diversion (RFC 5806) wherever another one is shown; "none" does not.
        number_format: how the number called is written: "e164", "digits" (without the +), "national" (of the trunk's
            region), or "as_given".
        caller_format: how ours is.
        strip: taken off the front of the number called, once it is written.
        prefix: put before it after that.
        ring_s: how long a call may go unanswered, 1 to 3600 seconds.
        silent_s: how long a target may say nothing at all before the next one is tried, 0.5 to 32 seconds; the last
            target has all the time there is.
        redirects: where a 3xx may send a call: "reject" (nowhere), "same_host" (as it was, another user),
            "known_trunks" (there, or to the far end of another trunk, by that trunk), or "anywhere".
        max_redirects: of one call, 0 to 10.
        failover: names of the trunks that are tried, in this order, when this one cannot carry a call.

    Raises:
        LocalProtocolError: a value is outside its range. The sentence begins with `outbound.` and the field's name.
    """

    caller_id: str = "number"
    caller_name: str = ""
    from_user: str = "caller"
    from_domain: str = ""
    identity: str = "none"
    privacy: str = "full"
    withhold: bool = False
    diversion: str = "none"
    number_format: str = "as_given"
    caller_format: str = "as_given"
    strip: str = ""
    prefix: str = ""
    ring_s: float = 60.0
    silent_s: float = 6.0
    redirects: str = "same_host"
    max_redirects: int = 3
    failover: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in _CHOICES:
            value = getattr(self, name)
            if value not in choices:
                raise LocalProtocolError(f"outbound.{name}: {value!r} is not one of {', '.join(choices)}")
        for name in ("caller_id", "caller_name", "from_domain", "strip", "prefix"):
            text = getattr(self, name)
            if not text.isprintable() or len(text) > _LONGEST_TEXT:
                raise LocalProtocolError(f"outbound.{name}: it is too long, or holds a character that does not print")
        if not self.caller_id:
            raise LocalProtocolError("outbound.caller_id: it is empty; write number, original, or a number to show")
        for name, least, most in (("ring_s", 1.0, _LONGEST_RING_S), ("silent_s", 0.5, 32.0)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise LocalProtocolError(f"outbound.{name}: {value} is not in {least:g}..{most:g} seconds")
        if not 0 <= self.max_redirects <= _MOST_REDIRECTS:
            raise LocalProtocolError(f"outbound.max_redirects: {self.max_redirects} is not in 0..{_MOST_REDIRECTS}")
        if len(set(self.failover)) != len(self.failover):
            raise LocalProtocolError("outbound.failover: it names a trunk twice")


_CHOICES = (
    ("from_user", FROM_USERS),
    ("identity", IDENTITIES),
    ("privacy", PRIVACIES),
    ("diversion", DIVERSIONS),
    ("number_format", NUMBER_FORMS),
    ("caller_format", NUMBER_FORMS),
    ("redirects", REDIRECTS),
)
