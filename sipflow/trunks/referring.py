"""What an operator can set about REFER on a trunk: whether we send one, and what becomes of one that comes."""

from dataclasses import dataclass

from sipflow.errors import LocalProtocolError

SENDS = ("auto", "never")
RECEIVES = ("refuse", "offer", "follow")


@dataclass(frozen=True, slots=True)
class ReferSettings:
    """How calls of a trunk are handed on.

    Attributes:
        receive: what becomes of a REFER of the far end: "refuse", "offer" (the agent decides), or "follow".
        send: "auto" sends one for a blind transfer, unless the far end has said that it does not take any, and calls
            the target itself where that is refused; "never" calls the target at once.
        replaces: whether an attended transfer is completed by REFER with Replaces (RFC 5589 §7): the far end joins
            caller and target by itself, and we are out of the call.
        final: whether the far end sends the caller away as soon as it has taken a REFER, and does not bring it back
            when that comes to nothing, as Asterisk does: then the call is over with us, whatever is reported.

    Raises:
        LocalProtocolError: a word is unknown. The sentence begins with `refer.` and the field's name.
    """

    receive: str = "refuse"
    send: str = "auto"
    replaces: bool = False
    final: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("receive", RECEIVES), ("send", SENDS)):
            value = getattr(self, name)
            if value not in choices:
                raise LocalProtocolError(f"refer.{name}: {value!r} is not one of {', '.join(choices)}")
