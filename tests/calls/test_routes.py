"""From an INVITE to trunk, number and agent."""

import pytest

from sipflow.calls.routes import NoRoute, Route, Router
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Inventory, Number
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.trunks.settings import RegisterSettings
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk

SECRET = b"0123456789abcdef"
FIRST, SECOND = "+12065550101", "+12065550102"
PROVIDER, STRANGER = Hop("udp", "10.0.0.5", 5060), Hop("udp", "192.0.2.9", 5060)


def account(name: str, **fields: object) -> Trunk:
    known: dict[str, object] = {
        "name": name,
        "sip_domain": "pbx.example.com",
        "username": f"{name}-user",
        "password": "secret",
        "register": RegisterSettings(),
        "accept_from": Networks(["10.0.0.0/24"]),
        "region": "US",
    }
    return Trunk(**(known | fields))  # type: ignore[arg-type]


A, B = account("a"), account("b")
NUMBERS = (
    Number(FIRST, trunk="a", inbound_agent="one"),
    Number(SECOND, trunk="b", inbound_agent="two"),
)


def invite(uri: str, to: str = "<sip:x@edge>", **headers: str) -> Request:
    request = Request("INVITE", uri)
    request.headers.add("To", to)
    for name, value in headers.items():
        request.headers.add(name.replace("_", "-"), value)
    return request


def router(*trunks: Trunk, numbers: tuple[Number, ...] = NUMBERS) -> Router:
    inventory = Inventory(numbers)

    def owner(dialled: str, region: str | None) -> str | None:
        found = inventory.lookup(dialled, region=region).number
        return found.trunk if found is not None else None

    return Router(TrunkTable(trunks or (A, B), secret=SECRET, owner=owner), inventory)


def routed(router: Router, request: Request, hop: Hop = PROVIDER) -> tuple[str, str, str] | NoRoute:
    """Trunk, number and agent of a call."""
    found = router.route(request, router.match(request, hop))
    return (found.trunk.name, found.number.number, found.agent) if isinstance(found, Route) else found


def contact_of(trunk: Trunk) -> str:
    return f"sip:{trunk.contact_user}@192.0.2.1:5060;line={trunk.registration_token(SECRET)}"


def test_the_token_of_a_registration_comes_before_source_and_number() -> None:
    request = invite(contact_of(B), to=f"<sip:{SECOND}@pbx.example.com>")

    assert routed(router(), request, STRANGER) == ("b", SECOND, "two")


def test_the_source_tells_the_trunk_where_there_is_one_of_it() -> None:
    elsewhere = account("b", accept_from=Networks(["10.9.0.0/24"]))

    assert routed(router(A, elsewhere), invite(f"sip:{FIRST}@edge")) == ("a", FIRST, "one")
    assert routed(router(A, elsewhere), invite(f"sip:{SECOND}@edge")) == NoRoute(
        404, f"no number of trunk a matches {SECOND} (listed, but only on trunk b), x", "a"
    )


def test_the_number_tells_trunks_of_one_source_apart() -> None:
    assert routed(router(), invite(f"sip:{FIRST}@edge")) == ("a", FIRST, "one")
    assert routed(router(), invite(f"sip:{SECOND}@edge")) == ("b", SECOND, "two")


def test_the_number_alone_lets_nobody_in() -> None:
    found = routed(router(), invite(f"sip:{FIRST}@edge"), STRANGER)

    assert isinstance(found, NoRoute)
    assert found.status == 403
    assert found.why.startswith("192.0.2.9 is in no trunk's accept_from")


@pytest.mark.parametrize("to", [f"<sip:{FIRST}@pbx.example.com>", "<sip:2065550101@pbx.example.com>", f"<tel:{FIRST}>"])
def test_to_tells_the_number_where_the_request_uri_is_the_account(to: str) -> None:
    numbers = (*NUMBERS, Number("+12065550109", trunk="a", inbound_agent="other"))

    assert routed(router(numbers=numbers), invite("sip:a-user@192.0.2.1", to=to)) == ("a", FIRST, "one")


def test_called_party_comes_before_to() -> None:
    numbers = (*NUMBERS, Number("+12065550109", trunk="a", inbound_agent="other"))
    request = invite(
        contact_of(A), to=f"<sip:{FIRST}@pbx.example.com>", P_Called_Party_ID="<sip:+12065550109@pbx.example.com>"
    )

    assert routed(router(numbers=numbers), request) == ("a", "+12065550109", "other")


@pytest.mark.parametrize("uri", ["sip:a-user@192.0.2.1", "contact"])
def test_call_to_the_account_itself_means_the_only_number_of_the_trunk(uri: str) -> None:
    request = invite(contact_of(A) if uri == "contact" else uri, to="<sip:a-user@pbx.example.com>")

    assert routed(router(), request) == ("a", FIRST, "one")


def test_call_to_the_account_of_a_trunk_with_two_numbers_is_not_guessed() -> None:
    numbers = (*NUMBERS, Number("+12065550109", trunk="a", inbound_agent="other"))
    request = invite(contact_of(A), to="<sip:a-user@pbx.example.com>")

    assert routed(router(numbers=numbers), request) == NoRoute(
        404, "no number of trunk a matches no number at all", "a"
    )


def test_call_to_an_account_that_is_called_as_one_of_its_numbers_means_that_number() -> None:
    """As a telephone of a PBX that is extension 2001 and has a number of the outside world too."""
    extension = account("a", username="2001")
    numbers = (*NUMBERS, Number("2001", trunk="a", inbound_agent="desk"))

    found = routed(router(extension, B, numbers=numbers), invite("sip:2001@edge", "<sip:2001@pbx.example.com>"))
    outside = routed(router(extension, B, numbers=numbers), invite("sip:2001@edge", f"<sip:{FIRST}@pbx.example.com>"))

    assert (found, outside) == (("a", "2001", "desk"), ("a", FIRST, "one"))


def test_call_to_another_number_of_a_trunk_with_one_is_not_taken() -> None:
    found = routed(router(A), invite("sip:+12065550177@edge", to="<sip:+12065550177@edge>"))

    assert found == NoRoute(404, "no number of trunk a matches +12065550177", "a")


def test_number_without_an_agent_is_said_to_have_none() -> None:
    numbers = (Number(FIRST, trunk="a"),)

    assert routed(router(A, numbers=numbers), invite(f"sip:{FIRST}@edge")) == NoRoute(
        404, f"number {FIRST} has no inbound agent", "a"
    )


def test_the_steps_of_a_route_are_told_in_order() -> None:
    request = invite(contact_of(B), to=f"<sip:{SECOND}@pbx.example.com>")
    edge = router()
    found = edge.route(request, edge.match(request, STRANGER))

    assert isinstance(found, Route)
    assert found.why == ("it came to the registration of trunk b", f"{SECOND} -> two")


@pytest.mark.parametrize("called", ["", "<", "no uri", '"open <sip:x@y>'])
def test_called_party_that_cannot_be_read_costs_nothing_but_itself(called: str) -> None:
    request = invite(f"sip:{FIRST}@edge", P_Called_Party_ID=called)

    assert routed(router(), request) == ("a", FIRST, "one")
