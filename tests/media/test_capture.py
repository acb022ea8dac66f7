from dataclasses import replace

from sipflow.media.capture import CapturedPacket, PacketCapture
from sipflow.rtp.packet import parse_packet
from sipflow.rtp.srtp import SrtpSession
from sipflow.sdp.agreement import SrtpKeys
from tests.media.stage import HOST, Stage, packet, pcm, settle, speech

KEYS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"o" * 30, b"t" * 30)
NEAR, FAR = ("127.0.0.1", 10000), ("192.0.2.7", 4000)


def test_the_oldest_packets_go_after_their_seconds() -> None:
    times = iter([0.0, 1.0, 2.5, 3.2])
    capture = PacketCapture(2.0, wall=lambda: next(times))
    for number in range(4):
        capture.take(bool(number % 2), NEAR, FAR, bytes([number]))

    assert capture.packets() == (
        CapturedPacket(2.5, False, NEAR, FAR, b"\x02"),
        CapturedPacket(3.2, True, NEAR, FAR, b"\x03"),
    )
    assert len(capture) == 2


def test_a_flood_is_bounded_by_number() -> None:
    capture = PacketCapture(1.0, wall=lambda: 5.0)
    for _ in range(10_000):
        capture.take(False, NEAR, FAR, b"x")

    assert len(capture) == 201


async def test_a_session_gives_what_it_sends_and_hears_from_when_it_is_asked_until_it_is_told_to_stop() -> None:
    stage, capture = Stage(), PacketCapture(60.0)
    async with stage:
        stage.session.enqueue(pcm(1, 80))
        stage.tick()
        stage.session.capture(capture)
        stage.tick()
        stage.peer.send(stage.port, 0, speech(5))
        await settle()
        stage.session.capture(None)
        stage.tick()
        near, far = (HOST, stage.port), (HOST, stage.peer.port)

    kept = capture.packets()
    assert [(each.sent, each.near, each.far) for each in kept] == [(True, near, far), (False, near, far)]
    assert parse_packet(kept[0].data) == packet(1, speech(1))
    assert parse_packet(kept[1].data).payload == speech(5)


async def test_encrypted_packets_are_kept_readable() -> None:
    theirs = SrtpSession(replace(KEYS, send_key=KEYS.receive_key, receive_key=KEYS.send_key))
    stage, capture = Stage(), PacketCapture(60.0)
    async with stage:
        stage.session.update(replace(stage.agreed(), srtp=KEYS))
        stage.session.capture(capture)
        stage.session.enqueue(pcm(1))
        stage.tick()
        plain = bytes([0x80, 0, 0, 1]) + bytes(4) + b"\0\0\0\7" + speech(5)
        stage.peer.socket.sendto(theirs.protect(plain), (HOST, stage.port))
        await settle()

    assert [parse_packet(each.data).payload for each in capture.packets()] == [speech(1), speech(5)]


async def test_a_session_that_is_closed_is_not_captured() -> None:
    stage, capture = Stage(), PacketCapture(60.0)
    async with stage:
        stage.session.close()
        stage.session.capture(capture)

    assert len(capture) == 0
