import pytest

from sipflow.numbers import area
from sipflow.numbers.area import NOWHERE, Place, place_of


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("+12065550100", Place("US", "206")),
        ("+14165550100", Place("CA", "416")),
        ("+18685550100", Place("TT", "")),  # shares +1, has no areas we compare
        ("+18005550100", Place("US", "")),  # toll-free: at home nowhere in particular
        ("+442079460000", Place("GB", "")),
        ("+77271234567", Place("KZ", "")),  # shares +7
        ("+74951234567", Place("RU", "")),
        ("+4930123456", Place("DE", "")),
    ],
)
def test_a_number_is_at_home_in_its_country_and_in_north_america_in_its_area(number: str, place: Place) -> None:
    assert place_of(number) == place


@pytest.mark.parametrize("number", ["", "200", "*21#", "alice", "+", "+0123", "+999123456", "+1²06", "+80012345678"])
def test_what_is_no_number_of_a_country_is_at_home_nowhere(number: str) -> None:
    assert place_of(number).area == ""
    assert place_of(number) in (NOWHERE, Place("US", ""))


def test_what_is_remembered_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(area, "_REMEMBERED", 10)
    monkeypatch.setattr(area, "_places", {})

    for code in range(200, 300):
        place_of(f"+1{code}5550100")

    assert len(area._places) <= 10
