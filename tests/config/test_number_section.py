import pytest

from sipflow.config.number_section import Declared, check_names, declare_number, merge, number_name
from sipflow.config.problems import Problem, Problems
from sipflow.errors import ConfigError
from sipflow.numbers.inventory import Number
from tests.config.sections import section_of, told


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+12065550100", "", "+12065550100"),
        ("+1 (206) 555-0100", "", "+12065550100"),
        ("tel:+1-206-555-0100", "", "+12065550100"),
        ("+44 (0)20 7946 0123", "", "+442079460123"),
        ("200", "US", "200"),
        ("*21", "US", "*21"),
        ("8001234", "", "8001234"),
        ("alice", "US", "alice"),
        ("*", "", "*"),
        ("+1206555*", "", "+1206555*"),
    ],
)
def test_numbers_are_listed_in_one_form(text: str, region: str, expected: str) -> None:
    assert number_name(text, region) == expected


@pytest.mark.parametrize(
    ("text", "region", "why"),
    [
        ("12065550100", "", "is not E.164; write it with + and country code: '+12065550100'"),
        ("(206) 555-0100", "US", "is not E.164; write it with + and country code: '+12065550100'"),
        ("0301234567", "DE", "is not E.164; write it with + and country code: '+49301234567'"),
        ("+1206555", "", "is not a possible telephone number"),
        ("+999123456", "", "is not a possible telephone number"),
    ],
)
def test_what_looks_like_a_telephone_number_must_be_e164(text: str, region: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        number_name(text, region)

    assert str(caught.value).startswith(why)


def test_everything_can_be_said_of_a_number() -> None:
    section = section_of("friendly_name: Echo\ntrunk: pbx\ninbound_agent: echo\noutbound_agents: [a, b]\n")

    read = declare_number(section, "+12065550100", {"pbx": "US"})

    assert read is not None
    assert read[0] == Declared(Number("+12065550100", "Echo", "pbx", "echo", ("a", "b")), 1, ())


def test_a_number_with_a_trunks_fields_has_a_trunk_of_its_own() -> None:
    read = declare_number(section_of("sip_domain: a.example\n"), "+12065550100", {})

    assert read is not None
    assert read[0] == Declared(Number("+12065550100", trunk="+12065550100"), 1, (), own_trunk=True)
    assert read[1].sip_domain == "a.example"


def test_a_number_cannot_have_a_trunk_twice() -> None:
    section = section_of("sip_domain: a.example\ntrunk: pbx\n")

    declare_number(section, "+12065550100", {})

    assert told(section) == [(2, "trunk", "names a trunk and has sip_domain of its own; one of the two must go")]


def test_a_number_has_one_inbound_agent() -> None:
    section = section_of("inbound_agent: [a, b]\n")

    declare_number(section, "+12065550100", {})

    assert told(section) == [(1, "inbound_agent", "a number has one inbound agent, not a list")]


def test_names_that_do_not_exist_are_told_with_the_nearest() -> None:
    section = section_of("trunk: pxb\ninbound_agent: eco\noutbound_agents:\n- echo\n- zzz\n")
    read = declare_number(section, "200", {})
    assert read is not None

    check_names(section, read[0], ["pbx"], ["echo"])

    assert told(section) == [
        (1, "trunk", "there is no trunk 'pxb'; did you mean pbx?"),
        (2, "inbound_agent", "there is no agent 'eco'; did you mean echo?"),
        (5, "outbound_agents.1", "there is no agent 'zzz'; valid: echo"),
    ]


def declared(
    line: int, written: str, *, agent: str | None = None, trunk: str | None = None, by_trunk: bool = False
) -> Declared:
    path = ("trunks", trunk or "", "phone_number") if by_trunk else ("numbers", written)
    return Declared(Number("+12065550100", trunk=trunk, inbound_agent=agent), line, path, by_trunk=by_trunk)


def test_a_number_of_a_trunk_and_of_the_numbers_is_one() -> None:
    problems = Problems()
    at_trunk = declared(2, "", trunk="pbx", by_trunk=True)

    assert merge([at_trunk, declared(9, "+1", agent="echo")], problems) == [
        Number("+12065550100", trunk="pbx", inbound_agent="echo")
    ]
    assert merge([at_trunk, declared(9, "+1", agent="echo", trunk="pbx")], problems) == [
        Number("+12065550100", trunk="pbx", inbound_agent="echo")
    ]
    assert merge([at_trunk], problems) == [Number("+12065550100", trunk="pbx")]
    assert problems.found == []


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            declared(4, "+12065550100", agent="echo"),
            declared(9, "+1 206 555 0100", agent="sales"),
            Problem(9, "numbers.+1 206 555 0100",
                    "+12065550100 is already on line 4, written +12065550100; a number has one inbound agent, and here "
                    "are two: echo (line 4) and sales (line 9); one of the two must go"),
        ),
        (
            declared(4, "+12065550100", agent="echo"),
            declared(9, "tel:+12065550100"),
            Problem(9, "numbers.tel:+12065550100",
                    "+12065550100 is already on line 4, written +12065550100; one of the two must go"),
        ),
        (
            declared(4, "", trunk="a", by_trunk=True),
            declared(9, "", trunk="b", by_trunk=True),
            Problem(9, "trunks.b.phone_number", "+12065550100 is already on line 4; one of the two must go"),
        ),
        (
            declared(4, "", trunk="a", by_trunk=True),
            declared(9, "+12065550100", trunk="b"),
            Problem(4, "trunks.a.phone_number",
                    "+12065550100 belongs to trunk a (line 4) and to trunk b (line 9); one of the two must go"),
        ),
    ],
)  # fmt: skip
def test_a_number_declared_twice_is_refused_with_both_lines(
    first: Declared, second: Declared, expected: Problem
) -> None:
    problems = Problems()

    merge([first, second], problems)

    assert problems.found == [expected]
