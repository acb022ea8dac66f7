"""What the media path promises about time, measured to the millisecond in simulated time."""

import random
from collections.abc import Iterator

import pytest

from sipflow.audio.codecs import PCMU_CODEC
from sipflow.media.reader import FrameReader
from tests.media.stage import SILENCE, FinePacer, Stage, heard, pcm, speech

PTIME_MS = 20
TALK = {heard(number).pcm: number for number in range(1, 127)}  # 127 is silence


class Line(Stage):
    """A stage whose time passes by the millisecond.

    Attributes:
        time: the pacer that makes it pass.
    """

    def __init__(self) -> None:
        self.time = FinePacer()
        super().__init__(pacer=self.time)

    def sent(self, within_ms: int = 100) -> Iterator[tuple[int, bytes]]:
        """Let time pass, and give what is sent: after how many milliseconds, and which payload."""
        for ms in range(1, within_ms + 1):
            self.time.step()
            for packet in self.peer.received():
                yield ms, packet.payload


@pytest.mark.parametrize("offset_ms", range(PTIME_MS))
async def test_from_play_to_rtp_out_it_takes_one_frame_at_most(offset_ms: int) -> None:
    async with Line() as line:
        line.time.step(100 + offset_ms)
        line.peer.received()

        line.session.enqueue(pcm(5, 40))

        sent = list(line.sent())
        first_ms = next(ms for ms, payload in sent if payload == speech(5))
        assert first_ms <= PTIME_MS
        assert [payload for ms, payload in sent if ms >= first_ms][:3] == [speech(5), speech(5), SILENCE]


@pytest.mark.parametrize("offset_ms", range(PTIME_MS))
async def test_from_clear_to_silence_on_the_wire_it_takes_20_ms_at_most(offset_ms: int) -> None:
    async with Line() as line:
        line.session.enqueue(pcm(5, 1000))
        line.time.step(100 + offset_ms)
        before = line.peer.received()
        assert before[-1].payload == speech(5)

        assert line.session.clear() == PTIME_MS * sum(packet.payload == speech(5) for packet in before)

        sent = list(line.sent())
        assert sent[0][0] <= PTIME_MS
        assert {payload for _, payload in sent} == {SILENCE}


async def _delays(line: Line, reader: FrameReader, arrivals: dict[int, int]) -> list[tuple[float, float]]:
    """Have packets come at their millisecond: how long each took to the handler, beside the depth of the buffer."""
    measured: list[tuple[float, float]] = []
    came: dict[int, int] = {}
    for ms in range(max(arrivals.values()) + 300):
        for number, at_ms in arrivals.items():
            if at_ms == ms:
                line.peer.send(line.port, number, speech(number % 126 + 1))
                came[number % 126 + 1] = ms
        line.time.step()
        while reader.waiting:
            number = TALK.get((await anext(reader)).pcm, 0)
            if number in came:
                measured.append((ms + 1 - came[number], line.session.statistics().jitter_buffer_ms))
    return measured


@pytest.mark.parametrize("offset_ms", range(PTIME_MS))
async def test_without_jitter_a_packet_is_with_the_handler_within_one_frame(offset_ms: int) -> None:
    async with Line() as line:
        reader = line.session.frames()
        line.time.step(100 + offset_ms)
        measured = await _delays(line, reader, {n: PTIME_MS * n for n in range(100)})

    assert len(measured) == 100
    assert max(delay for delay, _ in measured) <= PTIME_MS


@pytest.mark.parametrize("jitter_ms", [5, 15, 30, 60])
async def test_a_packet_is_with_the_handler_within_one_frame_and_the_depth_of_the_jitter_buffer(jitter_ms: int) -> None:
    chance = random.Random(jitter_ms)
    async with Line() as line:
        reader = line.session.frames()
        measured = await _delays(line, reader, {n: PTIME_MS * n + chance.randrange(jitter_ms) for n in range(500)})

    assert len(measured) > 400
    assert [(delay, depth) for delay, depth in measured if delay > PTIME_MS + depth + 1] == []


async def test_after_a_stall_of_a_second_speech_goes_on_and_the_delay_is_soon_what_it_was() -> None:
    async with Line() as line:
        reader = line.session.frames()
        await _delays(line, reader, {n: PTIME_MS * n for n in range(50)})
        for n in range(50, 115):  # the 300 ms after the last one, and the stall
            line.peer.send(line.port, n, speech(n % 126 + 1))
        line.time.step(stall_ms=999)
        measured = await _delays(line, reader, {n: PTIME_MS * (n - 115) for n in range(115, 600)})

    assert len(measured) > 450
    assert max(delay for delay, _ in measured[-200:]) <= 3 * PTIME_MS


@pytest.mark.parametrize("ptime_ms", [10, 30, 40, 60, 80])
async def test_packets_longer_or_shorter_than_agreed_are_with_the_handler_within_one_of_them(ptime_ms: int) -> None:
    measured = []
    async with Line() as line:
        reader = line.session.frames()
        for n in range(100):
            payload = bytes([n % 126 + 1]) * (8 * ptime_ms)
            line.peer.send(line.port, n, payload, at=8 * ptime_ms * n)
            for ms in range(1, ptime_ms + 1):
                line.time.step()
                while reader.waiting:
                    if (await anext(reader)).pcm == PCMU_CODEC.decode(payload):
                        measured.append(ms)
        statistics = line.session.statistics()

    assert len(measured) >= 90
    assert max(measured[10:]) <= ptime_ms
    assert (statistics.lost, statistics.late) == (0, 0)
