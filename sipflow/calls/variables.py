"""What an agent may know of a call before it answers: the caller's headers as variables."""

import re
from collections.abc import Mapping

from sipflow.errors import RemoteProtocolError
from sipflow.sip.message import Headers, Request

_KEPT = ("Diversion", "P-Asserted-Identity", "P-Called-Party-ID", "User-to-User", "Privacy")
_MAX_VALUE = 2048  # a variable goes into logs and prompts; longer values are cut
_VARIABLE = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_.-]{0,99})\}")
_DOUBLED = {"{{": "{", "}}": "}"}
_EI_TOKEN = "X-EI"  # noqa: S105  (a header name)


def variables_of(headers: Headers) -> dict[str, str]:
    """Collect every `X-*` header (its name and case kept), Diversion and its like.

    A header that repeats is joined by ", ". `X-EI: S.<id>;` keeps its whole value under `X-EI`, and the id alone
    under `ei_session`.
    """
    found: dict[str, str] = {}
    for name, value in headers.beginning(_INITIALS):  # every call pays for this, and most have none of them
        if name[:2] in ("X-", "x-") or name.title() in _TITLED:
            key = _TITLED.get(name.title(), name)
            text = printable(value)
            found[key] = f"{found[key]}, {text}" if key in found else text
    if not found:
        return found
    token = next((value for name, value in found.items() if name.upper() == _EI_TOKEN), "")
    for part in token.split(";"):
        if part.strip().startswith("S."):
            found["ei_session"] = part.strip()[2:]
    return found


_TITLED = {name.title(): name for name in _KEPT}
_INITIALS = frozenset(name[0].lower() for name in ("X", *_KEPT))


def printable(text: str) -> str:
    """Cut control characters, and length, out of what strangers wrote."""
    text = text[:_MAX_VALUE]
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def party(request: Request, header: str) -> str:
    """The number or name in From or To: the user part, unescaped; "" where there is none."""
    try:
        uri = (request.from_ if header == "From" else request.to).uri
    except RemoteProtocolError:
        return ""
    number = getattr(uri, "number", None)
    return printable(str(number if number is not None else getattr(uri, "unescaped_user", None) or ""))


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Put the call's values in the place of `{name}`; a name that the call does not have leaves nothing.

    A doubled brace stands for one; other braces are text.
    """
    return _VARIABLE.sub(lambda found: _DOUBLED.get(found[0]) or variables.get(found[1], ""), text)
