import asyncio

from structlog.testing import capture_logs

from sipflow.errors import TransportError
from sipflow.sip.hop import Hop
from sipflow.sip.uri import SipUri
from sipflow.trunks.addresses import Addresses
from sipflow.trunks.table import TrunkTable
from sipflow.trunks.trunk import Trunk
from tests.trunks.registrar import SECRET, pbx
from tests.trunks.virtual_time import run


class Names:
    """A DNS of one's own; remembers what was asked."""

    def __init__(self, hosts: dict[str, list[str]]) -> None:
        self.hosts = hosts
        self.asked: list[str] = []

    async def resolve(self, uri: SipUri) -> tuple[Hop, ...]:
        self.asked.append(str(uri))
        await asyncio.sleep(0.01)
        if uri.host not in self.hosts:
            raise TransportError(f"no address for {uri.host}")
        return tuple(Hop("udp", host, 5060) for host in self.hosts[uri.host])


def known(table: TrunkTable, *last: int) -> list[int]:
    return [number for number in last if table.knows(Hop("udp", f"10.0.0.{number}", 5060))]


def test_every_address_of_a_trunks_names_is_let_in_and_followed() -> None:
    async def scenario() -> None:
        trunk = pbx(outbound_proxy="proxy.example.com;transport=tcp")
        names = Names({"pbx.example.com": ["10.0.0.1"], "proxy.example.com": ["10.0.0.2", "10.0.0.3"]})
        table = TrunkTable([trunk], secret=SECRET)
        addresses = Addresses(names, table)
        addresses.apply([trunk])
        addresses.start()
        await asyncio.sleep(1.0)
        assert names.asked == ["sip:proxy.example.com;transport=tcp", "sip:pbx.example.com"]
        assert known(table, 1, 2, 3, 4) == [1, 2, 3]

        names.hosts["proxy.example.com"] = ["10.0.0.4"]
        await asyncio.sleep(61.0)
        assert known(table, 1, 2, 3, 4) == [1, 2, 3, 4]  # one more round for those that are gone
        await asyncio.sleep(60.0)
        assert known(table, 1, 2, 3, 4) == [1, 4]
        await addresses.stop()

    run(scenario)


def test_a_name_that_fails_keeps_its_addresses_and_is_told_once() -> None:
    async def scenario() -> None:
        trunk = pbx()
        names = Names({"pbx.example.com": ["10.0.0.1"]})
        table = TrunkTable([trunk], secret=SECRET)
        addresses = Addresses(names, table)
        addresses.apply([trunk])
        addresses.start()
        await asyncio.sleep(1.0)
        names.hosts.clear()
        with capture_logs() as logs:
            await asyncio.sleep(200.0)

        assert known(table, 1) == [1]
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [
            (
                "warning",
                "trunk pbx: no address for pbx.example.com: calls from pbx.example.com may be refused meanwhile",
            )
        ]
        await addresses.stop()

    run(scenario)


def test_a_domain_behind_a_proxy_may_have_no_address() -> None:
    async def scenario() -> None:
        trunk = pbx(outbound_proxy="10.0.0.5:5080;transport=tcp")
        table = TrunkTable([trunk], secret=SECRET)
        addresses = Addresses(Names({}), table)
        with capture_logs() as logs:
            addresses.apply([trunk])
            addresses.start()
            await asyncio.sleep(1.0)

        assert known(table, 5) == [5]
        assert [entry["log_level"] for entry in logs] == ["debug"]
        await addresses.stop()

    run(scenario)


def test_a_reload_is_looked_up_at_once_and_those_without_names_never() -> None:
    async def scenario() -> None:
        names = Names({"pbx.example.com": ["10.0.0.1"], "new.example.com": ["10.0.0.2"]})
        first = [pbx(), Trunk("literal", sip_domain="10.0.0.7")]
        table = TrunkTable(first, secret=SECRET)
        addresses = Addresses(names, table)
        addresses.start()
        addresses.apply(first)
        await asyncio.sleep(1.0)

        second = [pbx(sip_domain="new.example.com")]
        table.replace(second)
        addresses.apply(second)
        await asyncio.sleep(1.0)

        assert names.asked == ["sip:pbx.example.com", "sip:new.example.com"]
        assert known(table, 1, 2, 7) == [2]
        await addresses.stop()

    run(scenario)
