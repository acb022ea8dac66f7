"""What happens on one leg reaches the other, or is answered here: over real sockets, through an edge in the middle."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from sipflow.audio.tones import sine
from sipflow.calls.carrying import Errands
from sipflow.calls.events import IdentityChanged, InfoReceived, TextReceived
from sipflow.calls.inbound import InboundCall
from sipflow.errors import MediaError
from sipflow.sdp.codecs import CODECS
from sipflow.tasks import Tasks
from sipflow.trunks.crossing import HeaderSettings
from tests.calls.middle import CALLEE_HZ, CALLER_HZ, DBFS, OUT, comes, hears, middle, until
from tests.calls.stage import LOCAL, WAIT_S

TONE = sine(CALLER_HZ, 8000, level_dbfs=DBFS)


@pytest.mark.parametrize("quiet", [False, True])
async def test_hold_of_the_caller_crosses_and_ends_and_sound_stops_and_comes_back(quiet: bool) -> None:
    async with middle() as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            before = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
            await call.put_on_hold(quiet=quiet)
            await until(lambda: stages.callee.held)
            await asyncio.sleep(0.1)
            held = (await comes(call), await comes(stages.callee) == 0)
            await call.take_off_hold()
            await until(lambda: not stages.callee.held)
            after = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
        story = [each.name for each in stages.inbound.record.history if each.name in ("hold", "resumed")]
        await call.hangup()
        await stages.quiet()

    assert (before, after) == ((True, True), (True, True))
    assert held == (0, quiet)  # who holds without being quiet goes on sending: music, which still reaches the other
    assert story == ["hold", "resumed"]


async def test_hold_of_the_callee_crosses_and_ends() -> None:
    async with middle() as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            await stages.callee.put_on_hold(quiet=True)
            await until(lambda: call.held)
            await asyncio.sleep(0.1)
            held = (await comes(call), await comes(stages.callee))
            await stages.callee.take_off_hold()
            await until(lambda: not call.held)
            after = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
        await call.hangup()
        await stages.quiet()

    assert (held, after) == ((0, 0), (True, True))


async def test_an_offer_in_an_update_crosses_as_one_in_a_re_invite_does() -> None:
    async with middle() as stages:
        call = await stages.near.call()
        board, media = stages.near.caller.switchboard, call.media
        assert media is not None
        async with call.playing(TONE):
            heard = []
            for hold in (True, False):
                make = partial(media.offer, hold=hold, quiet=hold)
                board.apply(call.usage.offer(make, now=board.now, method="UPDATE"))
                await until(lambda wanted=hold: stages.callee.held is wanted)  # type: ignore[misc]
                await asyncio.sleep(0.1)
                heard.append((await comes(call) > 0, await comes(stages.callee) > 0))
            after = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
        story = [each.name for each in stages.inbound.record.history if each.name in ("hold", "resumed")]
        await call.hangup()
        await stages.quiet()

    assert (heard, after) == ([(False, False), (True, True)], (True, True))
    assert story == ["hold", "resumed"]


async def test_hold_of_a_caller_while_it_rings_crosses_when_it_is_answered() -> None:
    take = asyncio.Event()

    async def late(callee: InboundCall) -> None:
        await callee.progress()
        await take.wait()
        await callee.answer()
        await callee.ended()

    async with middle(late) as stages:
        board = stages.near.caller.switchboard
        call = await board.place(stages.near.plan())
        await until(lambda: call.usage.may_update and not call.usage.negotiating)
        media = call.media
        assert media is not None
        board.apply(call.usage.offer(partial(media.offer, hold=True), now=board.now))
        await until(lambda: stages.inbound.held)
        take.set()
        await until(lambda: stages.callee.held)
        await call.take_off_hold()
        await until(lambda: not stages.callee.held)
        await call.hangup()
        await stages.quiet()


async def test_hold_of_both_at_once_crosses_both_ways_and_ends_when_both_have_resumed() -> None:
    async with middle() as stages:
        call = await stages.near.call()
        await asyncio.gather(call.put_on_hold(), stages.callee.put_on_hold())
        await until(lambda: call.held and stages.callee.held)
        await asyncio.gather(call.take_off_hold(), stages.callee.take_off_hold())
        await until(lambda: not call.held and not stages.callee.held)
        async with call.playing(TONE):
            after = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
        await call.hangup()
        await stages.quiet()

    assert after == (True, True)


async def test_of_two_who_hold_each_other_the_one_that_resumes_hears_what_the_other_one_plays() -> None:
    async with middle() as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            await call.put_on_hold()
            await until(lambda: stages.callee.held)
            await stages.callee.put_on_hold()
            await until(lambda: call.held)
            await call.take_off_hold()
            heard = await hears(call, CALLEE_HZ)
            held = (call.held, await comes(stages.callee, seconds=0.2))
            await stages.callee.take_off_hold()
            await until(lambda: not call.held)
            after = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
        await call.hangup()
        await stages.quiet()

    assert (heard, held, after) == (True, (True, 0), (True, True))


async def test_hold_is_answered_here_where_the_trunk_says_so() -> None:
    async with middle(near=replace(LOCAL, carry=())) as stages:
        call = await stages.near.call()
        await call.put_on_hold()
        await asyncio.sleep(0.3)
        held = (stages.inbound.held, stages.callee.held)
        await call.hangup()
        await stages.quiet()

    assert held == (True, False)


@pytest.mark.parametrize(("carry", "codecs"), [(("hold",), ["PCMU", "PCMA"]), (("hold", "codec"), ["PCMA", "PCMA"])])
async def test_a_change_of_codec_is_answered_here_or_carried(carry: tuple[str, ...], codecs: list[str]) -> None:
    async with middle(near=replace(LOCAL, carry=carry)) as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            assert stages.legs[0].stats.codec == "PCMU"
            await call.change_codec(CODECS["PCMA"])
            await until(lambda: stages.legs[0].stats.codec == codecs[0])
            await asyncio.sleep(0.2)
            heard = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
            now = [stages.legs[0].stats.codec, stages.inbound.stats.codec]
        await call.hangup()
        await stages.quiet()

    assert (heard, now) == ((True, True), codecs)


async def test_a_codec_that_the_other_trunk_does_not_have_is_turned_into_its_own() -> None:
    near, out = replace(LOCAL, carry=("codec",)), replace(OUT, codecs=("PCMU",))
    async with middle(near=near, out=out) as stages:
        call = await stages.near.call()
        async with call.playing(TONE):
            await call.change_codec(CODECS["PCMA"])
            heard = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
            now = [stages.legs[0].stats.codec, stages.inbound.stats.codec]
        await call.hangup()
        await stages.quiet()

    assert (heard, now) == ((True, True), ["PCMU", "PCMA"])


@pytest.mark.parametrize("inner", ["rfc4733", "info", "inband"])
@pytest.mark.parametrize("outer", ["rfc4733", "info", "inband"])
async def test_digits_of_any_kind_become_digits_of_any_kind(inner: str, outer: str) -> None:
    tries = 3 if "inband" in (inner, outer) else 1  # tones that a machine tears apart are no digits
    results = []
    for _ in range(tries):
        results.append(await spelled(inner, outer))
        if results[-1] == (["1", "5", "9"], "#", None):
            break

    assert results[-1] == (["1", "5", "9"], "#", None)


async def spelled(inner: str, outer: str) -> tuple[list[str | None], str | None, str | None]:
    """Send 159 to the callee, who sends # back; give what either has read, and what came twice."""
    read: list[str | None] = []

    async def spells(call: InboundCall) -> None:
        await call.answer()
        while len(read) < 3 and None not in read:
            read.append(await call.read_digit(timeout=3.0))
        await call.send_digits("#")
        await call.ended()

    near, far = replace(LOCAL, dtmf=outer), replace(LOCAL, dtmf=inner)
    async with middle(spells, near=near, out=replace(OUT, dtmf=inner), far=far) as stages:
        call = await stages.near.call()
        assert call.media is not None
        call.media.dtmf = outer
        async with call.playing(sine(300, 8000, level_dbfs=-30.0)):
            await call.send_digits("159")
            back = await call.read_digit(timeout=WAIT_S)
            more = await call.read_digit(timeout=0.2)
        await call.hangup()
        await stages.quiet()
    return read, back, more


async def test_texts_and_info_cross_both_ways_and_the_agent_reads_them_too() -> None:
    got: dict[str, list[object]] = {"callee": [], "agent": []}

    async def listens(call: InboundCall) -> None:
        await call.answer()
        got["callee"].append(await anext(call.messages))
        await call.send_message("grüß Gott")
        got["callee"].append(await anext(call.infos))
        await call.ended()

    async with middle(listens) as stages:
        call = await stages.near.call()
        answer, read = call.messages, stages.inbound.messages
        await call.send_message("hello")
        back = await asyncio.wait_for(anext(answer), WAIT_S)
        got["agent"].append(await asyncio.wait_for(anext(read), WAIT_S))
        await call.send_info(b"<x/>", "application/x-thing+xml")
        await until(lambda: len(got["callee"]) == 2)
        await call.hangup()
        await stages.quiet()

    assert got == {
        "callee": [TextReceived("hello"), InfoReceived(b"<x/>", "application/x-thing+xml")],
        "agent": [TextReceived("hello")],
    }
    assert back == TextReceived("grüß Gott")


async def test_a_new_identity_crosses_where_the_one_trunk_carries_it_and_the_other_lets_it_pass() -> None:
    passes = HeaderSettings(passed=("P-Asserted-Identity",))
    near, out = replace(LOCAL, carry=("identity",)), replace(OUT, headers=passes)
    async with middle(near=near, out=out) as stages:
        call = await stages.near.call()
        told, came = stages.callee.events, []
        call.say_update((("P-Asserted-Identity", '"Bob" <sip:bob@10.1.1.1>'), ("Diversion", "<sip:7@pbx>")))
        async with asyncio.timeout(WAIT_S):
            while not isinstance(event := await anext(told), IdentityChanged):
                pass
            came.append(event)
        diversion = stages.inbound.variables["Diversion"]
        await call.hangup()
        await stages.quiet()

    assert came == [IdentityChanged('"Bob" <sip:bob@carrier.example>')]
    assert diversion == "<sip:7@pbx>"


async def test_a_hold_that_came_from_a_caller_who_is_gone_is_taken_back() -> None:
    from sipflow.calls.bridge import joined

    async with middle() as stages:
        call = await stages.near.call()
        other = await stages.near.call()
        one, two = stages.near.agent.calls
        async with joined(stages.legs[0], two) as joint:
            await stages.callee.put_on_hold()
            await until(lambda: other.held)
            joint.close()
        await until(lambda: not other.held)
        await call.hangup()
        await other.hangup()
        await stages.quiet()

    assert one.ending is not None


async def test_a_far_end_that_takes_no_texts_is_told_and_the_call_goes_on() -> None:
    async with middle() as stages:
        call = await stages.near.call()
        stages.near.callee.ua._stack.able.methods = ("INVITE", "ACK", "BYE")
        with pytest.raises(MediaError, match="405"):
            await call.send_message("hello")
        going_on = call.ending
        await call.hangup()
        await stages.quiet()

    assert going_on is None


async def test_errands_are_run_in_order_and_no_task_is_left() -> None:
    tasks, done = Tasks(), []

    async def run(item: int) -> None:
        await asyncio.sleep(0)
        done.append(item)

    errands = Errands(tasks, run, name="errands")
    for item in range(100):
        errands.put(item)
    await until(lambda: len(done) == 64)
    await asyncio.sleep(0.01)
    left = len(tasks)
    errands.put(100)
    errands.close()
    await tasks.close()

    assert (done, left) == (list(range(64)), 0)  # of too much at once the newest are left out
