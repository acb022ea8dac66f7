"""What an agent's words about a call become: Request-URI, destination, From, codecs."""

from itertools import count

import pytest

from sipflow.calls.dialling import checked_headers, codecs_like, find_target, plan_call
from sipflow.errors import LocalProtocolError
from sipflow.sdp.codecs import CODECS, G722, L16_16000, OPUS
from sipflow.sdp.offer_answer import PCMA, PCMU
from sipflow.sip.digest import Account
from sipflow.sip.ids import Ids
from sipflow.sip.plan import RequestPlan
from sipflow.trunks.trunk import Trunk

_NUMBERS = count()
IDS = Ids(lambda size: bytes(next(_NUMBERS) % 256 for _ in range(size)))
PROVIDER = Trunk(
    "provider",
    phone_number="+12065550100",
    sip_domain="sip.example.com",
    username="alice",
    password="secret",
    transport="tls",
    realm="example.com",
)
PROXIED = Trunk("proxied", sip_domain="pbx.example.com", outbound_proxy="sip:10.0.0.5:5070;lr", username="200")


def planned(uri: str, **words: object) -> RequestPlan:
    return plan_call(uri, ids=IDS, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "trunk", "target", "destination"),
    [
        ("sip:p@ai.example;transport=tls", None, "sip:p@ai.example;transport=tls", "sip:p@ai.example;transport=tls"),
        (" sips:p@ai.example ", None, "sips:p@ai.example", "sips:p@ai.example"),
        ("sip:p@ai.example", PROVIDER, "sip:p@ai.example", "sip:p@ai.example;transport=tls"),
        (
            "sip:p@ai.example;transport=tcp",
            PROVIDER,
            "sip:p@ai.example;transport=tcp",
            "sip:p@ai.example;transport=tcp",
        ),
        ("sip:p@ai.example", PROXIED, "sip:p@ai.example", "sip:10.0.0.5:5070"),
        ("+12065550199", PROVIDER, "sip:+12065550199@sip.example.com", "sip:sip.example.com;transport=tls"),
        ("tel:+1-206-555-0199", PROXIED, "sip:+12065550199@pbx.example.com", "sip:10.0.0.5:5070"),
    ],
)
def test_where_a_call_goes(uri: str, trunk: Trunk | None, target: str, destination: str) -> None:
    found = find_target(uri, trunk)

    assert [str(each) for each in found] == [target, destination]


@pytest.mark.parametrize(
    ("uri", "trunk", "why"),
    [
        ("200", None, "names no host"),
        ("tel:+12065550199", None, "names no host"),
        ("", PROVIDER, "no address to call"),
        ("http://ai.example", PROVIDER, "no address to call"),
        ("sip:a b@c", None, "no address to call"),
    ],
)
def test_what_cannot_be_called_is_refused(uri: str, trunk: Trunk | None, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        find_target(uri, trunk)


def test_a_trunk_gives_its_account_and_its_number() -> None:
    plan = planned("sip:p@ai.example", trunk=PROVIDER)

    assert (str(plan.from_.uri), plan.from_.tag is not None) == ("sip:+12065550100@sip.example.com", True)
    assert plan.accounts == (Account("alice", "secret", "example.com"),)
    assert (plan.contact_user, plan.routes) == ("alice", ())
    assert planned("200", trunk=PROXIED).routes == ("<sip:10.0.0.5:5070;lr>",)
    assert str(planned("200", trunk=PROXIED).from_.uri) == "sip:200@pbx.example.com"


def test_without_a_trunk_no_account_answers_a_challenge() -> None:
    plan = planned("sip:p@ai.example;transport=tcp")

    assert (plan.accounts, plan.contact_user, str(plan.from_.uri)) == ((), "sipflow", "sip:sipflow@ai.example")
    assert str(plan.to.uri) == "sip:p@ai.example"  # RFC 3261 §19.1.1: no transport in To


def test_the_caller_may_be_a_number_or_an_address() -> None:
    assert str(planned("sip:p@ai.example", caller="+1206 5").from_.uri) == "sip:+1206%205@ai.example"
    address = planned("sip:p@ai.example", caller='"Sales" <sip:100@pbx.example.com>').from_
    assert (address.display, str(address.uri)) == ("Sales", "sip:100@pbx.example.com")
    with pytest.raises(LocalProtocolError, match="is no caller"):
        planned("sip:p@ai.example", caller="sip:<")


def test_headers_that_sipflow_writes_are_not_for_agents() -> None:
    assert checked_headers({"X-A": "1", "User-to-User": "2"}) == (("X-A", "1"), ("User-to-User", "2"))
    for name in ("Via", "CONTACT", "l"):
        with pytest.raises(LocalProtocolError, match=f"header {name} is written by sipflow itself"):
            checked_headers({name: "1"})


def test_the_first_legs_codec_comes_first_and_g711_is_always_there() -> None:
    assert codecs_like(None) == ()
    assert codecs_like(PCMU) == ("PCMU", "PCMA")
    assert codecs_like(PCMA) == ("PCMA", "PCMU")
    assert codecs_like(G722) == ("G722", "PCMU", "PCMA")
    assert codecs_like(OPUS) == ("opus", "PCMU", "PCMA")
    assert codecs_like(L16_16000)[0] in CODECS
