"""Who gets in, and what those hear who do not."""

import pytest

from sipflow.calls.settings import Settings
from sipflow.errors import CallFailed
from sipflow.net.acl import Networks
from sipflow.numbers.inventory import Number
from sipflow.sip.message import Response
from sipflow.sip.outputs import Ended
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import NUMBER, Stage, staged


async def refused(stage: Stage, user: str = NUMBER, **changes: object) -> tuple[int, str]:
    """Place a call that is refused; returns status and reason header."""
    reasons: list[str] = []
    board = stage.caller.switchboard
    known = board.on_event

    def listen(event: object) -> None:
        if isinstance(event, Ended) and isinstance(event.message, Response):
            reasons.extend(event.message.headers.all("Reason") or event.message.headers.all("Warning"))
        known(event)

    board.on_event = listen  # type: ignore[method-assign]
    with pytest.raises(CallFailed) as failed:
        await stage.call(user, **changes)
    return failed.value.status, reasons[0] if reasons else ""


async def test_call_to_no_number_gets_404_with_a_reason() -> None:
    async with staged() as stage:
        assert await refused(stage, "+12065550199") == (
            404,
            'SIP;cause=404;text="no number of trunk local matches +12065550199"',
        )


async def test_call_from_an_unknown_source_gets_403_that_says_what_to_do() -> None:
    elsewhere = Trunk(name="pbx", accept_from=Networks(["192.0.2.0/24"]))
    async with staged(trunks=(elsewhere,)) as stage:
        status, reason = await refused(stage)

    assert status == 403
    assert "127.0.0.1 is in no trunk's accept_from" in reason


async def test_call_beyond_max_calls_gets_503_and_the_first_lives_on() -> None:
    async with staged(calls=Settings(max_calls=1)) as stage:
        first = await stage.call()
        status, _ = await refused(stage)
        alive = first.ending is None
        await first.hangup()
        await stage.quiet()

    assert (status, alive) == (503, True)


async def test_call_without_a_free_port_gets_503() -> None:
    async with staged(ports=2) as stage:
        first = await stage.call()
        status, reason = await refused(stage)
        await first.hangup()
        await stage.quiet()

    assert status == 503
    assert "port" in reason


@pytest.mark.parametrize("user", ["+12065550100", "12065550100", "2065550100", "%2B12065550100", "(206)555-0100"])
async def test_number_is_found_however_it_is_written(user: str) -> None:
    async with staged() as stage:
        call = await stage.call(user)
        await call.hangup()
        await stage.quiet()

    assert [record.number for record in stage.kept.records] == [NUMBER]


async def test_extension_and_star_code_are_kept_as_they_are() -> None:
    numbers = (Number("200", inbound_agent="agent"), Number("*21#", inbound_agent="agent"))
    async with staged(numbers=numbers) as stage:
        for user in ("200", "*21%23"):
            await (await stage.call(user)).hangup()
        await stage.quiet()

    assert sorted(record.number for record in stage.kept.records) == ["*21#", "200"]


async def test_number_without_an_agent_gets_404() -> None:
    async with staged(numbers=(Number(NUMBER),)) as stage:
        assert await refused(stage) == (404, f'SIP;cause=404;text="number {NUMBER} has no inbound agent"')
