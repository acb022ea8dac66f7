import pytest

from sipflow.sip.message import Response
from sipflow.sip.uri import SipUri, Uri, parse_uri
from sipflow.trunks.redirect import Redirects
from tests.trunks.registrar import Play, accept, quiet, refuse, registration, script


def sip(text: str) -> SipUri:
    uri: Uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return uri


HOME = sip("sip:pbx.example.com")


def moved(*contacts: str) -> Response:
    response = Response(302)
    for contact in contacts:
        response.headers.add("Contact", contact)
    return response


def followed(*contacts: str, home: SipUri = HOME) -> tuple[str, str]:
    redirects = Redirects(home)
    redirects.begin()
    why = redirects.follow(302, moved(*contacts))
    return str(redirects.target), why


@pytest.mark.parametrize(
    ("contacts", "target"),
    [
        (["<sip:2001@node2.example.com:5070;transport=TCP;lr>;q=0.5"], "sip:node2.example.com:5070;transport=tcp"),
        (["<tel:+12065550100>", "<sip:10.0.0.6;transport=ws>", "<sip:10.0.0.7>"], "sip:10.0.0.7"),
        (["<sip:pbx.example.com>, <sip:10.0.0.7>"], "sip:10.0.0.7"),
        (["<sip:10.0.0.6:99999>", "*, <sip:10.0.0.7>"], "sip:10.0.0.7"),
        (["<sip:10.0.0.6>;q=0.1, <sip:10.0.0.7>;q=0.9", "<sip:10.0.0.8>;q=0.5"], "sip:10.0.0.7"),
    ],
)
def test_the_best_usable_contact_is_the_next_target(contacts: list[str], target: str) -> None:
    assert followed(*contacts) == (target, "")


@pytest.mark.parametrize(
    ("contacts", "why"),
    [
        ([], "the redirection names no SIP address"),
        (["nonsense"], "the redirection names no SIP address"),
        (["<mailto:pbx@example.com>"], "the redirection goes to mailto:pbx@example.com, which is no SIP address"),
        (["<sip:10.0.0.6;transport=sctp>"], "the redirection asks for transport sctp"),
        (["<sip:2001@pbx.example.com>"], "the redirection leads back to sip:pbx.example.com"),
    ],
)
def test_an_unusable_redirection_says_why(contacts: list[str], why: str) -> None:
    assert followed(*contacts) == ("None", why)


@pytest.mark.parametrize("home", ["sips:pbx.example.com", "sip:pbx.example.com;transport=tls"])
def test_a_redirection_never_leaves_tls(home: str) -> None:
    assert followed("<sip:10.0.0.6>", home=sip(home)) == ("None", "the redirection to sip:10.0.0.6 would leave TLS")
    assert followed("<sip:10.0.0.6>", "<sips:10.0.0.6>", home=sip(home)) == ("sips:10.0.0.6", "")


def test_the_other_contacts_are_gone_on_with_best_first_and_none_twice() -> None:
    redirects = Redirects(HOME)
    redirects.begin()
    redirects.follow(302, moved("<sip:10.0.0.6>;q=0.1, <sip:10.0.0.7>, <sip:10.0.0.8>;q=0.5, <sip:10.0.0.8>;q=0.4"))

    targets = [str(redirects.target)]
    while redirects.go_on():
        targets.append(str(redirects.target))
    redirects.begin()

    assert targets == ["sip:10.0.0.7", "sip:10.0.0.8", "sip:10.0.0.6"]
    assert not redirects.go_on()


def test_a_registration_goes_on_to_the_next_contact_where_the_best_does_not_answer() -> None:
    answer = script(refuse(302, ("Contact", "<sip:10.0.0.6>;q=0.2, <sip:10.0.0.7>")), quiet, accept)

    play = Play(registration(jitter=0.0), answer).start(until=100.0)

    assert play.log[2:] == [
        (0.0, "REGISTER 300 to sip:10.0.0.7"),
        (0.0, "REGISTER 300 to sip:10.0.0.6"),
        (0.0, "registered: trunk pbx: registered at 10.0.0.5 as 2001 for 300 s"),
    ]


def test_only_five_hops_are_followed() -> None:
    redirects = Redirects(HOME)
    redirects.begin()

    whys = [redirects.follow(302, moved(f"<sip:10.0.0.{number}>")) for number in range(1, 8)]

    assert whys == ["", "", "", "", "", "redirected more than 5 times", "redirected more than 5 times"]


def test_a_301_is_remembered_until_an_attempt_fails_and_a_302_is_not() -> None:
    redirects = Redirects(HOME)
    targets: list[str] = []
    for status, host in ((301, "10.0.0.6"), (302, "10.0.0.7"), (301, "10.0.0.8")):
        redirects.begin()
        targets.append(str(redirects.target))
        redirects.follow(status, moved(f"<sip:{host}>"))
    redirects.begin()
    targets.append(str(redirects.target))
    redirects.failed()
    redirects.begin()
    targets.append(str(redirects.target))

    assert targets == ["None", "sip:10.0.0.6", "sip:10.0.0.6", "sip:10.0.0.8", "None"]


def test_a_301_behind_a_302_is_as_passing_as_that() -> None:
    redirects = Redirects(HOME)
    redirects.begin()
    redirects.follow(302, moved("<sip:10.0.0.6>"))
    redirects.follow(301, moved("<sip:10.0.0.7>"))

    redirects.begin()

    assert redirects.target is None
