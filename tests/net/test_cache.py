import asyncio

import pytest
import structlog

from sipflow.net.cache import CachedLookup
from sipflow.net.records import Answer, Question
from sipflow.net.settings import DnsSettings
from sipflow.tasks import Tasks

PBX = Question("A", "pbx.example.com")
FIRST = Answer(addresses=("192.0.2.1",), ttl_s=60.0)
SECOND = Answer(addresses=("192.0.2.2",), ttl_s=60.0)
SILENCE = Answer(problem="DNS did not answer in 3 s", silent=True)


class Source:
    """A lookup that gives prepared answers, and a cache in front of it on a clock of its own."""

    def __init__(self, *answers: Answer | Exception, settings: DnsSettings | None = None) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []
        self.open = asyncio.Event()
        self.open.set()
        self.now = 0.0
        self.tasks = Tasks()
        self.cache = CachedLookup(self.look, settings or DnsSettings(), tasks=self.tasks, clock=lambda: self.now)

    async def look(self, question: Question) -> Answer:
        self.asked.append(question)
        await self.open.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def settle(self) -> None:
        """Let what is asked in the background be answered."""
        while len(self.tasks):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_an_answer_is_kept_as_long_as_it_says() -> None:
    source = Source(FIRST, SECOND)

    seen = []
    for source.now in (0.0, 59.9, 60.0):
        seen.append(await source.cache(PBX))

    assert (seen, len(source.asked)) == ([FIRST, FIRST, SECOND], 2)


@pytest.mark.parametrize(("ttl_s", "kept_s"), [(0.0, 1.0), (1e9, 3600.0)])
async def test_an_absurd_ttl_is_brought_into_bounds(ttl_s: float, kept_s: float) -> None:
    source = Source(Answer(addresses=("192.0.2.1",), ttl_s=ttl_s))
    await source.cache(PBX)

    source.now = kept_s - 0.01
    before = source.cache.known(PBX)
    source.now = kept_s

    assert before is not None
    assert source.cache.known(PBX) is None


@pytest.mark.parametrize("nothing", [Answer(), Answer(problem="DNS says the name does not exist"), SILENCE])
async def test_nothing_is_remembered_for_five_seconds(nothing: Answer) -> None:
    source = Source(nothing, FIRST)

    seen = []
    for source.now in (0.0, 4.9, 5.0):
        seen.append(await source.cache(PBX))

    assert seen == [nothing, nothing, FIRST]


async def test_who_asks_at_the_same_time_shares_one_look_up() -> None:
    source = Source(FIRST)
    source.open.clear()
    waiting = [asyncio.create_task(source.cache(PBX)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)

    source.open.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert (results[1:], len(source.asked), len(source.tasks)) == ([FIRST] * 4, 1, 0)


async def test_an_expired_answer_serves_while_dns_is_dead_and_is_asked_for_again_soon() -> None:
    source = Source(FIRST, SILENCE, SILENCE, SECOND)

    seen = []
    for source.now in (0.0, 61.0, 65.0, 67.0, 73.0, 73.1):
        seen.append(await source.cache(PBX))
        await source.settle()

    assert (seen, len(source.asked)) == ([FIRST, FIRST, FIRST, FIRST, FIRST, SECOND], 4)


async def test_nobody_waits_for_a_dns_that_is_known_to_be_dead() -> None:
    source = Source(FIRST, SILENCE, SECOND)
    for source.now in (0.0, 61.0):
        await source.cache(PBX)
    source.open.clear()
    source.now = 67.0

    assert source.cache.known(PBX) == FIRST
    source.open.set()
    await source.settle()
    assert source.cache.known(PBX) == SECOND


@pytest.mark.parametrize("kind", ["NAPTR", "SRV"])
async def test_that_there_was_no_such_record_is_still_known_while_dns_is_dead(kind: str) -> None:
    question = Question(kind, "_sip._udp.pbx.example.com")
    source = Source(Answer(problem="DNS says the name does not exist"), SILENCE)

    seen = []
    for source.now in (0.0, 61.0):
        seen.append((await source.cache(question)).silent)

    assert seen == [False, False]


async def test_an_answer_of_the_day_before_yesterday_does_not() -> None:
    source = Source(FIRST, SILENCE)
    await source.cache(PBX)

    source.now = 2 * 86400.0

    assert await source.cache(PBX) == SILENCE


async def test_a_name_that_is_gone_is_gone() -> None:
    gone = Answer(problem="DNS says the name does not exist")
    source = Source(FIRST, gone)
    await source.cache(PBX)

    source.now = 61.0

    assert await source.cache(PBX) == gone


async def test_a_look_up_that_takes_too_long_is_given_up() -> None:
    source = Source(settings=DnsSettings(lookup_s=0.01))
    source.open.clear()

    assert await source.cache(PBX) == Answer(problem="DNS did not answer in 0.01 s", silent=True)


async def test_a_fault_in_the_library_is_a_failed_look_up() -> None:
    source = Source(IndexError("list index out of range"))

    with structlog.testing.capture_logs() as lines:
        answer = await source.cache(PBX)

    assert answer == Answer(problem="the look-up failed: list index out of range", silent=True)
    assert [line["event"] for line in lines] == ["DNS look-up failed"]


async def test_the_memory_is_bounded_and_forgets_what_was_asked_for_longest_ago() -> None:
    source = Source(*[FIRST] * 4, settings=DnsSettings(cache_entries=2))
    one, two, three = (Question("A", name) for name in ("one", "two", "three"))

    for question in (one, two, one, three):
        await source.cache(question)

    assert [source.cache.known(question) for question in (one, two, three)] == [FIRST, None, FIRST]
    assert len(source.cache) == 2
