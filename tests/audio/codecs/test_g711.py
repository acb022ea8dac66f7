"""The expected values are built from the steps of ITU-T G.711, tables 1 and 2, not from the code under test."""

import struct
import sys
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.audio.codecs.g711 import (
    ALAW_SILENCE,
    ULAW_SILENCE,
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)
from sipflow.errors import MediaError

Coder = Callable[[bytes], bytes]

# Widths of the 128 steps of the positive half: table 2 on a 14-bit scale, table 1 on a 13-bit scale.
ULAW_STEPS = [1] + [2] * 15 + [width for exponent in range(2, 9) for width in [1 << exponent] * 16]
ALAW_STEPS = [2] * 32 + [width for exponent in range(2, 8) for width in [1 << exponent] * 16]


def decision_values(steps: list[int]) -> list[int]:
    return [0, *accumulate(steps)]


def outputs(steps: list[int], *, first: float | None = None) -> list[float]:
    """Middle of each step; table 2 has 0 for its first."""
    edges = decision_values(steps)
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    return middles if first is None else [first, *middles[1:]]


def samples(values: list[float], scale: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *[int(value * scale) for value in values])


def test_the_tables_end_where_the_recommendation_says() -> None:
    assert (decision_values(ULAW_STEPS)[-1], decision_values(ALAW_STEPS)[-1]) == (8159, 4096)


def test_every_ulaw_code_has_the_value_of_table_2() -> None:
    positive = outputs(ULAW_STEPS, first=0)
    expected = [-value for value in positive[::-1]] + positive[::-1]  # 0x00 is the loudest negative, 0xff is +0

    assert decode_ulaw(bytes(range(256))) == samples(expected, 4)


def test_every_alaw_code_has_the_value_of_table_1() -> None:
    positive = outputs(ALAW_STEPS)
    expected = [(positive if code & 0x80 else [-v for v in positive])[(code ^ 0x55) & 0x7F] for code in range(256)]

    assert decode_alaw(bytes(range(256))) == samples(expected, 8)


def test_every_sample_gets_the_ulaw_code_of_its_step() -> None:
    edges = decision_values(ULAW_STEPS)
    expected = bytes(
        (0xFF if sample >= 0 else 0x7F) - min(bisect_right(edges, (sample if sample >= 0 else ~sample) / 4) - 1, 127)
        for sample in range(-32768, 32768)
    )

    assert encode_ulaw(struct.pack("<65536h", *range(-32768, 32768))) == expected


def test_every_sample_gets_the_alaw_code_of_its_step() -> None:
    edges = decision_values(ALAW_STEPS)
    expected = bytes(
        ((0x80 if sample >= 0 else 0) | min(bisect_right(edges, (sample if sample >= 0 else ~sample) / 8) - 1, 127))
        ^ 0x55
        for sample in range(-32768, 32768)
    )

    assert encode_alaw(struct.pack("<65536h", *range(-32768, 32768))) == expected


@pytest.mark.parametrize(
    ("decode", "encode", "changed"), [(decode_ulaw, encode_ulaw, {0x7F: 0xFF}), (decode_alaw, encode_alaw, {})]
)
def test_a_decoded_code_encodes_to_itself_but_for_negative_zero(
    decode: Coder, encode: Coder, changed: dict[int, int]
) -> None:
    codes = bytes(range(256))

    assert encode(_other(decode(codes))) == bytes(changed.get(code, code) for code in codes)


@pytest.mark.parametrize(("decode", "encode"), [(decode_ulaw, encode_ulaw), (decode_alaw, encode_alaw)])
def test_a_packet_that_is_sent_on_as_it_was_decoded_goes_out_as_it_came(decode: Coder, encode: Coder) -> None:
    packets = [bytes([number]) * 160 for number in range(256)]

    samples = [decode(packet) for packet in packets]

    assert [encode(each) for each in samples] == packets


@pytest.mark.parametrize(("decode", "encode"), [(decode_ulaw, encode_ulaw), (decode_alaw, encode_alaw)])
def test_packets_that_are_decoded_and_never_sent_on_are_forgotten(decode: Coder, encode: Coder) -> None:
    codes = bytes(range(128, 256))
    first = decode(codes)

    kept = [decode(codes) for _ in range(5000)]
    alone = bytes(first[:1]) + first[1:]

    assert sys.getrefcount(first) == sys.getrefcount(alone), "nobody else has it"
    assert encode(first) == encode(_other(kept[-1])) == codes


def _other(samples: bytes) -> bytes:
    """Make the same samples anew, as if they came from elsewhere."""
    return bytes(bytearray(samples))


def test_what_is_too_loud_is_clipped_to_the_loudest_code() -> None:
    loud = struct.pack("<4h", 32767, 32636, -32636, -32768)

    assert (encode_ulaw(loud), encode_alaw(loud)) == (b"\x80\x80\x00\x00", b"\xaa\xaa\x2a\x2a")


def test_silence_decodes_to_the_smallest_step() -> None:
    assert (decode_ulaw(ULAW_SILENCE), decode_alaw(ALAW_SILENCE)) == (b"\0\0", b"\x08\0")


@pytest.mark.parametrize("encode", [encode_ulaw, encode_alaw])
def test_half_a_sample_cannot_be_encoded(encode: Coder) -> None:
    with pytest.raises(MediaError, match="321 bytes are not whole 16-bit samples"):
        encode(bytes(321))


@pytest.mark.parametrize("code", [decode_ulaw, decode_alaw, encode_ulaw, encode_alaw])
def test_nothing_becomes_nothing(code: Coder) -> None:
    assert code(b"") == b""


@given(st.lists(st.integers(-32768, 32767), max_size=200))
@settings(deadline=None)
def test_the_error_is_never_more_than_half_a_step(values: list[int]) -> None:
    pcm = struct.pack(f"<{len(values)}h", *values)
    for decode, encode in ((decode_ulaw, encode_ulaw), (decode_alaw, encode_alaw)):
        back = struct.unpack(f"<{len(values)}h", decode(encode(pcm)))
        assert all(
            abs(after - before) <= max(8, abs(before) / 29 + 16) for before, after in zip(values, back, strict=True)
        )
