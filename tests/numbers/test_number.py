import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.numbers.number import Reading, guess, is_region, normalise, read


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+12065550100", None, "+12065550100"),
        ("+12065550100", "DE", "+12065550100"),
        ("12065550100", "US", "+12065550100"),
        ("2065550100", "US", "+12065550100"),
        ("(206) 555-0100", "US", "+12065550100"),
        ("206.555.0100", "us", "+12065550100"),
        ("206\u2011555\u20110100", "US", "+12065550100"),
        ("+1 (206) 555-0100", None, "+12065550100"),
        ("00 49 30 1234567", "DE", "+49301234567"),
        ("0049301234567", "US", "+49301234567"),
        ("0049301234567", None, "+49301234567"),
        ("0049301234", "US", "+49301234"),
        ("01149301234567", "US", "+49301234567"),
        ("030 1234567", "DE", "+49301234567"),
        ("49301234567", "DE", "+49301234567"),
        ("+44 (0)20 7946 0123", None, "+442079460123"),
        ("+4402079460123", None, "+442079460123"),
        ("+390612345678", None, "+390612345678"),
        ("tel:+1-206-555-0100", None, "+12065550100"),
        ("TEL:+1-206-555-0100", None, "+12065550100"),
        ("tel:5550100;phone-context=+1206", None, "+12065550100"),
        ("tel:5550100;phone-context=+1206", "DE", "+12065550100"),
        ("5550100;phone-context=%2B1206", None, "+12065550100"),
        ("7042;phone-context=+1201555", None, "+12015557042"),
        ("tel:2065550100;phone-context=pbx.example.com", "US", "+12065550100"),
        ("+12065550100;ext=12", None, "+12065550100"),
        ("+12065550100;npdi;rn=+12065550000", None, "+12065550100"),
        ("%2B12065550100", None, "+12065550100"),
        ("%2B1%20206%20555%200100", None, "+12065550100"),
        ("sip:+12065550100@example.com;user=phone", None, "+12065550100"),
        ("sip:+12065550100;ext=3:secret@example.com", None, "+12065550100"),
        ("sips:2065550100@example.com:5061", "US", "+12065550100"),
        ("  +12065550100 ", None, "+12065550100"),
    ],
)
def test_every_written_form_of_a_number_becomes_e164(text: str, region: str | None, expected: str) -> None:
    assert normalise(text, region=region) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice", "alice"),
        ("Alice.Smith", "Alice.Smith"),
        ("alice;day=tuesday", "alice;day=tuesday"),
        ("%61lice", "alice"),
        ("200", "200"),
        ("2-00", "2-00"),
        ("911", "911"),
        ("tel:911;phone-context=+1", "911"),
        ("*21", "*21"),
        ("%2A21%23", "*21#"),
        ("*21*2065550100#", "*21*2065550100#"),
        ("#31#", "#31#"),
        ("123456", "123456"),
        ("5550100", "5550100"),  # a local number needs the area code that we do not know
        ("+1206555", "+1206555"),
        ("+999123456789", "+999123456789"),
        ("99999999999999999999", "99999999999999999999"),
        ("1-800-FLOWERS", "1-800-FLOWERS"),
        ("\u0661\u0662\u0660\u0666\u0665\u0665\u0665", "\u0661\u0662\u0660\u0666\u0665\u0665\u0665"),  # Arabic digits
        ("sip:example.com", "sip:example.com"),
        ("", ""),
        ("+", "+"),
        ("()", "()"),
        ("%zz", "%zz"),
        ("9" * 10_000, "9" * 10_000),
    ],
)
def test_what_is_not_a_telephone_number_is_kept_as_it_is(text: str, expected: str) -> None:
    assert normalise(text, region="US") == expected


def test_a_national_number_without_a_region_is_kept_as_it_is() -> None:
    assert normalise("(206) 555-0100", region=None) == "(206) 555-0100"


def test_an_unknown_region_is_as_good_as_none() -> None:
    assert normalise("2065550100", region="XX") == "2065550100"


def test_reading_tells_what_was_written_from_what_it_means() -> None:
    assert read("tel:206-555-0100", region="US") == Reading("206-555-0100", "+12065550100")
    assert read("alice", region="US") == Reading("alice", None)


def test_regions_are_two_capital_letters_of_a_country() -> None:
    assert [is_region(text) for text in ("US", "DE", "us", "USA", "XX", "")] == [True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12065550100", "+12065550100"),
        ("1 (206) 555-0100", "+12065550100"),
        ("49301234567", "+49301234567"),
        ("2065550100", None),
        ("8001234", None),
        ("123456", None),
        ("alice", None),
        ("9" * 1000, None),
    ],
)
def test_a_number_whose_plus_was_forgotten_is_guessed_only_when_it_would_be_valid(
    text: str, expected: str | None
) -> None:
    assert guess(text) == expected


@given(st.text(max_size=300), st.sampled_from([None, "US", "DE", "KR", "BR"]))
def test_no_text_breaks_it_and_what_it_returns_stays_as_it_is(text: str, region: str | None) -> None:
    reading = read(text, region=region)

    if reading.e164 is not None:
        assert normalise(reading.e164, region=None) == reading.e164


@given(st.text(alphabet="+0123456789 ()-./;=:@%*#ab", max_size=40), st.sampled_from([None, "US", "IT"]))
def test_no_near_number_breaks_it(text: str, region: str | None) -> None:
    assert normalise(text, region=region) == normalise(text, region=region)


def test_what_was_read_means_the_same_when_it_is_read_again() -> None:
    once = normalise("0049004930123456767", region="US")

    assert (once, normalise(once, region="US")) == ("+494930123456767", once)
