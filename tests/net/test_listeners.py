import socket
from typing import Any

import pytest

from sipflow.errors import TransportError
from sipflow.net.listeners import Listeners
from sipflow.net.local import LocalAddresses
from sipflow.net.settings import Settings, TlsSettings
from sipflow.net.tls import TlsContexts
from sipflow.sip.hop import Hop
from tests.net.certificates import Certificates
from tests.net.fakes import listen


def listeners(*texts: str, **more: Any) -> tuple[Listeners, LocalAddresses]:
    settings = Settings(listen=listen(*texts), **more)
    local = LocalAddresses(lambda: 0.0)
    made = Listeners(
        settings,
        local,
        TlsContexts(settings.tls),
        on_datagram=lambda data, hop: None,
        on_unreachable=lambda hop, why: None,
        on_accepted=lambda sock, host, port, listener: sock.close(),
        on_exhausted=lambda error: None,
    )
    return made, local


async def test_the_socket_of_a_hop_is_the_one_it_names_or_the_one_that_reaches_it() -> None:
    made, local = listeners("udp:127.0.0.1:0", "udp:127.0.0.1:0", "udp:[::1]:0")
    made.open()
    first, second, six = made.addresses

    def chosen(hop: Hop) -> object:
        udp = made.udp(hop)
        return udp.address if udp is not None else None

    four = Hop("udp", "127.0.0.1", 5060)
    assert [
        chosen(four),
        chosen(four._replace(local_host="127.0.0.1", local_port=second.port)),
        chosen(four._replace(local_host="127.0.0.1", local_port=second.port)),
        chosen(Hop("udp", "::1", 5060)),
        chosen(local.fill(four)),
    ] == [first, second, second, six, first]
    made.forget_routes()
    made.close()
    assert (made.addresses, made.udp(four)) == ((), None)


async def test_a_transport_or_ip_version_that_is_not_listened_on_has_no_socket() -> None:
    made, _ = listeners("udp:127.0.0.1:0", "tcp:[::1]:0")
    made.open()

    assert made.udp(Hop("udp", "::1", 5060)) is None
    made.close()


async def test_if_one_cannot_open_none_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
        made, _ = listeners("udp:127.0.0.1:0", address)

        with pytest.raises(TransportError, match=f"^cannot listen on {address}: another program"):
            made.open()

    assert made.addresses == ()


async def test_a_tls_listener_needs_a_certificate_that_can_be_used(certificates: Certificates) -> None:
    wrong = TlsSettings(certificate=certificates.server.certificate, key=certificates.client.key)
    made, _ = listeners("tls:127.0.0.1:0", tls=wrong)

    with pytest.raises(TransportError, match=r"^cannot use certificate .*server\.pem with key .*client\.key: "):
        made.open()


async def test_nothing_was_dropped_by_sockets_that_sent_nothing() -> None:
    made, _ = listeners("udp:127.0.0.1:0")
    made.open()

    assert made.dropped_datagrams == 0
    made.close()


async def test_the_socket_of_a_hop_is_known_by_heart_until_routes_are_forgotten() -> None:
    made, local = listeners("udp:127.0.0.1:0")
    made.open()
    hop = local.fill(Hop("udp", "127.0.0.1", 5060))

    assert made.known_udp(hop) is None
    found = made.udp(hop)
    assert found is not None
    assert made.known_udp(hop) is found
    made.forget_routes()
    assert made.known_udp(hop) is None
    made.udp(hop)
    made.close()
    assert made.known_udp(hop) is None


async def test_a_flood_of_hops_does_not_fill_the_memory() -> None:
    made, local = listeners("udp:127.0.0.1:0")
    made.open()
    hop = local.fill(Hop("udp", "127.0.0.1", 5060))

    hops = [hop._replace(port=port) for port in range(1, 5000)]
    for one in hops:
        made.udp(one)

    assert sum(made.known_udp(one) is not None for one in hops) <= 4096
    made.close()
