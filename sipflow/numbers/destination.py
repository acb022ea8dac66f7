"""What a number that is called may cost: its country, and whether it is one of the dear kinds."""

from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ShortNumberCost, shortnumberinfo

_CACHE_ENTRIES = 4096
_DEAR = {
    PhoneNumberType.PREMIUM_RATE: "a premium rate number",
    PhoneNumberType.SHARED_COST: "a shared cost number",
    PhoneNumberType.PERSONAL_NUMBER: "a personal number, which costs what its owner likes",
}
# Calling codes of no country (ITU-T E.164, list of country codes); all but freephone cost more than any country.
_NOWHERE = "001"
_DEAR_CODES = {
    870: "a satellite number",
    878: "a personal number of no country",
    881: "a satellite number",
    882: "a number of an international network",
    883: "a number of an international network",
    888: "a number of a relief operation",
    979: "an international premium rate number",
}


class Destination(NamedTuple):
    """What is known of a number in E.164.

    Attributes:
        countries: two letters of each country that it may be in; nearly always one. `001` for none at all, and empty
            for what is no number of the world.
        dear: what makes it dear, as "a premium rate number"; "" where nothing does.
    """

    countries: tuple[str, ...]
    dear: str


_UNKNOWN = Destination((), "")


@lru_cache(maxsize=_CACHE_ENTRIES)
def destination(number: str) -> Destination:
    """Say where a number in E.164 leads.

    A number that no numbering plan has may be in any country of its calling code: +1 is shared by 25.
    """
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return _UNKNOWN
    code = parsed.country_code or 0
    country = phonenumbers.region_code_for_number(parsed)
    countries = (country,) if country else tuple(phonenumbers.region_codes_for_country_code(code))
    dear = _DEAR_CODES.get(code, "") or _DEAR.get(phonenumbers.number_type(parsed), "")
    return Destination(countries, dear)


@lru_cache(maxsize=_CACHE_ENTRIES)
def dear_short_code(number: str, country: str) -> str:
    """Say what makes a short code such as 118118 dear in a country; "" where nothing is known to."""
    try:
        parsed = phonenumbers.parse(number, country)
    except NumberParseException:
        return ""
    cost = shortnumberinfo.expected_cost_for_region(parsed, country)
    return "a premium rate service code" if cost == ShortNumberCost.PREMIUM_RATE else ""


def country_of(number: str) -> str:
    """Return the one country that a number in E.164 is in, "" where that is not known."""
    countries = destination(number).countries if number.startswith("+") else ()
    return countries[0] if len(countries) == 1 and countries[0] != _NOWHERE else ""
