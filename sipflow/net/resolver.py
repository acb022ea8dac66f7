"""From a URI to the addresses to send to, in order (RFC 3263)."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from importlib import import_module

from sipflow.errors import TransportError
from sipflow.net.cache import CachedLookup
from sipflow.net.hosts import Hosts
from sipflow.net.locate import Choose, Located, Reach, locate
from sipflow.net.records import Answer, Lookup, Question
from sipflow.net.settings import DnsSettings, ListenAddress, Settings
from sipflow.sip.hop import Hop
from sipflow.sip.uri import SipUri
from sipflow.tasks import Tasks

_KINDS = {4: "A", 6: "AAAA"}


class _Dns:
    """DNS, loaded with the first question and outside the loop: importing dnspython takes a fifth of a second."""

    def __init__(self, settings: DnsSettings) -> None:
        self._settings = settings
        self._lookup: Lookup | None = None

    async def __call__(self, question: Question) -> Answer:
        if self._lookup is None:
            lookups = await asyncio.to_thread(import_module, "sipflow.net.lookups")
            self._lookup = lookups.DnsLookup(self._settings)
        return await self._lookup(question)


class Resolver:
    """Resolves URIs for the sockets that `settings` opens.

    Args:
        settings: its listeners say which transports and IP versions are of use; its `dns` how long to wait.
        lookup: asks one question; DNS unless a test brings its own.
        hosts: the hosts file; this machine's unless a test brings its own.
        choose: gives a number from 0 to n-1, for the weights of SRV records.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        lookup: Lookup | None = None,
        hosts: Hosts | None = None,
        choose: Choose | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings.dns
        self._reach = reach_of(settings.listen)
        self._tasks = Tasks()
        self._cache = CachedLookup(lookup or _Dns(settings.dns), settings.dns, tasks=self._tasks, clock=clock)
        self._hosts = hosts or Hosts(clock)
        self._choose = choose or random.Random().randrange

    def known(self, uri: SipUri) -> tuple[Hop, ...] | None:
        """Resolve without waiting: an IP literal, or a name all of whose answers are at hand; else None.

        Raises:
            TransportError: there is no hop; the sentence says why.
        """
        steps = locate(uri, self._reach, self._choose)
        answers: dict[Question, Answer] = {}
        try:
            questions = next(steps)
            while True:
                for question in questions:
                    answer = self._at_hand(question)
                    if answer is None:
                        return None
                    answers[question] = answer
                questions = steps.send({question: answers[question] for question in questions})
        except StopIteration as end:
            hops: tuple[Hop, ...] = end.value
            return hops

    async def resolve(self, uri: SipUri) -> tuple[Hop, ...]:
        """Find the hops of `uri`, best first, at most 16; IP literals do not wait.

        Raises:
            TransportError: there is no hop; the sentence says why.
        """
        known = self.known(uri)
        if known is not None:
            return known
        steps = locate(uri, self._reach, self._choose)
        try:
            async with asyncio.timeout(self._settings.total_s):
                return await self._drive(steps)
        except TimeoutError:
            message = f"no address for {uri.host}: DNS did not answer in {self._settings.total_s:g} s"
            raise TransportError(message) from None

    async def close(self) -> None:
        """Abandon what is being looked up."""
        await self._tasks.close()

    async def _drive(self, steps: Located) -> tuple[Hop, ...]:
        try:
            questions = next(steps)
            while True:
                found = await asyncio.gather(*(self._answer(question) for question in questions))
                questions = steps.send(dict(zip(questions, found, strict=True)))
        except StopIteration as end:
            hops: tuple[Hop, ...] = end.value
            return hops

    def _at_hand(self, question: Question) -> Answer | None:
        return self._hosts.answer(question) or self._cache.known(question)

    async def _answer(self, question: Question) -> Answer:
        return self._hosts.answer(question) or await self._cache(question)


def reach_of(listen: Iterable[ListenAddress]) -> Reach:
    """Say what sockets on `listen` reach: UDP through a socket of that IP version, streams through any.

    The IP version of the first listener is preferred: it is the operator's word, where RFC 6724 could only guess.
    """
    addresses = list(listen)
    versions = {6 if ":" in address.host else 4: None for address in addresses} or {4: None, 6: None}
    streams = tuple(_KINDS[version] for version in versions)
    udp = {6 if ":" in address.host else 4: None for address in addresses if address.transport == "udp"}
    kinds = {"udp": tuple(_KINDS[version] for version in udp)} if udp else {}
    return Reach({**kinds, "tcp": streams, "tls": streams})
