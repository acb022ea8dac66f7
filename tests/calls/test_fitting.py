"""The audio of a leg as its trunk wants it."""

from collections.abc import AsyncIterator

import pytest

from sipflow.calls.fitting import Ears, fitted
from sipflow.calls.media import LegMedia
from sipflow.media.desk import MediaDesk
from sipflow.media.settings import Settings
from sipflow.sip.hop import Hop
from sipflow.trunks.trunk import Trunk
from tests.interop.free_ports import free_media_ports

EARS = Ears(lambda _digit: None, lambda _digit: None, lambda _silent_s: None, lambda _why: None)
HOP = Hop("udp", "192.0.2.5", 5060, "192.0.2.1", 5060)


@pytest.fixture
async def desk() -> AsyncIterator[MediaDesk]:
    ports = free_media_ports(40)
    desk = MediaDesk(Settings(port_low=ports.start, port_high=ports.stop - 1, bind_host="127.0.0.1", drain_s=0.0))
    yield desk
    await desk.close()


def offered(media: LegMedia) -> list[str]:
    body = media.offer().decode()
    media.close()
    return [line for line in body.splitlines() if line.startswith(("c=", "m=", "a=rtpmap", "a=ptime"))]


async def test_a_leg_without_a_trunk_offers_g711_and_digits_as_events_at_our_own_address(desk: MediaDesk) -> None:
    media = fitted(desk, HOP, None, codecs=(), session_id=1, ears=EARS)
    port = media.session.pair.port

    assert (media.dtmf, media.prack, media.on_tone) == ("auto", True, EARS.on_tone)
    assert offered(media) == [
        "c=IN IP4 192.0.2.1",
        f"m=audio {port} RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=ptime:20",
    ]


async def test_a_trunk_says_codecs_packet_time_digits_and_address(desk: MediaDesk) -> None:
    trunk = Trunk("a", sip_domain="a", ptime_ms=30, dtmf="inband", prack=False, advertise="203.0.113.9:5070")
    media = fitted(desk, HOP, trunk, codecs=("PCMA",), session_id=1, ears=EARS)
    port = media.session.pair.port

    assert (media.dtmf, media.prack, media.on_tone) == ("inband", False, EARS.on_tone)
    assert offered(media) == [
        "c=IN IP4 203.0.113.9",
        f"m=audio {port} RTP/AVP 8",
        "a=rtpmap:8 PCMA/8000",
        "a=ptime:30",
    ]


async def test_tones_are_listened_for_only_where_digits_may_come_as_tones(desk: MediaDesk) -> None:
    trunk = Trunk("a", sip_domain="a", dtmf="rfc4733")
    media = fitted(desk, HOP, trunk, codecs=(), session_id=1, ears=EARS)
    media.close()

    assert media.on_tone is None
