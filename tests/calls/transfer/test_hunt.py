"""Targets in turn and at once."""

import asyncio

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
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
