"""Numbers as carriers want them."""

import pytest

from sipflow.numbers.writing import write


@pytest.mark.parametrize(
    ("number", "form", "region", "written"),
    [
        ("+12065550100", "e164", "US", "+12065550100"),
        ("+12065550100", "digits", "US", "12065550100"),
        ("+12065550100", "national", "US", "2065550100"),
        ("+4930123456", "national", "DE", "030123456"),
        ("+4930123456", "national", "US", "0114930123456"),
        ("+12065550100", "national", "DE", "0012065550100"),
        ("+12065550100", "national", None, "12065550100"),
        ("+12065550100", "as_given", "US", "+12065550100"),
        ("200", "digits", "US", "200"),
        ("*21#", "national", "DE", "*21#"),
        ("alice", "e164", None, "alice"),
        ("+99912345678", "national", "US", "99912345678"),
    ],
)
def test_a_number_is_written_as_asked_and_anything_else_stays(
    number: str, form: str, region: str | None, written: str
) -> None:
    assert write(number, form, region=region) == written
