import random
from contextlib import suppress
from ctypes import c_char_p, c_int32

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.audio.codecs import OPUS_CODEC, libopus
from sipflow.audio.codecs.opus import OpusDecoder, OpusEncoder, Wishes, playable
from sipflow.audio.tones import dominant_tone, level_dbfs, sine
from sipflow.errors import MediaError, RemoteProtocolError

RATES_HZ = (8000, 12000, 16000, 24000, 48000)


def voice(seconds: float = 2.0, rate_hz: int = 16000) -> bytes:
    """Make a buzz with formants whose pitch moves, which is enough of a voice for a codec of voices."""
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * (140 * at + 3 * np.sin(2 * np.pi * at))
    buzz = sum(np.sin(n * phase) / n * (1 + 2 * np.exp(-(((n * 140 - 700) / 200) ** 2))) for n in range(1, 20))
    return bytes(np.rint(4000 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))).astype("<i2").tobytes())


def packets_of(pcm: bytes, encoder: OpusEncoder, ptime_ms: int = 20) -> list[bytes]:
    step = encoder.sample_rate_hz * ptime_ms // 1000 * 2
    return [encoder.encode(pcm[at : at + step]) for at in range(0, len(pcm) - step + 1, step)]


def kind(packet: bytes) -> int:
    """Give the configuration number of a packet (RFC 6716 §3.1)."""
    return packet[0] >> 3


@pytest.mark.parametrize(
    ("fmtp", "wishes"),
    [
        ("", Wishes()),
        ("minptime=10;useinbandfec=1", Wishes(useinbandfec=True)),
        (
            "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=0; usedtx=1; cbr=1",
            Wishes(16000, 20000, usedtx=True, cbr=True),
        ),
        (" UseInbandFEC = 1 ;;=;MaxPlaybackRate=8000", Wishes(8000, useinbandfec=True)),
        ("useinbandfec=2;usedtx=;maxplaybackrate=-1;maxaveragebitrate=" + "9" * 5000, Wishes()),
        ("maxplaybackrate=٤٨;useinbandfec=0;useinbandfec=1", Wishes()),
    ],
)
def test_the_peers_wishes_are_read(fmtp: str, wishes: Wishes) -> None:
    assert Wishes.parse(fmtp) == wishes


@pytest.mark.parametrize(
    ("rate", "known"), [(0, 8000), (8000, 8000), (11025, 8000), (16000, 16000), (44100, 24000), (9**9, 48000)]
)
def test_a_playback_rate_is_brought_to_one_of_opus(rate: int, known: int) -> None:
    assert playable(rate) == known


@pytest.mark.parametrize("decoded_hz", RATES_HZ)
@pytest.mark.parametrize("encoded_hz", RATES_HZ)
def test_any_rate_of_ours_goes_with_any_of_the_peers(encoded_hz: int, decoded_hz: int) -> None:
    decoder = OPUS_CODEC.at(decoded_hz).new_decoder()
    packets = packets_of(sine(1000, 600, level_dbfs=-12, sample_rate_hz=encoded_hz), OpusEncoder(encoded_hz))

    heard = b"".join(map(decoder.decode, packets))
    tone = dominant_tone(heard[len(heard) // 2 :], decoded_hz)

    assert len(heard) == 2 * decoded_hz * 600 // 1000
    assert (tone.hz, tone.level_dbfs) == pytest.approx((1000, -12), abs=1)


def test_a_rate_that_opus_has_not_leaves_it_at_its_own() -> None:
    assert OPUS_CODEC.at(44100) is OPUS_CODEC
    with pytest.raises(MediaError, match="no Opus encoder for 44100 Hz: invalid argument"):
        OpusEncoder(44100)
    with pytest.raises(MediaError, match="no Opus decoder for 44100 Hz: invalid argument"):
        OpusDecoder(44100)


@pytest.mark.parametrize("ptime_ms", [10, 20, 40, 60])
def test_packets_have_the_packet_time(ptime_ms: int) -> None:
    encoder = OPUS_CODEC.new_encoder(ptime_ms=ptime_ms)

    assert {OPUS_CODEC.payload_ms(packet) for packet in packets_of(voice(), encoder, ptime_ms)} == {float(ptime_ms)}


def test_other_packet_times_and_other_lengths_are_refused() -> None:
    with pytest.raises(MediaError, match="640 bytes are not the 480 samples of an Opus packet"):
        OPUS_CODEC.new_encoder(ptime_ms=30).encode(bytes(640))
    with pytest.raises(MediaError, match="Opus cannot encode 480 samples: invalid argument"):
        OPUS_CODEC.new_encoder(ptime_ms=30).encode(bytes(960))


def test_ffmpeg_hears_what_we_send_and_we_what_it_sends() -> None:
    pcm = sine(1000, 1000, level_dbfs=-12, sample_rate_hz=48000)
    theirs = av.CodecContext.create("libopus", "r")
    sent = packets_of(pcm, OpusEncoder(48000))
    heard = b"".join(
        frame.to_ndarray().reshape(-1, frame.layout.nb_channels)[:, 0].astype("<i2").tobytes()
        for packet in sent
        for frame in theirs.decode(av.Packet(packet))
    )
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "stereo", "s16"
    both = np.repeat(np.frombuffer(pcm, "<i2"), 2).reshape(1, -1)
    frames = []
    for at in range(0, both.shape[1], 1920):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(both[:, at : at + 1920]), format="s16", layout="stereo")
        frame.sample_rate = 48000
        frames.append(frame)
    decoder = OPUS_CODEC.new_decoder()
    ours = b"".join(decoder.decode(bytes(packet)) for frame in frames for packet in context.encode(frame))

    for tone in (dominant_tone(heard[48000:], 48000), dominant_tone(ours[16000:], 16000)):
        assert (tone.hz, tone.level_dbfs) == pytest.approx((1000, -12), abs=1)


@pytest.mark.parametrize(("rate_hz", "kinds"), [(8000, range(4)), (12000, range(4, 8)), (16000, range(8, 12))])
def test_no_more_is_sent_than_the_peer_can_play(rate_hz: int, kinds: range) -> None:
    wishes = Wishes(maxplaybackrate=rate_hz)
    packets = packets_of(voice(rate_hz=48000), OpusEncoder(48000, wishes))

    assert {kind(packet) for packet in packets[5:]} <= {*kinds, *range(16 if rate_hz == 8000 else 20, 24)}


@pytest.mark.parametrize(("bits", "most"), [(6000, 8000), (12000, 14000), (1, 8000), (None, 27000)])
def test_the_bit_rate_stays_below_the_peers_limit(bits: int | None, most: int) -> None:
    packets = packets_of(voice(4.0), OpusEncoder(16000, Wishes(maxaveragebitrate=bits)))

    assert sum(map(len, packets)) * 8 / 4.0 <= most


def test_packets_of_one_size_are_sent_to_who_asks_for_them() -> None:
    constant = packets_of(voice(), OpusEncoder(16000, Wishes(cbr=True)))
    varying = packets_of(voice(), OpusEncoder(16000))

    assert len({len(packet) for packet in constant}) == 1
    assert len({len(packet) for packet in varying}) > 10


def test_during_silence_nothing_is_sent_to_who_asks_for_that_but_a_sign_of_life() -> None:
    still = bytes(640)
    asked, unasked = OpusEncoder(16000, Wishes(usedtx=True)), OpusEncoder(16000)
    packets_of(voice(1.0), asked)
    packets_of(voice(1.0), unasked)

    sent = [bool(asked.encode(still)) for _ in range(100)]
    gaps = [len(gap) for gap in "".join("x" if each else "." for each in sent[50:]).split("x") if gap]

    assert sum(sent[25:]) <= 6
    assert max(gaps) <= 20  # 400 ms
    assert all(unasked.encode(still) for _ in range(100))


def test_who_was_silent_is_heard_again_at_once() -> None:
    encoder, decoder = OpusEncoder(16000, Wishes(usedtx=True)), OPUS_CODEC.new_decoder()
    spoken = voice(1.0)
    packets_of(spoken, encoder)
    for _ in range(50):
        encoder.encode(bytes(640))

    again = packets_of(spoken, encoder)

    assert all(again)
    assert level_dbfs(b"".join(map(decoder.decode, again[:5]))) > -25


def error_of(made_up: bytes, truth: bytes) -> float:
    """Give the loudness of the difference beside the loudness of the truth, in dB."""
    ours, real = (np.frombuffer(pcm, "<i2").astype(float) for pcm in (made_up, truth))
    return float(10 * np.log10(((ours - real) ** 2).mean() / (real**2).mean()))


def losses(*, fec: bool) -> float:
    """Lose every tenth packet of a voice; give the mean error of what takes its place."""
    encoder = OpusEncoder(16000, Wishes(useinbandfec=True))
    packets = packets_of(voice(4.0), encoder)
    whole = OPUS_CODEC.new_decoder()
    truth = [whole.decode(packet) for packet in packets]
    decoder = OPUS_CODEC.new_decoder()
    errors = []
    for place, packet in enumerate(packets[:-1]):
        if place % 10 == 9:
            errors.append(error_of(decoder.conceal(20, packets[place + 1] if fec else None), truth[place]))
        else:
            decoder.decode(packet)
    return float(np.mean(errors))


def test_a_lost_packet_is_repaired_from_the_next_one() -> None:
    assert losses(fec=True) < -10
    assert losses(fec=True) < losses(fec=False) - 5


def test_several_lost_packets_are_made_up_and_the_last_of_them_repaired() -> None:
    encoder = OpusEncoder(16000, Wishes(useinbandfec=True))
    packets = packets_of(voice(), encoder)
    decoder, other = OPUS_CODEC.new_decoder(), OPUS_CODEC.new_decoder()
    for packet in packets[:40]:
        decoder.decode(packet)
        other.decode(packet)

    repaired, guessed = decoder.conceal(60, packets[43]), other.conceal(60)

    assert (len(repaired), len(guessed)) == (1920, 1920)
    assert repaired[:1280] == guessed[:1280]
    assert repaired[1280:] != guessed[1280:]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("missing_ms", [1, 7, 10, 33, 120, 121, 500])
def test_any_length_can_be_made_up(rate_hz: int, missing_ms: int) -> None:
    decoder = OpusDecoder(rate_hz)

    for following in (None, b"", OPUS_CODEC.silence(20), b"\xff", b"\x03\xff" + bytes(9)):
        assert len(decoder.conceal(missing_ms, following)) == 2 * (rate_hz * missing_ms // 1000)
    assert decoder.conceal(0) == b""


@pytest.mark.parametrize(
    ("payload", "duration_ms"),
    [
        (b"", 0.0), (b"\x00", 10.0), (b"\x08", 20.0), (b"\x10", 40.0), (b"\x18", 60.0), (b"\x60", 10.0),
        (b"\x80", 2.5), (b"\xf8", 20.0), (b"\x19\0\0", 120.0), (b"\xfa\0", 40.0), (b"\x03", 0.0), (b"\x03\x00", 0.0),
        (b"\x83\x30", 120.0), (b"\x83\x31", 0.0), (b"\x1b\x03", 0.0), (b"\xff\x86", 120.0),
    ],
)  # fmt: skip
def test_the_first_octets_tell_how_long_a_packet_plays(payload: bytes, duration_ms: float) -> None:
    assert OPUS_CODEC.payload_ms(payload) == duration_ms


@given(st.binary(min_size=1, max_size=30))
@settings(deadline=None)
def test_libopus_counts_the_same_time(payload: bytes) -> None:
    library = libopus.loaded().library
    library.opus_packet_get_nb_samples.argtypes = [c_char_p, c_int32, c_int32]
    samples = library.opus_packet_get_nb_samples(payload, len(payload), 48000)

    assert OPUS_CODEC.payload_ms(payload) == max(samples, 0) / 48


@given(st.lists(st.binary(max_size=1500), max_size=8), st.sampled_from(RATES_HZ))
@settings(deadline=None, max_examples=150)
def test_whatever_comes_is_heard_or_refused(payloads: list[bytes], rate_hz: int) -> None:
    decoder = OpusDecoder(rate_hz)
    for payload in payloads:
        try:
            heard = decoder.decode(payload)
        except RemoteProtocolError:
            continue
        assert len(heard) == 2 * rate_hz * OPUS_CODEC.payload_ms(payload) / 1000 > 0
        assert len(decoder.conceal(20, payload)) == 2 * rate_hz // 50


def test_a_thousand_damaged_packets_harm_nobody() -> None:
    chance = random.Random(11)
    encoder = OpusEncoder(48000, Wishes(useinbandfec=True))
    decoder = OPUS_CODEC.at(48000).new_decoder()
    packets = packets_of(voice(2.0, 48000), encoder)
    for _ in range(1000):
        octets = bytearray(chance.choice(packets))
        for _ in range(chance.randrange(1, 5)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        damaged = bytes(octets[: chance.randrange(1, len(octets) + 1)])
        with suppress(RemoteProtocolError):
            decoder.decode(damaged)
            decoder.conceal(chance.choice([10, 20, 40]), damaged)

    for packet in packets:
        assert len(decoder.decode(packet)) == 1920


def test_what_is_no_packet_is_the_peers_fault_and_the_stream_goes_on() -> None:
    decoder = OPUS_CODEC.new_decoder()
    packets = packets_of(voice(), OpusEncoder(16000))
    decoder.decode(packets[0])

    for payload, sentence in (
        (b"", "an Opus packet has at least one octet"),
        (b"\x03", "not an Opus packet: corrupted"),
    ):
        with pytest.raises(RemoteProtocolError, match=sentence):
            decoder.decode(payload)
    assert len(decoder.decode(packets[1])) == 640


def test_without_libopus_opus_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libopus, "load", lambda: None)

    assert OPUS_CODEC.missing() == "libopus: pip install av, or install the system's libopus0"
    with pytest.raises(MediaError, match="there is no libopus: pip install av, or install the system's package"):
        OPUS_CODEC.new_decoder()
