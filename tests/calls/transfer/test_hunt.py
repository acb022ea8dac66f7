"""Targets in turn and at once."""

from sipflow.calls.call import Call
from tests.calls.outstage import refuses, rings_on
from tests.calls.transfer.scene import (
    PERSON_HZ,
    WHISPER_HZ,
    Ear,
    Scene,
    scene,
    talks,
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
    assert outcome.target == stage.uri("cleo")
    assert sorted(tried(outcome), key=str) == sorted(
        [
            ("INVITE", 487, "destination_unavailable", "sipflow"),
            ("INVITE", 200, "destination_unavailable", "sipflow"),
            ("INVITE", 200, None, "destination"),
        ],
        key=str,
    )
