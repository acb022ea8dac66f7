"""DNS questions over the network, by dnspython."""

from collections.abc import Iterable

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from sipflow.net.records import Answer, Naptr, Question, Srv
from sipflow.net.settings import DnsSettings, server_address

_MOST_RECORDS = 64  # a zone with thousands would make us sort and shuffle them for every call
_EDNS_BYTES = 1232  # the largest answer that is never fragmented (DNS flag day 2020)
_NO_NAME = Answer(problem="DNS says the name does not exist")
_NOT_A_NAME = Answer(problem="it is not a DNS name", ttl_s=60.0)


class DnsLookup:
    """Asks the servers of `settings`, or the system's; ids and source ports are random (RFC 5452 §9)."""

    def __init__(self, settings: DnsSettings) -> None:
        self._settings = settings
        self._servers = [dns.nameserver.Do53Nameserver(*server_address(text)) for text in settings.servers]
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def __call__(self, question: Question) -> Answer:
        """Look it up in at most `lookup_s`."""
        try:
            answer = await self._configured().resolve(
                question.name,
                question.kind,
                raise_on_no_answer=False,
                lifetime=self._settings.lookup_s,
                search="." not in question.name,  # a bare name may belong to the domain of this host
            )
        except dns.resolver.NXDOMAIN:
            return _NO_NAME
        except dns.exception.Timeout:
            return Answer(problem=f"DNS did not answer in {self._settings.lookup_s:g} s", silent=True)
        except dns.resolver.NoNameservers:
            return Answer(problem="no DNS server could answer (all refused or failed)", silent=True)
        except dns.resolver.NoResolverConfiguration:
            return Answer(problem="no DNS server is configured on this host", silent=True)
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return _NOT_A_NAME
        except OSError as error:
            return Answer(problem=f"DNS cannot be reached: {error.strerror or error}", silent=True)
        if answer.rrset is None:
            return Answer()
        return _read(list(answer.rrset)[:_MOST_RECORDS], float(answer.chaining_result.minimum_ttl))

    def _configured(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers = list(self._servers)
            resolver.timeout = self._settings.lookup_s / 3  # a lost datagram is asked for again in time
            resolver.use_edns(0, 0, _EDNS_BYTES)
            self._resolver = resolver
        return self._resolver


def _read(records: Iterable[dns.rdata.Rdata], ttl_s: float) -> Answer:
    naptr: list[Naptr] = []
    srv: list[Srv] = []
    addresses: list[str] = []
    for record in records:
        if isinstance(record, NAPTR):
            naptr.append(
                Naptr(
                    record.order,
                    record.preference,
                    _text(record.flags),
                    _text(record.service),
                    _name(record.replacement),
                )
            )
        elif isinstance(record, SRV):
            srv.append(Srv(record.priority, record.weight, record.port, _name(record.target)))
        else:
            addresses.append(record.to_text())
    return Answer(tuple(naptr), tuple(srv), tuple(addresses), ttl_s)


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")


def _name(value: dns.name.Name) -> str:
    return value.to_text(omit_final_dot=True).lower() if value != dns.name.root else ""
