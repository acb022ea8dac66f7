import pytest

from sipflow.errors import ConfigError
from sipflow.numbers.inventory import Inventory, Lookup, Number, is_wildcard

ECHO = Number("+12065550100", friendly_name="Echo", trunk="pbx", inbound_agent="echo")
OPEN = Number("+12065550101")
DESK = Number("200", trunk="pbx")
CODE = Number("*21")
RANGE = Number("+120655502*", trunk="pbx")
NARROW = Number("+12065550222*")
LISTED = Inventory([ECHO, OPEN, DESK, CODE, RANGE, NARROW])


@pytest.mark.parametrize(
    ("dialled", "region", "expected"),
    [
        ("+12065550100", None, Lookup(ECHO, ("+12065550100",))),
        ("2065550100", "US", Lookup(ECHO, ("2065550100", "+12065550100"))),
        ("tel:+1-206-555-0100", None, Lookup(ECHO, ("+1-206-555-0100", "+12065550100"))),
        ("12065550100", None, Lookup(ECHO, ("12065550100", "+12065550100"))),
        ("12065550100", "DE", Lookup(ECHO, ("12065550100", "+4912065550100", "+12065550100"))),
        ("200", "US", Lookup(DESK, ("200",))),
        ("%2A21", "US", Lookup(CODE, ("*21",))),
        ("+12065550233", None, Lookup(RANGE, ("+12065550233", "+120655502*"))),
        ("+12065550222", None, Lookup(NARROW, ("+12065550222", "+12065550222*"))),
        ("201", None, Lookup(None, ("201",))),
        ("+1206", None, Lookup(None, ("+1206",))),
        ("", None, Lookup(None, ("",))),
    ],
)
def test_a_dialled_number_is_found_in_any_form_and_says_what_was_tried(
    dialled: str, region: str | None, expected: Lookup
) -> None:
    assert LISTED.lookup(dialled, region=region) == expected


def test_a_number_of_one_trunk_is_found_by_that_trunk_or_by_no_trunk_yet() -> None:
    assert LISTED.lookup("200", trunk="pbx").number is DESK
    assert LISTED.lookup("200", trunk=None).number is DESK


def test_a_number_of_another_trunk_is_not_found_and_says_so() -> None:
    assert LISTED.lookup("200", trunk="twilio") == Lookup(None, ("200 (listed, but only on trunk pbx)",))
    assert LISTED.lookup("+12065550233", trunk="twilio") == Lookup(
        None, ("+12065550233", "+120655502* (listed, but only on trunk pbx)")
    )


def test_a_number_without_a_trunk_serves_any_trunk() -> None:
    assert LISTED.lookup("+12065550101", trunk="twilio").number is OPEN


def test_a_lone_star_catches_everything_that_is_not_listed() -> None:
    everything = Number("*")
    inventory = Inventory([ECHO, everything])

    assert inventory.lookup("alice") == Lookup(everything, ("alice", "*"))
    assert inventory.lookup("+12065550100").number is ECHO


def test_an_extension_that_reads_like_a_number_elsewhere_is_found_as_listed() -> None:
    extension = Number("1234567")

    assert Inventory([extension]).lookup("1234567", region="DE").number is extension


def test_a_number_listed_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"200 is listed twice"):
        Inventory([DESK, Number("200")])


def test_an_inventory_lists_its_numbers_in_order() -> None:
    assert list(Inventory([ECHO, DESK])) == [ECHO, DESK]
    assert len(Inventory([ECHO, DESK])) == 2
    assert Inventory([ECHO]).get("+12065550100") is ECHO
    assert Inventory([ECHO]).get("2065550100") is None


def test_only_digits_and_a_last_star_make_a_wildcard() -> None:
    assert [is_wildcard(text) for text in ("*", "+1206*", "20*", "*21", "*21*", "2*1", "al*")] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip


def test_a_lookup_reads_as_a_sentence() -> None:
    assert str(LISTED.lookup("2065550100", region="US")) == "is +12065550100 (tried 2065550100, +12065550100)"
    assert str(LISTED.lookup("201")) == "is no number of ours (tried 201)"
