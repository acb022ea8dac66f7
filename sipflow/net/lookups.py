"""DNS questions over the network, by dnspython."""

import os
from collections.abc import Iterable

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from sipflow.net.records import Answer, Naptr, Question, Srv
from sipflow.net.settings import DnsSettings, server_address

_MOST_RECORDS = 64  # a zone with thousands would make us sort and shuffle them for every call
_MOST_SAID = 4  # failures of servers in one sentence
_EDNS_BYTES = 1232  # the largest answer that is never fragmented (DNS flag day 2020)
_NO_NAME = Answer(problem="DNS says the name does not exist")
_NOT_A_NAME = Answer(problem="it is not a DNS name", ttl_s=60.0)
_SYSTEM = "/etc/resolv.conf"


class DnsLookup:
    """Asks the servers of `settings`, or the system's; ids and source ports are random (RFC 5452 §9).

    DHCP and VPNs give the system other servers while we run: its file is read again when it has changed.
    """

    def __init__(self, settings: DnsSettings, *, system: str = _SYSTEM) -> None:
        """Read nothing yet; `system` is the file that names the system's servers."""
        self._settings = settings
        self._system = system
        self._stamp: tuple[int, ...] = ()
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
        except dns.resolver.NoNameservers as error:
            return Answer(problem=f"no DNS server could answer ({_failures(error)})", silent=True)
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
        stamp = () if self._servers else _stamp(self._system)
        if self._resolver is None or stamp != self._stamp:
            self._resolver = None
            resolver = dns.asyncresolver.Resolver(self._system, configure=not self._servers)
            if self._servers:
                resolver.nameservers = list(self._servers)
            resolver.timeout = self._settings.lookup_s / 3  # a lost datagram is asked for again in time
            resolver.use_edns(0, 0, _EDNS_BYTES)
            self._resolver, self._stamp = resolver, stamp
        return self._resolver


def _stamp(file: str) -> tuple[int, ...]:
    """Tell a state of a file from every other one; () where there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return ()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _failures(error: dns.resolver.NoNameservers) -> str:
    """Say what each server said, or what became of asking it."""
    said: dict[str, None] = {}
    for server, over_tcp, _, what, _ in error.kwargs.get("errors", ()):
        name = str(server).removeprefix("Do53:").removesuffix("@53") + (" over TCP" if over_tcp else "")
        said[f"{name}: {_failure(what)}"] = None
    return ", ".join(list(said)[:_MOST_SAID]) or "all refused or failed"


def _failure(what: Exception | str) -> str:
    if isinstance(what, dns.message.ChainTooLong):
        return "its CNAME records are a circle, or too long a chain"
    if isinstance(what, dns.message.Truncated):
        return "the answer is too long for UDP"
    if isinstance(what, OSError) and what.errno:
        return os.strerror(what.errno)
    return str(what) or type(what).__name__


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
