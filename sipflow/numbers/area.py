"""Where in the world a telephone number is at home: its country, and in the United States and Canada its area code."""

from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException

_NORTH_AMERICAN = "+1"
_WITH_AREAS = frozenset({"US", "CA"})
_LONGEST_CODE = 3  # digits of a country code, ITU-T E.164 §6.2.1
# Where several countries share a code (+7, +44, +1) these many characters of a number tell which: asked once for each.
_TELLING = {_NORTH_AMERICAN: 5}
_TELLING_ELSEWHERE = 9
_REMEMBERED = 8192


class Place(NamedTuple):
    """Where a number is at home.

    Attributes:
        country: two letters, "" for what is no telephone number or belongs to no country.
        area: area code in the United States and Canada, "" elsewhere and for numbers without area, such as +1 800.
    """

    country: str
    area: str


NOWHERE = Place("", "")
_places: dict[str, Place] = {}


def place_of(number: str) -> Place:
    """Say where a number in E.164 is at home; `NOWHERE` for anything else.

    A number like one that was asked for before costs a fraction of a microsecond; memory is bounded.
    """
    if not number.startswith("+"):
        return NOWHERE
    code = _country_code(number)
    if not code:
        return NOWHERE
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    if len(regions) == 1:
        return NOWHERE if regions[0] == "001" else Place(regions[0], "")
    beginning = number[: _TELLING.get(number[:2], _TELLING_ELSEWHERE)]
    place = _places.get(beginning)
    if place is None:
        if len(_places) >= _REMEMBERED:
            _places.clear()
        place = _places[beginning] = _look_up(number, regions[0])
    return place


def _country_code(number: str) -> int:
    for length in range(1, _LONGEST_CODE + 1):
        digits = number[1 : 1 + length]
        if digits.isascii() and digits.isdigit() and int(digits) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return int(digits)  # no code is the beginning of another
    return 0


def _look_up(number: str, main: str) -> Place:
    if number.startswith(_NORTH_AMERICAN):
        number = number[:5].ljust(5, "2") + "5550100"  # the area code tells country and kind
    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return Place(main, "")
    country = phonenumbers.region_code_for_number(parsed) or main
    if country not in _WITH_AREAS or phonenumbers.length_of_geographical_area_code(parsed) == 0:
        return Place(country, "")
    return Place(country, number[2:5])
