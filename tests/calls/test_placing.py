"""Target after target, trunk after trunk, and where redirections point."""

import asyncio

import pytest

from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.status import status_of
from sipflow.errors import LimitReached
from sipflow.sip.hop import Hop
from sipflow.sip.uri import SipUri
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import Outgoing, answers, deaf_port, outgoing, refuses, rings_on, story, tries
from tests.calls.stage import WAIT_S

HANGUP = Ending("local", 200, 16, Word.HUNG_UP, Fault.NOBODY, "the agent is done")


def reached(stage: Outgoing) -> dict[str, int]:
    """How many calls came to each far end."""
    return {name: len(agent.calls) for name, agent in stage.calls.items()}


def names_lead_to(stage: Outgoing, *hops: Hop) -> None:
    """Let every name have these targets, as SRV records would say."""

    async def resolve(_uri: SipUri) -> tuple[Hop, ...]:
        return hops

    stage.near.endpoint.resolve = resolve  # type: ignore[method-assign, assignment]


async def target(stage: Outgoing, name: str) -> Hop:
    """The target that a far end is."""
    uri = SipUri("sip", None, None, "127.0.0.1", stage.port(name))
    return (await stage.near.endpoint.resolve(uri))[0]


@pytest.mark.parametrize(
    ("status", "reason"), [(503, "Service Unavailable"), (500, "Broken"), (408, "Request Timeout")]
)
async def test_a_target_that_cannot_is_followed_by_the_next_one_of_the_trunk(status: int, reason: str) -> None:
    async with outgoing(refuses(status, reason), answers, outbound=OutboundSettings()) as stage:
        names_lead_to(stage, await target(stage, "a"), await target(stage, "b"))
        record = await stage.over(stage.order())
        ports = [f"udp:127.0.0.1:{stage.port(name)}" for name in "ab"]
        ids = {agent.calls[0].record.sip_call_id for agent in stage.calls.values()}

    assert record.ending == HANGUP
    assert tries(record) == [("a", status, f"{reason}; the next target is tried"), ("a", 200, "answered")]
    assert [each.target for each in record.attempts] == ports
    assert (record.trunk, status_of(record)) == ("a", "completed")
    assert story(record) == ["started", "attempt_failed", "trying", "ringing", "answered", "ended"]
    assert len(ids) == 2
    assert record.sip_call_id in ids


async def test_a_trunk_that_cannot_is_followed_by_its_fail_over_trunks_in_order() -> None:
    async with outgoing(refuses(503, "full"), refuses(500, "broken"), answers) as stage:
        record = await stage.over(stage.order())
        came = reached(stage)

    assert tries(record) == [
        ("a", 503, "full; another way is tried"),
        ("b", 500, "broken; another way is tried"),
        ("c", 200, "answered"),
    ]
    assert (record.trunk, came, record.ending) == ("c", {"a": 1, "b": 1, "c": 1}, HANGUP)


async def test_when_nothing_is_left_the_last_refusal_is_the_calls() -> None:
    async with outgoing(refuses(503, "full"), refuses(502, "broken")) as stage:
        record = await stage.over(stage.order())

    assert record.ending == Ending("remote", 502, 38, Word.REJECTED, Fault.REMOTE, "broken")
    assert tries(record) == [("a", 503, "full; another way is tried"), ("b", 502, "broken")]


async def test_nobody_listening_there_is_a_reason_to_go_on_and_said_in_words() -> None:
    def trunks(ports: dict[str, int]) -> tuple[Trunk, ...]:
        away = Trunk("a", sip_domain="127.0.0.1:1", outbound=OutboundSettings(failover=("b",)))
        return (away, Trunk("b", sip_domain=f"127.0.0.1:{ports['a']}"))

    async with outgoing(answers, trunks=trunks) as stage:
        record = await stage.over(stage.order())

    assert record.ending == HANGUP
    assert [(trunk, status) for trunk, status, _ in tries(record)] == [("a", 503), ("b", 200)]
    assert "refused" in record.attempts[0].why
    assert record.attempts[0].why.endswith("; another way is tried")


async def test_a_name_without_address_is_a_reason_to_go_on_and_an_end_where_there_is_no_other_way() -> None:
    def trunks(ports: dict[str, int]) -> tuple[Trunk, ...]:
        nowhere = Trunk("a", sip_domain="no-such-host.invalid", outbound=OutboundSettings(failover=("b",)))
        return (nowhere, Trunk("b", sip_domain=f"127.0.0.1:{ports['a']}"), Trunk("c", sip_domain="also.invalid"))

    async with outgoing(answers, trunks=trunks) as stage:
        record = await stage.over(stage.order())
        stage.kept.records.clear()
        stage.numbers.trunk = "c"
        lost = await stage.over(stage.order())

    assert record.ending == HANGUP
    assert [(each.trunk, each.target, each.status) for each in record.attempts] == [
        ("a", "", 503),
        ("b", record.attempts[1].target, 200),
    ]
    assert lost.ending is not None
    assert (lost.ending.by, lost.ending.status, lost.ending.word) == ("system", 503, Word.UNREACHABLE)
    assert "also.invalid" in lost.ending.why
    assert (status_of(lost), story(lost)) == ("failed", ["started", "attempt_failed", "ended"])


async def test_a_target_that_says_nothing_at_all_is_left_in_time_and_cancelled_should_it_wake_up() -> None:
    async with deaf_port() as deaf:

        def trunks(ports: dict[str, int]) -> tuple[Trunk, ...]:
            silent = OutboundSettings(failover=("b",), silent_s=0.5)
            return (
                Trunk("a", sip_domain=f"127.0.0.1:{deaf}", outbound=silent),
                Trunk("b", sip_domain=f"127.0.0.1:{ports['a']}"),
            )

        async with outgoing(answers, trunks=trunks) as stage:
            record = await stage.over(stage.order())

    assert record.ending == HANGUP
    assert tries(record) == [("a", 408, "no word from it in 0.5 s; the next target is tried"), ("b", 200, "answered")]


async def test_a_target_that_rings_is_not_left_and_its_408_is_believed() -> None:
    async def rings_in_vain(call: InboundCall) -> None:
        await call.ring()
        await asyncio.sleep(0.6)
        await call.reject(408)

    async with outgoing(rings_in_vain, answers, outbound=OutboundSettings(failover=("b",), silent_s=0.5)) as stage:
        record = await stage.over(stage.order())
        came = reached(stage)

    assert (came, status_of(record)) == ({"a": 1, "b": 0}, "no-answer")
    assert [status for _, status, _ in tries(record)] == [408]


async def test_a_call_that_is_cancelled_between_two_targets_goes_no_further() -> None:
    async with outgoing(refuses(503), answers) as stage:
        resolve, looked_up, go = stage.near.endpoint.resolve, asyncio.Event(), asyncio.Event()

        async def slow(uri: SipUri) -> tuple[Hop, ...]:
            if uri.port == stage.port("b"):
                looked_up.set()
                await go.wait()
            return await resolve(uri)

        stage.near.endpoint.resolve = slow  # type: ignore[method-assign]
        record = stage.order()
        async with asyncio.timeout(WAIT_S):
            await looked_up.wait()
            await stage.originator.cancel(record.id)
        go.set()
        await stage.over(record)
        came = reached(stage)

    assert (came, status_of(record)) == ({"a": 1, "b": 0}, "canceled")


async def test_a_fail_over_trunk_without_room_is_passed_over() -> None:
    async with outgoing(refuses(503), answers, answers) as stage:

        def enter(_record: object, trunk: str) -> None:
            if trunk == "b":
                raise LimitReached("trunk b is full", limit="trunks.b.max_calls")

        stage.originator.enter = enter
        record = await stage.over(stage.order())
        came = reached(stage)

    assert (record.trunk, came) == ("c", {"a": 1, "b": 0, "c": 1})


async def test_a_trunk_that_is_known_to_be_down_is_tried_last() -> None:
    async with outgoing(answers, refuses(503, "full")) as stage:
        stage.originator.is_down = lambda trunk: trunk == "a"
        record = await stage.over(stage.order())

    assert tries(record) == [("b", 503, "full; another way is tried"), ("a", 200, "answered")]


async def test_a_target_that_asked_for_rest_is_tried_last_by_the_next_call() -> None:
    async with outgoing(refuses(503, "busy", Retry_After="60"), answers, outbound=OutboundSettings()) as stage:
        names_lead_to(stage, await target(stage, "a"), await target(stage, "b"))
        await stage.over(stage.order())
        stage.kept.records.clear()
        record = await stage.over(stage.order())
        came = reached(stage)

    assert (tries(record), came) == ([("a", 200, "answered")], {"a": 1, "b": 2})


async def test_a_trunk_whose_targets_did_not_answer_lately_is_tried_after_those_that_take_over() -> None:
    async with deaf_port() as deaf:

        def trunks(ports: dict[str, int]) -> tuple[Trunk, ...]:
            silent = OutboundSettings(failover=("b", "c"), silent_s=0.5)
            return (
                Trunk("a", sip_domain=f"127.0.0.1:{deaf}", outbound=silent),
                Trunk("b", sip_domain=f"127.0.0.1:{ports['a']}"),
                Trunk("c", sip_domain=f"127.0.0.1:{ports['b']}"),
            )

        async with outgoing(refuses(503, "full"), refuses(486), trunks=trunks) as stage:
            first = await stage.over(stage.order())
            stage.kept.records.clear()
            second = await stage.over(stage.order())
            stage.kept.records.clear()
            stage.near.ua.resting.silent(await target(stage, "b"), now=stage.near.switchboard.now)
            stage.near.ua.resting.silent(await target(stage, "a"), now=stage.near.switchboard.now)
            third = await stage.over(stage.order())

    assert [[trunk for trunk, _, _ in tries(record)] for record in (first, second)] == [["a", "b", "c"], ["b", "c"]]
    assert third.attempts[0].trunk == "c"


async def test_registrations_hear_of_every_target_that_failed() -> None:
    told: list[tuple[str, int]] = []
    async with outgoing(refuses(503), refuses(404)) as stage:
        stage.near.switchboard.on_call_failed = lambda trunk, status: told.append((trunk, status))
        await stage.over(stage.order())

    assert told == [("a", 503), ("b", 404)]


# Redirections


async def test_a_302_to_the_same_host_is_followed_with_the_same_call_id_and_the_next_cseq() -> None:
    async def moves(call: InboundCall) -> None:
        if call.usage.request.uri.startswith("sip:desk7"):  # type: ignore[attr-defined]
            await call.answer()
            await call.ended()
        here = call.usage.request.uri.rpartition("@")[2]  # type: ignore[attr-defined]
        await call.reject(302, headers={"Contact": f"<sip:desk7@{here}>"})

    async with outgoing(moves) as stage:
        record = await stage.over(stage.order())
        first, second = stage.calls["a"].calls

    assert record.ending == HANGUP
    assert [status for _, status, _ in tries(record)] == [302, 200]
    assert record.attempts[0].why == f"Moved Temporarily; redirected to {second.usage.request.uri}"  # type: ignore[attr-defined]
    assert first.record.sip_call_id == second.record.sip_call_id == record.sip_call_id
    cseqs = [call.usage.request.cseq.number for call in (first, second)]  # type: ignore[attr-defined]
    tags = {call.usage.request.from_.tag for call in (first, second)}  # type: ignore[attr-defined]
    assert (cseqs, len(tags), second.callee) == ([1, 2], 1, first.callee)


@pytest.mark.parametrize(
    ("settings", "contact", "why"),
    [
        (
            OutboundSettings(redirects="reject"),
            "sip:x@127.0.0.1",
            "redirections of this trunk are not followed (outbound.redirects: reject)",
        ),
        (
            OutboundSettings(),
            "sip:+19005550199@premium.example",
            "sip:+19005550199@premium.example is not where this trunk may be sent (outbound.redirects: same_host)",
        ),
        (
            OutboundSettings(max_redirects=0),
            "sip:x@127.0.0.1",
            "it was redirected 0 times already (outbound.max_redirects)",
        ),
    ],
)
async def test_a_302_that_the_trunk_does_not_allow_ends_the_call(
    settings: OutboundSettings, contact: str, why: str
) -> None:
    async with outgoing(refuses(302, "Moved", Contact=f"<{contact}>"), outbound=settings) as stage:
        record = await stage.over(stage.order())

    assert record.ending == Ending("remote", 302, 31, Word.REJECTED, Fault.REMOTE, "Moved")
    assert tries(record) == [("a", 302, f"Moved; {why}")]


async def test_redirections_in_a_ring_end() -> None:
    async def round_and_round(call: InboundCall) -> None:
        here = call.usage.request.uri.rpartition("@")[2]  # type: ignore[attr-defined]
        await call.reject(302, headers={"Contact": f"<sip:{call.callee}@{here}>"})

    async with outgoing(round_and_round) as stage:
        record = await stage.over(stage.order())

    assert len(record.attempts) == 1
    assert "it leads back to" in record.attempts[0].why


async def test_a_302_to_the_far_end_of_another_trunk_goes_by_that_trunk() -> None:
    def trunks(ports: dict[str, int]) -> tuple[Trunk, ...]:
        wants = OutboundSettings(redirects="known_trunks")
        return (
            Trunk("a", sip_domain=f"127.0.0.1:{ports['a']}", outbound=wants),
            Trunk("b", sip_domain=f"localhost:{ports['b']}", phone_number="+12065550177"),
        )

    async def moves(call: InboundCall) -> None:
        await call.reject(302, headers={"Contact": f"<sip:desk7@localhost:{other[0]}>"})

    other: list[int] = []
    async with outgoing(moves, answers, trunks=trunks) as stage:
        other.append(stage.port("b"))
        record = await stage.over(stage.order())

    assert [(trunk, status) for trunk, status, _ in tries(record)] == [("a", 302), ("b", 200)]
    assert record.trunk == "b"


# Second legs


async def test_a_second_leg_goes_on_by_the_fail_over_trunk_too() -> None:
    where: list[str] = []

    async def forwards(call: Call) -> None:
        leg = await call.dial("+12065550123", trunk="a")
        await leg.wait_answered()
        where.append(leg.record.trunk)
        await leg.hangup()

    async with outgoing(refuses(503), answers, agent=forwards) as stage:
        stage.numbers.trunk = "b"
        record = stage.order()
        async with asyncio.timeout(WAIT_S):
            while record.id in stage.originator.live or stage.near.switchboard.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    assert where == ["b"]


async def test_a_call_rings_once_at_each_way_and_no_longer_than_it_may_in_all() -> None:
    async with outgoing(refuses(503), rings_on) as stage:
        record = await stage.over(stage.order(ring_s=0.3))

    assert [status for _, status, _ in tries(record)] == [503, 487]
    assert status_of(record) == "no-answer"
