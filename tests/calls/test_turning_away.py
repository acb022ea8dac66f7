"""Records of calls that are refused before they are any: who leaves one, what stands in it, and how many there are."""

import asyncio
from itertools import count

import pytest

from sipflow.calls.ending import Ending, Word
from sipflow.calls.record import CallRecord
from sipflow.errors import CallFailed
from sipflow.net.flood import SourceBuckets
from sipflow.sip.brake import Brake
from sipflow.sip.hop import Hop
from sipflow.sip.message import Request
from sipflow.sip.outputs import Refused
from sipflow.sip.transaction.overload import Busy
from tests.calls.stage import WAIT_S, Stage, staged
from tests.calls.test_explain import invite

HERE, STRANGER = Hop("udp", "127.0.0.1", 5999), Hop("udp", "198.51.100.7", 5060)
NOBODYS = "+12065550177"
CAME = "it came from 127.0.0.0/8, which trunk local accepts"
_numbers = count()


def asked(**lines: str) -> Request:
    """An INVITE with a Call-ID of its own, and further header lines."""
    request = invite(NOBODYS, HERE)
    request.headers.set("Call-ID", f"asked-{next(_numbers)}")
    for name, value in lines.items():
        request.headers.set(name, value)
    return request


async def refused(stage: Stage, records: int, **changes: object) -> int:
    """Place a call that is refused, and wait until so many records are kept in all."""
    with pytest.raises(CallFailed) as failed:
        await stage.call(NOBODYS, **changes)
    async with asyncio.timeout(WAIT_S):
        while len(stage.kept.records) < records:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return failed.value.status


async def test_a_call_that_the_user_agent_refuses_by_itself_has_a_record_that_says_why() -> None:
    async with staged() as stage:
        status = await refused(stage, 1, headers=(("Require", "magic"),))
        (record,) = stage.kept.records

    why = "the request requires magic, which we do not support"
    assert status == 420
    assert record == CallRecord(
        id=record.id,
        sip_call_id=record.sip_call_id,
        direction="inbound",
        from_number="caller",
        to_number=NOBODYS,
        trunk="local",
        number="",
        agent="",
        started_at=record.started_at,
        ended_at=record.started_at,
        ending=Ending.of("local", 420, why),
        why=(CAME, f"Request-URI says {NOBODYS}: it is no number of ours (tried {NOBODYS})", why),
    )


@pytest.mark.parametrize(
    ("request_", "hop", "status"),
    [
        (asked(), HERE, 401),
        (asked(), HERE, 482),
        (asked(To="<sip:+12065550177@127.0.0.1>;tag=in-a-call"), HERE, 420),
        (asked(To="<sip:"), HERE, 400),
        (asked(**{"Call-ID": "not one"}), HERE, 400),
        (asked(), STRANGER, 420),
        (Request("OPTIONS", "sip:127.0.0.1"), HERE, 405),
        (None, HERE, 0),
    ],
    ids=["challenged", "second copy", "within a call", "unreadable", "no Call-ID", "stranger", "no call", "no request"],
)
async def test_what_is_no_refused_call_of_a_trunk_leaves_no_record(
    request_: Request | None, hop: Hop, status: int
) -> None:
    async with staged() as stage:
        board = stage.callee.switchboard
        board.strangers = None
        board.turning_away.refused(Refused(request_, hop, status, "why"))

        assert (stage.kept.records, board.turning_away.unkept) == ([], 0)


async def test_a_flood_leaves_few_records_and_the_next_one_says_how_many_have_none() -> None:
    async with staged() as stage:
        turning_away = stage.callee.switchboard.turning_away
        turning_away._room = SourceBuckets(rate=0.0, burst=2)
        statuses = [await refused(stage, min(number, 2)) for number in (1, 2, 3, 4, 5)]
        unkept, kept = turning_away.unkept, len(stage.kept.records)
        turning_away._room = SourceBuckets(rate=0.0, burst=2)
        await refused(stage, 3)
        await refused(stage, 4)

    assert (statuses, kept, unkept) == ([404] * 5, 2, 3)
    assert [record.why[-1] for record in stage.kept.records[2:]] == [
        "3 calls of trunk local were refused since the last one that has a record",
        f"no number of trunk local matches {NOBODYS}",
    ]


async def test_calls_that_there_is_no_time_for_leave_a_few_records_too() -> None:
    async with staged() as stage:
        brake, layer = stage.callee.endpoint.brake, stage.callee.ua._stack.layer
        assert isinstance(brake, Brake)
        assert layer.guard is not None
        for quarter in range(6):
            brake.waited(0.3, now=quarter / 4)
        once = asked()
        answers = [layer.guard(request, HERE) for request in (once, once, *(asked() for _ in range(40)))]
        records = stage.kept.records

    assert {type(answer) for answer in answers} == {Busy}
    assert len(records) in (20, 21)  # a second may have passed
    assert len({record.sip_call_id for record in records}) == len(records)
    assert records[0].ending is not None
    assert (records[0].ending.status, records[0].ending.word, records[0].trunk) == (503, Word.OVERLOADED, "local")
    assert records[0].why[0] == CAME
    assert records[0].why[-1] == "more calls come in than can be handled"
