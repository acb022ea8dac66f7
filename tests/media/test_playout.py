from sipflow.audio.codecs import PCMU_CODEC, find_codec
from sipflow.media.playout import Playout

PTIME_S = 0.02


class Ear:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.rates: list[int] = []
        self.ended = False

    def put(self, pcm: bytes) -> None:
        self.heard.append(pcm)

    def switch(self, sample_rate_hz: int) -> None:
        self.rates.append(sample_rate_hz)

    def end(self) -> None:
        self.ended = True


def playout(ptime_ms: int = 20) -> Playout:
    return Playout(PCMU_CODEC, ptime_ms=ptime_ms, min_ms=20, max_ms=200)


def payload(number: int, size: int = 160) -> bytes:
    return bytes([number]) * size


def pcm(number: int, size: int = 160) -> bytes:
    return PCMU_CODEC.decode(payload(number, size))


def say(stream: Playout, *numbers: int, at: float = 100.0, size: int = 160, ptime_s: float = PTIME_S) -> None:
    """Have packets come one in each packet time, and tick after each."""
    for number in numbers:
        now = at + number * ptime_s
        stream.buffer.put(number, number * size, payload(number, size), now)
        stream.tick(now + 0.001)


def test_every_listener_gets_every_packet_time_once() -> None:
    stream, first, second = playout(), Ear(), Ear()
    stream.listen(first)
    say(stream, 1)
    stream.listen(second)
    say(stream, 2)
    stream.forget(first)
    say(stream, 3)
    stream.end()

    assert first.heard == [pcm(1), pcm(2)]
    assert second.heard == [pcm(2), pcm(3)]
    assert (first.ended, second.ended) == (False, True)


def test_without_a_first_packet_there_is_nothing_and_afterwards_never_a_hole() -> None:
    stream, ear = playout(), Ear()
    stream.listen(ear)
    for n in range(5):
        stream.tick(90.0 + n * PTIME_S)
    assert ear.heard == []

    say(stream, 1)
    for n in range(2, 30):
        stream.tick(100.001 + n * PTIME_S)
    assert [len(heard) for heard in ear.heard] == [320] * 29
    assert ear.heard[-1] == bytes(320)
    assert stream.concealed_ms == 100


def test_packets_longer_than_agreed_are_played_at_their_own_pace() -> None:
    stream, ear = playout(), Ear()
    paces: list[int] = []

    def pace(ptime_ms: int) -> None:
        paces.append(ptime_ms)
        stream.pace(ptime_ms)

    stream.on_pace = pace
    stream.listen(ear)
    say(stream, *range(1, 12), size=320, ptime_s=0.04)

    assert paces == [40]
    assert ear.heard[-1] == pcm(11, 320) or ear.heard[-1] == pcm(10, 320)


def test_a_change_of_codec_loses_nothing_that_waits_and_tells_the_new_rate() -> None:
    stream, ear = playout(), Ear()
    stream.listen(ear)
    for number in (1, 2, 3):
        stream.buffer.put(number, number * 160, payload(number), 100.0)
    stream.tick(100.021)
    stream.decode_with(find_codec("L16", 16000))

    assert ear.heard == [pcm(1), pcm(2), pcm(3)]
    assert ear.rates == [16000]
    assert stream.sample_rate_hz == 16000


def test_late_packets_are_counted_over_all_codecs() -> None:
    stream = playout()
    say(stream, 1, 2, 3)
    stream.buffer.put(0, 0, payload(0), 100.2)
    late = stream.late
    stream.decode_with(find_codec("PCMA"))

    assert stream.late == late


def test_noise_that_cannot_be_read_is_counted() -> None:
    stream = playout()
    stream.rest(b"")

    assert stream.broken == 1


def test_packets_shorter_and_longer_than_any_we_send_have_a_pace_too() -> None:
    for ptime_ms in (5, 80):
        stream = playout()
        paces: list[int] = []
        stream.on_pace = paces.append
        say(stream, *range(1, 12), size=8 * ptime_ms, ptime_s=ptime_ms / 1000)

        assert paces == [ptime_ms]


def test_the_same_codec_under_another_number_goes_on_as_it_was() -> None:
    stream = playout()
    say(stream, 1, 2, 3)
    buffer, decoder = stream.buffer, stream._decoder
    stream.decode_with(PCMU_CODEC)

    assert (stream.buffer, stream._decoder) == (buffer, decoder)
