"""The steps of a trunk's test, one by one."""

from pathlib import Path

from sipflow.cli.trunk_probe import connect, own_sockets, resolve
from sipflow.net.settings import DnsSettings, ListenAddress, TlsSettings
from sipflow.net.settings import Settings as NetSettings
from sipflow.sip.hop import Hop
from sipflow.trunks.findings import Finding, Judgement
from sipflow.trunks.trunk import Trunk
from tests.interop.free_ports import free_sip_port
from tests.net.dns_server import dns_server

NET = NetSettings(listen=(ListenAddress("udp", "127.0.0.1", 5060), ListenAddress("tcp", "127.0.0.1", 5060)))


def test_sockets_are_beside_those_of_the_daemon_and_advertise_no_port_of_its() -> None:
    settings = NetSettings(
        listen=(*NET.listen, ListenAddress("udp", "::1", 5060)),
        advertise="203.0.113.5:5060",
        advertise_by_transport={"tcp": "edge.example.com:5060"},
    )
    own = own_sockets(settings)

    assert [str(address) for address in own.listen] == [
        "udp:127.0.0.1:0", "tcp:127.0.0.1:0", "udp:[::1]:0", "tcp:[::1]:0",
    ]  # fmt: skip
    assert (own.advertise, dict(own.advertise_by_transport)) == ("203.0.113.5", {"tcp": "edge.example.com"})


async def test_records_that_led_to_the_far_end_are_shown() -> None:
    zone = {
        ("pbx.test", "NAPTR"): ['10 20 "s" "SIP+D2U" "" _sip._udp.pbx.test.'],
        ("_sip._udp.pbx.test", "SRV"): ["1 2 5070 one.pbx.test."],
        ("one.pbx.test", "A"): ["192.0.2.10"],
    }
    found: list[Finding] = []
    async with dns_server(zone) as dns:
        net = NetSettings(listen=NET.listen, dns=DnsSettings(servers=(f"127.0.0.1:{dns.port}",)))
        hops = await resolve(net, Trunk("pbx", sip_domain="pbx.test"), found.append)

    assert [str(hop) for hop in hops] == ["udp:192.0.2.10:5070"]
    assert found[0].text == "sip:pbx.test leads to udp:192.0.2.10:5070"
    assert {
        "NAPTR pbx.test: 10 20 SIP+D2U _sip._udp.pbx.test",
        "SRV _sip._udp.pbx.test: 1 2 5070 one.pbx.test",
        "A one.pbx.test: 192.0.2.10",
    } <= set(found[0].details)


async def test_connection_that_is_refused_fails_and_udp_needs_none() -> None:
    found: list[Finding] = []
    port = free_sip_port()

    assert not await connect(NET, Hop("tcp", "127.0.0.1", port), found.append, patience_s=2.0)
    assert await connect(NET, Hop("udp", "127.0.0.1", port), found.append, patience_s=2.0)
    assert [each.judgement for each in found] == [Judgement.FAILED, Judgement.SKIPPED]
    assert "connection refused: nothing listens there" in found[0].text


async def test_trust_that_cannot_be_read_is_told_before_a_connection(tmp_path: Path) -> None:
    found: list[Finding] = []
    net = NetSettings(listen=NET.listen, tls=TlsSettings(ca=str(tmp_path / "none.pem")))

    assert not await connect(net, Hop("tls", "127.0.0.1", 5061), found.append, patience_s=2.0)
    assert (found[0].step, "none.pem" in found[0].text) == ("tls", True)
