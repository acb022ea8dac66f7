"""Who hears whom at each moment of a transfer, and what is truly said to have come of it."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.transfer.hours import read_hours
from sipflow.calls.transfer.outcome import TransferOutcome, TransferStatus
from sipflow.calls.transfer.transfer import Phase
from sipflow.errors import CallEnded, CallFailed, Conflict, LocalProtocolError, NotFound
from sipflow.sip.takeover import replaces_for
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import deaf_port, refuses, rings_on, story
from tests.calls.stage import WAIT_S
from tests.calls.transfer.scene import (
    AGENT_HZ,
    CALLER_HZ,
    ELSEWHERE,
    PERSON_HZ,
    WHISPER_HZ,
    Ear,
    Scene,
    both,
    is_back_with_the_agent,
    scene,
    talk,
    talks,
    tone,
    transfers,
    tried,
)


async def test_a_warm_transfer_joins_caller_and_person_and_keeps_each_talk_private() -> None:
    async with scene(transfers(mode="warm", whisper=tone(WHISPER_HZ, 1.5), accept="digit"), bob=talks()) as stage:
        call = await stage.call()
        ear, bob = Ear(call), await stage.person("bob")
        bobs_ear = Ear(bob)
        while_whispered = await both(ear, bobs_ear)
        await bobs_ear.comes_to_hear()
        after_the_whisper = await both(ear, bobs_ear)
        await bob.send_digits("1")
        await bobs_ear.comes_to_hear(CALLER_HZ)
        joined = await both(ear, bobs_ear)
        await bob.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert while_whispered == [{AGENT_HZ}, {WHISPER_HZ}]
    assert after_the_whisper == [{AGENT_HZ}, set()]
    assert joined == [{PERSON_HZ}, {CALLER_HZ}]
    assert (outcome.status.value, outcome.failed_reason, outcome.target) == ("transfer-success", None, stage.uri("bob"))
    assert tried(outcome) == [("INVITE", 200, None, "destination")]
    assert outcome.human_connected_at is not None
    assert call.ending is not None
    assert (call.ending.by, call.ending.why) == ("remote", "the far end hung up")
    names = [name for name in story(stage.record) if name.startswith(("transfer", "human"))]
    assert names == [
        "transfer_started", "transfer_trying", "transfer_leg", "transfer_attempt", "human_connected", "transfer_over",
    ]  # fmt: skip


# Each failure, on purpose


@pytest.mark.parametrize(
    ("status", "failed_reason", "word", "who"),
    [
        (404, "number_not_found", "transfer-failed-connection-error", "carrier"),
        (410, "number_not_found", "transfer-failed-connection-error", "carrier"),
        (484, "number_incomplete", "transfer-failed-connection-error", "carrier"),
        (480, "destination_unavailable", "transfer-failed-no-answer", "destination"),
        (486, "destination_unavailable", "transfer-failed-busy", "destination"),
        (603, "rejected_by_destination", "transfer-failed-connection-error", "destination"),
        (403, "transfer_blocked_by_carrier", "transfer-failed-connection-error", "carrier"),
        (607, "transfer_blocked_by_carrier", "transfer-failed-connection-error", "carrier"),
        (503, "carrier_unavailable", "transfer-failed-connection-error", "carrier"),
        (482, "routing_loop", "transfer-failed-connection-error", "carrier"),
        (488, "media_negotiation_failed", "transfer-failed-connection-error", "destination"),
    ],
)
@pytest.mark.parametrize("mode", ["blind", "warm"])
async def test_each_refusal_has_its_reason_and_the_caller_is_back_with_the_agent(
    mode: str, status: int, failed_reason: str, word: str, who: str
) -> None:
    async with scene(transfers(mode=mode), bob=refuses(status)) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        if mode == "blind":
            await is_back_with_the_agent(stage, ear)

    assert (outcome.status.value, outcome.failed_reason, outcome.human_connected_at) == (word, failed_reason, None)
    assert tried(outcome) == [("INVITE", status, failed_reason, who)]


async def test_a_target_that_rings_on_is_given_up_and_cancelled() -> None:
    async with scene(transfers(ring_s=0.3), bob=rings_on) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        bob = await stage.person("bob", answered=False)
        ending = await bob.ended()
        await is_back_with_the_agent(stage, ear)

    assert (outcome.status.value, str(outcome.failed_reason)) == (
        "transfer-failed-no-answer",
        "destination_unavailable",
    )
    assert tried(outcome) == [("INVITE", 408, "destination_unavailable", "sipflow")]
    assert (ending.status, ending.word) == (487, "cancelled")


async def test_a_carrier_that_says_nothing_at_all_is_told_from_a_person_who_does_not_answer() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        stage.near.tasks.spawn(talk(call, AGENT_HZ), name="the agent's voice")
        targets = [f"sip:nobody@127.0.0.1:{port}", "sip:nobody@nowhere.invalid"]
        stage.outcomes.append(await call.transfer(targets, ring_s=0.4))
        await call.ended()

    async with deaf_port() as port, scene(agent) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert tried(outcome) == [
        ("INVITE", 0, "carrier_unavailable", "sipflow"),
        ("INVITE", 0, "destination_unavailable", "sipflow"),
    ]


async def test_an_answer_without_usable_audio_is_a_failed_negotiation() -> None:
    async def mute(call: InboundCall) -> None:
        call._answer_body = (
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"
        )
        with contextlib.suppress(CallEnded):
            await call.answer()
        await call.ended()

    async with scene(transfers(mode="warm"), bob=mute) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert tried(outcome) == [("INVITE", 200, "media_negotiation_failed", "sipflow")]


# The caller, the agent and the clock


async def test_a_caller_who_hangs_up_meanwhile_has_the_target_cancelled_and_the_agent_told() -> None:
    told: list[str] = []

    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        try:
            await call.transfer(stage.uri("bob"))
        except CallEnded as ended:
            told.append(ended.by)
            raise

    async with scene(agent, bob=rings_on) as stage:
        call = await stage.call()
        bob = await stage.person("bob", answered=False)
        await call.hangup()
        ending = await bob.ended()
        transfer = stage.agent.calls[-1].transferring
        await stage.quiet()

    assert told == ["remote"]
    assert ending.word == "cancelled"
    assert transfer is not None
    assert transfer.outcome is not None
    assert transfer.outcome.status is TransferStatus.CALLER_GONE
    assert tried(transfer.outcome) == [("INVITE", 487, "destination_unavailable", "caller")]


@pytest.mark.parametrize("when", ["ringing", "joined"])
async def test_a_call_can_be_taken_back_at_any_moment(when: str) -> None:
    async with scene(transfers(), bob=rings_on if when == "ringing" else talks()) as stage:
        ear = Ear(await stage.call())
        bob = await stage.person("bob", answered=when == "joined")
        if when == "joined":
            await ear.comes_to_hear(PERSON_HZ)
        stage.agent.calls[-1].take_back()
        outcome = await stage.outcome()
        ending = await bob.ended()
        await is_back_with_the_agent(stage, ear)

    wanted = TransferStatus.SUCCESS if when == "joined" else TransferStatus.TAKEN_BACK
    assert outcome.status is wanted
    assert ending.by == "remote"


async def test_taking_back_hangs_up_on_whom_the_person_has_sent_the_caller_on_to() -> None:
    def trunks(ports: dict[str, int]) -> tuple[Trunk, ...]:
        place, refer = f"127.0.0.1:{ports['bob']}", ReferSettings(receive="follow")
        return (Trunk("out", sip_domain=place, accept_from=ELSEWHERE, refer=refer),)

    async with scene(transfers(trunk="out"), trunks=trunks, bob=talks()) as stage:
        ear = Ear(await stage.call())
        bob, board = await stage.person("bob"), stage.far["bob"].switchboard
        await ear.comes_to_hear(PERSON_HZ)
        board.apply(bob.usage.refer(f"<{stage.uri('bob')}>", now=board.now)[1])
        async with asyncio.timeout(10):
            while len(stage.people["bob"].calls) < 2 or bob.ending is None:
                if len(stage.people["bob"].calls) == 2 and stage.people["bob"].calls[1].answered:
                    await bob.hangup()
                await asyncio.sleep(0.02)
        await ear.comes_to_hear(PERSON_HZ)
        stage.agent.calls[-1].take_back()
        ending = await asyncio.wait_for(stage.people["bob"].calls[1].ended(), 10)
        await is_back_with_the_agent(stage, ear)

    assert ending.by == "remote"
    assert (await stage.outcome()).ok


async def test_cancelling_brings_the_caller_back_and_hangs_up_on_the_person() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        task = asyncio.create_task(call.transfer(stage.uri("bob")))
        await stage.person("bob")
        task.cancel()
        await asyncio.wait([task])
        await talk(call, AGENT_HZ)

    async with scene(agent, bob=talks()) as stage:
        ear = Ear(await stage.call())
        bob = await stage.person("bob")
        await bob.ended()
        await ear.comes_to_hear(AGENT_HZ)
        await is_back_with_the_agent(stage, ear)


async def test_where_it_is_wanted_the_caller_is_back_when_the_person_hangs_up() -> None:
    async with scene(transfers(hand_back=True), bob=talks()) as stage:
        ear = Ear(await stage.call())
        await ear.comes_to_hear(PERSON_HZ)
        await (await stage.person("bob")).hangup()
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert outcome.ok


async def test_an_agent_that_returns_or_raises_while_a_person_has_the_call_harms_nobody() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        stage.near.tasks.spawn(call.transfer(stage.uri("bob")), name="a transfer over the API")
        await stage.person("bob")
        raise ValueError("the bot's server has gone")

    async with scene(agent, bob=talks()) as stage:
        call = await stage.call()
        ear = Ear(call)
        await ear.comes_to_hear(PERSON_HZ)
        heard = await ear.hears(500)
        await call.hangup()
        await stage.quiet()

    assert heard == {PERSON_HZ}


async def test_outside_of_business_hours_nobody_is_called_or_somebody_else_is() -> None:
    hours = read_hours("UTC", [{"weekday": "monday", "interval": [{"from": "09:00", "to": "17:00"}]}])
    outcomes: list[TransferOutcome] = []

    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.wall = lambda: datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday
        await call.answer()
        outcomes.append(await call.transfer(stage.uri("bob"), hours=hours))
        outcomes.append(await call.transfer(stage.uri("bob"), hours=hours, after_hours=stage.uri("cleo")))

    async with scene(agent, bob=talks(), cleo=refuses(486)) as stage:
        call = await stage.call()
        await call.ended()
        called = {name: len(agent.calls) for name, agent in stage.people.items()}
        await stage.quiet()

    assert called == {"bob": 0, "cleo": 1}
    assert [(each.status.value, each.failed_reason, len(each.attempts)) for each in outcomes] == [
        ("transfer-failed-outside-availability", "transfer_outside_availability", 0),
        ("transfer-failed-busy", "destination_unavailable", 1),
    ]


async def test_a_clock_that_is_set_back_all_the_time_bends_no_attempt() -> None:
    times = iter(datetime(2026, 11, 21, 12, 0, tzinfo=UTC) - timedelta(hours=number) for number in range(100))

    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.wall = lambda: next(times)
        await call.answer()
        stage.outcomes.append(await call.transfer([stage.uri("anna"), stage.uri("bob")], mode="warm"))

    async with scene(agent, anna=refuses(486), bob=talks()) as stage:
        call = await stage.call()
        await stage.person("bob")
        record = stage.record
        async with asyncio.timeout(10):
            while "human_connected" not in story(record):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await call.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert tried(outcome) == [
        ("INVITE", 486, "destination_unavailable", "destination"),
        ("INVITE", 200, None, "destination"),
    ]
    connected = outcome.human_connected_at
    assert connected is not None
    assert record.ended_at is not None
    moments = [at for each in outcome.attempts for at in (each.started_at, each.ended_at)]
    in_order = [record.started_at, *moments, connected, record.ended_at]
    assert in_order == sorted(in_order)


async def test_a_phone_book_gives_its_numbers_in_turn() -> None:
    class Book:
        async def numbers(self, phone_book_id: str, entry_id: str = "") -> list[str]:
            if phone_book_id == "empty":
                return []
            return {"": [stage.uri("anna"), stage.uri("bob")], "2": [stage.uri("bob")]}[entry_id]

    async def agent(stage: Scene, call: Call) -> None:
        stage.near.switchboard.transfers.phone_book = Book()
        await call.answer()
        with pytest.raises(NotFound):
            await call.transfer("phonebook:empty")
        stage.outcomes.append(await call.transfer("phonebook:desk"))
        stage.outcomes.append(await call.transfer("phonebook:desk/2"))

    async with scene(agent, anna=refuses(486), bob=refuses(404)) as stage:
        call = await stage.call()
        await call.ended()
        await stage.quiet()

    assert [[status for _, status, _, _ in tried(each)] for each in stage.outcomes] == [[486, 404], [404]]


async def test_two_transfers_of_one_call_at_once_are_a_conflict_and_wrong_wishes_call_nobody() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        for wrong in ({"mode": "cold"}, {"headers": {"Subject": "x"}}, {"extension": "x"}, {"accept": "no"}):
            with pytest.raises(LocalProtocolError):
                await call.transfer(stage.uri("bob"), **wrong)
        with pytest.raises(LocalProtocolError, match=r"^mode: a blind transfer asks nobody"):
            await call.transfer(stage.uri("bob"), whisper="hello.wav")
        task = stage.near.tasks.spawn(call.transfer(stage.uri("bob")), name="a transfer")
        await stage.person("bob", answered=False)
        with pytest.raises(Conflict):
            await call.transfer(stage.uri("bob"))
        task.cancel()

    async with scene(agent, bob=rings_on) as stage:
        call = await stage.call()
        await call.ended()
        await stage.quiet()


async def test_a_call_that_is_not_answered_rings_on_until_the_person_answers() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        stage.outcomes.append(await call.transfer(stage.uri("bob"), mode="warm", whisper=tone(WHISPER_HZ, 0.2)))

    async with scene(agent, bob=talks()) as stage:
        call = await stage.call()
        ear = Ear(call)
        await ear.comes_to_hear(PERSON_HZ)
        phase = stage.agent.calls[-1].transferring
        assert phase is not None
        assert phase.phase is Phase.CONNECTED
        await call.hangup()
        assert (await stage.outcome()).ok
        await stage.quiet()

    assert call.provisionals == [180]


async def test_a_target_that_answered_as_the_call_was_taken_back_has_its_line_too() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        async def answer() -> None:
            asyncio.get_running_loop().call_soon(call.take_back)
            await asyncio.sleep(10)

        call.answer = answer  # type: ignore[method-assign, assignment]
        stage.outcomes.append(await call.transfer(stage.uri("bob"), mode="warm"))

    async with scene(agent, bob=talks()) as stage:
        calling = asyncio.create_task(stage.call())
        outcome = await stage.outcome()
        with pytest.raises(CallFailed):  # the agent is done without having answered
            await calling
        await stage.quiet()

    assert outcome.status is TransferStatus.TAKEN_BACK
    assert tried(outcome) == [("INVITE", 200, "destination_unavailable", "sipflow")]


async def test_a_caller_whom_the_agent_holds_is_taken_off_hold_when_the_person_is_there() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        await call.put_on_hold()
        stage.outcomes.append(await call.transfer(stage.uri("bob"), mode="warm"))

    async with scene(agent, bob=talks()) as stage:
        call = await stage.call()
        ears = Ear(call), Ear(await stage.person("bob"))
        await ears[1].comes_to_hear(CALLER_HZ)
        heard = await both(*ears)
        await call.hangup()
        await stage.quiet()

    assert heard == [{PERSON_HZ}, {CALLER_HZ}]


async def test_a_recording_ends_when_the_person_is_there_where_that_is_wanted(tmp_path: Path) -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        recording = await call.record_to(tmp_path / "call.wav")
        stage.outcomes.append(await call.transfer(stage.uri("bob"), stop_recording=True))
        assert recording.stopped

    async with scene(agent, bob=talks()) as stage:
        call = await stage.call()
        ear = Ear(call)
        await ear.comes_to_hear(PERSON_HZ)
        stopped = "recording_stopped" in story(stage.record)
        await call.hangup()
        await stage.outcome()
        await stage.quiet()

    assert stopped


@pytest.mark.parametrize("by", ["person", "agent"])
async def test_a_caller_whose_place_another_call_has_taken_is_not_left_behind_when_the_conversation_ends(
    by: str,
) -> None:
    async with scene(transfers(), refer=ReferSettings(send="never", receive="follow"), bob=talks()) as stage:
        call, bob = await stage.call(), await stage.person("bob")
        ours = stage.agent.calls[-1]
        while ours.joint is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        new = await stage.call(headers=(("Replaces", str(replaces_for(call.usage.established))),))
        await asyncio.wait_for(call.ended(), WAIT_S)
        await Ear(new).comes_to_hear(PERSON_HZ)
        if by == "person":
            await bob.hangup()
        else:
            ours.take_back()
        ended = [(await asyncio.wait_for(each.ended(), WAIT_S)).by for each in (new, bob)]
        await stage.quiet()

    assert ended == ["remote", "local" if by == "person" else "remote"]
