import pytest

from sipflow.numbers.destination import Destination, country_of, dear_short_code, destination


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+12065550100", Destination(("US",), "")),
        ("+18005551234", Destination(("US",), "")),
        ("+18765551234", Destination(("JM",), "")),
        ("+491711234567", Destination(("DE",), "")),
        ("+19005551234", Destination(("US",), "a premium rate number")),
        ("+33810123456", Destination(("FR",), "a shared cost number")),
        ("+447012345678", Destination(("GB",), "a personal number, which costs what its owner likes")),
        ("+870771234567", Destination(("001",), "a satellite number")),
        ("+88213300655", Destination(("001",), "a number of an international network")),
        ("+979123456789", Destination(("001",), "an international premium rate number")),
        ("2001", Destination((), "")),
        ("+", Destination((), "")),
        ("alice", Destination((), "")),
        ("+999999999999", Destination((), "")),
    ],
)
def test_a_number_has_a_country_and_may_be_dear(number: str, found: Destination) -> None:
    assert destination(number) == found


def test_a_number_that_no_plan_has_may_be_anywhere_its_code_is_shared() -> None:
    countries = destination("+15555550100").countries

    assert {"US", "CA", "JM"} <= set(countries)
    assert country_of("+15555550100") == ""


@pytest.mark.parametrize(
    ("number", "country", "dear"),
    [("24280", "US", "a premium rate service code"), ("911", "US", ""), ("2001", "US", ""), ("*97", "US", "")],
)
def test_a_short_code_may_be_dear_in_its_country(number: str, country: str, dear: str) -> None:
    assert dear_short_code(number, country) == dear


@pytest.mark.parametrize(
    ("number", "country"), [("+12065550100", "US"), ("+442079460000", "GB"), ("2001", ""), ("+979123456789", "")]
)
def test_a_number_of_ours_tells_its_country(number: str, country: str) -> None:
    assert country_of(number) == country
