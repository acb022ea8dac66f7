import pytest

from sipflow.sdp.agreement import PCMA, PCMU, Codec
from sipflow.sdp.codecs import (
    CODECS,
    G722,
    L16_8000,
    L16_16000,
    L16_24000,
    L16_48000,
    OPUS,
    codec_name,
    codecs_named,
    minptime_ms,
    packet_ms,
)


def test_codecs_are_named_in_any_case() -> None:
    assert [codec_name(text) for text in ("pcmu", "OPUS", "g722", " L16 ", "l16/24000")] == [
        "PCMU", "opus", "G722", "L16", "L16/24000",
    ]  # fmt: skip
    assert [codec_name(text) for text in ("", "G729", "opus/48000/2", "L16/44100")] == [None] * 4


def test_a_list_of_names_keeps_its_order_and_has_nothing_twice() -> None:
    assert codecs_named(("opus", "g722", "PCMU", "opus", "L16", "L16/16000")) == (OPUS, G722, PCMU, L16_16000)
    assert codecs_named(()) == ()
    with pytest.raises(KeyError, match="G729"):
        codecs_named(("G729",))


def test_the_numbers_we_offer_are_the_fixed_ones_or_free_and_never_the_same() -> None:
    codecs = set(CODECS.values())

    assert (PCMU.payload_type, PCMA.payload_type, G722.payload_type) == (0, 8, 9)
    assert len({codec.payload_type for codec in codecs}) == len(codecs) == 8
    assert all(96 <= codec.payload_type < 128 for codec in codecs - {PCMU, PCMA, G722})


def test_codecs_are_written_as_their_rfcs_write_them() -> None:
    assert [codec.rtpmap for codec in (PCMU, G722, OPUS, L16_48000)] == [
        "PCMU/8000", "G722/8000", "opus/48000/2", "L16/48000",
    ]  # fmt: skip
    assert OPUS.fmtp == "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0"


@pytest.mark.parametrize(
    ("codec", "wanted_ms", "longest_ms", "shortest_ms", "packet"),
    [
        (PCMU, 20, None, 0, 20), (PCMU, 30, None, 0, 30), (PCMU, 33, None, 0, 30), (PCMU, 5, None, 0, 10),
        (PCMU, 200, None, 0, 60), (PCMU, 40, 30, 0, 30), (PCMU, 10, None, 40, 40), (PCMU, 10, 20, 40, 20),
        (OPUS, 20, None, 0, 20), (OPUS, 30, None, 0, 20), (OPUS, 50, None, 0, 40), (OPUS, 3, None, 0, 10),
        (OPUS, 120, None, 10, 60), (OPUS, 10, None, 20, 20),
        (L16_8000, 60, None, 0, 60), (L16_16000, 60, None, 0, 30), (L16_24000, 40, None, 0, 20),
        (L16_48000, 20, None, 0, 10), (Codec("l16", 192000), 20, None, 0, 10),
        (Codec("Opus", 48000, 2), 50, None, 0, 40),
    ],
)  # fmt: skip
def test_packets_have_a_length_that_the_codec_has_and_a_datagram_carries(
    codec: Codec, wanted_ms: int, longest_ms: int | None, shortest_ms: int, packet: int
) -> None:
    assert packet_ms(codec, wanted_ms, longest_ms, shortest_ms) == packet


@pytest.mark.parametrize(
    ("fmtp", "shortest_ms"),
    [
        ("", 0), ("minptime=10;useinbandfec=1", 10), ("useinbandfec=1; MinPTime = 40 ", 40), ("xminptime=10", 0),
        ("minptime=", 0), ("minptime=-5", 0), ("minptime=" + "9" * 5000, 0), (";" * 8000, 0),
    ],
)  # fmt: skip
def test_the_shortest_packet_time_is_read_from_the_parameters(fmtp: str, shortest_ms: int) -> None:
    assert minptime_ms(fmtp) == shortest_ms
