"""Calls that are ordered, with real programs at the far end: SIPp as callee, and Kamailio with baresip behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sipflow.audio.tones import measure_tone, sine
from sipflow.calls.call import Call
from sipflow.calls.ending import Ending, Fault, Word
from sipflow.calls.record import CallRecord
from sipflow.calls.status import error_message, status_of, telephony_of
from sipflow.trunks.outgoing import OutboundSettings
from sipflow.trunks.trunk import Trunk
from tests.calls.outstage import OURS, Outgoing, outgoing, story, tries
from tests.interop.free_ports import free_media_ports, free_sip_port
from tests.interop.kamailio import DOMAIN, PASSWORD, Kamailio
from tests.interop.phone import TONE_DBFS, TONE_HZ, Phone, steady_dbfs
from tests.interop.programs import Program, require

HERE = Path(__file__).parent / "sipp"
SCENARIOS = Path(__file__).parents[2] / "scenarios" / "outbound"
PHONE_HZ = 600
HANGUP = Ending("local", 200, 16, Word.HUNG_UP, Fault.NOBODY, "the agent is done")


@dataclass
class Callee:
    """SIPp that waits for one call."""

    program: Program
    port: int

    async def satisfied(self) -> bool:
        """Whether everything came as its scenario wants it."""
        status = await asyncio.to_thread(self.program.wait)
        assert status == 0, self.program.tail()
        return True


@asynccontextmanager
async def sipp(folder: Path, scenario: str, *, refusal: str = "") -> AsyncIterator[Callee]:
    """Start SIPp with a scenario of scenarios/outbound, or of the folder beside this file."""
    source = SCENARIOS / f"{scenario}.xml"
    source = source if source.exists() else HERE / f"{scenario}.xml"
    port = free_sip_port()
    file = folder / f"{scenario}-{port}.xml"
    text = source.read_text(encoding="utf-8")
    file.write_text(text.replace("486 Busy Here", refusal) if refusal else text, encoding="utf-8")
    command = [require("sipp", "sip-tester"), "-sf", str(file), "-m", "1", "-nostdin", "-i", "127.0.0.1"]
    command += ["-p", str(port), "-mi", "127.0.0.1", "-mp", str(free_media_ports(4).start)]
    command += ["-timeout", "40", "-timeout_error", "-trace_logs", "-log_file", str(folder / "sipp-said.log")]
    with Program(f"sipp {scenario}", command, folder / f"{scenario}-{port}.log", cwd=folder) as program:
        await asyncio.sleep(0.2)  # it says nothing when it listens; a lost INVITE would be repeated after 0.5 s
        yield Callee(program, port)


def to(callee: Callee, name: str = "a", **fields: object) -> Trunk:
    """A trunk that leads to a SIPp."""
    proxy = f"sip:127.0.0.1:{callee.port}"
    return Trunk(name, sip_domain="callee.example", outbound_proxy=proxy, region="US", **fields)  # type: ignore[arg-type]


async def placed(*trunks: Trunk, callee: str = "+12065550123", **order: object) -> CallRecord:
    """Place one call and return its record when it is over."""
    async with outgoing(trunks=lambda _: trunks) as stage:
        return await stage.over(stage.order(callee, **order))


def expected(record: CallRecord, **fields: object) -> CallRecord:
    """A whole record of an order to one target of trunk a; times, ids, quality and history are checked elsewhere."""
    base: dict[str, object] = {
        "id": record.id,
        "sip_call_id": record.sip_call_id,
        "direction": "outbound",
        "from_number": OURS,
        "to_number": "+12065550123",
        "trunk": "a",
        "number": OURS,
        "agent": "talker",
        "started_at": record.started_at,
        "ringing_at": record.ringing_at,
        "answered_at": record.answered_at,
        "ended_at": record.ended_at,
        "why": ("it is the only one",),
        "attempts": record.attempts,
        "history": record.history,
    }
    return CallRecord(**(base | fields))  # type: ignore[arg-type]


async def test_a_callee_that_rings_and_is_busy(tmp_path: Path) -> None:
    async with sipp(tmp_path, "ringing_and_then_busy") as callee:
        record = await placed(to(callee), callee="callee")
        assert await callee.satisfied()

    busy = Ending("remote", 486, 17, Word.BUSY, Fault.NOBODY, "Busy Here")
    assert record == expected(record, to_number="callee", ending=busy)
    assert tries(record) == [("a", 486, "Busy Here")]
    assert record.attempts[0].target == f"udp:127.0.0.1:{callee.port}"
    assert (record.ringing_at is not None, record.answered_at) == (True, None)
    assert (status_of(record), error_message(record)) == ("busy", None)
    assert story(record) == ["started", "ringing", "attempt_failed", "ended"]


async def test_a_callee_that_never_answers_is_cancelled_with_a_reason_and_says_487(tmp_path: Path) -> None:
    async with sipp(tmp_path, "rings_until_cancelled") as callee:
        record = await placed(to(callee), ring_s=0.5)
        assert await callee.satisfied()

    assert record == expected(
        record, ending=Ending("system", 487, 16, Word.NO_ANSWER, Fault.NOBODY, "nobody answered in 0.5 s")
    )
    assert tries(record) == [("a", 487, "nobody answered in 0.5 s")]
    assert status_of(record) == "no-answer"
    assert "cancelled because of Q.850;cause=19" in (tmp_path / "sipp-said.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("refusal", "word"),
    [
        ("603 Decline", Word.REJECTED),
        ("607 Unwanted", Word.REJECTED),
        ("608 Rejected", Word.REJECTED),
        ("404 Not Found", Word.NOT_FOUND),
        ("403 Caller ID is unauthorized", Word.REJECTED),
    ],
)
async def test_a_refusal_is_believed_although_there_is_another_trunk(refusal: str, word: Word, tmp_path: Path) -> None:
    status, reason = int(refusal[:3]), refusal[4:]
    async with sipp(tmp_path, "refuses", refusal=refusal) as callee:
        other = Trunk("b", sip_domain="127.0.0.1:1")
        record = await placed(to(callee, outbound=OutboundSettings(failover=("b",))), other)
        assert await callee.satisfied()

    assert record.ending is not None
    assert record == expected(record, ending=record.ending)
    assert (record.ending.by, record.ending.status, record.ending.word) == ("remote", status, word)
    assert tries(record) == [("a", status, reason)]
    assert error_message(record) == f"Telephony - {status} - {reason}"


async def test_a_redirection_to_the_same_host_is_followed(tmp_path: Path) -> None:
    async with sipp(tmp_path, "redirects_to_a_desk") as callee:
        record = await placed(to(callee, outbound=OutboundSettings(redirects="anywhere")))
        by_domain = f"127.0.0.1:{callee.port}"
        assert await callee.satisfied()

    assert record == expected(record, ending=HANGUP, codec="PCMU")
    assert tries(record) == [
        ("a", 302, f"Moved Temporarily; redirected to sip:desk7@{by_domain}"),
        ("a", 200, "answered"),
    ]


async def test_a_redirection_to_a_stranger_is_not_followed(tmp_path: Path) -> None:
    async with sipp(tmp_path, "a_redirection_of_our_call_is_acknowledged") as callee:
        record = await placed(to(callee))
        assert await callee.satisfied()

    assert record == expected(
        record, ending=Ending("remote", 302, 31, Word.REJECTED, Fault.REMOTE, "Moved Temporarily")
    )
    assert tries(record) == [
        (
            "a",
            302,
            "Moved Temporarily; sip:elsewhere@198.51.100.9 is not where this trunk may be sent "
            "(outbound.redirects: same_host)",
        )
    ]


@pytest.mark.parametrize(
    "scenario", ["our_invite_answers_407_with_md5_and_qop_auth", "our_invite_answers_401_with_sha_256_and_qop_auth"]
)
async def test_a_challenge_is_answered_in_the_same_attempt(scenario: str, tmp_path: Path) -> None:
    async with sipp(tmp_path, scenario) as callee:
        record = await placed(to(callee, username="alice", password="open-sesame"), callee="callee")
        assert await callee.satisfied()

    assert record == expected(record, to_number="callee", ending=HANGUP, codec="PCMU")
    assert tries(record) == [("a", 200, "answered")]


async def test_a_wrong_password_is_tried_once_and_no_other_trunk_is(tmp_path: Path) -> None:
    async with sipp(tmp_path, "a_wrong_password_is_tried_once") as callee:
        other = Trunk("b", sip_domain="127.0.0.1:1")
        outbound = OutboundSettings(failover=("b",))
        record = await placed(to(callee, username="alice", password="guess", outbound=outbound), other)
        assert await callee.satisfied()

    assert [(trunk, status) for trunk, status, _ in tries(record)] in ([("a", 401)], [("a", 407)])
    assert telephony_of(record).disconnect_reason == "forbidden"


async def test_early_media_comes_before_the_answer(tmp_path: Path) -> None:
    async with sipp(tmp_path, "early_media_and_then_the_answer") as callee:
        record = await placed(to(callee))
        assert await callee.satisfied()

    assert record == expected(record, ending=HANGUP, codec="PCMU")
    assert story(record) == ["started", "progress", "answered", "ended"]
    assert dict(record.history[1].details) == {"status": 183, "early_media": True}
    ringing_ms = telephony_of(record).ringing_duration_ms
    assert ringing_ms is not None
    assert ringing_ms >= 250


async def test_503_and_then_nobody_there_and_then_success_by_the_third_trunk(tmp_path: Path) -> None:
    async with (
        sipp(tmp_path, "refuses", refusal="503 Service Unavailable") as full,
        sipp(tmp_path, "answers_a_call") as good,
    ):
        away = Trunk("b", sip_domain="127.0.0.1:1")
        first = to(full, outbound=OutboundSettings(failover=("b", "c")))
        record = await placed(first, away, to(good, "c"))
        assert await full.satisfied()
        assert await good.satisfied()

    refused = record.attempts[1].why
    assert record == expected(record, ending=HANGUP, codec="PCMU", trunk="c")
    assert tries(record) == [
        ("a", 503, "Service Unavailable; another way is tried"),
        ("b", 503, refused),
        ("c", 200, "answered"),
    ]
    assert "refused" in refused


async def test_an_answer_that_crosses_our_cancel_is_acknowledged_and_hung_up(tmp_path: Path) -> None:
    async with sipp(tmp_path, "a_200_that_crosses_our_cancel_is_acknowledged_and_hung_up") as callee:
        record = await placed(to(callee), ring_s=0.5)
        assert await callee.satisfied()

    assert record == expected(
        record, ending=Ending("system", 487, 16, Word.NO_ANSWER, Fault.NOBODY, "nobody answered in 0.5 s")
    )
    assert record.answered_at is None


# Kamailio in the middle


async def plays(call: Call) -> None:
    """Play a tone for two seconds and hear the other one meanwhile; what was heard goes into the record's extra."""
    heard = b""
    async with call.playing(sine(PHONE_HZ, 4000, level_dbfs=TONE_DBFS, sample_rate_hz=8000)):
        async for frame in call.audio:
            heard += frame.pcm
            if len(heard) >= 2 * 8000 * 2:
                break
    call.record.extra = {"heard_dbfs": round(steady_dbfs(heard[8000:], TONE_HZ), 1)}


def account(pbx: Kamailio, name: str, **fields: object) -> Trunk:
    return Trunk(
        "a",
        sip_domain=DOMAIN,
        outbound_proxy=pbx.proxy("udp"),
        username=name,
        auth_username=f"{name}-auth",
        password=PASSWORD,
        **fields,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def behind(pbx: Kamailio, agent: object, trunk: Trunk) -> AsyncIterator[Outgoing]:
    async with outgoing(agent=agent, trunks=lambda _: (trunk,)) as stage:  # type: ignore[arg-type]
        yield stage


async def test_both_ends_hear_each_others_tone_through_kamailio(pbx: Kamailio, tmp_path: Path) -> None:
    with Phone(tmp_path / "phone", pbx=pbx, account="2001") as phone:
        await asyncio.to_thread(pbx.wait_registered, "2001")
        async with behind(pbx, plays, account(pbx, "2101")) as stage:
            record = await stage.over(stage.order("2001"))
        await asyncio.to_thread(phone.quit)
        heard_dbfs = measure_at_the_phone(phone)

    assert record == expected(
        record, to_number="2001", ending=HANGUP, codec="PCMU", quality=record.quality, extra=record.extra
    )
    assert tries(record) == [("a", 200, "answered")]
    assert record.quality is not None
    assert (record.quality.loss_percent, record.quality.mos > 4.0) == (0.0, True)
    assert record.extra is not None
    assert record.extra["heard_dbfs"] == pytest.approx(TONE_DBFS, abs=0.5)
    assert heard_dbfs == pytest.approx(TONE_DBFS, abs=0.5)


def measure_at_the_phone(phone: Phone) -> float:
    pcm = phone.recorded()
    assert measure_tone(pcm[:1600], 2000, 8000) < TONE_DBFS - 20
    return phone.heard_dbfs(PHONE_HZ)


async def test_kamailio_says_that_nobody_is_registered(pbx: Kamailio) -> None:
    async with behind(pbx, None, account(pbx, "2101")) as stage:
        record = await stage.over(stage.order("2004"))

    assert record == expected(
        record,
        to_number="2004",
        ending=Ending("remote", 480, 18, Word.NO_ANSWER, Fault.NOBODY, "Nobody Is Registered For It"),
    )
    assert tries(record) == [("a", 480, "Nobody Is Registered For It")]


async def test_kamailio_refuses_a_wrong_password(pbx: Kamailio) -> None:
    wrong = Trunk("a", sip_domain=DOMAIN, outbound_proxy=pbx.proxy("udp"), username="2101", password="wrong")
    async with behind(pbx, None, wrong) as stage:
        record = await stage.over(stage.order("2004"))

    assert record.ending is not None
    assert (record.ending.by, record.ending.status, status_of(record)) == ("remote", 407, "failed")
