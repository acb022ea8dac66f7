import pytest

from sipflow.agents.stream.parameters import fill

VARIABLES = {"caller": "+12065550199", "X-Customer": "42", "ei_session": "a{b}"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("{caller}", "+12065550199"),
        ("from {caller} of {X-Customer}!", "from +12065550199 of 42!"),
        ("{nothing}", ""),
        ("{{caller}}", "{caller}"),
        ("{", "{"),
        ("{} {1} { caller }", "{} {1} { caller }"),
        ("{ei_session}", "a{b}"),
    ],
)
def test_variables_of_the_call_take_the_place_of_their_names(text: str, filled: str) -> None:
    assert fill(text, VARIABLES) == filled
