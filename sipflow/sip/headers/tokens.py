"""Comma lists of tokens: Require, Supported, Allow, Unsupported, Allow-Events, Privacy (RFC 3261 §25.1)."""

from collections.abc import Iterable

from sipflow.errors import RemoteProtocolError
from sipflow.sip.grammar import TOKEN


def parse_tokens(values: Iterable[str]) -> list[str]:
    """Read tokens from the lines of one header, in order and as written; empty elements are skipped.

    Raises:
        RemoteProtocolError: an element is no token (status 400).
    """
    tokens: list[str] = []
    for value in values:
        for piece in value.split(","):
            token = piece.strip(" \t")
            if not token:
                continue  # "Supported:" alone is legal (RFC 3261 §20.37), and lists with a comma too many are common
            if TOKEN.fullmatch(token) is None:
                raise RemoteProtocolError(f"not a token: {token[:80]!r}")
            tokens.append(token)
    return tokens


def unsupported(required: Iterable[str], supported: Iterable[str]) -> list[str]:
    """List the required tags that are not supported, as the peer wrote them, for Unsupported (RFC 3261 §8.2.2.3).

    Raises:
        RemoteProtocolError: an element of `required` is no token (status 400).
    """
    known = {tag.lower() for tag in supported}
    return [tag for tag in parse_tokens(required) if tag.lower() not in known]
