import pytest

from sipflow.errors import RemoteProtocolError
from sipflow.sdp.agreement import Agreed, Capabilities, LocalMedia
from sipflow.sdp.offer_answer import answer_offer

IPV4 = LocalMedia("192.0.2.9", 10000, 10001, 1, 1)
IPV6 = LocalMedia("2001:db8::9", 10000, 10001, 1, 1)

Place = tuple[str, int, str, int]


def settled(local: LocalMedia, connection: str, *attributes: str) -> Agreed:
    offer = "\r\n".join(["v=0", f"c=IN {connection}", "m=audio 4000 RTP/AVP 0", *attributes, ""])
    _, agreed = answer_offer(offer.encode(), local, Capabilities())
    return agreed


def place(agreed: Agreed) -> Place:
    return agreed.remote_host, agreed.remote_rtp_port, agreed.remote_rtcp_host, agreed.remote_rtcp_port


def candidate(component: int, priority: int, address: str, port: int, transport: str = "UDP") -> str:
    return f"a=candidate:1 {component} {transport} {priority} {address} {port} typ host generation 0"


def test_a_candidate_of_our_family_is_where_a_caller_with_the_other_one_in_c_is_reached() -> None:
    candidates = [
        candidate(1, 2130706431, "2001:db8::1", 4000),
        candidate(2, 2130706430, "2001:db8::1", 4001),
        candidate(1, 100, "192.0.2.1", 5000),
        candidate(1, 200, "192.0.2.2", 6000),
        candidate(2, 199, "192.0.2.2", 6005),
        candidate(1, 300, "192.0.2.3", 9, "TCP"),
    ]

    assert place(settled(IPV4, "IP6 2001:db8::1", *candidates)) == ("192.0.2.2", 6000, "192.0.2.2", 6005)
    assert place(settled(IPV6, "IP4 192.0.2.1", *candidates)) == ("2001:db8::1", 4000, "2001:db8::1", 4001)


def test_alternative_addresses_count_before_candidates_and_the_lowest_number_first() -> None:
    alternatives = ["a=altc:3 IP4 192.0.2.3 7000", "a=altc:2 IP4 192.0.2.2 6000", "a=altc:1 IP6 2001:db8::1 4000"]
    candidates = [candidate(1, 100, "192.0.2.1", 5000)]

    agreed = settled(IPV4, "IP6 2001:db8::1", *candidates, *alternatives)

    assert place(agreed) == ("192.0.2.2", 6000, "192.0.2.2", 6001)


def test_the_address_of_c_is_used_where_its_family_is_ours() -> None:
    agreed = settled(IPV4, "IP4 192.0.2.1", candidate(1, 100, "192.0.2.7", 5000), "a=altc:1 IP4 192.0.2.3 7000")

    assert place(agreed) == ("192.0.2.1", 4000, "192.0.2.1", 4001)


@pytest.mark.parametrize(
    "attribute",
    [
        candidate(1, 100, "2001:db8::2", 5000),
        candidate(2, 100, "192.0.2.1", 5000),
        candidate(1, 100, "192.0.2.1", 0),
        candidate(1, 100, "192.0.2.1", 65536),
        candidate(1, 100, "0.0.0.0", 5000),
        candidate(1, 100, "224.0.0.1", 5000),
        candidate(1, 100, "1.2.3", 5000),
        "a=candidate:1 1 UDP 100 4f2b.local 5000 typ host",
        "a=candidate",
        "a=altc:1 IP4 192.0.2.1",
        "a=altc:1 IP4 192.0.2.1 70000",
    ],
)
def test_without_a_usable_address_of_our_family_the_offer_is_refused(attribute: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        settled(IPV4, "IP6 2001:db8::1", attribute)

    assert (caught.value.status, caught.value.warning) == (488, 301)


@pytest.mark.parametrize(("local", "nowhere"), [(IPV4, "0.0.0.0"), (IPV6, "::")])
def test_a_host_that_is_named_is_sent_to_where_it_speaks_from(local: LocalMedia, nowhere: str) -> None:
    agreed = settled(local, "IP4 media.example.com")

    assert (agreed.sends, agreed.receives, *place(agreed)) == (True, True, nowhere, 4000, nowhere, 0)


def test_a_candidate_of_a_host_that_is_named_says_where_it_is() -> None:
    agreed = settled(IPV4, "IP4 media.example.com", candidate(1, 200, "192.0.2.2", 6000))

    assert place(agreed) == ("192.0.2.2", 6000, "192.0.2.2", 6001)


@pytest.mark.parametrize(
    ("local", "connection", "nowhere"),
    [(IPV4, "IP6 ::", "0.0.0.0"), (IPV6, "IP4 0.0.0.0", "::")],
)
def test_a_hold_without_an_address_may_be_written_in_either_family(
    local: LocalMedia, connection: str, nowhere: str
) -> None:
    agreed = settled(local, connection)

    assert (agreed.sends, agreed.receives, *place(agreed)) == (False, True, nowhere, 4000, nowhere, 0)
