from collections.abc import AsyncIterator, Iterator

import pytest

from sipflow.audio.frame import Frame
from sipflow.testing.caller import Caller, Said

FRAME_BYTES = 320


def caller(audio: Said | None = None) -> Caller:
    return Caller(audio, sample_rate_hz=8000, frame_bytes=FRAME_BYTES)


def pieces() -> Iterator[bytes]:
    yield b"\x01\x00" * 100
    yield b"\x02\x00" * 100


async def apieces() -> AsyncIterator[bytes | Frame]:
    yield b"\x01\x00" * 100
    yield Frame(b"\x02\x00" * 100)


@pytest.mark.parametrize(
    "audio",
    [b"\x01\x00" * 100 + b"\x02\x00" * 100, Frame(b"\x01\x00" * 100 + b"\x02\x00" * 100), pieces(), apieces()],
    ids=["bytes", "frame", "iterator", "async iterator"],
)
async def test_whatever_is_said_comes_in_packet_times_and_then_there_is_silence(audio: Said) -> None:
    said = caller(audio)

    assert [await said.next_frame() for _ in range(3)] == [
        b"\x01\x00" * 100 + b"\x02\x00" * 60,
        b"\x02\x00" * 40 + bytes(240),
        bytes(FRAME_BYTES),
    ]


async def test_another_rate_is_converted() -> None:
    said = caller(Frame(bytes(2 * 16000), 16000))
    while said.clock_s < 2:
        await said.next_frame()
        said.pass_time(said.frame_s())

    assert said.busy_until_s == pytest.approx(1.0, abs=0.021)


def test_things_happen_at_their_time_in_order() -> None:
    done: list[str] = []
    script = caller()
    script.at(0.05, lambda: done.append("second"))
    script.at(0.03, lambda: done.append("first"))
    script.at(0.05, lambda: done.append("third"), counts=False)
    script.at(9.0, lambda: done.append("never"), counts=False)
    seen = []
    for _ in range(3):
        script.pass_time(0.02)
        seen.append(list(done))

    assert seen == [[], ["first"], ["first", "second", "third"]]
    assert (script.busy_until_s, script.clock_s) == (0.05, 0.06)
