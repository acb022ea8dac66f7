"""Transfers by REFER: a telephone that follows, refuses, lies or falls silent, and a caller who is never lost."""

import asyncio

import pytest

from sipflow.calls.call import Call
from sipflow.calls.inbound import InboundCall
from sipflow.calls.outbound import OutboundCall
from sipflow.calls.transfer.referring import useless_because
from sipflow.sip import outputs as sip
from sipflow.sip.headers.address import NameAddr
from sipflow.sip.plan import RequestPlan
from sipflow.sip.timers import Timers
from sipflow.sip.uri import SipUri
from sipflow.trunks.referring import ReferSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import refuses, story
from tests.calls.stage import WAIT_S
from tests.calls.transfer.scene import (
    CALLER_HZ,
    MUSIC_HZ,
    PERSON_HZ,
    Ear,
    OnRefer,
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


async def follow(stage: Scene, event: sip.ReferReceived) -> OutboundCall:
    """Do as a telephone does: say yes, call whom Refer-To names, with what it holds, and report."""
    board = stage.home.switchboard
    board.apply(event.referred.accept(now=board.now))
    ids, uri = stage.home.ua.ids, event.refer_to.uri
    assert isinstance(uri, SipUri)
    plan = RequestPlan(
        method="INVITE",
        uri=uri,
        destination=uri,
        from_=NameAddr.parse(f"<sip:+12065550199@127.0.0.1>;tag={ids.tag()}"),
        to=NameAddr("", uri),
        call_id=ids.call_id(),
        cseq=1,
        headers=event.refer_to.headers,
        contact_user="caller",
    )
    return await board.place(plan)


def reports(*statuses: int, then_hangs_up: bool = False) -> OnRefer:
    """A telephone that says yes, and reports these statuses whatever it does."""

    async def on_refer(stage: Scene, event: sip.ReferReceived) -> None:
        board = stage.home.switchboard
        board.apply(event.referred.accept(now=board.now))
        for status in statuses:
            report = event.referred.progress if status < 200 else event.referred.finish
            board.apply(report(status, now=board.now))
        if then_hangs_up:
            board.hang_up_all()
            board.draining = False

    return on_refer


async def never(stage: Scene, event: sip.ReferReceived) -> None:
    """Take it, and never answer."""


def answers(status: int) -> OnRefer:
    """A telephone that refuses with a status."""

    async def on_refer(stage: Scene, event: sip.ReferReceived) -> None:
        board = stage.home.switchboard
        board.apply(event.referred.refuse(status, "no", now=board.now))

    return on_refer


async def test_a_blind_transfer_goes_by_refer_and_succeeds_when_the_far_end_says_that_it_was_answered() -> None:
    second: list[OutboundCall] = []

    async def on_refer(stage: Scene, event: sip.ReferReceived) -> None:
        board = stage.home.switchboard
        leg = await follow(stage, event)
        await leg.wait_answered()
        second.append(leg)
        board.apply(event.referred.finish(200, "OK", now=board.now))

    headers = {"X-Order": "{X-Order}", "X-Call": "{call_id}", "X-None": "{nothing}"}
    async with scene(transfers(headers=headers), on_refer=on_refer, bob=talks()) as stage:
        call = await stage.call(headers=(("X-Order", "77"),))
        outcome = await stage.outcome()
        ending = await call.ended()
        bob = await stage.person("bob")
        ear = Ear(second[0])
        await ear.comes_to_hear(PERSON_HZ)
        refer = stage.refers[0].request.headers
        record = stage.record
        await second[0].hangup()
        await stage.quiet()

    assert outcome.ok
    assert tried(outcome) == [("REFER", 200, None, "destination")]
    assert outcome.human_connected_at is not None
    assert (ending.by, ending.status) == ("remote", 200)
    assert (bob.variables["X-Order"], bob.variables["X-Call"]) == ("77", record.id)
    assert "X-None" not in bob.variables
    assert (refer.get("Referred-By") or "").startswith("<sip:+12065550100@")
    assert [name for name in story(record) if name.startswith(("transfer", "human"))] == [
        "transfer_started", "transfer_trying", "transfer_attempt", "human_connected", "transfer_over",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "failed_reason", "word", "who"),
    [
        (404, "number_not_found", "transfer-failed-connection-error", "carrier"),
        (484, "number_incomplete", "transfer-failed-connection-error", "carrier"),
        (480, "destination_unavailable", "transfer-failed-no-answer", "destination"),
        (486, "destination_unavailable", "transfer-failed-busy", "destination"),
        (603, "rejected_by_destination", "transfer-failed-connection-error", "destination"),
        (403, "transfer_blocked_by_carrier", "transfer-failed-connection-error", "carrier"),
        (503, "carrier_unavailable", "transfer-failed-connection-error", "carrier"),
        (482, "routing_loop", "transfer-failed-connection-error", "carrier"),
        (488, "media_negotiation_failed", "transfer-failed-connection-error", "destination"),
    ],
)
async def test_a_202_is_no_success_where_the_report_says_otherwise(
    status: int, failed_reason: str, word: str, who: str
) -> None:
    async with scene(transfers(), on_refer=reports(180, status), bob=talks()) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        called = len(stage.people["bob"].calls)
        await is_back_with_the_agent(stage, ear)

    assert called == 0  # the far end has called it; we need not
    assert (outcome.status.value, outcome.failed_reason, outcome.human_connected_at) == (word, failed_reason, None)
    assert tried(outcome) == [("REFER", status, failed_reason, who)]


@pytest.mark.parametrize(
    ("status", "failed_reason"),
    [
        (405, "transfer_method_unsupported"),
        (501, "transfer_method_unsupported"),
        (420, "transfer_method_unsupported"),
        (603, "rejected_by_destination"),
        (403, "transfer_blocked_by_carrier"),
        (404, "number_not_found"),
    ],
)
async def test_where_refer_is_refused_the_target_is_called_by_us(status: int, failed_reason: str) -> None:
    async with scene(transfers(), on_refer=answers(status), bob=talks()) as stage:
        call = await stage.call()
        ear, bobs_ear = Ear(call), Ear(await stage.person("bob"))
        await ear.comes_to_hear(PERSON_HZ)
        heard = await bobs_ear.hears()
        await call.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert heard == {CALLER_HZ}
    assert outcome.ok
    assert tried(outcome) == [("REFER", status, failed_reason, "carrier"), ("INVITE", 200, None, "destination")]


async def test_without_the_fall_back_an_unsupported_refer_is_the_end_of_it() -> None:
    async with scene(transfers(fallback_on_refer=False), on_refer=answers(405), bob=talks()) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        called = len(stage.people["bob"].calls)
        await is_back_with_the_agent(stage, ear)

    assert called == 0
    assert outcome.failed_reason == "transfer_method_unsupported"


@pytest.mark.parametrize(
    ("statuses", "word"), [((180, 486), "transfer-failed-busy"), ((), "transfer-failed-connection-error")]
)
async def test_a_far_end_that_keeps_no_caller_has_taken_the_call_for_good_whatever_it_reports(
    statuses: tuple[int, ...], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.transfer._NOTICE_S", 0.2)
    on_refer, refer = reports(*statuses), ReferSettings(final=True)
    async with scene(transfers(ring_s=0.2), on_refer=on_refer, refer=refer, bob=talks()) as stage:
        call = await stage.call()
        outcome = await stage.outcome()
        ending = await call.ended()
        called, why = len(stage.people["bob"].calls), stage.record.ending
        await stage.quiet()

    assert (called, outcome.status.value, len(outcome.attempts), ending.by) == (0, word, 1, "remote")
    assert why is not None
    assert (why.by, why.why.partition(",")[0]) == ("local", "the far end has sent the caller away")


async def test_a_far_end_that_keeps_no_caller_has_them_still_where_it_refuses() -> None:
    refer = ReferSettings(final=True)
    async with scene(transfers(), on_refer=answers(603), refer=refer, bob=refuses(486)) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        await is_back_with_the_agent(stage, ear)

    assert [method for method, *_ in tried(outcome)] == ["REFER", "INVITE"]


async def test_a_far_end_that_reports_nothing_is_given_up_and_the_target_called_by_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.transfer._NOTICE_S", 0.2)
    async with scene(transfers(ring_s=0.2), on_refer=reports(), bob=talks()) as stage:
        call = await stage.call()
        ear = Ear(call)
        await ear.comes_to_hear(PERSON_HZ)
        await call.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert tried(outcome) == [("REFER", 100, "carrier_unavailable", "sipflow"), ("INVITE", 200, None, "destination")]


async def test_a_refer_that_nobody_answers_has_no_status_and_the_target_is_called_by_us() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        call.usage._stack.layer._timers = Timers(t1=0.005)  # nobody waits for 32 s here
        stage.outcomes.append(await call.transfer(stage.uri("bob"), ring_s=5))

    async with scene(agent, on_refer=never, bob=refuses(486)) as stage:
        await stage.call()
        outcome = await stage.outcome()
        await stage.quiet()

    assert tried(outcome) == [
        ("REFER", 0, "carrier_unavailable", "sipflow"),
        ("INVITE", 486, "destination_unavailable", "destination"),
    ]


async def test_a_refer_that_nobody_answers_is_waited_for_a_while_in_which_the_caller_hears_music(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.transfer._QUIET_S", 0.1)
    monkeypatch.setattr("sipflow.calls.transfer.referring._ANSWER_S", 1.5)
    async with scene(transfers(music=tone(MUSIC_HZ)), on_refer=never, bob=talks()) as stage:
        call = await stage.call()
        ear = Ear(call)
        await ear.comes_to_hear(MUSIC_HZ)
        called = len(stage.people["bob"].calls)
        await ear.comes_to_hear(PERSON_HZ)
        await call.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert called == 0
    assert tried(outcome) == [("REFER", 0, "carrier_unavailable", "sipflow"), ("INVITE", 200, None, "destination")]


@pytest.mark.parametrize(
    ("final", "lines", "rang"),
    [
        (200, [("INVITE", 487, "destination_unavailable", "sipflow"), ("REFER", 200, None, "destination")], 1),
        (
            486,
            [
                ("INVITE", 487, "destination_unavailable", "sipflow"),
                ("REFER", 486, "destination_unavailable", "destination"),
            ],
            1,
        ),
        (0, [("INVITE", 487, "destination_unavailable", "sipflow"), ("REFER", 100, "carrier_unavailable", "sipflow"),
             ("INVITE", 200, None, "destination")], 2),
    ],
)  # fmt: skip
async def test_a_far_end_that_takes_its_refer_late_has_the_target_ring_for_itself_alone(
    final: int, lines: list[tuple[str, int, str | None, str]], rang: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience_s, ring_s = (WAIT_S if final else 0.3), WAIT_S
    monkeypatch.setattr("sipflow.calls.transfer.transfer._NOTICE_S", patience_s - ring_s)
    monkeypatch.setattr("sipflow.calls.transfer.referring._ANSWER_S", 0.2)

    async def late(stage: Scene, event: sip.ReferReceived) -> None:
        bob, board = await stage.person("bob", answered=False), stage.home.switchboard
        board.apply(event.referred.accept(now=board.now))
        if final:
            await bob.ended()
            board.apply(event.referred.finish(final, now=board.now))

    async def rings_and_then_answers(call: InboundCall) -> None:
        await call.ring()
        if len(stage.people["bob"].calls) > 1:
            await call.answer()
        await call.ended()

    async with scene(transfers(ring_s=ring_s), on_refer=late, bob=rings_and_then_answers) as stage:
        call = await stage.call()
        ear = Ear(call)
        if not final:
            await stage.person("bob")
            async with asyncio.timeout(WAIT_S):
                while stage.agent.calls[-1].joint is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await call.hangup()
        outcome = await stage.outcome()
        called = [each.record.ending.word for each in stage.people["bob"].calls if each.record.ending]
        if final == 486:
            await is_back_with_the_agent(stage, ear)
        await stage.quiet()

    assert outcome.ok is (final != 486)
    assert tried(outcome) == [("REFER", 0, "carrier_unavailable", "sipflow"), *lines]
    assert (len(stage.people["bob"].calls), called[0]) == (rang, "cancelled")


@pytest.mark.parametrize("by", ["caller", "agent"])
async def test_a_refer_that_is_cut_short_has_its_line_too(by: str) -> None:
    async with scene(transfers(ring_s=5), on_refer=reports(100) if by == "agent" else never, bob=refuses(486)) as stage:
        call = await stage.call()
        async with asyncio.timeout(WAIT_S):
            while not stage.refers:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        ours = stage.agent.calls[-1]
        if by == "agent":
            ours.take_back()
            await stage.outcome()
        await call.hangup()
        await stage.quiet()

    assert ours.transferring is not None
    decider = "caller" if by == "caller" else "sipflow"
    assert tried(ours.transferring.attempts) == [("REFER", 0, "destination_unavailable", decider)]


async def test_a_target_that_rang_and_of_which_nothing_more_was_heard_is_not_called_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.transfer._NOTICE_S", 0.2)
    async with scene(transfers(ring_s=0.2), on_refer=reports(180), bob=talks()) as stage:
        ear = Ear(await stage.call())
        outcome = await stage.outcome()
        called = len(stage.people["bob"].calls)
        await is_back_with_the_agent(stage, ear)

    assert called == 0
    assert tried(outcome) == [("REFER", 180, "destination_unavailable", "sipflow")]


async def test_a_far_end_that_takes_the_call_away_and_reports_nothing_is_taken_at_its_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.referring._LAST_WORD_S", 0.1)
    async with scene(transfers(), on_refer=reports(then_hangs_up=True), bob=talks()) as stage:
        await stage.call()
        outcome = await stage.outcome()
        await stage.quiet()

    assert outcome.ok
    assert outcome.human_connected_at is None  # nobody told us
    assert tried(outcome) == [("REFER", 0, None, "carrier")]
    assert outcome.why == "the far end took the REFER, hung up on us, and reported nothing"


async def test_targets_of_a_blind_transfer_are_told_one_after_the_other() -> None:
    answered = iter((486, 200))

    async def on_refer(stage: Scene, event: sip.ReferReceived) -> None:
        await reports(next(answered))(stage, event)

    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        stage.outcomes.append(await call.transfer([stage.uri("anna"), stage.uri("bob")]))

    async with scene(agent, on_refer=on_refer, anna=refuses(486), bob=talks()) as stage:
        await stage.call()
        outcome = await stage.outcome()
        told = [str(each.refer_to.uri) for each in stage.refers]
        await stage.quiet()

    assert told == [stage.uri("anna"), stage.uri("bob")]
    assert outcome.target == stage.uri("bob")
    assert [status for _, status, _, _ in tried(outcome)] == [486, 200]


async def test_an_extension_is_one_of_the_trunk_or_else_of_the_host_that_calls_and_a_tel_uri_stays_one() -> None:
    async def agent(stage: Scene, call: Call) -> None:
        await call.answer()
        for target in ("200", "tel:+1-206-555-0177"):
            stage.outcomes.append(await call.transfer(target, headers={"X-Why": "because"}, fallback_on_refer=False))

    async with scene(agent, on_refer=answers(603)) as stage:
        call = await stage.call()
        await call.ended()
        told = [(each.request.headers.get("Refer-To"), each.request.headers.get("X-Why")) for each in stage.refers]
        await stage.quiet()

    assert told == [("<sip:200@127.0.0.1?X-Why=because>", None), ("<tel:+12065550177>", "because")]


# Attended


async def completed(stage: Scene, call: Call) -> None:
    """Transfer by the trunk that the call came by, which can join both by itself."""
    await call.answer()
    stage.outcomes.append(await call.transfer("bob", mode="attended", trunk="line"))


async def test_an_attended_transfer_is_completed_by_the_trunk_where_it_can_and_we_are_out_of_the_call() -> None:
    second: list[OutboundCall] = []

    async def on_refer(stage: Scene, event: sip.ReferReceived) -> None:
        board = stage.home.switchboard
        leg = await follow(stage, event)
        await leg.wait_answered()
        second.append(leg)
        board.apply(event.referred.finish(200, "OK", now=board.now))
        stage.home.tasks.spawn(talk(leg, CALLER_HZ), name="the caller's voice")

    async with attended(on_refer) as stage:
        call = await stage.call()
        outcome = await stage.outcome()
        await call.ended()
        async with asyncio.timeout(WAIT_S):
            while stage.near.switchboard.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        bob = stage.people["bob"].calls
        ears = Ear(second[0]), Ear(bob[-1])
        heard = await both(*ears)
        replaced = stage.refers[0].refer_to.replaces
        await second[0].hangup()
        await stage.quiet()

    assert heard == [{PERSON_HZ}, {CALLER_HZ}]
    assert len(bob) == 2
    assert replaced is not None
    assert replaced.call_id == bob[0].record.sip_call_id
    assert tried(outcome) == [("INVITE", 200, None, "destination"), ("REFER", 200, None, "destination")]


@pytest.mark.parametrize("on_refer", [answers(603), reports(486)])
async def test_where_the_trunk_cannot_after_all_caller_and_person_stay_joined_by_us(on_refer: OnRefer) -> None:
    async with attended(on_refer) as stage:
        call = await stage.call()
        ears = Ear(call), Ear(await stage.person("bob"))
        async with asyncio.timeout(WAIT_S):
            while len(stage.agent.calls[-1].transferring.attempts) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        heard = await both(*ears)
        await call.hangup()
        outcome = await stage.outcome()
        await stage.quiet()

    assert heard == [{PERSON_HZ}, {CALLER_HZ}]
    assert outcome.ok


async def test_a_person_who_leaves_before_the_far_end_has_joined_both_ends_the_call_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sipflow.calls.transfer.transfer._FAREWELL_S", 0.2)
    async with attended(reports(100)) as stage:
        call = await stage.call()
        bob = await stage.person("bob")
        async with asyncio.timeout(WAIT_S):
            while not stage.refers:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await bob.hangup()
        ending = await asyncio.wait_for(call.ended(), WAIT_S)
        outcome = await stage.outcome()
        await stage.quiet()

    assert (ending.by, outcome.ok) == ("remote", True)
    assert tried(outcome) == [
        ("INVITE", 200, None, "destination"),
        ("REFER", 0, "destination_unavailable", "sipflow"),
    ]


def attended(on_refer: OnRefer):  # type: ignore[no-untyped-def]  # a context manager of a scene
    return scene(completed, on_refer=on_refer, refer=ReferSettings(replaces=True), domain="bob", bob=talks())


async def test_no_refer_is_sent_where_it_is_known_to_be_of_no_use() -> None:
    said: list[str] = []

    async def agent(stage: Scene, call: Call) -> None:
        said.append(useless_because(call, None))
        await call.answer()
        said.append(useless_because(call, None))
        said.append(useless_because(call, Trunk("x", sip_domain="x.invalid", refer=ReferSettings(send="never"))))
        call.usage.peer_allow = "INVITE, ACK, BYE"
        said.append(useless_because(call, None))
        call.usage.peer_allow = ""
        said.append(useless_because(call, None))

    async with scene(agent) as stage:
        call = await stage.call()
        await call.ended()
        await stage.quiet()

    assert said == [
        "the call is not answered yet",
        "",
        "trunk x takes none (refer.send: never)",
        "the far end's Allow does not name it",
        "",
    ]
