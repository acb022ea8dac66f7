"""Targets in turn and at once."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.transfer.outcome import TransferStatus
from tests.calls.outstage import refuses, rings_on
from tests.calls.transfer.scene import (
    PERSON_HZ,
    WHISPER_HZ,
    Ear,
    Scene,
    scene,
    talks,
    tone,
    tried,
)


async def test_targets_are_tried_in_turn_until_one_takes_the_call() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        targets = [stage.uri(name) for name in ("anna", "bob", "cleo", "dora")]
        stage.outcomes.append(await call.transfer(targets, ring_s=0.3))

    async with scene(agent, anna=refuses(486), bob=rings_on, cleo=talks(), dora=talks()) as stage:
        ear = Ear(await stage.call())
        await ear.comes_to_hear(PERSON_HZ)
        await (await stage.person("cleo")).hangup()
        outcome = await stage.outcome()
        called = {name: len(agent.calls) for name, agent in stage.people.items()}
        await stage.quiet()

    assert called == {"anna": 1, "bob": 1, "cleo": 1, "dora": 0}
    assert outcome.target == stage.uri("cleo")
    assert tried(outcome) == [
        ("INVITE", 486, "destination_unavailable", "destination"),
        ("INVITE", 408, "destination_unavailable", "sipflow"),
        ("INVITE", 200, None, "destination"),
    ]


async def test_of_targets_that_ring_at_once_the_first_to_accept_has_the_call_and_the_others_are_cancelled() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        targets = [stage.uri(name) for name in ("anna", "bob", "cleo")]
        stage.outcomes.append(await call.transfer(targets, mode="warm", accept="5", simultaneous=True))

    async with scene(agent, anna=rings_on, bob=talks(), cleo=talks(WHISPER_HZ)) as stage:
        call = await stage.call()
        ear, bob, cleo = Ear(call), await stage.person("bob"), await stage.person("cleo")
        anna = await stage.person("anna", answered=False)
        await cleo.send_digits("5")
        await ear.comes_to_hear(WHISPER_HZ)
        endings = [await anna.ended(), await bob.ended()]
        reasons = [each.last_words.get("Reason") if each.last_words is not None else None for each in (anna, bob)]
        await call.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert [(each.status, each.word.value) for each in endings] == [(487, "cancelled"), (200, "hung_up")]
    assert reasons[1] == 'SIP;cause=200;text="Call completed elsewhere"'
    assert {each.why for each in outcome.attempts[:2]} == {"another target took the call"}
    assert outcome.target == stage.uri("cleo")
    assert sorted(tried(outcome), key=str) == sorted(
        [
            ("INVITE", 487, "destination_unavailable", "sipflow"),
            ("INVITE", 200, "destination_unavailable", "sipflow"),
            ("INVITE", 200, None, "destination"),
        ],
        key=str,
    )


async def test_of_targets_that_ring_at_once_nobody_is_left_behind_whom_it_ends_in_the_moment_of_taking_the_call() -> (
    None
):
    async def agent(stage: Scene, call: Call) -> None:
        asked: list[Call] = []
        everybody = asyncio.Event()

        async def accept(leg: Call) -> bool:
            asked.append(leg)
            if len(asked) == 2:
                everybody.set()
            await everybody.wait()
            if leg is asked[0] and len(stage.outcomes) == 8:
                raise ValueError("an agent's own function fails")
            if leg is asked[0]:
                later(call.take_back, ticks=len(stage.outcomes))
            return True

        await call.answer()
        everyone = [stage.uri(name) for name in ("anna", "bob", "cleo")]
        for _ in range(9):
            asked.clear()
            everybody.clear()
            with suppress(ValueError):
                await call.transfer(everyone, simultaneous=True, mode="warm", accept=accept)
            assert call.transferring is not None
            assert call.transferring.outcome is not None
            stage.outcomes.append(call.transferring.outcome)
        await call.ended()

    async with scene(agent, anna=talks(), bob=talks(), cleo=rings_on) as stage:
        call = await stage.call()
        async with asyncio.timeout(30):
            while len(stage.outcomes) < 9:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for person in ("anna", "bob", "cleo"):
                for each in stage.people[person].calls:
                    await each.ended()
        await call.hangup()
        await stage.quiet()

    assert stage.outcomes[0].status is TransferStatus.TAKEN_BACK
    assert stage.outcomes[8].status is TransferStatus.CONNECTION_ERROR
    failed = [("INVITE", status, "destination_unavailable", "sipflow") for status in (200, 200, 487)]
    assert {tuple(sorted(tried(each), key=str)) for each in stage.outcomes if not each.ok} == {tuple(failed)}
    assert [len(each.attempts) for each in stage.outcomes] == [3] * 9
    assert stage.near.tasks.failures == 0  # what an agent's own function raises is no fault of ours


def later(act: Callable[[], None], *, ticks: int) -> None:
    """Do something so many turns of the loop later."""
    loop = asyncio.get_running_loop()
    loop.call_soon(act if not ticks else lambda: later(act, ticks=ticks - 1))


async def test_of_two_who_answer_at_almost_the_same_moment_both_are_said_to_have_answered() -> None:
    rings: list[InboundCall] = []

    async def answers(call: InboundCall) -> None:
        await call.ring()
        rings.append(call)
        while len(rings) % 2:  # noqa: ASYNC110  (no event is as close)
            await asyncio.sleep(0)
        if call is rings[-1]:
            for _ in range(len(rings) // 2 - 1):  # a little later each time
                await asyncio.sleep(0)
        await call.answer()
        await call.play(tone(PERSON_HZ, 0.1))

    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        both = [stage.uri("anna"), stage.uri("bob")]
        for _ in range(2):
            stage.outcomes.append(await call.transfer(both, simultaneous=True, hand_back=True))

    async with scene(agent, anna=answers, bob=answers) as stage:
        call = await stage.call()
        await call.ended()
        await stage.quiet()
        answered = [sum(each.answered for each in rings[at : at + 2]) for at in (0, 2)]

    assert answered == [2, 2]
    assert [[status for _, status, _, _ in tried(each)].count(200) for each in stage.outcomes] == answered
    assert {outcome.ok for outcome in stage.outcomes} == {True}
