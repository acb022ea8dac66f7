"""Answers that are remembered, and questions that are asked once however many wait for them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import structlog

from sipflow.net.records import Answer, Lookup, Question
from sipflow.net.settings import DnsSettings
from sipflow.tasks import Tasks

_TTL_MIN_S = 1.0  # a zone that says 0 would be asked for every message

_log = structlog.get_logger("sipflow.net")


class _Entry(NamedTuple):
    answer: Answer
    fresh_until: float
    usable_until: float
    stale: bool = False  # DNS did not answer when it was asked for again


class CachedLookup:
    """Puts a memory in front of a `Lookup`."""

    def __init__(self, lookup: Lookup, settings: DnsSettings, *, tasks: Tasks, clock: Callable[[], float]) -> None:
        self._lookup = lookup
        self._settings = settings
        self._tasks = tasks
        self._clock = clock
        self._entries: OrderedDict[Question, _Entry] = OrderedDict()
        self._asking: dict[Question, asyncio.Task[Answer]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, question: Question) -> Answer | None:
        """Give an answer that is still good, or None.

        While DNS is dead nobody waits for it: an expired answer serves, and is asked for again beside that.
        """
        entry = self._entries.get(question)
        if entry is None:
            return None
        now = self._clock()
        if now >= entry.fresh_until:
            if not entry.stale or now >= entry.usable_until:
                return None
            self._begin(question)
        self._entries.move_to_end(question)
        return entry.answer

    async def __call__(self, question: Question) -> Answer:
        """Answer from memory, or ask; who stops waiting takes the answer from nobody else."""
        known = self.known(question)
        if known is not None:
            return known
        return await asyncio.shield(self._begin(question))

    def _begin(self, question: Question) -> asyncio.Task[Answer]:
        task = self._asking.get(question)
        if task is None:
            task = self._tasks.spawn(self._ask(question), name=f"DNS {question.kind} {question.name}")
            self._asking[question] = task
        return task

    async def _ask(self, question: Question) -> Answer:
        try:
            async with asyncio.timeout(self._settings.lookup_s):
                answer = await self._lookup(question)
        except TimeoutError:
            answer = Answer(problem=f"DNS did not answer in {self._settings.lookup_s:g} s", silent=True)
        except Exception as error:  # noqa: BLE001  (a fault in the DNS library is one failed look-up, not a lost call)
            _log.error("DNS look-up failed", question=" ".join(question), exc_info=error)
            answer = Answer(problem=f"the look-up failed: {error}", silent=True)
        finally:
            del self._asking[question]
        return self._keep(question, answer)

    def _keep(self, question: Question, answer: Answer) -> Answer:
        now = self._clock()
        settings = self._settings
        old = self._entries.get(question)
        if answer.silent and old is not None and _still_serves(question, old.answer) and now < old.usable_until:
            # RFC 8767 §4: better an answer of yesterday than none. It is asked for again soon.
            entry = old._replace(fresh_until=now + settings.negative_ttl_s, stale=True)
        else:
            ttl = settings.negative_ttl_s if answer.empty else min(max(answer.ttl_s, _TTL_MIN_S), settings.ttl_max_s)
            entry = _Entry(answer, now + ttl, now + ttl + settings.stale_s)
        self._entries[question] = entry
        self._entries.move_to_end(question)
        while len(self._entries) > settings.cache_entries:
            self._entries.popitem(last=False)
        return entry.answer


def _still_serves(question: Question, answer: Answer) -> bool:
    """Whether an expired answer is worth something: a host that had no SRV records is found by its address again."""
    return not answer.empty or (question.kind in ("NAPTR", "SRV") and not answer.silent)
