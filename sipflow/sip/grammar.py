"""Lexical pieces that several header grammars share (RFC 3261 §25.1).

Every pattern here is linear: possessive quantifiers and character classes that exclude their own terminator, so that
no text of a peer can make one backtrack. None uses `\\s`, `\\d` or bare case folding, which reach beyond ASCII.
"""

import re

from sipflow.errors import RemoteProtocolError

Params = tuple[tuple[str, str | None], ...]

NAME_CHARACTERS = r"-.!%*_+`'~0-9A-Za-z"  # RFC 3261 §25.1 token, to stand inside [ ]
# A parameter value without quotes: token or host by the RFC; real tags carry "@", "=", "/" and ":" as well, so
# everything is taken that cannot end the value.
VALUE_CHARACTERS = r"""^\x00-\x20\x7f;,"<>"""
QUOTED = r'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"'
# No spaces, no quotes: what nearly everybody sends.
# A value may be missing behind its "=": routers and phones write `;rport=` for `;rport`.
PLAIN_PARAMS = rf"(?>(?:;[{NAME_CHARACTERS}]++(?>(?:=[{VALUE_CHARACTERS}]*+)?))*)"
HOST = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*+)|\[[0-9A-Fa-f:.]++\]"  # "_" is not legal, and common in container networks

TOKEN = re.compile(rf"[{NAME_CHARACTERS}]+")
QUOTED_STRING = re.compile(QUOTED, re.DOTALL)

_PARAM = re.compile(
    rf"[ \t]*+;[ \t]*+([{NAME_CHARACTERS}]++)(?>(?:[ \t]*+=[ \t]*+({QUOTED}|[{VALUE_CHARACTERS}]*+))?)", re.DOTALL
)
_LIST_PIECE = re.compile(rf'({QUOTED}|<[^<>"]*+>|[^",<]++)|,', re.DOTALL)
_ESCAPED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r'[\x01-\x08\x0b\x0c\x0e-\x1f\x7f"\\]')


def quote(text: str) -> str:
    """Write `text` as a quoted-string. NUL is left out; CR and LF stay, for `Headers` to refuse."""
    if '"' in text or "\\" in text or not text.isprintable():
        text = _TO_ESCAPE.sub(r"\\\g<0>", text.replace("\0", ""))
    return f'"{text}"'


def unquote(text: str) -> str:
    """Read a quoted-string; text without quotes is returned as it is.

    NUL (legal as a quoted-pair only) is dropped: no database, file name or C program behind us wants it.
    """
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    if "\\" in inner:
        inner = _ESCAPED_PAIR.sub(r"\1", inner)
    return inner.replace("\0", "") if "\0" in inner else inner


def plain_params(text: str) -> Params:
    """Read parameters of which `PLAIN_PARAMS` has matched the whole; one without a value behind its "=" is a flag.

    Raises:
        RemoteProtocolError: one parameter stands twice (status 400).
    """
    found: list[tuple[str, str | None]] = []
    for piece in text[1:].split(";"):
        name, _, value = piece.partition("=")
        found.append((name.lower(), value or None))
    if len(found) > 1 and len(dict(found)) != len(found):
        refuse_repeated(found)
    return tuple(found)


def parse_params(text: str) -> Params:
    """Read `;name=value;flag ...` with spaces and quoted values; names come back in lower case, values as written.

    `;name=` is the flag `;name`.

    Raises:
        RemoteProtocolError: the text is no parameter list, or names one parameter twice (status 400).
    """
    found: list[tuple[str, str | None]] = []
    text = text.rstrip(" \t")
    position = 0
    while position < len(text):
        match = _PARAM.match(text, position)
        if match is None:
            raise RemoteProtocolError(f"not a parameter list: {text[position : position + 80]!r}")
        found.append((match[1].lower(), match[2] or None))
        position = match.end()
    refuse_repeated(found)
    return tuple(found)


def refuse_repeated(params: Params | list[tuple[str, str | None]]) -> None:
    """Raise RemoteProtocolError when a header parameter stands twice (RFC 3261 §7.3.1: MUST NOT)."""
    if len({name for name, _ in params}) != len(params):
        raise RemoteProtocolError(f"a parameter is repeated in {write_params(tuple(params))[:80]!r}")


def find_param(params: Params, name: str) -> str | None:
    """Return the unquoted value of a parameter, "" for a flag, None when it is absent."""
    for known, value in params:
        if known == name:
            return "" if value is None else unquote(value)
    return None


def replace_param(params: Params, name: str, value: str | None) -> Params:
    """Set one parameter at its place, or at the end when it is new; None makes a flag."""
    kept = [(known, value if known == name else old) for known, old in params]
    if all(known != name for known, _ in params):
        kept.append((name, value))
    return tuple(kept)


def write_params(params: Params) -> str:
    """Write parameters with their leading semicolons."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def split_list(text: str) -> list[str]:
    """Split a comma-separated list; commas inside quotes and `<>` do not count. Empty elements are kept.

    Raises:
        RemoteProtocolError: a quote or bracket is not closed (status 400).
    """
    if "," not in text:
        return [text.strip(" \t")]
    if '"' not in text and "<" not in text:
        return [piece.strip(" \t") for piece in text.split(",")]
    values: list[str] = []
    pieces: list[str] = []
    position = 0
    while position < len(text):
        match = _LIST_PIECE.match(text, position)
        if match is None:
            raise RemoteProtocolError(f"a quote or bracket is not closed in {text[position : position + 80]!r}")
        position = match.end()
        if match[1] is None:
            values.append("".join(pieces).strip(" \t"))
            pieces = []
        else:
            pieces.append(match[1])
    values.append("".join(pieces).strip(" \t"))
    return values
