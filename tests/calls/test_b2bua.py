"""A second leg as a whole: what of one leg's messages is seen on the other, sessions, loops, and how it ends."""

import asyncio
import re
from dataclasses import replace

import pytest

from sipflow.audio.tones import sine
from sipflow.calls.b2bua import Unreached
from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.errors import CallFailed
from sipflow.sip.message import Headers
from sipflow.sip.session_timer import SessionSettings
from sipflow.trunks.crossing import HeaderSettings
from sipflow.trunks.outgoing import OutboundSettings
from tests.calls.middle import CALLEE_HZ, CALLER_HZ, DBFS, OUT, Middle, hears, middle, talks, until
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, answer_and_wait

SAID = (
    ("X-Customer", "4711"),
    ("X-Secret", "s"),
    ("User-to-User", "56a390f3;encoding=hex"),
    ("Diversion", "<sip:+12065550101@10.1.1.1:5070>;reason=no-answer"),
    ("P-Asserted-Identity", '"Ann" <sip:+12065550199@10.1.1.1>'),
    ("Privacy", "id"),
    ("History-Info", "<sip:+12065550101@10.1.1.1>;index=1"),
    ("Organization", "Inner"),
)
OURS = frozenset({"via", "from", "to", "call-id", "contact", "content-length"})


def lines(headers: Headers) -> list[tuple[str, str]]:
    """All lines but those whose values are random."""
    return [(name, value) for name, value in headers if name.lower() not in OURS]


def fixed(forwards: int = 69) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What every INVITE of ours begins and ends with."""
    able = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY, REFER, MESSAGE"
    before = [("Max-Forwards", str(forwards)), ("CSeq", "1 INVITE")]
    after = [
        ("Allow", able),
        ("Supported", "100rel, norefersub, replaces, tdialog, timer"),
        ("Session-Expires", "1800"),
    ]
    return before, [*after, ("User-Agent", "sipflow/0.1.0"), ("Content-Type", "application/sdp")]


async def test_by_default_no_line_of_the_callers_invite_crosses() -> None:
    async with middle() as stages:
        call = await stages.near.call(headers=SAID)
        came = lines(stages.callee.headers)
        await call.hangup()
        await stages.quiet()

    before, after = fixed()
    assert came == [*before, *after]


async def test_what_the_trunk_lets_pass_sets_and_hides_is_all_that_crosses() -> None:
    settings = HeaderSettings(
        passed=("X-*", "User-to-User", "Diversion", "History-Info", "P-Asserted-Identity"),
        set={"X-From": "{caller}", "X-Who": "{X-Customer}"},
        hide=("X-Secret",),
    )
    async with middle(out=replace(OUT, headers=settings)) as stages:
        call = await stages.near.call(headers=SAID)
        came = lines(stages.callee.headers)
        await call.hangup()
        await stages.quiet()

    before, after = fixed()
    assert came == [
        *before,
        ("X-Customer", "4711"),
        ("User-to-User", "56a390f3;encoding=hex"),
        ("Diversion", "<sip:+12065550101@carrier.example>;reason=no-answer"),
        ("P-Asserted-Identity", '"Ann" <sip:+12065550199@carrier.example>'),
        ("History-Info", "<sip:+12065550101@carrier.example>;index=1"),
        ("Privacy", "id"),
        ("X-From", "caller"),
        ("X-Who", "4711"),
        *after,
    ]


async def test_nothing_of_one_legs_place_shows_on_the_other() -> None:
    seen: list[str] = []

    async def notes(call: InboundCall) -> None:
        seen.extend(f"{name}: {value}" for name, value in call.headers)
        seen.append(call.usage.offer_in.decode())  # type: ignore[attr-defined]
        await answer_and_wait(call)
        seen.extend(f"{name}: {value}" for name, value in call.last_words or ())

    everything = HeaderSettings(passed=("*",))
    async with middle(notes, out=replace(OUT, headers=everything), near=replace(LOCAL, headers=everything)) as stages:
        call = await stages.near.call(headers=SAID, contact_user="inner-name")
        assert call.media is not None
        sip_port = stages.near.caller.endpoint.ports["udp"]
        theirs = [f":{sip_port}", "10.1.1.1", "inner-name", call.record.sip_call_id, call.usage.established.local_tag]
        theirs += [str(call.media.session.pair.port), call.usage.described.split()[2].decode(), "z9hG4bK-x"]
        back = stages.callee
        assert back.media is not None
        ours = [f"{name}: {value}" for name, value in call.headers] + [stages.inbound.usage.described.decode()]
        far_side = [str(back.media.session.pair.port), back.record.sip_call_id, back.usage.established.local_tag]
        far_side += [f":{stages.far.port}", back.usage.described.split()[2].decode()]
        await call.hangup()
        await stages.quiet()

    text, text_back = "\n".join(seen), "\n".join(ours)
    assert [each for each in theirs if each in text] == []
    assert [each for each in far_side if each in text_back] == []
    assert "X-Customer: 4711" in text


async def test_answers_and_refusals_and_byes_carry_what_the_callers_trunk_lets_pass() -> None:
    async def answers(call: InboundCall) -> None:
        await call.ring(headers={"X-Queue": "7", "X-Secret": "s"})
        await asyncio.sleep(0.1)
        await call.answer(headers={"X-Agent": "Bob"})
        await call.hangup(headers={"X-Result": "done", "Reason": 'Q.850;cause=31;text="enough"'})

    near = replace(LOCAL, headers=HeaderSettings(passed=("X-*",), hide=("X-Secret",)))
    async with middle(answers, near=near) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        rung: list[list[tuple[str, str]]] = []
        call.on_progress = lambda _status, _reason: rung.append([line for line in call.headers if line[0][:2] == "X-"])
        await asyncio.wait_for(call.wait_answered(), WAIT_S)
        answered = [line for line in call.headers if line[0][:2] == "X-"]
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        said = [line for line in call.last_words or () if line[0][:2] == "X-" or line[0] == "Reason"]
        await stages.quiet()

    assert (rung, answered) == ([[("X-Queue", "7")]], [("X-Agent", "Bob")])
    assert said == [("Reason", 'Q.850;cause=31;text="the far end hung up (enough)"'), ("X-Result", "done")]
    assert (ending.by, ending.q850) == ("remote", 31)


async def test_a_refusal_carries_them_too_and_its_status() -> None:
    near = replace(LOCAL, headers=HeaderSettings(passed=("X-Why",)))
    async with middle(lambda call: call.reject(486, headers={"X-Why": "lunch", "X-Not": "1"}), near=near) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        with pytest.raises(CallFailed, match="486"):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        said = [line for line in call.last_words or () if line[0][:2] == "X-"]
        await stages.quiet()

    assert said == [("X-Why", "lunch")]
    assert [end and end.status for end in stages.ends] == [486]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, 502),
        (401, 502),
        (415, 502),
        (481, 502),
        (491, 502),
        (420, 502),
        (421, 502),
        (422, 502),
        (488, 502),
        (487, 480),
    ],
)
async def test_what_is_between_the_callee_and_us_is_not_said_to_the_caller(status: int, told: int) -> None:
    async with middle(lambda call: call.reject(status)) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        with pytest.raises(CallFailed, match=str(told)):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await stages.quiet()


async def test_headers_of_a_bye_cross_from_the_caller_to_the_callee() -> None:
    out = replace(OUT, headers=HeaderSettings(passed=("X-*", "Reason")))
    async with middle(out=out) as stages:
        call = await stages.near.call()
        await call.hangup(headers={"X-Disposition": "sold", "Reason": 'Q.850;cause=16;text="bye"'})
        await stages.quiet()
        said = [line for line in stages.callee.last_words or () if line[0] in ("X-Disposition", "Reason")]

    assert said == [("X-Disposition", "sold"), ("Reason", 'Q.850;cause=16;text="bye"')]


async def test_a_caller_who_wants_privacy_is_not_shown_by_a_trunk_that_shows_callers() -> None:
    out = replace(OUT, outbound=replace(OUT.outbound, caller_id="original"))
    async with middle(out=out) as stages:
        call = await stages.near.call(headers=(("Privacy", "id"),))
        hidden = dict(stages.callee.headers)
        await call.hangup()
        await until(lambda: call.ending is not None)
        other = await stages.near.call()
        shown = dict(stages.far.agent.calls[1].headers)
        await other.hangup()
        await stages.quiet()

    assert hidden["From"].startswith('"Anonymous" <sip:anonymous@anonymous.invalid>')
    assert hidden["Privacy"] == "id"
    assert shown["From"].startswith("<sip:caller@carrier.example>")


# How often and where to


async def test_max_forwards_is_carried_down_by_one_and_a_call_without_any_left_is_refused() -> None:
    async with middle() as stages:
        call = await stages.near.call(max_forwards=10)
        came = stages.callee.headers.get("Max-Forwards")
        await call.hangup()
        spent = await stages.near.caller.switchboard.place(stages.near.plan(max_forwards=0))
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(spent.wait_answered(), WAIT_S)
        await stages.quiet()

    assert (came, failed.value.status, len(stages.legs)) == ("9", 483, 1)


async def test_a_call_that_comes_back_to_its_number_is_a_loop() -> None:
    async with middle(to="sip:+12065550100@127.0.0.1:0") as stages:
        ring = stages.near

        async def again(call: InboundCall) -> None:
            leg = await call.dial(f"sip:{NUMBER}@127.0.0.1:{ring.port}")
            with pytest.raises(CallFailed) as failed:
                await leg.wait_answered()
            await call.reject(failed.value.status)

        spec, _ = ring.agent.runner._agents["agent"]
        ring.agent.runner._agents["agent"] = (spec, again)
        call = await ring.caller.switchboard.place(ring.plan())
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await stages.quiet()
        left = len(ring.callee.switchboard.loops)
        refused = [each for each in ring.kept.records if "it was sent on from" in " ".join(each.why)]

    assert (failed.value.status, left, len(refused)) == (482, 0, 1)


# Sessions


def hurry(call: Call, *, hang_up: bool = False) -> None:
    """Let half of the session's time be over, or all of it."""
    usage = call.usage
    timer = usage._refresher.timer  # type: ignore[union-attr]
    now = call._switchboard.now
    if hang_up:
        timer.hang_up_at = now
    else:
        timer.refresh_at = now
    usage._stack.schedule(usage)
    call._switchboard.endpoint.perform([])


@pytest.mark.parametrize("refresher", ["us", "them"])
async def test_each_leg_has_a_session_of_its_own_with_either_refresher(refresher: str) -> None:
    near = replace(LOCAL, session=SessionSettings(expires_s=600, refresher=refresher))  # type: ignore[arg-type]
    out = replace(OUT, session=SessionSettings(expires_s=300, min_s=120, refresher=refresher))  # type: ignore[arg-type]
    async with middle(near=near, out=out) as stages:
        call = await stages.near.call()
        (leg,) = stages.legs
        timers = [each.usage._refresher.timer for each in (stages.inbound, leg)]  # type: ignore[union-attr]
        ours = [timer.we_refresh for timer in timers]
        said = (call.headers.get("Session-Expires"), stages.callee.headers.get("Session-Expires"))
        min_se = stages.callee.headers.get("Min-SE")
        ends = [timer.hang_up_at for timer in timers]
        await asyncio.sleep(0.05)
        for each in (stages.inbound, leg) if refresher == "us" else (call, stages.callee):
            hurry(each)
        await until(lambda: all(t.hang_up_at > end for t, end in zip(timers, ends, strict=True)))
        async with call.playing(sine(CALLER_HZ, 3000, level_dbfs=DBFS)):
            heard = (await hears(call, CALLEE_HZ), await hears(stages.callee, CALLER_HZ))
        await call.hangup()
        await stages.quiet()

    mine, theirs = ("uas", "uac") if refresher == "us" else ("uac", "uas")
    assert said == (f"600;refresher={mine}", f"300;refresher={theirs}")
    assert (ours, min_se, heard) == ([refresher == "us"] * 2, "120", (True, True))


async def test_a_session_that_dies_on_one_leg_ends_both_with_a_reason() -> None:
    near = replace(LOCAL, session=SessionSettings(refresher="them"))
    async with middle(near=near) as stages:
        call = await stages.near.call()
        hurry(stages.inbound, hang_up=True)
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        await stages.quiet()
        said = (stages.callee.last_words or Headers()).get("Reason") or ""
        ours = stages.inbound.ending

    assert ours is not None
    assert (ours.by, ours.status, ours.word) == ("system", 408, Word.LOST)
    assert (ending.by, ending.status) == ("remote", 200)
    assert re.fullmatch(r'Q\.850;cause=102;text="nobody refreshed the session: nothing was heard in 1800 s"', said)


async def test_a_trunk_may_know_no_session_timers_at_all() -> None:
    off = SessionSettings(on=False)
    async with middle(near=replace(LOCAL, session=off), out=replace(OUT, session=off)) as stages:
        call = await stages.near.call()
        said = [
            headers.get(name)
            for headers in (call.headers, stages.callee.headers)
            for name in ("Session-Expires", "Supported")
        ]
        await call.hangup()
        await stages.quiet()

    assert said == [None, "100rel, norefersub, replaces, tdialog", None, "100rel, norefersub, replaces, tdialog"]


async def test_a_session_shorter_than_the_trunk_allows_is_answered_422_and_then_agreed_on() -> None:
    near = replace(LOCAL, session=SessionSettings(min_s=400, expires_s=900))
    async with middle(near=near) as stages:
        call = await stages.near.call(session=SessionSettings(expires_s=120))
        said = call.headers.get("Session-Expires")
        refused = [record.ending.status for record in stages.near.kept.records if record.ending is not None]
        await call.hangup()
        await stages.quiet()

    assert (said, refused) == ("400;refresher=uas", [422])


# Early media, and failures


async def test_ringing_early_media_and_the_answer_cross_as_they_come() -> None:
    go = asyncio.Event()

    async def slow(call: InboundCall) -> None:
        await call.ring()
        await asyncio.sleep(0.1)
        await call.ring(182)
        await asyncio.sleep(0.1)
        await call.progress()
        async with call.playing(sine(CALLEE_HZ, 4000, level_dbfs=DBFS)):
            await go.wait()
        await talks(call)

    async with middle(slow) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        await until(lambda: call.media is not None and call.media.agreed is not None)
        early = await hears(call, CALLEE_HZ)
        answered = call.answered
        reliable = stages.inbound.usage._reliable is not None  # type: ignore[attr-defined]
        go.set()
        await asyncio.wait_for(call.wait_answered(), WAIT_S)
        late = await hears(call, CALLEE_HZ)
        await call.hangup()
        await stages.quiet()

    assert (call.provisionals, early, answered, reliable, late) == ([180, 182, 183], True, False, True, True)


async def test_a_second_leg_that_is_sent_elsewhere_before_it_is_answered_hears_and_is_heard() -> None:
    heard: list[bool] = []

    async def moves(call: InboundCall) -> None:
        user, _, here = call.usage.request.uri.rpartition("@")  # type: ignore[attr-defined]
        if user != "sip:desk7":
            await call.progress()
            await call.reject(302, headers={"Contact": f"<sip:desk7@{here}>"})
        await call.answer()
        async with call.playing(sine(CALLEE_HZ, 8000, level_dbfs=DBFS)):
            heard.append(await hears(call, CALLER_HZ))
            await call.ended()

    async with middle(moves, out=replace(OUT, outbound=OutboundSettings(redirects="anywhere"))) as stages:
        call = await stages.near.call()
        async with call.playing(sine(CALLER_HZ, 8000, level_dbfs=DBFS)):
            heard.append(await hears(call, CALLEE_HZ))
            await until(lambda: len(heard) == 2)
        await call.hangup()
        await stages.quiet()

    assert (len(stages.far.agent.calls), heard) == (2, [True, True])


async def test_what_cannot_be_reached_is_not_named_to_the_caller() -> None:
    async with middle(to="sip:agent@127.0.0.1:1") as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        with pytest.raises(CallFailed) as failed:
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        said = "\n".join(value for _, value in call.last_words or ())
        await stages.quiet()

    assert (failed.value.status, "127.0.0.1:1;" in said, "127.0.0.1:1 " in said) == (503, False, False)
    assert "the far end" in said


async def test_what_our_own_rules_forbid_is_said_in_the_record_and_not_to_the_caller() -> None:
    async with middle(to="+442079460123") as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        with pytest.raises(CallFailed):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        said = call.last_words.get("Reason") if call.last_words is not None else None
        await stages.quiet()

    assert said == 'SIP;cause=503;text="the call cannot be put through"'
    assert stages.ends[0] is not None
    assert stages.ends[0].why.startswith("the endpoint cannot be called: ")


async def test_who_does_not_answer_in_time_is_cancelled_and_the_caller_is_there_to_be_given_on() -> None:
    async def rings(call: InboundCall) -> None:
        await call.ring()
        await call.ended()

    async with middle(rings, ring_s=0.3) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        with pytest.raises(CallFailed, match="480"):
            await asyncio.wait_for(call.wait_answered(), WAIT_S)
        await stages.quiet()

    assert stages.ends == [Unreached(480, "the endpoint did not answer in 0.3 s")]
    assert [record.ending and record.ending.word for record in stages.far.kept.records] == [Word.CANCELLED]
    second = next(record for record in stages.near.kept.records if record.direction == "outbound")
    assert second.ending == Ending.of("system", 487, "nobody answered in 0.3 s", word=Word.NO_ANSWER)


async def test_who_answers_in_the_very_moment_in_which_the_time_is_over_has_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = OutboundCall.wait_answered

    async def a_little_late(leg: OutboundCall) -> None:
        await answered(leg)
        await asyncio.sleep(WAIT_S)

    monkeypatch.setattr(OutboundCall, "wait_answered", a_little_late)
    async with middle(ring_s=0.3) as stages:
        call = await stages.near.caller.switchboard.place(stages.near.plan())
        await until(lambda: call.ending is not None or call.answered)
        heard = await hears(call, CALLEE_HZ)
        await call.hangup()
        await stages.quiet()

    assert (heard, stages.ends) == (True, [None])


async def test_the_callee_lost_gives_the_caller_back() -> None:
    async with middle() as stages:
        call = await stages.near.call()
        hurry(stages.legs[0], hang_up=True)
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        await stages.quiet()

    ((end,),) = (stages.ends,)
    assert end is not None
    assert (end.status, end.lost, ending.by) == (502, True, "remote")


def both_legs(stages: Middle) -> list[tuple[str, str]]:
    """Who ended each leg, and how, as the middle keeps it."""
    endings = [(record.direction, record.ending.by) for record in stages.near.kept.records if record.ending is not None]
    return sorted(endings)


async def test_both_legs_records_agree_on_who_hung_up() -> None:
    async with middle() as stages:
        call = await stages.near.call()
        await call.hangup()
        await stages.quiet()

    assert both_legs(stages) == [("inbound", "remote"), ("outbound", "local")]
