"""Each press is told once, however it comes; and digits go out as the trunk wants them."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from sipflow.audio.dtmf_detect import DtmfDetector
from sipflow.calls.digits import SAME_PRESS_S, DigitInbox, Kind
from sipflow.calls.inbound import InboundCall
from sipflow.errors import CallEnded, LocalProtocolError, MediaError
from tests.calls.stage import LOCAL, Stage, staged

RTP: Kind = "rfc4733"
INFO: Kind = "info"
TONE: Kind = "inband"


def told(*reports: tuple[str, Kind, float]) -> str:
    inbox = DigitInbox()
    return "".join(digit for digit, kind, now in reports if inbox.receive(digit, kind, now))


def test_a_digit_that_comes_three_ways_is_told_once() -> None:
    assert told(("5", RTP, 0.0), ("5", INFO, 0.05), ("5", TONE, 0.2)) == "5"
    assert told(("5", INFO, 0.0), ("5", RTP, 0.3)) == "5"


def test_the_same_digit_twice_is_two_however_quick() -> None:
    assert told(("5", RTP, 0.0), ("5", RTP, 0.1)) == "55"
    assert told(("5", RTP, 0.0), ("5", RTP, 0.1), ("5", INFO, 0.2), ("5", INFO, 0.3)) == "55"
    assert told(("5", RTP, 0.0), ("5", INFO, 0.1), ("5", RTP, 0.2), ("5", INFO, 0.3), ("5", RTP, 0.4)) == "555"


def test_digits_that_come_twice_keep_their_order() -> None:
    numbers = [
        (digit, kind, 0.2 * at + late) for at, digit in enumerate("1337") for kind, late in ((RTP, 0), (INFO, 0.5))
    ]

    assert told(*sorted(numbers, key=lambda report: report[2])) == "1337"


def test_a_far_end_may_change_from_one_way_to_another() -> None:
    assert told(("1", RTP, 0.0), ("2", INFO, 1.0), ("1", INFO, SAME_PRESS_S + 0.1), ("1", RTP, 9.0)) == "1211"


def test_an_info_at_the_end_of_a_long_press_is_the_same_press() -> None:
    inbox = DigitInbox()

    assert inbox.receive("9", RTP, 10.0)
    assert not inbox.receive("9", INFO, 16.1, lasted_s=6.0)
    assert inbox.receive("9", INFO, 16.2)


def test_a_flood_is_not_kept() -> None:
    inbox = DigitInbox()

    assert all(inbox.receive("1", RTP, 0.001 * number) for number in range(1000))
    assert len(inbox._presses) <= 32


async def listen(call: InboundCall) -> str:
    """Read digits until a #."""
    digits = ""
    while not digits.endswith("#"):
        digits += await call.read_digit(timeout=10.0) or "?"
    return digits


async def heard_by(agents: list[str], call: InboundCall) -> None:
    await call.answer()
    agents.append(await listen(call))


async def sent_and_heard(dtmf: str, digits: str, *, callee: str = "auto") -> tuple[str, list[str]]:
    """What a caller whose trunk says `dtmf` sends, and in what kinds it came."""
    heard: list[str] = []
    kinds: list[str] = []
    async with staged(lambda call: heard_by(heard, call), trunks=(replace(LOCAL, dtmf=callee),)) as stage:
        note_kinds(stage, kinds)
        call = await stage.caller.switchboard.place(stage.plan(), trunk=replace(LOCAL, dtmf=dtmf))
        await asyncio.wait_for(call.wait_answered(), 10.0)
        with_end = asyncio.wait_for(call.ended(), 20.0)
        with suppress(CallEnded):  # it hangs up as soon as it has heard the last
            await call.send_digits(digits)
        await with_end
        await stage.quiet()
    return heard[0], kinds


def note_kinds(stage: Stage, kinds: list[str]) -> None:
    board = stage.callee.switchboard
    before = board._digit

    def note(call_id: str, digit: str, kind: Kind) -> None:
        kinds.append(kind)
        before(call_id, digit, kind)

    board._digit = note  # type: ignore[method-assign]


async def test_digits_go_as_events_where_the_far_end_takes_them() -> None:
    assert await sent_and_heard("auto", "1*0#") == ("1*0#", ["rfc4733"] * 4)


async def test_digits_go_in_info_where_the_trunk_says_so_one_after_the_other() -> None:
    assert await sent_and_heard("info", "12A#") == ("12A#", [])


async def test_digits_go_as_tones_where_no_events_were_agreed() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        assert call.media is not None
        assert call.media.agreed is not None
        assert call.media.agreed.telephone_event_receive is None
        detector, found = DtmfDetector(), ""
        async for frame in call.audio:
            found += "".join(detector.feed(frame.pcm))
            if found.endswith("#"):
                break
        call.record.agent = found

    async with staged(agent, trunks=(replace(LOCAL, dtmf="inband"),)) as stage:
        call = await stage.call()
        with suppress(CallEnded):
            await call.send_digits("147#")
        await asyncio.wait_for(call.ended(), 10.0)
        await stage.quiet()

    assert stage.kept.records[0].agent == "147#"


async def test_a_trunk_that_wants_events_alone_sends_nothing_else() -> None:
    async with staged(trunks=(replace(LOCAL, dtmf="inband"),)) as stage:
        call = await stage.caller.switchboard.place(stage.plan(), trunk=replace(LOCAL, dtmf="rfc4733"))
        await asyncio.wait_for(call.wait_answered(), 10.0)
        with pytest.raises(LocalProtocolError):
            await call.send_digits("1")
        await call.hangup()
        await stage.quiet()


async def test_what_is_no_digit_is_not_sent() -> None:
    async with staged() as stage:
        call = await stage.call()
        with pytest.raises(LocalProtocolError, match="'x' is not a digit"):
            await call.send_digits("12x")
        await call.hangup()
        await stage.quiet()


async def test_a_far_end_that_refuses_info_is_told_of() -> None:
    async with staged() as stage:
        call = await stage.caller.switchboard.place(stage.plan(), trunk=replace(LOCAL, dtmf="info"))
        await asyncio.wait_for(call.wait_answered(), 10.0)
        usage = stage.agent.calls[0].usage
        usage._receive_info = (  # type: ignore[method-assign]
            lambda request, transaction, now: usage.reply(transaction, 415, now=now)
        )
        with pytest.raises(MediaError, match="415"):
            await call.send_digits("1")
        await call.hangup()
        await stage.quiet()


async def test_an_info_and_an_event_of_one_press_are_one_digit() -> None:
    heard: list[str] = []
    async with staged(lambda call: heard_by(heard, call)) as stage:
        call = await stage.call()
        board = stage.caller.switchboard
        board.apply(call.usage.info(b"Signal=1\r\nDuration=100\r\n", "application/dtmf-relay", now=board.now))
        await call.send_digits("1")
        board.apply(call.usage.info(b"#", "application/dtmf", now=board.now))
        await asyncio.wait_for(call.ended(), 10.0)
        await stage.quiet()

    assert heard == ["1#"]


async def test_an_info_that_is_no_digit_changes_nothing() -> None:
    async with staged() as stage:
        call = await stage.call()
        board, events = stage.callee.switchboard, []
        before = board._mid_call._informed

        def note(call: object, request: object) -> None:
            events.append(request)
            before(call, request)  # type: ignore[arg-type]

        board._mid_call._informed = note  # type: ignore[method-assign]
        sender = stage.caller.switchboard
        sender.apply(call.usage.info(b"Signal=!", "application/dtmf-relay", now=sender.now))
        async with asyncio.timeout(10.0):
            while not events:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        unread = list(stage.agent.calls[0]._digits)
        await call.hangup()
        await stage.quiet()

    assert unread == []
