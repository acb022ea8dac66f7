import pytest

from sipflow.errors import LocalProtocolError
from sipflow.net.acl import Networks
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.trunks.table import By, Match, TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.trunks.registrar import SECRET, pbx

PROVIDER = Hop("udp", "10.0.0.5", 5060)
STRANGER = Hop("udp", "10.0.0.9", 5060)
NOT_KNOWN = (
    "10.0.0.9 is in no trunk's accept_from and is not the address of any registrar: add it to trunks.<name>.accept_from"
)


def invite(uri: str, to: str = "<sip:x@edge>") -> Request:
    request = Request("INVITE", uri)
    request.headers.add("To", to)
    return request


def account(name: str, **fields: object) -> Trunk:
    return pbx(name=name, username=f"{name}-user", sip_domain="provider.example.com", **fields)


def table(*trunks: Trunk, numbers: dict[str, str] | None = None) -> TrunkTable:
    made = TrunkTable(trunks, secret=SECRET, numbers=numbers)
    for trunk in trunks:
        made.set_addresses(trunk.name, ["10.0.0.5", "10.0.0.6"])
    return made


def contact_of(trunk: Trunk) -> str:
    return f"sip:{trunk.contact_user}@192.0.2.1:5060;line={trunk.registration_token(SECRET)}"


def test_the_token_of_a_registration_tells_its_trunk_from_wherever_it_comes() -> None:
    a, b = account("a"), account("b")

    match = table(a, b).match(invite(contact_of(b)), STRANGER)

    assert match == Match(b, By.REGISTRATION, ("it came to the registration of trunk b",))


@pytest.mark.parametrize(
    "token",
    [
        "0000000000000000",
        pbx(name="a", username="a-user").registration_token(b"another secret.."),
        "x" * 400,
        "%00",
    ],
)
def test_a_forged_token_lets_nobody_in(token: str) -> None:
    match = table(account("a")).match(invite(f"sip:a-user@192.0.2.1;line={token}"), STRANGER)

    assert (match.trunk, match.by) == (None, By.NOTHING)
    assert match.why[0].endswith(" is no registration of ours; perhaps one of an earlier start")
    assert match.why[1:] == (NOT_KNOWN,)
    assert len(match.why[0]) < 120


def test_a_trunk_that_does_not_register_has_no_token() -> None:
    trunk = account("a", register=None)

    assert TrunkTable([trunk], secret=SECRET).match(invite(contact_of(trunk)), STRANGER).trunk is None


@pytest.mark.parametrize("host", ["10.0.0.5", "10.0.0.6"])
def test_every_address_of_the_far_end_belongs_to_its_trunk(host: str) -> None:
    a = account("a")

    match = table(a).match(invite("sip:+12065550100@192.0.2.1"), Hop("udp", host, 5060))

    assert match == Match(a, By.SOURCE, (f"{host} is an address of trunk a's far end",))


def test_an_ip_address_as_domain_or_proxy_needs_no_look_up() -> None:
    trunk = pbx(sip_domain="10.0.0.7", outbound_proxy="[2001:db8::1]:5070")
    made = TrunkTable([trunk], secret=SECRET)

    assert [made.knows(Hop("udp", host, 1)) for host in ("10.0.0.7", "2001:db8::1", "10.0.0.5")] == [True, True, False]


def test_networks_let_their_trunk_in_and_nobody_else() -> None:
    trunk = Trunk("carrier", accept_from=Networks(["192.0.2.0/24"]))
    made = TrunkTable([trunk], secret=SECRET)

    assert made.match(invite("sip:x@edge"), Hop("udp", "192.0.2.77", 5060)) == Match(
        trunk, By.SOURCE, ("it came from 192.0.2.0/24, which trunk carrier accepts",)
    )
    assert made.match(invite("sip:x@edge"), STRANGER) == Match(None, By.NOTHING, (NOT_KNOWN,))


def test_a_number_alone_lets_nobody_in() -> None:
    made = table(account("a", phone_number="+12065550100"), numbers={"+12065550100": "a"})

    assert made.match(invite("sip:+12065550100@edge"), STRANGER) == Match(None, By.NOTHING, (NOT_KNOWN,))


def test_an_old_token_from_a_known_source_is_mentioned_and_does_not_hurt() -> None:
    a = account("a")

    match = table(a).match(invite("sip:a-user@192.0.2.1;line=0123456789abcdef"), PROVIDER)

    assert match == Match(
        a,
        By.SOURCE,
        (
            "line=0123456789abcdef is no registration of ours; perhaps one of an earlier start",
            "10.0.0.5 is an address of trunk a's far end",
        ),
    )


def test_two_accounts_at_one_provider_are_told_apart_by_the_account_in_the_request_uri() -> None:
    a, b = account("a"), account("b")

    match = table(a, b).match(invite("sip:b-user@192.0.2.1"), PROVIDER)

    assert match == Match(
        b,
        By.USERNAME,
        ("10.0.0.5 is an address of trunk b's far end", "it is for b-user, the trunk's username"),
    )


@pytest.mark.parametrize(
    ("uri", "to"),
    [
        ("sip:+12065550102@192.0.2.1", "<sip:x@edge>"),
        ("sip:12065550102@192.0.2.1;user=phone", "<sip:x@edge>"),
        ("sip:0012065550102@192.0.2.1", "<sip:x@edge>"),
        ("tel:+1-206-555-0102", "<sip:x@edge>"),
        ("sip:gw@192.0.2.1", "<sip:+12065550102@edge>"),
        ("sip:192.0.2.1", "<tel:+12065550102>"),
    ],
)
def test_accounts_at_one_provider_are_told_apart_by_the_number(uri: str, to: str) -> None:
    a, b = account("a"), account("b")
    numbers = {"+12065550101": "a", "+12065550102": "b"}

    match = table(a, b, numbers=numbers).match(invite(uri, to), PROVIDER)

    assert (match.trunk, match.by, match.why[0]) == (b, By.DID, "10.0.0.5 is an address of trunk b's far end")
    assert match.why[1].endswith(" is a number of trunk b")


def test_a_trunks_own_phone_number_counts_where_the_list_says_nothing_else() -> None:
    a, b = account("a", phone_number="+12065550101"), account("b", phone_number="+12065550102")
    request = invite("sip:+12065550102@192.0.2.1")

    assert table(a, b).match(request, PROVIDER).trunk is b
    assert table(a, b, numbers={"+12065550102": "a"}).match(request, PROVIDER).trunk is a


def test_all_ways_to_write_a_number_can_be_asked_for_elsewhere() -> None:
    a, b = account("a", region="US"), account("b", region="GB")
    asked: list[tuple[str, str | None]] = []

    def owner(dialled: str, region: str | None) -> str | None:
        asked.append((dialled, region))
        return "b" if (dialled, region) == ("020 7946 0000", "GB") else None

    made = table(a, b)
    made.replace([a, b], owner=owner)

    assert made.match(invite("sip:gw@192.0.2.1", "<sip:020%207946%200000@edge>"), PROVIDER).trunk is b
    assert asked == [("gw", "US"), ("gw", "GB"), ("020 7946 0000", "US"), ("020 7946 0000", "GB")]


def test_the_narrowest_network_decides_where_neither_account_nor_number_does() -> None:
    everybody = Trunk("everybody", accept_from=Networks(["0.0.0.0/0"]))
    office = Trunk("office", accept_from=Networks(["10.0.0.0/8"]))
    made = TrunkTable([everybody, office], secret=SECRET, numbers={"+12065550199": "everybody"})

    assert made.match(invite("sip:100@edge"), STRANGER).trunk is office
    assert made.match(invite("sip:+12065550199@edge"), STRANGER).trunk is everybody
    assert made.match(invite("sip:100@edge"), Hop("udp", "192.0.2.1", 5060)).trunk is everybody


def test_accounts_that_cannot_be_told_apart_get_nothing_and_the_operator_is_told_what_to_do() -> None:
    a, b = account("a"), account("b")

    match = table(a, b).match(invite("sip:+12065550100@192.0.2.1"), PROVIDER)

    why = (
        "its source belongs to the trunks a, b alike, and +12065550100 to none of them alone: "
        "add numbers.<number>.trunk, or register these trunks"
    )
    assert match == Match(None, By.NOTHING, (why,), (a, b))


@pytest.mark.parametrize("uri", ["sip:", "nonsense", "mailto:a@b", "sip:%@x"])
def test_a_request_uri_that_cannot_be_read_is_told_by_its_source(uri: str) -> None:
    a, b = account("a"), account("b")
    request = Request("INVITE", uri)

    assert table(a).match(request, PROVIDER).trunk is a
    assert table(a, b).match(request, PROVIDER).candidates == (a, b)


def test_a_registrar_that_took_us_may_call_us() -> None:
    a = account("a")
    made = table(a)

    made.learn("a", "10.0.0.9")
    made.learn("a", "10.0.0.5")
    made.learn("nobody", "10.0.0.8")

    assert made.match(invite("sip:x@edge"), STRANGER).trunk is a
    assert len(made.match(invite("sip:x@edge"), PROVIDER).why) == 1


def test_only_the_last_sixteen_learnt_addresses_are_kept() -> None:
    made = table(account("a"))

    for number in range(20):
        made.learn("a", f"192.0.2.{number}")

    known = [number for number in range(20) if made.knows(Hop("udp", f"192.0.2.{number}", 1))]
    assert known == list(range(4, 20))


def test_addresses_that_dns_no_longer_gives_are_let_go() -> None:
    made = table(account("a"), account("b"))

    made.set_addresses("a", ["10.0.0.7"])
    made.set_addresses("nobody", ["10.0.0.8"])

    hosts = ("10.0.0.5", "10.0.0.7", "10.0.0.8")
    matches = [made.match(invite("sip:x@edge"), Hop("udp", host, 1)).trunk for host in hosts]
    assert [trunk and trunk.name for trunk in matches] == ["b", "a", None]


def test_a_reload_keeps_the_addresses_of_those_whose_far_end_stays() -> None:
    stays, moves = account("stays"), account("moves")
    made = table(stays, moves)
    made.learn("stays", "10.0.0.7")

    made.replace([account("stays", password="other"), account("moves", outbound_proxy="proxy")])

    assert [trunk.name for trunk in made] == ["stays", "moves"]
    assert made.get("stays") is not stays
    for host in ("10.0.0.5", "10.0.0.7"):
        assert made.match(invite("sip:x@edge"), Hop("udp", host, 1)).trunk is made.get("stays")
    assert made.match(invite(contact_of(stays)), STRANGER).trunk is None


def test_a_table_with_a_weak_secret_or_two_trunks_of_one_name_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="needs 16 octets, not 5"):
        TrunkTable(secret=b"short")
    made = table(account("a"))
    with pytest.raises(LocalProtocolError, match="two trunks have the same name"):
        made.replace([account("b"), account("b")])

    assert (len(made), made.get("a") is not None) == (1, True)


def test_each_other_trunk_is_told_by_what_it_lacks() -> None:
    a, b = account("a"), account("b")
    far = account("far", accept_from=Networks([f"198.51.{third}.0/24" for third in range(8)]))
    made = table(a, b)
    made.replace([a, b, far])
    registered = made.match(invite(contact_of(b)), PROVIDER)
    named = made.match(invite("sip:a-user@edge"), PROVIDER)
    undecided = made.match(invite("sip:nobody@edge"), PROVIDER)
    address = "10.0.0.5 is an address of trunk {}'s far end, but "

    assert made.others(registered, PROVIDER)[0] == (
        "trunk a: " + address.format("a") + "the call carries the token of trunk b's registration"
    )
    assert made.others(named, PROVIDER) == (
        "trunk b: " + address.format("b") + "the call is for the username of trunk a",
        "trunk far: 10.0.0.5 is none of its addresses (198.51.0.0/24, 198.51.1.0/24, 198.51.2.0/24, 198.51.3.0/24, "
        "198.51.4.0/24, 198.51.5.0/24, ...)",
    )
    assert made.others(undecided, PROVIDER, most=1) == (
        "trunk a: " + address.format("a") + "nothing in the call tells it from the others of this source",
        "and 2 more trunks, none of which it is",
    )
