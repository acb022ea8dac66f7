import pytest

from sipflow.calls.toll_rules import NO_BUDGET, Budget, TollRules
from sipflow.errors import LocalProtocolError

HOME = TollRules()


@pytest.mark.parametrize(
    ("number", "home", "refusal"),
    [
        ("+12065550123", {"US"}, ""),
        ("+18005551234", {"US"}, ""),
        ("+15555550100", {"US"}, ""),  # in no plan, and perhaps at home
        ("2001", {"US"}, ""),
        ("2001", (), ""),
        ("*97", {"US"}, ""),
        ("alice", {"US"}, ""),
        ("front-desk", (), ""),
        ("+18765551234", {"US"}, "it is in JM, and only US is called (countries)"),
        ("+4930123456", {"US"}, "it is in DE, and only US is called (countries)"),
        ("+999123456789", {"US"}, "it is in a country that nobody knows, and only US is called (countries)"),
        (
            "+12065550123",
            (),
            "it is in US, and nothing says in which country the trunk is: set its region (countries)",
        ),
        ("+19005551234", {"US"}, "it is a premium rate number (premium)"),
        ("+447012345678", {"GB"}, "it is a personal number, which costs what its owner likes (premium)"),
        ("+870771234567", {"US"}, "it is a satellite number (premium)"),
        ("24280", {"US"}, "it is a premium rate service code (premium)"),
        (
            "0900123456",
            (),
            "it is in no country that is known here; write + and the country code (countries)",
        ),
        (
            "*21*0900123456#",
            {"DE"},
            "it is in no country that is known here; write + and the country code (countries)",
        ),
    ],
)
def test_without_a_word_the_trunks_own_country_is_called_and_nothing_dear(
    number: str, home: set[str], refusal: str
) -> None:
    assert HOME.refusal(number, home) == refusal


def test_countries_are_named_beside_home() -> None:
    rules = TollRules(countries=("home", "ca", "GB"))

    assert [rules.refusal(each, {"US"}) for each in ("+12065550123", "+16135550123", "+442079460000")] == [""] * 3
    assert rules.refusal("+33123456789", {"US"}) == "it is in FR, and only CA, GB, US is called (countries)"
    assert (
        TollRules(countries=()).refusal("+12065550123", {"US"})
        == "it is in US, and only no country is called (countries)"
    )


def test_any_country_may_be_called_and_still_nothing_dear() -> None:
    rules = TollRules(countries=("any",))

    assert rules.refusal("+33123456789", ()) == ""
    assert rules.refusal("+979123456789", ()) == "it is an international premium rate number (premium)"
    assert TollRules(countries=("any",), premium=True).refusal("+979123456789", ()) == ""


def test_of_prefixes_the_longer_counts_and_deny_of_two_equal_ones() -> None:
    rules = TollRules(allow=("+44", "+1 900 555", "*21"), deny=("+447", "+1206", "+44"), countries=("home",))

    assert rules.refusal("+33123456789", {"US"}) != ""
    assert rules.refusal("+19005551234", {"US"}) == ""
    assert rules.refusal("*21*0900123456#", {"US"}) == ""
    assert rules.refusal("+447911123456", {"US"}) == "numbers that begin with +447 are not called (deny)"
    assert rules.refusal("+442079460000", {"US"}) == "numbers that begin with +44 are not called (deny)"
    assert rules.refusal("+12065550123", {"US"}) == "numbers that begin with +1206 are not called (deny)"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"countries": ("XX",)}, "countries: 'XX' is no country: write home, any, or letters like DE"),
        ({"deny": ("abc",)}, "deny: 'abc' begins no number: write + and digits, as in +44"),
        ({"allow": ("",)}, "allow: '' begins no number: write + and digits, as in +44"),
    ],
)
def test_what_is_no_country_or_prefix_is_refused(wrong: dict[str, tuple[str, ...]], sentence: str) -> None:
    with pytest.raises(LocalProtocolError) as refused:
        TollRules(**wrong)  # type: ignore[arg-type]

    assert str(refused.value) == sentence


def test_a_budget_of_nothing_is_none_and_one_below_one_is_refused() -> None:
    assert (bool(NO_BUDGET), bool(Budget(calls_per_day=1))) == (False, True)
    with pytest.raises(LocalProtocolError, match="minutes_per_day: must be more than 0, not 0"):
        Budget(minutes_per_day=0)
