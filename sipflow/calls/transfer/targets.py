"""Whom to transfer to, as people write it."""

import re
from dataclasses import dataclass, replace

from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.numbers.number import normalise
from sipflow.sip.uri import SipUri, TelUri, parse_uri

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164 §6.2.1
PHONE_BOOK = "phonebook:"  # and then the id of a phone book, and perhaps / and the id of an entry
_INSIDE = re.compile(r"[0-9A-Za-z*#._-]{1,64}")  # an extension, a service code or a user's name


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody, or some place, that may take a call.

    Attributes:
        text: as it was given.
        dial: what is called: a number in E.164, a `sip:` or `sips:` URI, or what a trunk's PBX knows.
        external: whether it is a telephone number of the world, which is called from a number of ours; anything else is
            called by the trunk that the call came by, or goes where its URI says.
    """

    text: str
    dial: str
    external: bool

    def __str__(self) -> str:
        return self.text


def read_target(text: str, *, region: str | None = None, raw: bool = False) -> Target:
    """Read a target.

    Args:
        text: E.164, a national number where `region` is known, an extension or code, `tel:`, `sip:` or `sips:` with
            port and `;transport=`.
        region: the country whose national numbers are understood.
        raw: take it as it is, for PBXs with names of their own; only what would break a message is refused.

    Raises:
        LocalProtocolError: nobody can be called by that; the sentence begins with `target:`.
    """
    given = text.strip()
    if not given or not given.isprintable() or len(given) > 256:
        raise _no_target(text, "it is empty, too long, or holds characters that do not print")
    if raw:
        if re.search(r"[\s<>\"]", given):
            raise _no_target(text, "no spaces, quotes or angle brackets can stand in an address")
        return Target(text, given, external=False)
    if ":" in given:
        return _from_uri(text, given, region)
    number = normalise(given, region=region)
    if _E164.fullmatch(number):
        return Target(text, number, external=True)
    if number.startswith("+"):
        raise _no_target(text, "+ and country code, then 7 to 15 digits in all, make a telephone number")
    if _INSIDE.fullmatch(given):
        return Target(text, given, external=False)
    raise _no_target(text, "write E.164 as in +12065550100, an extension, or sip:user@host")


def _from_uri(text: str, given: str, region: str | None) -> Target:
    try:
        uri = parse_uri(given)
    except RemoteProtocolError as error:
        raise _no_target(text, str(error)) from None
    if isinstance(uri, TelUri):
        return replace(read_target(uri.digits, region=region), text=text)
    if isinstance(uri, SipUri):
        if uri.headers:
            raise _no_target(text, "headers after ? are given apart")
        return Target(text, given, external=False)
    raise _no_target(text, "only sip:, sips: and tel: can be called")


def _no_target(text: str, why: str) -> LocalProtocolError:
    return LocalProtocolError(f"target: {text[:80]!r} cannot be called: {why}")
