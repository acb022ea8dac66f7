"""Calls that are ordered: admission, the number, ringing, the agent, and the record of it all."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from sipflow.agents.conduct import Conduct
from sipflow.audio.tones import sine
from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.order import CallOrder, Choice
from sipflow.calls.record import Attempt, CallRecord
from sipflow.calls.settings import Settings as CallSettings
from sipflow.calls.status import error_message, status_of
from sipflow.errors import CallEnded, Conflict, LimitReached, LocalProtocolError, NotFound
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import (
    CALLEE,
    OURS,
    answers,
    deaf_port,
    outgoing,
    refuses,
    rings_on,
    story,
    tries,
)
from tests.calls.stage import WAIT_S
from tests.interop.phone import steady_dbfs


async def waits(call: Call) -> None:
    await call.ended()


def details(record: CallRecord, name: str) -> Mapping[str, object]:
    return next(dict(line.details) for line in record.history if line.name == name)


def assert_in_order(*times: datetime | None) -> None:
    known = [each for each in times if each is not None]
    assert known == sorted(known)
    assert len(known) == len(times)


async def test_the_record_of_an_answered_call_is_whole() -> None:
    async def talks(call: Call) -> None:
        await call.answer()
        await call.play(sine(440, 300, level_dbfs=-12.0, sample_rate_hz=8000))

    async def echoes(call: InboundCall) -> None:
        await call.ring()
        await call.answer()
        await call.play(call.audio)

    async with outgoing(echoes, agent=talks) as stage:
        record = stage.order(name="Ada", variables={"plan": "gold"}, extra={"lead_email": "ada@example.com"})
        begun = (record.started_at, status_of(record), list(stage.originator.live))
        await stage.over(record)
        port = stage.port("a")
        begun_records, numbers = stage.kept.begun, stage.numbers

    assert begun == (record.started_at, "pending", [record.id])
    assert begun_records == [record]
    assert_in_order(record.started_at, record.ringing_at, record.answered_at, record.ended_at, datetime.now(UTC))
    assert record.quality is not None
    assert (record.quality.loss_percent, record.quality.mos > 4.0) == (0.0, True)
    (attempt,) = record.attempts
    assert record == CallRecord(
        id=record.id,
        sip_call_id=record.sip_call_id,
        direction="outbound",
        from_number=OURS,
        to_number=CALLEE,
        trunk="a",
        number=OURS,
        agent="talker",
        started_at=record.started_at,
        ringing_at=record.ringing_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        ending=Ending("local", 200, 16, Word.HUNG_UP, Fault.NOBODY, "the agent is done"),
        name="Ada",
        variables={"plan": "gold"},
        codec="PCMU",
        quality=record.quality,
        why=("it is the only one",),
        attempts=(Attempt("a", f"udp:127.0.0.1:{port}", 200, "answered", attempt.started_at, attempt.ended_at),),
        history=record.history,
        extra={"lead_email": "ada@example.com"},
    )
    assert story(record) == ["started", "ringing", "answered", "ended"]
    assert details(record, "started") == {
        "direction": "outbound",
        "from_number": OURS,
        "to_number": CALLEE,
        "trunk": "a",
        "agent": "talker",
    }
    assert details(record, "ringing") == {"status": 180, "early_media": False}
    assert details(record, "ended") == {"by": "local", "status": 200, "word": "hung_up", "why": "the agent is done"}
    assert (numbers.given, numbers.freed) == ([("talker", CALLEE, "")], [(OURS, "hung_up")])


async def test_the_far_end_hears_what_the_agent_plays_and_the_agent_hears_the_far_end() -> None:
    heard: dict[str, bytes] = {}
    enough = asyncio.Event()

    async def listen(call: Call, key: str) -> None:
        pcm = b""
        async for frame in call.audio:
            pcm += frame.pcm
            if len(pcm) >= 2 * 8000:
                break
        heard[key] = pcm

    async def far(call: InboundCall) -> None:
        await call.answer()
        async with call.playing(sine(600, 3000, level_dbfs=-12.0, sample_rate_hz=8000)):
            await listen(call, "far")
        enough.set()
        await call.ended()

    async def near(call: Call) -> None:
        async with call.playing(sine(1000, 3000, level_dbfs=-12.0, sample_rate_hz=8000)):
            await listen(call, "near")
        await asyncio.wait_for(enough.wait(), WAIT_S)  # the far end hears the last of its second later

    async with outgoing(far, agent=near) as stage:
        await stage.over(stage.order())

    assert steady_dbfs(heard["far"][4000:], 1000) == pytest.approx(-12.0, abs=0.5)
    assert steady_dbfs(heard["near"][4000:], 600) == pytest.approx(-12.0, abs=0.5)


async def test_to_an_agent_a_call_out_is_a_call_that_is_answered() -> None:
    seen: list[object] = []

    async def agent(call: Call) -> None:
        await call.ring()
        await call.progress()
        await call.answer()
        seen.extend((call.answered, call.caller, call.callee, dict(call.variables), dict(call.options)))
        await call.reject(403, "not today")
        with pytest.raises(CallEnded):
            await call.ring()

    async with outgoing(answers, agent=agent) as stage:
        record = await stage.over(stage.order(variables={"plan": "gold"}))
        (far,) = stage.calls["a"].calls

    assert seen == [True, OURS, CALLEE, {"plan": "gold"}, {}]
    assert record.ending == Ending("local", 200, 16, Word.HUNG_UP, Fault.NOBODY, "not today")
    assert far.ending is not None
    assert far.ending.why == "the far end hung up (not today)"


@pytest.mark.parametrize(
    ("status", "reason", "word", "said"),
    [
        (486, "Busy Here", Word.BUSY, "busy"),
        (600, "Busy Everywhere", Word.BUSY, "busy"),
        (603, "Decline", Word.REJECTED, "failed"),
        (607, "Unwanted", Word.REJECTED, "failed"),
        (608, "Rejected", Word.REJECTED, "failed"),
        (404, "Not Found", Word.NOT_FOUND, "failed"),
        (401, "Unauthorized", Word.REJECTED, "failed"),
        (487, "Request Terminated", Word.CANCELLED, "failed"),
    ],
)
async def test_what_the_callee_says_is_believed_and_no_other_trunk_is_tried(
    status: int, reason: str, word: Word, said: str
) -> None:
    async with outgoing(refuses(status, reason), answers) as stage:
        record = await stage.over(stage.order())
        tried = [len(agent.calls) for agent in stage.calls.values()]

    assert record.ending is not None
    assert (record.ending.by, record.ending.status, record.ending.word) == ("remote", status, word)
    assert (status_of(record), tried) == (said, [1, 0])
    assert tries(record) == [("a", status, reason)]
    assert record.answered_at is None


async def test_what_a_refusal_warns_of_is_in_the_record() -> None:
    async with outgoing(refuses(404, "Not Found", Warning='399 pbx "dialplan from-trunk has no such number"')) as stage:
        record = await stage.over(stage.order())

    assert record.ending is not None
    assert record.ending.why == "Not Found (dialplan from-trunk has no such number)"


async def test_a_call_that_nobody_answers_is_cancelled_in_time_and_the_487_is_awaited() -> None:
    async with outgoing(rings_on) as stage:
        record = await stage.over(stage.order(ring_s=0.2))
        (far,) = stage.calls["a"].calls
        await far.ended()

    assert record.ending == Ending("system", 487, 16, Word.NO_ANSWER, Fault.NOBODY, "nobody answered in 0.2 s")
    assert (status_of(record), error_message(record)) == ("no-answer", None)
    assert tries(record) == [("a", 487, "nobody answered in 0.2 s")]
    assert far.ending is not None
    assert (far.ending.by, far.ending.status) == ("remote", 487)
    assert story(record) == ["started", "ringing", "attempt_failed", "ended"]


@pytest.mark.parametrize(
    ("order_s", "agent_s", "trunk_s", "told"),
    [(0.1, 30.0, 30.0, "0.1"), (None, 0.2, 30.0, "0.2"), (None, 0.0, 1.0, "1")],
)
async def test_how_long_it_rings_is_said_by_the_order_then_the_agent_then_the_trunk(
    order_s: float | None, agent_s: float, trunk_s: float, told: str
) -> None:
    async with outgoing(
        rings_on, outbound=OutboundSettings(ring_s=trunk_s), conduct=Conduct(ring_timeout_s=agent_s)
    ) as stage:
        record = await stage.over(stage.order(ring_s=order_s))

    assert record.ending is not None
    assert record.ending.why == f"nobody answered in {told} s"


async def test_a_ringing_call_can_be_cancelled() -> None:
    async with outgoing(rings_on) as stage:
        record = stage.order()
        await stage.happened(record, "ringing")
        ringing = status_of(record)
        await stage.originator.cancel(record.id)
        with pytest.raises(NotFound):
            await stage.originator.cancel(record.id)

    assert (ringing, status_of(record)) == ("ringing", "canceled")
    assert record.ending == Ending("local", 487, 16, Word.CANCELLED, Fault.NOBODY, "the call was cancelled")


async def test_an_answered_call_can_be_hung_up_from_outside() -> None:
    async with outgoing(answers, agent=waits) as stage:
        record = stage.order()
        await stage.happened(record, "answered")
        talking = status_of(record)
        await stage.originator.cancel(record.id, "the supervisor hung up")

    assert (talking, status_of(record)) == ("in-progress", "completed")
    assert record.ending == Ending("local", 200, 16, Word.HUNG_UP, Fault.NOBODY, "the supervisor hung up")


async def test_a_call_to_a_target_that_never_says_a_word_is_over_soon_after_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.outbound._FAREWELL_S", 0.1)
    async with deaf_port() as port, outgoing(answers, trunks=lambda _: (_to("a", port),)) as stage:
        record = stage.order()
        await asyncio.sleep(0.05)
        async with asyncio.timeout(WAIT_S):
            await stage.originator.cancel(record.id)

    assert record.ending == Ending("local", 487, 16, Word.CANCELLED, Fault.NOBODY, "the call was cancelled")
    assert tries(record) == [("a", 487, "the call was cancelled")]


async def test_what_cannot_be_ordered_is_refused_at_once_and_leaves_nothing() -> None:
    async with outgoing(answers) as stage:
        for order, error, why in (
            (CallOrder(CALLEE, "nobody"), NotFound, "there is no agent 'nobody'"),
            (CallOrder("sip:x@evil.example", "talker"), LocalProtocolError, "to: 'sip:x@evil.example' is no number"),
            (CallOrder("", "talker"), LocalProtocolError, "to: '' is no number to call"),
            (CallOrder("+1206", "talker"), LocalProtocolError, r"to: '\+1206' is not E.164"),
            (CallOrder(CALLEE, "talker", ring_s=0.0), LocalProtocolError, "ring_s: 0 is not more than 0"),
            (CallOrder(CALLEE, "talker", headers={"Via": "x"}), LocalProtocolError, "headers: header Via"),
            (CallOrder(CALLEE, "talker", headers={"X-A": "1\r\nX-B: 2"}), LocalProtocolError, "headers: "),
            (CallOrder(CALLEE, "talker", from_number="+19995550100"), Conflict, "is none of the numbers"),
        ):
            with pytest.raises(error, match=why):
                stage.originator.order(order)
        stage.numbers.trunk = "gone"
        with pytest.raises(Conflict, match="trunk gone has no far end"):
            stage.order()

        assert (stage.kept.begun, stage.kept.records, dict(stage.originator.live)) == ([], [], {})
        assert (len(stage.numbers.given), stage.numbers.undone, stage.numbers.freed) == (1, 1, [])


async def test_nothing_is_ordered_while_sipflow_goes_down() -> None:
    async with outgoing(answers) as stage:
        stage.near.switchboard.draining = True
        with pytest.raises(LimitReached, match="going down") as told:
            stage.order()

    assert (told.value.limit, told.value.retry_after_s) == ("drain", 5)


@pytest.mark.parametrize("queue_s", [0.0, 5.0])
async def test_nothing_is_ordered_while_there_is_more_to_do_than_can_be_done(queue_s: float) -> None:
    async with outgoing(answers) as stage:
        stage.originator.busy_s = lambda: 2.1
        with pytest.raises(LimitReached, match="more to do than it can handle") as told:
            stage.order(queue_s=queue_s)
        nothing = (list(stage.numbers.given), dict(stage.originator.live), list(stage.kept.begun))
        stage.originator.busy_s = lambda: 0.0
        record = await stage.over(stage.order())

    assert (told.value.limit, told.value.retry_after_s) == ("overload", 3)
    assert nothing == ([], {}, [])
    assert record.answered_at is not None


async def test_a_national_number_is_read_in_the_country_of_the_trunk() -> None:
    async with outgoing(answers) as stage:
        record = await stage.over(stage.order("2065550123"))
        (far,) = stage.calls["a"].calls

    assert (record.to_number, far.callee) == (CALLEE, CALLEE)


async def test_a_call_that_waits_is_pending_and_goes_out_when_there_is_room() -> None:
    async with outgoing(answers) as stage:
        stage.numbers.line = asyncio.get_running_loop().create_future()
        record = stage.order(queue_s=5.0)
        waiting = (status_of(record), record.number, story(record), list(stage.calls["a"].calls))
        stage.numbers.line.set_result(Choice(OURS, "a", ("it came free",)))
        await stage.over(record)

    assert waiting == ("pending", "", ["started", "queued"], [])
    assert (record.number, record.trunk, record.why, status_of(record)) == (OURS, "a", ("it came free",), "completed")
    assert details(record, "queued") == {"at_most_s": 5.0}
    assert stage.numbers.freed == [(OURS, "hung_up")]


async def test_a_call_that_waits_in_vain_is_over_and_says_what_it_waited_for() -> None:
    async with outgoing(answers) as stage:
        stage.numbers.line = asyncio.get_running_loop().create_future()
        record = stage.order(queue_s=5.0)
        stage.numbers.line.set_exception(LimitReached("no room after 5 s", limit="limits.calls"))
        await stage.over(record)

    assert record.ending == Ending("system", 429, 42, Word.OVERLOADED, Fault.LOCAL, "no room after 5 s")
    assert error_message(record) == "Telephony - 429 - no room after 5 s"
    assert (record.attempts, stage.numbers.freed) == ((), [])


async def test_a_call_that_waits_can_be_cancelled() -> None:
    async with outgoing(answers) as stage:
        line = stage.numbers.line = asyncio.get_running_loop().create_future()
        record = stage.order(queue_s=5.0)
        await asyncio.sleep(0)
        await stage.originator.cancel(record.id)
        await stage.over(record)

    assert (status_of(record), line.cancelled(), stage.numbers.freed) == ("canceled", True, [])


async def test_a_caller_who_is_withheld_is_anonymous_and_further_headers_are_sent() -> None:
    async with outgoing(answers, outbound=OutboundSettings(identity="asserted")) as stage:
        await stage.over(stage.order(privacy=True, headers={"X-Campaign": "spring"}))
        (far,) = stage.calls["a"].calls
        port = stage.port("a")

    shown = {name: far.headers.get(name) for name in ("P-Asserted-Identity", "Privacy", "X-Campaign")}
    assert (far.headers.get("From") or "").startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=')
    assert shown == {
        "P-Asserted-Identity": f"<sip:{OURS}@127.0.0.1:{port}>",
        "Privacy": "id",
        "X-Campaign": "spring",
    }


async def test_early_media_is_in_the_history_and_the_answer_comes_after() -> None:
    async def announces(call: InboundCall) -> None:
        await call.progress()
        await call.play(sine(440, 100, sample_rate_hz=8000))
        await call.answer()
        await call.ended()

    async with outgoing(announces) as stage:
        record = await stage.over(stage.order())

    assert story(record) == ["started", "progress", "answered", "ended"]
    assert details(record, "progress") == {"status": 183, "early_media": True}
    assert record.ringing_at is not None


async def test_an_agent_that_raises_ends_its_call_and_the_record_says_so() -> None:
    async def breaks(call: Call) -> None:
        raise KeyError("plan")

    async with outgoing(answers, agent=breaks) as stage:
        record = await stage.over(stage.order())

    assert record.ending == Ending("local", 200, 16, Word.AGENT_FAILED, Fault.LOCAL, "the agent raised KeyError")
    assert (status_of(record), error_message(record)) == ("failed", "Telephony - 500 - the agent raised KeyError")


@pytest.mark.parametrize(("keep", "shown"), [(False, None), (True, "5")])
async def test_digits_are_in_the_history_and_which_only_where_that_is_wanted(keep: bool, shown: str | None) -> None:
    async def presses(call: InboundCall) -> None:
        await call.answer()
        await call.send_digits("5")
        await call.ended()

    async def listens(call: Call) -> None:
        await call.read_digit(timeout=WAIT_S)

    async with outgoing(presses, agent=listens, settings=CallSettings(keep_digits=keep)) as stage:
        record = await stage.over(stage.order())

    assert story(record) == ["started", "answered", "digit", "ended"]
    assert details(record, "digit") == {"digit": shown}


async def test_hold_by_either_side_is_in_the_history() -> None:
    async def holds(call: InboundCall) -> None:
        await call.answer()
        await call.put_on_hold()
        await call.take_off_hold()
        await call.ended()

    async def holds_too(call: Call) -> None:
        async for event in call.events:
            if getattr(event, "held", True) is False:
                break
        await call.put_on_hold()
        await call.take_off_hold()

    async with outgoing(holds, agent=holds_too) as stage:
        record = await stage.over(stage.order())

    told = [(line.name, line.details.get("by")) for line in record.history if line.name in ("hold", "resumed")]
    assert told == [("hold", "remote"), ("resumed", "remote"), ("hold", "local"), ("resumed", "local")]


async def test_many_orders_at_once_are_as_many_calls() -> None:
    async with outgoing(answers) as stage:
        records = [stage.order() for _ in range(15)]
        async with asyncio.timeout(WAIT_S):
            while stage.originator.live:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    assert {status_of(record) for record in records} == {"completed"}
    assert len({record.id for record in records}) == 15
    assert sorted(record.id for record in stage.kept.records) == sorted(record.id for record in records)
    assert len(stage.numbers.freed) == 15


def _to(name: str, port: int) -> Trunk:
    return Trunk(name, sip_domain=f"127.0.0.1:{port}")
