"""What the switchboard hands on of what happens inside dialogs; each kind is proved where it is handled."""

import asyncio
from typing import Any

from sipflow.calls.ending import Word
from sipflow.calls.events import HoldChanged
from sipflow.sip.plan import RequestPlan
from tests.calls.stage import Stage, staged


async def request(stage: Stage, method: str, **words: Any) -> tuple[int, str]:
    """Send a request outside any call; give the status, and the Warning."""
    plan: RequestPlan = stage.plan(method=method, with_contact=method != "MESSAGE", **words)
    outcome = await stage.caller.switchboard.request(plan)
    said = outcome.response.headers.get("Warning") or "" if outcome.response is not None else ""
    return outcome.status, said


async def test_a_text_outside_a_call_is_refused_with_the_reason() -> None:
    async with staged() as stage:
        status, why = await request(stage, "MESSAGE", body=b"hello", content_type="text/plain")

    assert (status, why) == (404, '399 sipflow "texts are read inside calls alone"')


async def test_a_refer_outside_a_call_is_refused() -> None:
    async with staged() as stage:
        status, why = await request(stage, "REFER", headers=(("Refer-To", "<sip:carol@127.0.0.1>"),))

    assert (status, "refer.receive" in why) == (603, True)


async def test_a_new_offer_is_answered_and_noted() -> None:
    async with staged() as stage:
        call = await stage.call()
        theirs = stage.agent.calls[0]
        events = theirs.events
        await call.put_on_hold()
        told = await asyncio.wait_for(anext(events), 5.0)
        noted = [(each.name, each.details) for each in theirs.record.history if each.name == "hold"]
        await call.hangup()
        await stage.quiet()

    assert (told, noted) == (HoldChanged(True), [("hold", {"by": "remote"})])


async def test_what_is_no_event_of_a_call_is_left_alone() -> None:
    async with staged() as stage:
        call = await stage.call()
        theirs = stage.agent.calls[0]
        before = [(each.name, each.details) for each in theirs.record.history]
        for event in (object(), None, "INFO"):
            stage.callee.switchboard.on_event(event)
        after = [(each.name, each.details) for each in theirs.record.history]
        live = (theirs.ending, list(stage.callee.switchboard.calls), stage.callee.tasks.failures)
        await call.hangup()
        await stage.quiet()

    assert (after, live) == (before, (None, [theirs.id], 0))
    assert theirs.ending is not None
    assert (theirs.ending.by, theirs.ending.word) == ("remote", Word.HUNG_UP)
