from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.errors import TransportError
from sipflow.net.locate import MOST_HOPS, Choose, Reach, locate, ordered
from sipflow.net.records import Answer, Naptr, Question, Srv
from sipflow.sip.hop import Hop
from sipflow.sip.uri import SipUri, parse_uri

BOTH = Reach({"udp": ("A", "AAAA"), "tcp": ("A", "AAAA"), "tls": ("A", "AAAA")})
IPV4 = Reach({"udp": ("A",), "tcp": ("A",), "tls": ("A",)})
NO_UDP = Reach({"tcp": ("A",), "tls": ("A",)})

NO_NAME = Answer(problem="DNS says the name does not exist")
SILENCE = Answer(problem="DNS did not answer in 3 s", silent=True)

Zone = Mapping[tuple[str, str], Answer]


def least(_: int) -> int:
    return 0


def naptr(*records: tuple[int, int, str, str]) -> Answer:
    return Answer(
        naptr=tuple(Naptr(order, preference, "s", service, name) for order, preference, service, name in records)
    )


def srv(*records: tuple[int, int, int, str]) -> Answer:
    return Answer(srv=tuple(Srv(*record) for record in records))


def a(*addresses: str) -> Answer:
    return Answer(addresses=addresses)


def play(
    text: str, zone: Zone, reach: Reach = IPV4, choose: Choose = least, otherwise: Answer = NO_NAME
) -> tuple[list[tuple[Question, ...]], tuple[Hop, ...]]:
    """Drive `locate` from a dictionary; give what it asked, step by step, and the hops."""
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    steps = locate(uri, reach, choose)
    asked: list[tuple[Question, ...]] = []
    try:
        questions = next(steps)
        while True:
            asked.append(questions)
            questions = steps.send({one: zone.get((one.kind, one.name), otherwise) for one in questions})
    except StopIteration as end:
        hops: tuple[Hop, ...] = end.value
        return asked, hops


def hops(text: str, zone: Zone, reach: Reach = IPV4, choose: Choose = least) -> list[str]:
    return [str(hop) for hop in play(text, zone, reach, choose)[1]]


def refusal(text: str, zone: Zone, reach: Reach = IPV4, otherwise: Answer = NO_NAME) -> str:
    with pytest.raises(TransportError) as caught:
        play(text, zone, reach, otherwise=otherwise)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "hop"),
    [
        ("sip:192.0.2.1", Hop("udp", "192.0.2.1", 5060)),
        ("sip:alice@192.0.2.1:5080", Hop("udp", "192.0.2.1", 5080)),
        ("sip:192.0.2.1;transport=TCP", Hop("tcp", "192.0.2.1", 5060)),
        ("sip:192.0.2.1;transport=tls", Hop("tls", "192.0.2.1", 5061)),
        ("sips:192.0.2.1", Hop("tls", "192.0.2.1", 5061)),
        ("sips:192.0.2.1;transport=tcp", Hop("tls", "192.0.2.1", 5061)),
        ("sip:[2001:db8::1]:5070", Hop("udp", "2001:db8::1", 5070)),
        ("sip:pbx.example.com;maddr=192.0.2.9", Hop("udp", "192.0.2.9", 5060)),
        ("sips:pbx.example.com:5071;maddr=192.0.2.9", Hop("tls", "192.0.2.9", 5071, server_name="pbx.example.com")),
    ],
)
def test_an_ip_literal_needs_no_question(text: str, hop: Hop) -> None:
    assert play(text, {}, BOTH) == ([], (hop,))


def test_a_port_means_that_only_the_address_is_asked_for() -> None:
    zone = {("A", "pbx.example.com"): a("192.0.2.1", "192.0.2.2")}

    assert play("sip:PBX.example.com.:5080", zone) == (
        [(Question("A", "pbx.example.com"),)],
        (Hop("udp", "192.0.2.1", 5080), Hop("udp", "192.0.2.2", 5080)),
    )


def test_a_transport_means_that_its_srv_records_are_asked_for_and_no_others() -> None:
    zone = {
        ("SRV", "_sip._tcp.example.com"): srv((1, 0, 5070, "a.example.com")),
        ("A", "a.example.com"): a("192.0.2.1"),
    }

    assert play("sip:example.com;transport=tcp", zone) == (
        [(Question("SRV", "_sip._tcp.example.com"),), (Question("A", "a.example.com"),)],
        (Hop("tcp", "192.0.2.1", 5070),),
    )


@pytest.mark.parametrize(
    "text", ["sip:example.com;transport=tls", "sips:example.com", "sips:example.com;transport=tcp"]
)
def test_tls_is_found_under_sips_and_the_certificate_must_carry_the_domain_asked_for(text: str) -> None:
    zone = {
        ("SRV", "_sips._tcp.example.com"): srv((1, 0, 5061, "edge7.carrier.net")),
        ("A", "edge7.carrier.net"): a("192.0.2.7"),
    }

    assert play(text, zone)[1] == (Hop("tls", "192.0.2.7", 5061, server_name="example.com"),)


def test_naptr_records_choose_the_transport_by_order_and_preference() -> None:
    zone = {
        ("NAPTR", "example.com"): naptr(
            (50, 90, "SIP+D2U", "_sip._udp.example.com"),
            (50, 50, "SIP+D2T", "_sip._tcp.elsewhere.net"),
            (90, 1, "SIPS+D2T", "_sips._tcp.example.com"),
            (1, 1, "SIP+D2S", "_sip._sctp.example.com"),
            (1, 1, "E2U+sip", "_sip._udp.enum.example.com"),
        ),
        ("SRV", "_sip._udp.example.com"): srv((1, 0, 5060, "u.example.com")),
        ("SRV", "_sip._tcp.elsewhere.net"): srv((1, 0, 5060, "t.example.com")),
        ("SRV", "_sips._tcp.example.com"): srv((1, 0, 5061, "s.example.com")),
        ("A", "u.example.com"): a("192.0.2.1"),
        ("A", "t.example.com"): a("192.0.2.2"),
        ("A", "s.example.com"): a("192.0.2.3"),
    }

    assert hops("sip:example.com", zone) == ["tcp:192.0.2.2:5060", "udp:192.0.2.1:5060", "tls:192.0.2.3:5061"]
    assert hops("sips:example.com", zone) == ["tls:192.0.2.3:5061"]


def test_without_naptr_every_transport_with_srv_records_is_used_udp_first() -> None:
    zone = {
        ("SRV", "_sip._tcp.example.com"): srv((1, 0, 5070, "a.example.com")),
        ("SRV", "_sip._udp.example.com"): srv((1, 0, 5080, "a.example.com")),
        ("A", "a.example.com"): a("192.0.2.1"),
    }

    assert hops("sip:example.com", zone) == ["udp:192.0.2.1:5080", "tcp:192.0.2.1:5070"]


def test_naptr_records_that_lead_nowhere_leave_the_usual_srv_records() -> None:
    zone = {
        ("NAPTR", "example.com"): naptr((1, 1, "SIP+D2T", "_sip._tcp.gone.example.com")),
        ("SRV", "_sip._udp.example.com"): srv((1, 0, 5080, "a.example.com")),
        ("A", "a.example.com"): a("192.0.2.1"),
    }

    assert hops("sip:example.com", zone) == ["udp:192.0.2.1:5080"]


@pytest.mark.parametrize(
    ("text", "reach", "expected"),
    [
        ("sip:example.com", IPV4, "udp:192.0.2.1:5060"),
        ("sip:example.com", NO_UDP, "tcp:192.0.2.1:5060"),
        ("sips:example.com", IPV4, "tls:192.0.2.1:5061"),
        ("sip:example.com;transport=tls", IPV4, "tls:192.0.2.1:5061"),
        ("sip:example.com;transport=tcp", IPV4, "tcp:192.0.2.1:5060"),
    ],
)
def test_without_any_srv_the_host_itself_serves_on_the_default_port(text: str, reach: Reach, expected: str) -> None:
    assert hops(text, {("A", "example.com"): a("192.0.2.1")}, reach) == [expected]


def test_a_name_server_that_ignores_naptr_and_srv_is_no_obstacle() -> None:
    zone = {("NAPTR", "example.com"): SILENCE, ("A", "example.com"): a("192.0.2.1")}

    assert hops("sip:example.com", zone) == ["udp:192.0.2.1:5060"]


def test_lower_priorities_come_first_and_targets_keep_all_their_addresses() -> None:
    zone = {
        ("SRV", "_sip._udp.example.com"): srv((20, 0, 5060, "backup.example.com"), (10, 0, 5062, "main.example.com")),
        ("A", "main.example.com"): a("192.0.2.1", "192.0.2.2"),
        ("AAAA", "main.example.com"): a("2001:db8::1"),
        ("A", "backup.example.com"): a("192.0.2.9"),
    }

    assert hops("sip:example.com;transport=udp", zone, BOTH) == [
        "udp:192.0.2.1:5062",
        "udp:192.0.2.2:5062",
        "udp:[2001:db8::1]:5062",
        "udp:192.0.2.9:5060",
    ]


def test_the_ip_version_of_the_first_listener_comes_first_and_others_are_not_asked_for() -> None:
    zone = {("A", "example.com"): a("192.0.2.1"), ("AAAA", "example.com"): a("2001:db8::1")}
    six_first = Reach({"udp": ("AAAA", "A"), "tcp": ("AAAA", "A"), "tls": ("AAAA", "A")})

    assert hops("sip:example.com:5060", zone, six_first) == ["udp:[2001:db8::1]:5060", "udp:192.0.2.1:5060"]
    assert play("sip:example.com:5060", zone, IPV4)[0] == [(Question("A", "example.com"),)]


def test_a_target_without_address_is_passed_over() -> None:
    zone = {
        ("SRV", "_sip._udp.example.com"): srv((1, 0, 5060, "dead.example.com"), (2, 0, 5060, "live.example.com")),
        ("A", "live.example.com"): a("192.0.2.1"),
    }

    assert hops("sip:example.com;transport=udp", zone) == ["udp:192.0.2.1:5060"]


def test_a_target_that_is_an_address_serves_although_it_should_be_a_name() -> None:
    zone = {("SRV", "_sip._udp.example.com"): srv((1, 0, 5060, "192.0.2.1"))}

    assert hops("sip:example.com;transport=udp", zone) == ["udp:192.0.2.1:5060"]


def test_nobody_tries_more_than_sixteen_hops_or_asks_for_more_targets() -> None:
    targets = [(1, 0, 5060, f"t{n}.example.com") for n in range(40)]
    zone = {("SRV", "_sip._udp.example.com"): srv(*targets)} | {
        ("A", f"t{n}.example.com"): a(f"192.0.2.{n}", f"198.51.100.{n}") for n in range(40)
    }

    asked, found = play("sip:example.com;transport=udp", zone)

    assert (len(found), len(asked[1])) == (MOST_HOPS, MOST_HOPS)


def test_an_address_that_two_targets_share_is_tried_once() -> None:
    zone = {
        ("SRV", "_sip._udp.example.com"): srv((1, 0, 5060, "a.example.com"), (2, 0, 5060, "b.example.com")),
        ("A", "a.example.com"): a("192.0.2.1"),
        ("A", "b.example.com"): a("192.0.2.1"),
    }

    assert hops("sip:example.com;transport=udp", zone) == ["udp:192.0.2.1:5060"]


NOTHING: Zone = {}


@pytest.mark.parametrize(
    ("text", "zone", "why"),
    [
        ("sip:pbx.exmaple.com", NOTHING, "no address for pbx.exmaple.com: DNS says the name does not exist"),
        (
            "sip:example.com;transport=tcp",
            {("SRV", "_sip._tcp.example.com"): srv((0, 0, 0, ""))},
            "no address for example.com: its SRV record says that it offers no SIP over tcp",
        ),
        (
            "sip:example.com:5060",
            {("A", "example.com"): Answer()},
            "no address for example.com: DNS has no A record for it, and no udp socket for IPv6 is open here",
        ),
        (
            "sip:example.com",
            {
                ("SRV", "_sip._udp.example.com"): srv((1, 0, 5060, "a.example.com")),
                ("A", "a.example.com"): SILENCE,
            },
            "no address for a.example.com: DNS did not answer in 3 s",
        ),
        ("sip:192.0.2.1;transport=ws", NOTHING, "transport ws is not spoken here (udp, tcp and tls are)"),
        ("sips:example.com;transport=udp", NOTHING, "a sips URI cannot go over udp (RFC 3261 §26.2.2)"),
        (
            "sip:[2001:db8::1]",
            NOTHING,
            "no udp socket for IPv6 is open here, so 2001:db8::1 is out of reach",
        ),
        (f"sip:{'a' * 64}.com", NOTHING, f"no address for {'a' * 64 + '.com'!r}: it is not a DNS name"),
    ],
)
def test_a_uri_without_hop_is_refused_in_a_sentence(text: str, zone: Zone, why: str) -> None:
    assert refusal(text, zone) == why


def test_udp_without_a_udp_socket_is_refused_with_the_remedy() -> None:
    assert refusal("sip:192.0.2.1;transport=udp", {}, NO_UDP) == (
        "no udp socket is open here: add udp:ADDRESS:PORT to sip.listen"
    )


def test_when_dns_is_dead_nothing_more_is_asked() -> None:
    uri = parse_uri("sip:example.com")
    assert isinstance(uri, SipUri)
    steps = locate(uri, IPV4, least)
    questions = next(steps)

    with pytest.raises(TransportError, match=r"no address for example\.com: DNS did not answer in 3 s"):
        steps.send(dict.fromkeys(questions, SILENCE))


def always(mark: int) -> Choose:
    return lambda count: min(mark, count - 1)


def test_weights_share_out_the_first_place() -> None:
    """RFC 2782: of 0..4 marks, a record of weight 1 owns 0 and 1 (after weight 0), one of weight 3 the rest."""
    records = [Srv(1, 3, 5060, "heavy"), Srv(1, 1, 5060, "light")]

    firsts = [ordered(records, always(mark))[0].target for mark in range(5)]

    assert firsts == ["light", "light", "heavy", "heavy", "heavy"]


def test_a_record_of_weight_zero_comes_first_only_by_the_smallest_chance() -> None:
    records = [Srv(1, 9, 5060, "usual"), Srv(1, 0, 5060, "spare")]

    firsts = [ordered(records, always(mark))[0].target for mark in range(3)]

    assert firsts == ["spare", "usual", "usual"]


@given(
    st.lists(st.builds(Srv, st.integers(0, 3), st.integers(0, 65535), st.just(5060), st.text("abc", min_size=1))),
    st.randoms(use_true_random=False),
)
def test_any_records_are_all_tried_once_by_priority(records: list[Srv], random: object) -> None:
    choose: Choose = random.randrange  # type: ignore[attr-defined]

    result = ordered(records, choose)

    assert sorted(result) == sorted(records)
    assert [one.priority for one in result] == sorted(one.priority for one in records)
