import pytest

from sipflow.sip.message import Response
from sipflow.sip.uri import SipUri
from sipflow.trunks.outputs import Send
from sipflow.trunks.trunk import Trunk
from sipflow.trunks.verdict import Ruling, explain, judge, min_expires_s, retry_after_s
from tests.trunks.registrar import answered, pbx, registration, silence

DESTINATION = SipUri("sip", None, None, "pbx.example.com")


def plan_of(trunk: Trunk) -> Send:
    sends = [output for output in registration(trunk).start(now=0.0) if isinstance(output, Send)]
    return sends[0]


def test_every_final_status_has_a_ruling() -> None:
    rulings = {ruling: [status for status in range(200, 700) if judge(status) is ruling] for ruling in Ruling}

    assert rulings[Ruling.GRANTED] == list(range(200, 300))
    assert rulings[Ruling.MOVED] == [300, 301, 302, 305]
    assert rulings[Ruling.TOO_BRIEF] == [423]
    assert [status for status in rulings[Ruling.FAILED] if 400 <= status < 500] == [
        408, 429, 430, 480, 482, 486, 491, 494,
    ]  # fmt: skip
    assert {400, 401, 403, 404, 405, 407, 410, 501, 600, 603, 604} <= set(rulings[Ruling.REJECTED])
    assert {500, 502, 503, 504, 505, 580} <= set(rulings[Ruling.FAILED])
    assert sum(map(len, rulings.values())) == 500


@pytest.mark.parametrize(
    ("fields", "status", "realm", "challenges", "sentence"),
    [
        ({}, 403, "pbx", 1, "403 Forbidden from 10.0.0.5 to REGISTER as 2001 (realm pbx): check username and password"),
        (
            {},
            401,
            "pbx",
            1,
            "401 Unauthorized from 10.0.0.5 to REGISTER as 2001 (realm pbx): "
            "check username, auth_username and password",
        ),
        (
            {"password": ""},
            401,
            "pbx",
            0,
            "401 Unauthorized from 10.0.0.5 to REGISTER as 2001 (realm pbx): "
            "the registrar asks for a password and the trunk has none; set password",
        ),
        (
            {"realm": "mine"},
            407,
            "pbx",
            0,
            "407 Proxy Authentication Required from 10.0.0.5 to REGISTER as 2001 (realm pbx): "
            "the trunk answers only realm mine; check realm",
        ),
        (
            {"allow_md5": False},
            401,
            "pbx",
            0,
            "401 Unauthorized from 10.0.0.5 to REGISTER as 2001 (realm pbx): "
            "no challenge could be answered; the registrar may know only MD5, which allow_md5 forbids",
        ),
        (
            {},
            401,
            "",
            0,
            "401 Unauthorized from 10.0.0.5 to REGISTER as 2001: its challenge cannot be read, or names no realm",
        ),
        (
            {},
            404,
            "",
            0,
            "404 Not Found from 10.0.0.5 to REGISTER as 2001: "
            "the registrar does not know this user; check username and sip_domain",
        ),
        ({}, 500, "", 0, "500 Server Internal Error from 10.0.0.5 to REGISTER as 2001"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(
    fields: dict[str, object], status: int, realm: str, challenges: int, sentence: str
) -> None:
    trunk = pbx(**fields)
    outcome = answered(plan_of(trunk).plan, status, realm=realm, challenges=challenges)

    assert explain(trunk, outcome, DESTINATION) == f"trunk pbx: {sentence}"


def test_silence_is_told_with_where_it_came_from() -> None:
    trunk = pbx()

    assert explain(trunk, silence(plan_of(trunk).plan), DESTINATION) == (
        "trunk pbx: REGISTER as 2001 to sip:pbx.example.com: no answer from udp:10.0.0.5:5060"
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("120 (in a meeting);duration=60", 120),
        ("4294967295", 86_400),
        ("4294967296", 0),
        ("9" * 5000, 0),
        ("-5", 0),
        ("soon", 0),
        ("0", 0),
    ],
)
def test_retry_after_is_clamped_to_a_day_and_ignored_when_absurd(value: str, seconds: int) -> None:
    response = Response(503)
    response.headers.add("Retry-After", value)

    assert retry_after_s(response) == seconds


@pytest.mark.parametrize(("value", "seconds"), [("600", 600), ("99999999", 86_400), ("+600", 0), ("", 0)])
def test_min_expires_is_clamped_to_a_day_and_ignored_when_absurd(value: str, seconds: int) -> None:
    response = Response(423)
    response.headers.add("Min-Expires", value)

    assert min_expires_s(response) == seconds
    assert min_expires_s(Response(423)) == min_expires_s(None) == retry_after_s(None) == 0
