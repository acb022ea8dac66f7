from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.rtp.rtcp import (
    Goodbye,
    OtherPacket,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build_compound,
    ntp_time,
    parse_compound,
    round_trip_s,
)
from sipflow.rtp.source import ReceptionReport

BLOCK = ReceptionReport(0x11, 25, -3, 0x10007, 42, 0xAABBCCDD, 0x8000)
WORDS = st.integers(0, 2**32 - 1)
BLOCKS = st.lists(
    st.builds(
        ReceptionReport, WORDS, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), WORDS, WORDS, WORDS, WORDS
    ),
    max_size=4,
).map(tuple)
PACKETS = (
    st.builds(SenderReport, WORDS, st.integers(0, 2**64 - 1), WORDS, WORDS, WORDS, BLOCKS)
    | st.builds(ReceiverReport, WORDS, BLOCKS)
    | st.builds(SourceDescription, WORDS, st.text(max_size=60))
    | st.builds(Goodbye, st.lists(WORDS, max_size=4).map(tuple), st.text(max_size=60))
    | st.builds(
        OtherPacket,
        st.integers(204, 223),
        st.integers(0, 31),
        st.binary(max_size=8).map(lambda b: b[: len(b) // 4 * 4]),
    )
)


def test_a_report_with_its_name_is_written_as_rfc3550_draws_it() -> None:
    data = build_compound([SenderReport(1, 0x2_00000003, 4, 5, 6, (BLOCK,)), SourceDescription(1, "a@b")])

    assert data == bytes.fromhex(
        "81c8000c 00000001 00000002 00000003 00000004 00000005 00000006"
        "00000011 19fffffd 00010007 0000002a aabbccdd 00008000"
        "81ca0003 00000001 0103 614062 000000"
    )


@given(st.lists(PACKETS, min_size=1, max_size=5))
@settings(deadline=None)
def test_what_is_written_reads_the_same(packets: list[RtcpPacket]) -> None:
    assert parse_compound(build_compound(packets)) == tuple(packets)


def test_only_names_are_kept_of_a_source_description() -> None:
    chunk = bytes.fromhex("00000001 0203 626f62 0101 61 00000000 00000002 0103 637071 000000")

    assert parse_compound(bytes.fromhex("82ca0007") + chunk) == (SourceDescription(1, "a"), SourceDescription(2, "cpq"))


def test_padding_of_the_last_packet_is_cut_off() -> None:
    assert parse_compound(bytes.fromhex("a1cb0002 00000009 00000004")) == (Goodbye((9,)),)


def test_reading_ends_quietly_at_a_broken_packet_behind_a_good_one() -> None:
    good = build_compound([ReceiverReport(3)])

    assert parse_compound(good + b"\x81\xc8\xff\xff") == (ReceiverReport(3),)
    assert parse_compound(good + b"garbage") == (ReceiverReport(3),)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "an empty datagram is no RTCP"),
        (b"\x80\xc9\x00", "3 bytes are too few for RTCP (RFC 3550 §6.4)"),
        (b"\x40\xc9\x00\x01\0\0\0\1", "RTCP version 1 is not 2 (RFC 3550 §6.4.1)"),
        (b"\x80\xc9\x00\x02\0\0\0\1", "an RTCP packet of 12 bytes is cut off at 8"),
        (b"\xa0\xc9\x00\x01\0\0\0\xff", "255 bytes of padding in an RTCP packet of 8 bytes"),
        (b"\x80\xc9\x00\x00", "an RTCP receiver report is cut off (RFC 3550 §6.4.2)"),
        (b"\x80\xc8\x00\x01\0\0\0\1", "an RTCP sender report is cut off (RFC 3550 §6.4.1)"),
        (b"\x9f\xc9\x00\x01\0\0\0\1", "an RTCP report of 4 bytes cannot hold 31 blocks"),
        (b"\x82\xcb\x00\x01\0\0\0\1", "an RTCP BYE is cut off (RFC 3550 §6.6)"),
        (b"\x81\xca\x00\x00", "an RTCP source description is cut off (RFC 3550 §6.5)"),
        (b"\x81\xca\x00\x02\0\0\0\1\1\x09ab", "an RTCP source description item is cut off (RFC 3550 §6.5)"),
    ],
)
def test_a_datagram_that_begins_broken_is_the_peers_fault(data: bytes, sentence: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_compound(data)

    assert str(caught.value) == sentence


@given(st.binary(max_size=120) | st.tuples(st.sampled_from(range(200, 206)), st.binary(max_size=60)).map(
    lambda pair: bytes([0x82, pair[0], 0, len(pair[1]) // 4]) + pair[1]
))  # fmt: skip
@settings(deadline=None)
def test_no_bytes_do_more_than_being_refused(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        parse_compound(data)


def test_texts_are_cut_between_characters_at_255_bytes() -> None:
    assert parse_compound(build_compound([SourceDescription(1, "a" * 254 + "é")])) == (SourceDescription(1, "a" * 254),)


def test_more_than_31_blocks_are_not_written() -> None:
    assert parse_compound(build_compound([ReceiverReport(1, (BLOCK,) * 40)])) == (ReceiverReport(1, (BLOCK,) * 31),)


def test_the_round_trip_is_the_time_since_our_report_less_the_peers_delay() -> None:
    sent = ntp_time(1_700_000_000.0)
    block = ReceptionReport(1, 0, 0, 0, 0, sent >> 16 & 0xFFFFFFFF, 65536 // 2)

    assert sent >> 32 == 1_700_000_000 + 2_208_988_800
    assert round_trip_s(block, ntp_time(1_700_000_000.75)) == 0.25
    assert round_trip_s(block, ntp_time(1_700_000_000.25)) is None
    assert round_trip_s(ReceptionReport(1, 0, 0, 0, 0), sent) is None
