"""Who is shown on calls out, and how numbers are written."""

import pytest

from sipflow.calls.identity import Caller, dialled, identify
from sipflow.errors import LocalProtocolError
from sipflow.sip.uri import SipUri
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk

TARGET = SipUri("sip", "+12065550123", None, "far.example.com")
US = Caller("+12065550100")


def trunk(**outbound: object) -> Trunk:
    return Trunk(
        "pbx",
        phone_number="+12065550199",
        sip_domain="pbx.example.com",
        username="200",
        region="US",
        outbound=OutboundSettings(**outbound),  # type: ignore[arg-type]
    )


def shown(caller: Caller, by: Trunk | None) -> list[str]:
    told = identify(caller, by, TARGET)
    return [str(told.from_), *(f"{name}: {value}" for name, value in told.headers)]


def test_a_plain_trunk_shows_the_number_the_call_is_placed_from() -> None:
    assert shown(US, trunk()) == ["<sip:+12065550100@pbx.example.com>"]
    assert shown(Caller(), trunk()) == ["<sip:+12065550199@pbx.example.com>"]
    assert shown(Caller(), None) == ["<sip:sipflow@far.example.com>"]


def test_a_written_out_caller_stays_as_it_is() -> None:
    assert shown(Caller('"Sales" <sip:100@pbx.example.com>'), trunk()) == ['"Sales" <sip:100@pbx.example.com>']
    with pytest.raises(LocalProtocolError, match="is no caller"):
        identify(Caller("sip:a b"), None, TARGET)


@pytest.mark.parametrize(
    ("identity", "line"),
    [
        ("asserted", 'P-Asserted-Identity: "Sales" <sip:+12065550100@pbx.example.com>'),
        ("preferred", 'P-Preferred-Identity: "Sales" <sip:+12065550100@pbx.example.com>'),
        (
            "remote_party",
            'Remote-Party-ID: "Sales" <sip:+12065550100@pbx.example.com>;party=calling;screen=yes;privacy=off',
        ),
    ],
)
def test_an_identity_header_beside_the_account_in_from(identity: str, line: str) -> None:
    by = trunk(identity=identity, from_user="username", caller_name="Sales")

    assert shown(US, by) == ['"Sales" <sip:200@pbx.example.com>', line]


@pytest.mark.parametrize(
    ("privacy", "lines"),
    [
        (
            "full",
            [
                '"Anonymous" <sip:anonymous@anonymous.invalid>',
                "P-Asserted-Identity: <sip:+12065550100@pbx.example.com>",
                "Privacy: id",
            ],
        ),
        (
            "header",
            [
                "<sip:+12065550100@pbx.example.com>",
                "P-Asserted-Identity: <sip:+12065550100@pbx.example.com>",
                "Privacy: id",
            ],
        ),
        (
            "from",
            [
                '"Anonymous" <sip:anonymous@anonymous.invalid>',
                "P-Asserted-Identity: <sip:+12065550100@pbx.example.com>",
            ],
        ),
    ],
)
def test_a_withheld_number_rfc3323_rfc3325(privacy: str, lines: list[str]) -> None:
    by = trunk(identity="asserted", privacy=privacy)

    assert shown(Caller("+12065550100", withheld=True), by) == lines
    assert shown(US, trunk(identity="asserted", privacy=privacy, withhold=True)) == lines


def test_a_remote_party_id_says_itself_that_the_number_is_withheld() -> None:
    by = trunk(identity="remote_party", withhold=True)

    assert shown(US, by)[1] == (
        "Remote-Party-ID: <sip:+12065550100@pbx.example.com>;party=calling;screen=yes;privacy=full"
    )


def test_the_original_caller_is_shown_with_our_number_as_diverting_rfc5806() -> None:
    by = trunk(caller_id="original", diversion="number")

    assert shown(Caller("", original="+442079460000"), by) == [
        "<sip:+442079460000@pbx.example.com>",
        "Diversion: <sip:+12065550199@pbx.example.com>;reason=unconditional",
    ]
    assert shown(Caller(""), by) == ["<sip:+12065550199@pbx.example.com>"]


def test_a_fixed_caller_id_another_domain_and_another_form() -> None:
    by = trunk(caller_id="+12065550177", from_domain="carrier.example", caller_format="digits")

    assert shown(US, by) == ["<sip:12065550177@carrier.example>"]


@pytest.mark.parametrize(
    ("number", "outbound", "written"),
    [
        ("+12065550123", {}, "+12065550123"),
        ("2065550123", {}, "2065550123"),
        ("(206) 555-0123", {"number_format": "e164"}, "+12065550123"),
        ("+12065550123", {"number_format": "digits"}, "12065550123"),
        ("+12065550123", {"number_format": "national"}, "2065550123"),
        ("+12065550123", {"number_format": "national", "prefix": "9"}, "92065550123"),
        ("+12065550123", {"strip": "+1"}, "2065550123"),
        ("+12065550123", {"strip": "+", "prefix": "00"}, "0012065550123"),
        ("200", {"number_format": "digits", "prefix": "9"}, "9200"),
        ("*21#", {"number_format": "e164"}, "*21#"),
    ],
)
def test_the_number_called_is_written_as_the_trunk_wants_it(
    number: str, outbound: dict[str, object], written: str
) -> None:
    assert dialled(number, trunk(**outbound)) == written
