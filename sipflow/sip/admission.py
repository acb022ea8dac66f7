"""The checks every request passes before anybody above sees it (RFC 3261 §8.2.1 to §8.2.3)."""

from typing import NamedTuple

from sipflow.errors import RemoteProtocolError
from sipflow.sip.body import ACCEPT, SDP, sdp_of
from sipflow.sip.headers.content import accepts
from sipflow.sip.headers.tokens import unsupported
from sipflow.sip.message import Request
from sipflow.sip.uri import OtherUri
from sipflow.sip.validate import KNOWN_METHODS

_ALWAYS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY")
_BODY_METHODS = frozenset({"INVITE", "UPDATE"})
_LONGEST_WHY = 200  # characters; a datagram must hold it beside everything else


class Abilities:
    """What we accept, and what we announce in Allow and Supported; both follow from what is switched on, so they agree.

    Attributes:
        methods: that we serve.
        extensions: option tags that a request may require.
        allow: value of Allow.
        supported: value of Supported.
    """

    __slots__ = ("_without", "allow", "extensions", "methods", "supported")

    def __init__(
        self, *, timers: bool = True, refer: bool = False, replaces: bool = False, message: bool = False
    ) -> None:
        """Switch on session timers, REFER and MESSAGE of peers, and INVITEs that replace a call."""
        self.methods = (*_ALWAYS, *(("REFER",) if refer else ()), *(("MESSAGE",) if message else ()))
        self.allow = ", ".join(self.methods)
        tags = {"100rel": True, "timer": timers, "replaces": replaces, "norefersub": refer, "tdialog": refer}
        self.extensions = frozenset({tag for tag, on in tags.items() if on})
        self._without: dict[tuple[str, ...], str] = {}
        self.supported = self.supported_without()

    def supported_without(self, *tags: str) -> str:
        """Value of Supported for a call in which some of it is switched off; "" where nothing is left."""
        text = self._without.get(tags)
        if text is None:
            text = self._without[tags] = ", ".join(sorted(self.extensions.difference(tags)))
        return text


ABLE = Abilities()


class Refusal(NamedTuple):
    """What to answer, what to add to the answer, and why in words for an operator."""

    status: int
    why: str
    headers: tuple[tuple[str, str], ...] = ()


def refuse(request: Request, able: Abilities = ABLE) -> Refusal | None:
    """Say why a well-formed request cannot be served, or None if it can. Never raises, whatever a peer wrote."""
    method = request.method
    if method not in able.methods:
        status = 405 if method in KNOWN_METHODS else 501  # §8.2.1, §21.5.2
        return Refusal(status, f"{method} is not served here", (("Allow", able.allow),))
    if isinstance(request.request_uri, OtherUri):
        return Refusal(416, f"Request-URI scheme {request.request_uri.scheme} is not sip, sips or tel")  # §8.2.2.1
    try:
        return _refuse_extensions(request, able) or _refuse_body(request)
    except RemoteProtocolError as error:  # Require names what is no option tag, or Accept cannot be read
        return Refusal(error.status, str(error))


def _refuse_extensions(request: Request, able: Abilities) -> Refusal | None:
    if "require" not in request.headers or request.method in ("CANCEL", "ACK"):
        return None
    unknown = unsupported(request.headers.all("Require"), able.extensions)
    if not unknown:
        return None
    tags = ", ".join(unknown)
    return Refusal(420, f"the request requires {tags}, which we do not support", (("Unsupported", tags),))  # §8.2.2.3


def _refuse_body(request: Request) -> Refusal | None:
    if request.method not in _BODY_METHODS:
        return None
    if request.body:
        refusal = _refuse_content(request)
        if refusal is not None and not _optional_body(request):
            return refusal
    accept = request.headers.all("Accept") if "accept" in request.headers else []
    if accept and not accepts(accept, SDP):
        return Refusal(406, f"the caller accepts only {', '.join(accept)}")  # §21.4.7
    return None


def _refuse_content(request: Request) -> Refusal | None:
    """Refuse a body that is not, and does not hold, a session description as it stands (§8.2.3)."""
    encoding = request.headers.get("Content-Encoding")
    if encoding is not None and encoding.lower() != "identity":
        return Refusal(415, f"Content-Encoding {encoding} is not understood", (("Accept-Encoding", "identity"),))
    if sdp_of(request):
        return None
    return Refusal(415, f"Content-Type {request.content_type} is not understood", (("Accept", ACCEPT),))


def _optional_body(request: Request) -> bool:
    """Whether the sender marked its body as one that may be ignored (§20.11)."""
    disposition = request.headers.get("Content-Disposition") or ""
    return "handling=optional" in disposition.replace(" ", "").lower()


def warning(why: str, code: int = 399) -> tuple[str, str]:
    """Write a Warning line that says why, in one line of at most 200 characters and whatever it quotes (§20.43)."""
    return ("Warning", f'{code} sipflow "{one_line(why)}"')


def one_line(text: str) -> str:
    """Make text safe inside a quoted string: no quotes, backslashes or control characters (§25.1), and not long."""
    return "".join([c if c.isprintable() and c not in '"\\' else "'" for c in text[:_LONGEST_WHY]])
