"""Reads whatever was dialled, or typed into a form, as an E.164 number.

Carriers, PBXs and people write one telephone number in a dozen ways. Everything that compares numbers compares what
`normalise` returns. What is not a telephone number (extensions, `*21#`, user names) comes back exactly as it was.
"""

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

# The North American plan has one shape, so nothing is left to find out about such a number; every other country's plan
# is asked (a national 0 may hide in +44 020...), once per number, behind the cache.
_NORTH_AMERICAN = re.compile(r"\+1[2-9][0-9]{9}")
_TELEPHONE = re.compile(
    r"[+0-9() ./\t\u00a0\u2010-\u2015-]+"
)  # digits and what people put between them; RFC 3966 §5.1.1
_NOT_DIGITS = re.compile(r"[^0-9]+")
_SHORT_DIGITS = 6  # up to here it is an extension or a short code (112, 911), never a subscriber's number
_LONGEST_BYTES = 256  # a number with all its RFC 3966 parameters is far shorter; keeps the cache below a few MB
_CACHE_ENTRIES = 4096
_PASSES = 4  # each takes one needless prefix away, of which nobody dials more than one or two


class Reading(NamedTuple):
    """What one written number means.

    Attributes:
        kept: the user part as it stands, without scheme, escapes and telephone parameters.
        e164: the number with + and country code, or None when it is not a possible telephone number.
    """

    kept: str
    e164: str | None


def normalise(text: str, *, region: str | None) -> str:
    """Return `text` as E.164, or as it stands when it is not a possible telephone number.

    Reads a user part, a `tel:` or a `sip:` URI (RFC 3966, RFC 3261 §19.1.6), percent-escapes and visual separators.

    Args:
        text: such as `+12065550100`, `(206) 555-0100`, `tel:5550100;phone-context=+1206`, `*21#`, `alice`.
        region: two letters of the country whose national forms are meant, or None.
    """
    reading = read(text, region=region)
    return reading.e164 or reading.kept


def read(text: str, *, region: str | None) -> Reading:
    """Return both what was written and the E.164 number it means, if it means one."""
    if len(text) > _LONGEST_BYTES:
        return Reading(text, None)
    return _read(text, region)


def is_region(text: str) -> bool:
    """Whether `text` is a two-letter country that `normalise` knows, in capitals."""
    return text in phonenumbers.SUPPORTED_REGIONS


def guess(text: str) -> str | None:
    """Return the E.164 number that somebody most likely meant who left out the + of it; None for an extension."""
    if len(text) > _LONGEST_BYTES or not _TELEPHONE.fullmatch(text):
        return None
    digits = _NOT_DIGITS.sub("", text)
    if len(digits) <= _SHORT_DIGITS:
        return None
    meant = _possible("+" + digits, None)
    return meant if meant is not None and phonenumbers.is_valid_number(phonenumbers.parse(meant)) else None


@lru_cache(maxsize=_CACHE_ENTRIES)
def _read(text: str, region: str | None) -> Reading:
    if _NORTH_AMERICAN.fullmatch(text):
        return Reading(text, text)
    user = _user_part(text)
    written, _, parameters = user.partition(";")
    number = unquote(written)
    if not _TELEPHONE.fullmatch(number):
        return Reading(unquote(user), None)
    digits = _NOT_DIGITS.sub("", number)
    context = _phone_context(parameters)
    if context.startswith("+"):  # RFC 3966 §5.1.5: the context is the missing beginning
        e164 = _possible(context + digits, None)
        if e164 is not None:
            return Reading(number, e164)
    return Reading(number, _e164(number, digits, region.upper() if region else None))


def _user_part(text: str) -> str:
    scheme, colon, rest = text.strip().partition(":")
    if not colon:
        return scheme
    if scheme.lower() == "tel":
        return rest
    if scheme.lower() in ("sip", "sips") and "@" in rest:
        return rest.rpartition("@")[0].partition(":")[0]
    return text


def _phone_context(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "phone-context":
            return unquote(value.strip())
    return ""


def _e164(number: str, digits: str, region: str | None) -> str | None:
    if "+" in number:
        return _possible(number, None)
    if len(digits) <= _SHORT_DIGITS:
        return None
    national = _possible(number, region) if region else None
    if not digits.startswith("00"):
        return national
    if national is not None and phonenumbers.is_valid_number(phonenumbers.parse(national)):
        return national
    return _possible("+" + digits[2:], None)  # no national number begins with 00: it is the prefix ITU-T recommends


def _possible(number: str, region: str | None) -> str | None:
    """Give the number in E.164, if it can be one: written so, it must mean the same again."""
    for _ in range(_PASSES):
        try:
            parsed = phonenumbers.parse(number, region)
        except NumberParseException:
            return None
        if phonenumbers.is_possible_number_with_reason(parsed) != ValidationResult.IS_POSSIBLE:
            return None
        written = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
        if written == number:
            return written
        number, region = written, None
    return None
