"""What a refusal means."""

import pytest

from sipflow.calls.failover import Meaning, Redirected, meaning_of, redirections
from sipflow.sip.message import Request, Response, make_response
from sipflow.sip.uri import SipUri, parse_uri
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk

OTHER = Trunk("other", sip_domain="other.example.com")


def home(redirects: str) -> Trunk:
    return Trunk("home", sip_domain="pbx.example.com", outbound=OutboundSettings(redirects=redirects))


def said(status: int, *lines: tuple[str, str]) -> Response:
    invite = Request("INVITE", "sip:+12065550123@pbx.example.com")
    invite.headers.add("To", "<sip:+12065550123@pbx.example.com>")
    return make_response(invite, status, to_tag="far", headers=lines)


def pointed(redirects: str, *contacts: str, tried: frozenset[str] = frozenset()) -> tuple[list[str], str]:
    trunks = {"home": home(redirects), "other": OTHER}
    response = said(302, *[("Contact", contact) for contact in contacts])
    places, why = redirections(response, trunks["home"], trunks, tried)
    return [f"{place.uri} by {place.trunk.name}{' directly' if place.direct else ''}" for place in places], why


@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 513, 580])
def test_what_a_target_says_about_itself_sends_the_call_to_the_next(status: int) -> None:
    assert meaning_of(status, rang=False) is Meaning.NEXT


@pytest.mark.parametrize(
    "status", [401, 403, 404, 407, 410, 480, 484, 486, 487, 488, 600, 603, 604, 606, 607, 608, 305, 380]
)
def test_what_is_said_about_the_callee_or_us_is_believed(status: int) -> None:
    assert meaning_of(status, rang=False) is Meaning.OVER


def test_a_408_after_it_rang_is_a_callee_who_does_not_answer() -> None:
    assert (meaning_of(408, rang=True), meaning_of(503, rang=True)) == (Meaning.OVER, Meaning.NEXT)


@pytest.mark.parametrize("status", [300, 301, 302])
def test_a_redirection_is_one(status: int) -> None:
    assert meaning_of(status, rang=False) is Meaning.REDIRECTED


def test_a_trunk_that_rejects_redirections_says_so() -> None:
    assert pointed("reject", "<sip:x@pbx.example.com>") == (
        [],
        "redirections of this trunk are not followed (outbound.redirects: reject)",
    )


def test_same_host_follows_to_another_user_there_and_nowhere_else() -> None:
    followed = pointed("same_host", "<sip:200@PBX.example.com:5070?Subject=x>", "<sip:x@evil.example>")

    assert followed == (["sip:200@PBX.example.com:5070 by home"], "")
    assert pointed("same_host", "<sip:x@other.example.com>") == (
        [],
        "sip:x@other.example.com is not where this trunk may be sent (outbound.redirects: same_host)",
    )


def test_known_trunks_follows_to_the_far_end_of_another_trunk_by_that_trunk() -> None:
    assert pointed("known_trunks", "<sip:x@evil.example>", "<sip:x@other.example.com>") == (
        ["sip:x@other.example.com by other"],
        "",
    )


def test_anywhere_goes_straight_where_nobody_is_known() -> None:
    assert pointed("anywhere", "<sip:x@evil.example>") == (["sip:x@evil.example by home directly"], "")


def test_contacts_are_tried_by_their_q_and_never_twice() -> None:
    contacts = ("<sip:1@pbx.example.com>;q=0.2", "<sip:2@pbx.example.com>", "<sip:3@pbx.example.com>;q=0.7")
    tried = frozenset({"sip:2@pbx.example.com"})

    assert pointed("same_host", *contacts, tried=tried)[0] == [
        "sip:3@pbx.example.com by home",
        "sip:1@pbx.example.com by home",
    ]
    assert pointed("same_host", "<sip:2@pbx.example.com>", tried=tried) == (
        [],
        "it leads back to sip:2@pbx.example.com",
    )


@pytest.mark.parametrize("contact", ["<tel:+12065550123>", "*", "<sip:", ""])
def test_a_contact_that_cannot_be_called_leads_nowhere(contact: str) -> None:
    assert pointed("anywhere", contact) == ([], "it names no SIP address")


def test_a_redirection_says_where_it_goes() -> None:
    uri = parse_uri("sip:2@pbx.example.com")
    assert isinstance(uri, SipUri)

    assert Redirected(uri, OTHER) == Redirected(uri, OTHER, direct=False)
