"""Writes an E.164 number the way a carrier or a PBX wants to be sent it."""

import re
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

FORMS = ("e164", "digits", "national", "as_given")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")  # ITU-T E.164 §6.2.1
_NOT_DIGITS = re.compile(r"[^0-9]+")
_CACHE_ENTRIES = 4096


def write(number: str, form: str, *, region: str | None = None) -> str:
    """Write a number in one of `FORMS`; what is no E.164 number stays as it is.

    Args:
        number: in E.164, or anything.
        form: "e164" (`+12065550100`), "digits" (`12065550100`), "national" (`2065550100` in the US, `030123456` in
            Germany; a number of another country with the prefix that is dialled for abroad, such as `0049301234` or
            `01149301234`), or "as_given".
        region: two letters of the country in whose national form it is written; None writes a national number as
            "digits".
    """
    if form in ("e164", "as_given") or _E164.fullmatch(number) is None:
        return number
    if form == "digits" or region is None:
        return number[1:]
    return _national(number, region)


@lru_cache(maxsize=_CACHE_ENTRIES)
def _national(number: str, region: str) -> str:
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:  # no country has this code
        return number[1:]
    if parsed.country_code == phonenumbers.country_code_for_region(region):
        text = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    else:
        text = phonenumbers.format_out_of_country_calling_number(parsed, region)
    return _NOT_DIGITS.sub("", text)
