import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any, Final

import pytest

from sipflow.media.relay import Relay
from sipflow.rtp.packet import RtpPacket, header
from sipflow.sdp.agreement import PCMU, SrtpKeys
from tests.media.stage import START, Stage, pcm, speech

KEYS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", b"a" * 30, b"b" * 30)
DIGIT = bytes([5, 10, 0, 160])


class Play:
    """Two legs, the way from the first to the second, and a far end that talks."""

    def __init__(self, one: Stage, other: Stage) -> None:
        self.one, self.other = one, other
        self.relay = self.join()
        self.number = 65500
        self.ssrc = 7
        self.heard: list[RtpPacket] = []
        self.captured: list[bytes] = []
        self.ears: list[object] = []

    def join(self) -> Relay:
        relay = Relay.between(self.one.session, self.other.session, on_foreign=self.join_again)
        assert relay is not None
        return relay

    def join_again(self) -> None:
        self.relay.end()
        self.relay = self.join()

    @property
    def short(self) -> bool:
        return self.one.session._inbound.shortcut is not None

    def say(self, count: int = 1, *, late_s: float = 0.0, payload: bytes = b"") -> None:
        for _ in range(count):
            self.one.pacer.now += 0.02 + late_s
            at = self.number * 160 & 0xFFFFFFFF
            body = payload or speech(self.number & 0x7F)
            self.one.peer.send(self.one.port, self.number & 0xFFFF, body, at=at, ssrc=self.ssrc)
            self.number += 1
            self.one.read()
            self.heard += self.other.peer.received()

    def tick(self, count: int = 1) -> None:
        self.other.tick(count)
        self.heard += self.other.peer.received()

    def take(self, _sent: bool, _near: object, _far: object, data: bytes) -> None:
        self.captured.append(data)


@asynccontextmanager
async def playing() -> AsyncIterator[Play]:
    async with Stage() as one, Stage() as other:
        play = Play(one, other)
        yield play
        play.relay.end()


# What happens between usual packets


def gap(play: Play) -> None:
    play.number += 3


def disorder(play: Play) -> None:
    play.number += 1
    play.say()
    play.number -= 2
    play.say()
    play.number += 1


def copy(play: Play) -> None:
    play.number -= 1
    play.say()


def late(play: Play) -> None:
    play.say(late_s=0.013)


def longer(play: Play) -> None:
    play.say(payload=speech(3) + speech(4))


def empty(play: Play) -> None:
    play.say(payload=b"\0")


def digit(play: Play) -> None:
    play.one.peer.send_raw(
        play.one.port, header(101, play.number & 0xFFFF, play.number * 160 & 0xFFFFFFFF, play.ssrc, marker=True) + DIGIT
    )
    play.number += 1
    play.one.read()


def restart(play: Play) -> None:
    play.ssrc += 1
    play.number += 5000


def stranger(play: Play) -> None:
    play.one.another_peer().send(play.one.port, play.number & 0xFFFF, speech(66), ssrc=play.ssrc)
    play.one.read()


def junk(play: Play) -> None:
    play.one.peer.send_raw(play.one.port, b"junk")
    play.one.read()


def move(play: Play) -> None:
    """The far end that is told has another port from now on."""
    peer = play.other.another_peer()
    play.other.session.update(play.other.agreed(peer))
    play.other.peer = peer


def hear_no_more(play: Play) -> None:
    """Another agreement, and nobody who joins them anew."""
    play.one.session.update(play.one.agreed())
    again, play.relay._on_foreign = play.relay._on_foreign, lambda: None
    play.say(4)
    play.relay._on_foreign = again


def enqueue(play: Play) -> None:
    play.other.session.enqueue(pcm(9, 40))


def play_now(play: Play) -> None:
    play.other.session.enqueue(pcm(9, 40))
    play.tick(3)


def press(play: Play) -> None:
    play.other.session.send_digits("1", duration_ms=40, gap_ms=20)


def press_now(play: Play) -> None:
    play.other.session.send_digits("1", duration_ms=40, gap_ms=20)
    play.tick(5)


def hold(play: Play) -> None:
    play.other.session.update(play.other.held())
    play.say(2)
    play.other.session.update(play.other.agreed())


def mute(play: Play) -> None:
    play.other.session.muted = True
    play.say(2)
    play.other.session.muted = False


def listen(play: Play) -> None:
    reader = play.one.session.frames()
    play.say(6)
    play.ears.append(reader.waiting)
    reader.close()


def capture_what_comes(play: Play) -> None:
    _capture(play, play.one)


def capture_what_goes(play: Play) -> None:
    _capture(play, play.other)


def _capture(play: Play, stage: Stage) -> None:
    stage.session.capture(play)  # type: ignore[arg-type]
    play.say(2)
    stage.session.capture(None)


def ask(play: Play) -> None:
    play.one.session.statistics()
    play.other.session.statistics()


def report(play: Play) -> None:
    play.ears.append(play.other.session._reporting._progress())


def wait(play: Play) -> None:
    play.tick()


STEPS: Final[tuple[Callable[[Play], None], ...]] = (
    gap, disorder, copy, late, longer, empty, digit, restart, stranger, junk, move, hear_no_more, enqueue, play_now,
    press, press_now, hold, mute, listen, capture_what_comes, capture_what_goes, ask, report, wait,
)  # fmt: skip


def seen(play: Play) -> dict[str, Any]:
    """All that anybody can see of both legs."""
    every: dict[str, Any] = {"heard": play.heard, "captured": play.captured, "ears": play.ears}
    every["silent"] = play.one.session.silent_s(now=play.one.pacer.now)
    for name, stage in (("one", play.one), ("other", play.other)):
        statistics = asdict(stage.session.statistics())
        statistics["jitter_ms"] = pytest.approx(statistics["jitter_ms"], abs=1e-6)
        every |= {f"{name} {key}": value for key, value in statistics.items()}
    return every


async def played(seed: int, *, connected: bool) -> tuple[dict[str, Any], int]:
    """Play one of many pieces; returns what was seen, and how many usual packets went the short way.

    Args:
        seed: says which.
        connected: whether peers are given a socket of their own whenever they may have one.
    """
    draw, short = random.Random(seed), 0
    async with playing() as play:
        play.other.say(1, 2, 3, 4)
        play.say(5)
        for _ in range(30):
            if connected:
                play.one.session._connect()
                play.other.session._connect()
            draw.choice(STEPS)(play)
            for _ in range(draw.choice((0, 1, 3, 70))):
                play.say()
                short += play.short
            play.tick(draw.randrange(3))
        return seen(play), short


async def test_nobody_can_tell_whether_packets_went_the_short_way_or_the_long_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways = [[await played(seed, connected=connected) for seed in range(7)] for connected in (False, True)]
    monkeypatch.setattr(Relay, "settled", lambda relay, inbound: None)
    long = [await played(seed, connected=False) for seed in range(7)]

    for short in ways:
        for seed, ((here, _), (there, never)) in enumerate(zip(short, long, strict=True)):
            assert (seed, here) == (seed, there)
            assert never == 0
        assert sum(taken for _, taken in short) > 1000


async def test_usual_packets_go_the_short_way_and_are_counted_when_somebody_asks() -> None:
    async with playing() as play:
        play.say(4)
        shortcut = play.one.session._inbound.shortcut
        assert shortcut is not None
        play.say(200)
        assert play.one.session._inbound.shortcut is shortcut

        one, other = play.one.session.statistics(), play.other.session.statistics()
        assert (one.packets_received, one.bytes_received) == (204, 204 * 160)
        assert (other.packets_sent, other.bytes_sent) == (204, 204 * 160)
        assert play.one.session.silent_s(now=play.one.pacer.now) == 0.0
        assert [each.sequence - START.sequence for each in play.heard] == list(range(204))


async def test_an_encrypted_leg_has_no_short_way() -> None:
    for which in (0, 1):
        async with playing() as play:
            play.say(5)
            stage = (play.one, play.other)[which]
            stage.session.update(replace(stage.agreed(), codec=PCMU, srtp=KEYS))
            assert not play.short


async def test_a_leg_that_is_closed_is_not_sent_by_any_more() -> None:
    for which in (0, 1):
        async with playing() as play:
            play.say(5)
            assert play.short
            (play.one, play.other)[which].session.close()
            play.say(2)

            assert (len(play.heard), play.short) == (5, False)


async def test_the_legs_know_nothing_of_each_other_when_the_relay_has_ended() -> None:
    async with playing() as play:
        play.say(5)
        assert play.short
        play.relay.end()

        assert (play.one.session._inbound.shortcut, play.other.session._outbound.shortcut) == (None, None)


async def test_packets_that_the_system_does_not_take_are_counted_and_no_fault() -> None:
    async with playing() as play:
        play.say(5)
        stage = play.other
        stage.session.update(replace(stage.agreed(), remote_host="255.255.255.255"))  # which we may not send to
        play.say(10)  # with the first the two are joined anew

        assert play.short
        statistics = stage.session.statistics()
        assert (statistics.packets_sent, statistics.bytes_sent, statistics.send_errors) == (5, 5 * 160, 9)
        assert play.one.session.statistics().packets_received == 15


async def test_streams_that_count_alike_are_not_all_settled_by_the_same_packet() -> None:
    settled = []
    for ssrc in (10, 11, 50):
        async with playing() as play:
            play.other.session._outbound.ssrc = ssrc
            play.say(5)
            source = play.one.session._inbound._source
            counted = [source.received]
            for _ in range(140):
                play.say()
                counted.append(source.received)
            settled.append([n for n in range(1, 141) if counted[n] != counted[n - 1] and n > 1])

    begun = [each[0] for each in settled]
    assert {later - n for each in settled for n, later in pairwise(each)} == {64}
    assert [n - begun[0] for n in begun] == [0, 1, 40]
