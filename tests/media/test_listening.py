import asyncio
import struct

from sipflow.media.listening import Listening, mixed


def pcm(value: int, samples: int = 160) -> bytes:
    return struct.pack("<h", value) * samples


def pairs(sound: bytes) -> list[tuple[int, int]]:
    """Left and right of every 160th sample."""
    return list(struct.iter_unpack("<hh", sound))[::160]


def pass_by(listening: Listening, first: int, count: int) -> None:
    for n in range(first, first + count):
        listening.put(pcm(n))
        listening.sent(pcm(-n))


async def test_a_listener_gets_both_voices_side_by_side_in_order() -> None:
    listening = Listening(8000)
    pass_by(listening, 0, 10)
    parts = [await listening.more(1.0) for _ in range(2)]

    assert [pairs(part) for part in parts] == [[(n, -n) for n in range(5)], [(n, -n) for n in range(5, 10)]]
    assert await listening.more(0.0) == b""


async def test_a_slow_listener_loses_the_oldest_and_the_call_goes_on() -> None:
    listening = Listening(8000)
    pass_by(listening, 0, 200)
    first = pairs(await listening.more(1.0))

    assert listening.lost_ms == 1000
    assert first[0] == (50, -50)


async def test_a_listener_has_what_came_before_the_end_and_then_nothing() -> None:
    listening = Listening(8000)
    pass_by(listening, 1, 2)
    listening.end()
    listening.end()

    assert pairs(await listening.more(1.0)) == [(1, -1), (2, -2)]
    assert (await listening.more(60.0), listening.ended) == (b"", True)


async def test_a_listener_who_waits_is_woken_by_the_end() -> None:
    listening = Listening(8000)
    asyncio.get_running_loop().call_soon(listening.end)

    assert await listening.more(60.0) == b""


async def test_voices_of_other_rates_come_at_the_rate_that_was_said() -> None:
    listening = Listening(16000)
    listening.switch(8000)
    listening.sends_at(16000)
    for _ in range(20):
        listening.put(pcm(1000))
        listening.sent(pcm(-1000, 320))
    listening.end()
    sound = b""
    while part := await listening.more(0.0):
        sound += part
    samples = list(struct.iter_unpack("<hh", sound))

    assert len(samples) == 20 * 320
    assert samples[3200][1] == -1000
    assert abs(samples[3200][0] - 1000) < 50


def test_two_voices_in_one_are_clipped_and_not_wrapped() -> None:
    stereo = struct.pack("<6h", 1000, 200, 30000, 30000, -30000, -30000)

    assert struct.unpack("<3h", mixed(stereo)) == (1200, 32767, -32768)
