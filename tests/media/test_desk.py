import pytest

from sipflow.errors import PortsExhausted
from sipflow.media.desk import MediaDesk
from sipflow.media.ports import PortCounts
from sipflow.media.settings import Settings
from tests.media.stage import free_ports


async def test_sessions_share_ports_and_pacer() -> None:
    low = free_ports(8)
    desk = MediaDesk(Settings(port_low=low, port_high=low + 7, bind_host="127.0.0.1", drain_s=0.0))

    first, second = desk.open(ipv6=False), desk.open(ipv6=False)

    assert first.pair.port != second.pair.port
    assert desk.counts() == [PortCounts(lent=2, draining=0, free=2, taken=0)]
    first.close()
    second.close()
    await desk.close()


async def test_the_other_address_family_has_a_pool_of_its_own() -> None:
    desk = MediaDesk(Settings(port_low=23000, port_high=23099, bind_host="127.0.0.1"))

    session = desk.open(ipv6=True)

    assert session.pair.rtp.getsockname()[0] == "::"
    session.close()
    await desk.close()


async def test_no_free_port_is_exhaustion() -> None:
    low = free_ports(2)
    desk = MediaDesk(Settings(port_low=low, port_high=low + 1, bind_host="127.0.0.1"))
    session = desk.open(ipv6=False)

    with pytest.raises(PortsExhausted):
        desk.open(ipv6=False)

    session.close()
    await desk.close()
