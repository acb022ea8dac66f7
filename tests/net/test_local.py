from sipflow.net.local import LocalAddresses
from sipflow.net.settings import ListenAddress
from sipflow.sip.hop import Hop

WILD = ListenAddress("udp", "0.0.0.0", 5060)
LOOP = ListenAddress("udp", "127.0.0.1", 5070)
SIX = ListenAddress("udp", "::1", 5060)
TCP = ListenAddress("tcp", "127.0.0.1", 5080)


def listening(*addresses: ListenAddress) -> LocalAddresses:
    local = LocalAddresses(lambda: 0.0)
    local.listen_on(addresses)
    return local


def near(local: LocalAddresses, hop: Hop) -> tuple[str, int]:
    return local.fill(hop)[3:5]


def test_the_listener_of_the_hops_transport_and_ip_version_is_its_near_end() -> None:
    local = listening(WILD, SIX, TCP)

    assert near(local, Hop("udp", "127.0.0.1", 5060)) == ("127.0.0.1", 5060)
    assert near(local, Hop("udp", "::1", 5060)) == ("::1", 5060)
    assert near(local, Hop("tcp", "127.0.0.1", 5060)) == ("127.0.0.1", 5080)


def test_a_stream_transport_without_listener_has_the_port_that_its_connections_leave_from() -> None:
    local = listening(WILD, TCP)
    own = local.ports.first()

    assert near(local, Hop("tls", "127.0.0.1", 5061)) == ("127.0.0.1", own)
    assert near(local, Hop("tcp", "::1", 5060)) == ("::1", own)
    local.ports.close()


def test_udp_without_listener_has_no_port() -> None:
    assert near(listening(TCP), Hop("udp", "127.0.0.1", 5060)) == ("127.0.0.1", 0)


def test_a_listener_on_the_very_address_wins_over_one_on_all() -> None:
    assert near(listening(WILD, LOOP), Hop("udp", "127.0.0.1", 5060)) == ("127.0.0.1", 5070)


def test_a_hop_that_names_its_near_end_keeps_it() -> None:
    local = listening(LOOP, ListenAddress("udp", "127.0.0.1", 5071), WILD)
    hop = Hop("udp", "127.0.0.1", 5060, "127.0.0.1", 5071)

    assert local.fill(hop) == hop
    assert local.listener(hop) == ListenAddress("udp", "127.0.0.1", 5071)


def test_loopback_is_not_chosen_for_the_world_where_there_is_a_choice() -> None:
    outside = ListenAddress("udp", "198.51.100.1", 5060)

    assert listening(LOOP, outside).listener(Hop("udp", "203.0.113.9", 5060)) == outside


def test_a_host_without_route_or_that_is_no_address_has_no_source() -> None:
    local = listening()

    assert [local.source_of(host) for host in ("pbx.example.com", "127.0.0.1", "::1")] == ["", "127.0.0.1", "::1"]


def test_what_the_system_said_is_asked_again_after_a_minute_and_is_bounded() -> None:
    now = [0.0]
    local = LocalAddresses(lambda: now[0])
    local.source_of("127.0.0.1")
    local._sources["127.0.0.1"] = "127.0.0.9"

    now[0] = 59.0
    before = local.source_of("127.0.0.1")
    now[0] = 60.0

    assert (before, local.source_of("127.0.0.1")) == ("127.0.0.9", "127.0.0.1")
    for number in range(10_000):
        local.source_of(f"not-an-address-{number}")
    assert len(local._sources) <= 4096
