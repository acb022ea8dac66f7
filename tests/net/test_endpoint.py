
import pytest

from tests.net.fakes import OK, hop_to, request, running, transmit
from tests.net.loops import on_both_loops

EVERYWHERE = ("udp:127.0.0.1:0", "udp:[::1]:0", "tcp:127.0.0.1:0", "tcp:[::1]:0")


@pytest.mark.parametrize("address", EVERYWHERE)
@on_both_loops
async def test_a_message_and_its_answer_travel_over(address: str) -> None:
    async with running(address) as (server, server_core), running(address) as (client, client_core):
        server_core.replies = lambda parsed, hop: [transmit(OK, hop)]

        client.perform([transmit(request(), hop_to(server))])
        await client_core.until_received(1)

        (_, source), (_, answered) = server_core.received[0], client_core.received[0]
        assert (server_core.methods, client_core.methods) == (["OPTIONS"], ["200"])
        assert (answered.transport, answered.host, answered.port) == hop_to(server)[:3]
        assert (source.local_host, source.local_port) == (server.listening[0].host, server.listening[0].port)
        assert bool(source.connection) == source.reliable
