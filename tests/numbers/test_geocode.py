"""Where numbers are at home, as the program says it that is run for a moment."""

import json
import subprocess
import sys

import pytest

from sipflow.numbers.geocode import parted

HOMES = {
    "+12012000100": ["NJ", "Jersey City"],
    "+12064540100": ["Washington State", ""],
    "+493012345678": ["", "Berlin"],
    "+442079460000": ["", "London"],
    "+551932320000": ["SP", "Campinas"],
    "+33782990580": ["", ""],  # a mobile number: it is at home in its country
    "+18005550100": ["", ""],
    "200": ["", ""],
}


def test_the_program_tells_region_and_town_of_every_number_it_is_given() -> None:
    command = [sys.executable, "-m", "sipflow.numbers.geocode"]
    done = subprocess.run(command, input="\n".join(HOMES), capture_output=True, text=True, check=True, timeout=30)

    assert dict(zip(HOMES, json.loads(done.stdout), strict=True)) == HOMES


@pytest.mark.parametrize(
    ("text", "country_code", "expected"),
    [
        ("Seattle, WA", 1, ("WA", "Seattle")),
        ("California", 1, ("California", "")),
        ("Berlin", 49, ("", "Berlin")),
        ("Sankt Andrä - Wördern, Lower Austria", 43, ("Lower Austria", "Sankt Andrä - Wördern")),
        ("", 1, ("", "")),
    ],
)
def test_a_description_is_parted_into_region_and_town(text: str, country_code: int, expected: tuple[str, str]) -> None:
    assert parted(text, country_code) == expected
