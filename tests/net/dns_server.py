"""A DNS server on loopback that says what a test tells it, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = dict[tuple[str, str], list[str]]  # (name, type) -> records in zone file form


class DnsServer(asyncio.DatagramProtocol):
    """Answers from `zone`; a name without any record does not exist.

    Attributes:
        zone: may be changed at any time.
        ttl_s: of every record.
        silent: names that get no answer at all.
        broken: names for which it admits to have failed.
        asked: (name, type) of every question.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.ttl_s = 300
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent or self._transport is None:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self.zone:
            self._answer(response, question.name.to_text(), name, kind)
        elif name not in {known for known, _ in self.zone}:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), addr)

    def _answer(self, response: dns.message.Message, owner: str, name: str, kind: str) -> None:
        records = self.zone[name, kind]
        if records[0].startswith("CNAME "):
            target = records[0].removeprefix("CNAME ")
            response.answer.append(dns.rrset.from_text(owner, self.ttl_s, "IN", "CNAME", target))
            owner, records = target, self.zone[target.removesuffix("."), kind]
        response.answer.append(dns.rrset.from_text(owner, self.ttl_s, "IN", kind, *records))


@asynccontextmanager
async def dns_server(zone: Zone | None = None) -> AsyncIterator[DnsServer]:
    """Serve `zone` on a port of loopback."""
    server = DnsServer(zone or {})
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    server.port = transport.get_extra_info("sockname")[1]
    try:
        yield server
    finally:
        transport.close()
