"""What is kept of calls that come in, also of those that no agent ever saw."""

import asyncio

import pytest

from sipflow.calls.announced import read_ei
from sipflow.calls.arrivals import arrival, ei_tokens, turned_away
from sipflow.calls.ending import Ending, Fault, Word
from sipflow.calls.inbound import InboundCall
from sipflow.calls.record import CallRecord
from sipflow.calls.routes import NoRoute
from sipflow.calls.settings import Settings as CallSettings
from sipflow.calls.status import error_message, status_of
from sipflow.errors import CallFailed
from sipflow.media.settings import Settings as MediaSettings
from sipflow.sip.message import Request
from sipflow.trunks.trunk import Trunk
from tests.calls.stage import LOCAL, NUMBER, WAIT_S, Stage, answer_and_wait, staged


def invite(**headers: str) -> Request:
    request = Request("INVITE", "sip:+12065550100@edge")
    lines = {"From": "<sip:+12065550123@pbx>;tag=1", "To": "<sip:+12065550100@edge>", "Call-ID": "far@pbx", **headers}
    for name, value in lines.items():
        request.headers.add(name.replace("_", "-"), value)
    return request


def begun(**headers: str) -> CallRecord:
    request = invite(**headers)
    return arrival(request, "ours", NoRoute(404, "no number", "pbx"), ei_tokens(request))


def test_the_clients_own_id_and_the_diversion_are_read_from_x_ei() -> None:
    record = begun(X_EI="S.abc;E.crm-17;O.+12065550177;", X_Lead="Ada")

    assert (record.external_id, record.diversion) == ("crm-17", "+12065550177")
    assert record.variables == {"X-EI": "S.abc;E.crm-17;O.+12065550177;", "X-Lead": "Ada", "ei_session": "abc"}
    assert read_ei("nonsense") == {}


@pytest.mark.parametrize(
    ("headers", "diversion"),
    [
        ({"Diversion": "<sip:+1206@pbx>;reason=no-answer", "X_Diversion": "x"}, "<sip:+1206@pbx>;reason=no-answer"),
        ({"X_Diversion": "<sip:+1206@pbx>"}, "<sip:+1206@pbx>"),
        ({}, ""),
    ],
)
def test_a_diversion_is_kept_as_it_came_or_as_a_proxy_renamed_it(headers: dict[str, str], diversion: str) -> None:
    assert begun(**headers).diversion == diversion


def test_a_call_that_was_turned_away_is_over_when_it_came() -> None:
    record = begun()
    ending = turned_away(record, 503, "100 calls are up (max_calls)")

    assert ending == Ending("local", 503, 41, Word.OVERLOADED, Fault.LOCAL, "100 calls are up (max_calls)")
    assert (record.ending, record.ended_at) == (ending, record.started_at)
    assert record.why == ("no number", "100 calls are up (max_calls)")


async def refused(stage: Stage, user: str) -> int:
    with pytest.raises(CallFailed) as failed:
        await stage.call(user)
    async with asyncio.timeout(WAIT_S):
        while not stage.kept.records:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return failed.value.status


async def test_a_call_to_an_unknown_number_has_a_record() -> None:
    async with staged() as stage:
        status = await refused(stage, "+12065550177")
        (record,) = stage.kept.records

    why = "no number of trunk local matches +12065550177"
    assert status == 404
    assert record == CallRecord(
        id=record.id,
        sip_call_id=record.sip_call_id,
        direction="inbound",
        from_number="caller",
        to_number="+12065550177",
        trunk="local",
        number="",
        agent="",
        started_at=record.started_at,
        ended_at=record.started_at,
        ending=Ending("local", 404, 1, Word.NOT_FOUND, Fault.LOCAL, why),
        why=(
            "it came from 127.0.0.0/8, which trunk local accepts",
            "Request-URI says +12065550177: it is no number of ours (tried +12065550177)",
            why,
        ),
    )
    assert (status_of(record), error_message(record)) == ("failed", f"Telephony - 404 - {why}")


async def test_a_call_beyond_the_limit_has_a_record_that_says_so() -> None:
    async with staged(calls=CallSettings(max_calls=1)) as stage:
        call = await stage.call()
        with pytest.raises(CallFailed) as failed:
            await stage.call()
        (record,) = stage.kept.records
        await call.hangup()
        await stage.quiet()

    assert failed.value.status == 503
    assert record.ending is not None
    assert (record.ending.status, record.ending.word, record.number) == (503, Word.OVERLOADED, NUMBER)


async def test_a_call_without_a_codec_in_common_has_a_record() -> None:
    only_opus = Trunk("local", accept_from=LOCAL.accept_from, region="US", codecs=("L16",))
    async with staged(trunks=(only_opus,)) as stage:
        status = await refused(stage, NUMBER)
        (record,) = stage.kept.records

    assert record.ending is not None
    assert (status, record.ending.status, record.ending.word) == (488, 488, Word.MEDIA_FAILED)


async def test_strangers_leave_no_record() -> None:
    elsewhere = Trunk("elsewhere", sip_domain="192.0.2.77")
    async with staged(trunks=(elsewhere,)) as stage:
        with pytest.raises(CallFailed) as failed:
            await stage.call()

        assert (failed.value.status, stage.kept.records) == (403, [])


async def test_the_record_of_a_call_in_is_whole() -> None:
    async def rings(call: InboundCall) -> None:
        await call.ring()
        await answer_and_wait(call)

    async with staged(rings) as stage:
        call = await stage.call()
        await call.hangup()
        await stage.quiet()
        (record,), (placed,) = stage.kept.records, stage.agent.calls

    assert placed.record is record
    assert record.ringing_at is not None
    assert record.answered_at is not None
    assert record.ended_at is not None
    assert record.started_at <= record.ringing_at <= record.answered_at <= record.ended_at
    assert record == CallRecord(
        id=record.id,
        sip_call_id=call.record.sip_call_id,
        direction="inbound",
        from_number="caller",
        to_number=NUMBER,
        trunk="local",
        number=NUMBER,
        agent="agent",
        started_at=record.started_at,
        ringing_at=record.ringing_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        ending=Ending("remote", 200, 16, Word.HUNG_UP, Fault.NOBODY, "the far end hung up"),
        codec="PCMU",
        quality=record.quality,
        why=record.why,
        history=record.history,
    )
    assert record.why[-1] == f"{NUMBER} -> agent"
    assert [line.name for line in record.history] == ["started", "ringing", "answered", "ended"]
    assert stage.kept.begun == [record]


async def test_a_caller_without_a_free_port_has_a_record() -> None:
    async with staged(ports=2) as stage:
        assert isinstance(stage.callee.desk.settings, MediaSettings)
        call = await stage.call()
        with pytest.raises(CallFailed) as failed:
            await stage.call()
        (record,) = stage.kept.records
        await call.hangup()
        await stage.quiet()

    assert record.ending is not None
    assert (failed.value.status, record.ending.word) == (503, Word.OVERLOADED)
