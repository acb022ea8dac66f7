"""Tells in words where telephone numbers are at home. Run as a program of its own, for a moment:

`python -m sipflow.numbers.geocode` reads numbers in E.164 from its input, one a line, and prints an array of JSON with
a pair for each: region and town, "" for what is not known. The tables that say so take 100 MB and half a second to
load, which a process that has calls up must not spend.
"""

import json
import os
import sys

import phonenumbers
from phonenumbers import NumberParseException

_NORTH_AMERICAN = 1
_BETWEEN = (", ", " - ")  # town and region: "Seattle, WA", "Campinas - SP"
_POLITE = 10  # calls and their audio go first


def parted(text: str, country_code: int) -> tuple[str, str]:
    """Return region and town of a description."""
    for between in _BETWEEN:
        town, found, region = text.rpartition(between)
        if found:
            return region, town
    return (text, "") if country_code == _NORTH_AMERICAN else ("", text)  # there, what stands alone is a state


def home_of(number: str) -> tuple[str, str]:
    """Return region and town of a number in E.164. Loads the tables with the first."""
    from phonenumbers import geocoder

    try:
        parsed = phonenumbers.parse(number)
    except NumberParseException:
        return "", ""
    text = geocoder.description_for_number(parsed, "en")
    country = geocoder.country_name_for_number(parsed, "en")
    return ("", "") if text == country else parted(text, parsed.country_code or 0)


def main() -> None:
    """Answer for every line of the input."""
    os.nice(_POLITE)
    json.dump([home_of(line.strip()) for line in sys.stdin], sys.stdout)


if __name__ == "__main__":
    main()
