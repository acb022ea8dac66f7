"""The media of one leg: offers, answers, hold, versions, and addresses that are refused."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from sipflow.audio.tones import level_dbfs, sine
from sipflow.calls.inbound import InboundCall
from sipflow.calls.media import LegMedia
from sipflow.errors import LocalProtocolError, RemoteProtocolError
from sipflow.media.desk import MediaDesk
from sipflow.media.settings import Settings
from sipflow.sdp.agreement import Encryption
from sipflow.sdp.offer_answer import PCMA, PCMU, Capabilities
from sipflow.sip.plan import RequestPlan
from tests.calls.stage import staged
from tests.media.stage import free_ports

OURS = "127.0.0.1"
BOTH = Capabilities(codecs=(PCMU, PCMA))


@pytest.fixture
async def desk() -> AsyncIterator[MediaDesk]:
    port = free_ports(20)
    made = MediaDesk(Settings(port_low=port, port_high=port + 20, bind_host=OURS, drain_s=0.0))
    yield made
    await made.close()


def leg(desk: MediaDesk, address: str = OURS) -> LegMedia:
    return LegMedia(desk, address=address, capabilities=BOTH, session_id=7, on_digit=lambda _digit: None)


def sdp(host: str = OURS, *, direction: str = "sendrecv", port: int = 4000, formats: str = "0 8") -> bytes:
    family = "IP6" if ":" in host else "IP4"
    return (
        f"v=0\r\no=- 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {formats}\r\na={direction}\r\n"
    ).encode()


def version(body: bytes) -> int:
    found = re.search(rb"^o=\S+ 7 ([0-9]+) ", body, re.MULTILINE)
    assert found is not None, body
    return int(found[1])


async def test_accepted_offer_takes_effect_only_when_it_is_committed(desk: MediaDesk) -> None:
    media = leg(desk)
    body = media.accept(sdp())
    before = media.agreed
    media.commit()

    assert before is None
    assert media.agreed is not None
    assert (media.agreed.codec, media.agreed.remote_host, media.agreed.remote_rtp_port) == (PCMU, OURS, 4000)
    assert f"m=audio {media.session.pair.port} RTP/AVP 0\r\n".encode() in body
    media.close()


async def test_our_offer_and_its_answer_start_the_stream(desk: MediaDesk) -> None:
    media = leg(desk)
    offer = media.offer()
    media.take_answer(sdp(formats="8"))

    assert f"m=audio {media.session.pair.port} RTP/AVP 0 8 101\r\n".encode() in offer
    assert media.agreed is not None
    assert media.agreed.codec == PCMA
    media.close()


@pytest.mark.parametrize(
    "hold",
    [sdp(direction="sendonly"), sdp(direction="inactive"), sdp("0.0.0.0")],
    ids=["sendonly", "inactive", "0.0.0.0"],
)
async def test_hold_in_every_form_and_back(desk: MediaDesk, hold: bytes) -> None:
    media = leg(desk)
    held = []
    for offer in (sdp(), hold, sdp()):
        media.accept(offer)
        media.commit()
        held.append(media.held)

    assert held == [False, True, False]
    media.close()


async def test_every_description_of_ours_is_one_version_newer(desk: MediaDesk) -> None:
    media = leg(desk)
    versions = [version(media.accept(sdp()))]
    media.commit()
    versions += [version(media.accept(sdp(direction="sendonly"))), version(media.offer()), version(media.accept(sdp()))]

    assert versions == [1, 2, 3, 4]
    media.close()


async def test_refused_offer_changes_nothing(desk: MediaDesk) -> None:
    media = leg(desk)
    media.accept(sdp())
    media.commit()
    agreed = media.agreed
    with pytest.raises(RemoteProtocolError) as refused:
        media.accept(sdp(formats="18"))
    media.commit()

    assert refused.value.status == 488
    assert media.agreed == agreed
    media.close()


@pytest.mark.parametrize(
    ("address", "theirs", "why"),
    [
        (OURS, "::1", "the audio is at the IPv6 address ::1, ours at the IPv4 address 127.0.0.1"),
        ("::1", OURS, "the audio is at the IPv4 address 127.0.0.1, ours at the IPv6 address ::1"),
        (OURS, "224.0.0.9", "c= names 224.0.0.9: audio goes to the IP address of one host"),
    ],
)
async def test_media_where_we_cannot_or_will_not_send_is_refused(
    desk: MediaDesk, address: str, theirs: str, why: str
) -> None:
    offered, answered = leg(desk, address), leg(desk, address)
    answered.offer()
    with pytest.raises(RemoteProtocolError) as by_offer:
        offered.accept(sdp(theirs))
    with pytest.raises(RemoteProtocolError) as by_answer:
        answered.take_answer(sdp(theirs))

    assert [(error.value.status, str(error.value)) for error in (by_offer, by_answer)] == [(488, why)] * 2
    assert (offered.agreed, answered.agreed) == (None, None)
    offered.close()
    answered.close()


async def test_empty_answer_is_no_answer(desk: MediaDesk) -> None:
    media = leg(desk)
    media.offer()
    with pytest.raises(LocalProtocolError, match="without SDP"):
        media.take_answer(b"")
    media.close()


async def test_closing_twice_gives_the_ports_back_once(desk: MediaDesk) -> None:
    media = leg(desk)
    media.close()
    media.close()

    assert [counts.lent for counts in desk.counts()] == [0]


async def test_a_caller_whose_sdp_names_a_host_is_heard_and_hears_once_it_has_sent_something() -> None:
    async def agent(call: InboundCall) -> None:
        await call.answer()
        await call.play(sine(700, 400, level_dbfs=-10.0))

    async with staged(agent) as stage:
        board = stage.caller.switchboard
        place = board.ua.invite

        def invite(plan: RequestPlan, **details: Any) -> Any:
            named = plan.body.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 media.example.com")
            return place(replace(plan, body=named), **details)

        board.ua.invite = invite  # type: ignore[method-assign]
        call = await stage.call()
        heard = max([level_dbfs(frame.pcm) async for frame in call.audio])
        await stage.quiet()

    assert heard == pytest.approx(-10.0, abs=1.0)


@pytest.mark.parametrize("host", ["::1", "224.0.0.9"])
async def test_caller_with_media_that_cannot_be_reached_gets_488_and_its_ports_come_back(host: str) -> None:
    async with staged() as stage:
        board = stage.caller.switchboard
        place = board.ua.invite

        def invite(plan: object, **details: object) -> object:
            object.__setattr__(plan, "body", sdp(host))
            return place(plan, **details)  # type: ignore[arg-type]

        board.ua.invite = invite  # type: ignore[method-assign, assignment]
        call = await board.place(stage.plan())
        ending = await call.ended()
        await stage.quiet()
        lent = [counts.lent for counts in stage.callee.desk.counts()]

    kept = [record.ending.status for record in stage.kept.records if record.ending is not None]
    assert (ending.status, lent, kept) == (488, [0], [488])


def keys(body: bytes) -> list[bytes]:
    return re.findall(rb"^a=crypto:[^\r]+", body, re.MULTILINE)


async def test_the_keys_of_a_leg_survive_every_description_of_the_call(desk: MediaDesk) -> None:
    encrypted = replace(BOTH, srtp=Encryption.REQUIRED)
    theirs = b"a=crypto:%d AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"
    media = LegMedia(desk, address=OURS, capabilities=encrypted, session_id=7, on_digit=lambda _digit: None)
    peer = sdp().replace(b"RTP/AVP", b"RTP/SAVP")

    first = media.accept(peer + theirs % 4)
    media.commit()
    agreed = media.agreed
    again = media.accept(peer.replace(b"sendrecv", b"sendonly") + theirs % 4)
    media.commit()
    ours = media.offer()
    media.take_answer(peer + theirs % 4)

    assert agreed is not None
    assert agreed.srtp is not None
    assert len(keys(first)) == 1
    assert keys(first) == keys(again) == keys(ours)
    assert media.agreed is not None
    assert media.agreed.srtp == agreed.srtp
    assert b"m=audio %d RTP/SAVP" % media.session.pair.port in ours
    media.close()


@pytest.mark.parametrize("srtp", [Encryption.OFF, Encryption.REQUIRED])
async def test_an_offer_without_media_is_answered_and_gets_them_by_a_later_one_rfc3725_4_4(
    desk: MediaDesk, srtp: Encryption
) -> None:
    able = replace(BOTH, srtp=srtp)
    media = LegMedia(desk, address=OURS, capabilities=able, session_id=7, on_digit=lambda _digit: None)
    nothing, medium = sdp().split(b"m=")

    answer = media.accept(nothing)
    media.commit()
    held = media.held
    offer = media.offer()
    sure = srtp is Encryption.REQUIRED
    key = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n" if sure else b""
    media.take_answer(nothing + b"m=" + medium.replace(b"AVP", b"SAVP" if sure else b"AVP") + key)

    assert answer.endswith(b"\r\nt=0 0\r\n")
    assert (held, media.held) == (True, False)
    assert (len(keys(offer)), b" RTP/SAVP " in offer) == ((2, True) if sure else (0, False))
    media.close()


async def test_audio_that_is_switched_off_in_a_call_is_taken_up_again_with_its_keys_rfc3264_8_2(
    desk: MediaDesk,
) -> None:
    able = replace(BOTH, srtp=Encryption.REQUIRED)
    media = LegMedia(desk, address=OURS, capabilities=able, session_id=7, on_digit=lambda _digit: None)
    theirs = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"
    on, off = (sdp(port=port).replace(b"RTP/AVP", b"RTP/SAVP") + theirs for port in (4000, 0))

    first = media.accept(on)
    media.commit()
    answer = media.accept(off)
    media.commit()
    held = media.held
    last = media.accept(on)
    media.commit()

    assert b"\r\nm=audio 0 RTP/SAVP 0 8\r\n" in answer
    assert (held, media.held) == (True, False)
    assert keys(first) == keys(last)
    media.close()


async def test_two_answers_to_one_offer_may_take_different_lines_of_it(desk: MediaDesk) -> None:
    """As when a call is forked: early media from one phone, and another one is picked up (RFC 3261 §13.1)."""
    encrypted = replace(BOTH, srtp=Encryption.OPTIONAL)
    media = LegMedia(desk, address=OURS, capabilities=encrypted, session_id=7, on_digit=lambda _digit: None)
    offered = keys(media.offer())
    media.take_answer(sdp() + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n")
    early = media.agreed
    media.take_answer(sdp() + b"a=crypto:2 AEAD_AES_256_GCM inline:" + b"A" * 59 + b"=\r\n")
    final = media.agreed

    assert [b"a=crypto:%s" % str(agreed.srtp.line).encode() for agreed in (early, final) if agreed and agreed.srtp] == (
        offered
    )
    media.close()


async def test_an_offer_that_is_refused_changes_nothing_but_the_next_version(desk: MediaDesk) -> None:
    media = leg(desk)
    answer = media.accept(sdp())
    media.commit()
    before = media.agreed
    refused = media.offer(hold=True)
    seen = (media.holding, media.held, media.agreed)
    accepted = media.accept(sdp(port=4010))
    media.commit()

    assert seen == (False, False, before)
    assert b"a=sendonly" in refused
    assert b"a=sendrecv" in accepted
    assert [version(body) for body in (answer, refused, accepted)] == [1, 2, 3]
    media.close()


async def test_our_hold_lasts_through_what_the_far_end_offers(desk: MediaDesk) -> None:
    media = leg(desk)
    media.offer()
    media.take_answer(sdp())
    media.offer(hold=True)
    media.take_answer(sdp(direction="recvonly"))
    seen = [(media.holding, media.held)]
    for theirs, ours in (("sendonly", b"a=inactive"), ("sendrecv", b"a=sendonly")):
        assert ours in media.accept(sdp(direction=theirs))
        media.commit()
        seen.append((media.holding, media.held))
    assert b"a=sendrecv" in media.offer(hold=False)
    media.take_answer(sdp())
    seen.append((media.holding, media.held))

    assert seen == [(True, False), (True, True), (True, False), (False, False)]
    media.close()


async def test_a_far_end_that_holds_us_is_held_with_inactive_rfc3264_8_4(desk: MediaDesk) -> None:
    media = leg(desk)
    media.accept(sdp(direction="sendonly"))
    media.commit()
    offer = media.offer(hold=True)
    media.take_answer(sdp(direction="inactive"))
    seen = (media.holding, media.held)
    resumed = media.accept(sdp())
    media.commit()

    assert b"a=inactive" in offer
    assert seen == (True, True)
    assert b"a=sendonly" in resumed
    assert (media.holding, media.held) == (True, False)
    media.close()


async def test_one_offer_may_be_answered_in_several_places_and_the_last_counts(desk: MediaDesk) -> None:
    media = leg(desk)
    media.offer()
    ports = []
    for port in (4000, 4010, 4000):
        media.take_answer(sdp(port=port))
        assert media.agreed is not None
        ports.append(media.agreed.remote_rtp_port)

    assert ports == [4000, 4010, 4000]
    media.close()


async def test_an_answer_to_nothing_is_refused(desk: MediaDesk) -> None:
    media = leg(desk)
    with pytest.raises(LocalProtocolError, match="never offered"):
        media.take_answer(sdp())
    media.close()
