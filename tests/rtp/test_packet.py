from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.errors import RemoteProtocolError
from sipflow.rtp.packet import RtpPacket, header, is_rtcp, parse_packet

PLAIN = bytes.fromhex("80 00 1234 00000140 deadbeef") + b"audio"


def refused(data: bytes) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_packet(data)
    return str(caught.value)


def test_a_plain_packet_is_read_field_by_field() -> None:
    assert parse_packet(PLAIN) == RtpPacket(
        payload_type=0, marker=False, sequence=0x1234, timestamp=320, ssrc=0xDEADBEEF, payload=b"audio"
    )


def test_the_marker_is_no_part_of_the_payload_type() -> None:
    assert parse_packet(bytes.fromhex("80 e5 0001 00000000 00000007")) == RtpPacket(101, True, 1, 0, 7, b"")


def test_csrc_list_extension_and_padding_are_cut_off() -> None:
    data = (
        bytes.fromhex("b2 08 0001 00000002 00000003")
        + bytes(8)  # two contributing sources
        + bytes.fromhex("bede 0001 11223344")
        + b"voice"
        + b"\0\0\3"
    )

    assert parse_packet(data) == RtpPacket(8, False, 1, 2, 3, b"voice")


def test_a_packet_may_be_all_padding() -> None:
    assert parse_packet(bytes.fromhex("a0 00 0001 00000002 00000003 00000004")).payload == b""


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "0 bytes are too few for an RTP header (RFC 3550 §5.1)"),
        (PLAIN[:11], "11 bytes are too few for an RTP header (RFC 3550 §5.1)"),
        (b"\x40" + PLAIN[1:], "RTP version 1 is not 2 (RFC 3550 §5.1)"),
        (b"\x8f" + PLAIN[1:], "the RTP header is longer than the packet (RFC 3550 §5.1)"),
        (b"\x90" + PLAIN[1:12] + b"\0\0", "the RTP header extension is cut off (RFC 3550 §5.3.1)"),
        (b"\x90" + PLAIN[1:12] + b"\0\0\xff\xff", "the RTP header is longer than the packet (RFC 3550 §5.1)"),
        (b"\xa0" + PLAIN[1:12] + b"\0", "0 bytes of RTP padding in 1 bytes of payload"),
        (b"\xa0" + PLAIN[1:12] + b"\x02", "2 bytes of RTP padding in 1 bytes of payload"),
    ],
)
def test_a_packet_shorter_than_it_says_is_the_peers_fault(data: bytes, sentence: str) -> None:
    assert refused(data) == sentence


def test_padding_that_reaches_into_the_header_is_refused() -> None:
    assert refused(bytes.fromhex("a0 00 0001 00000002 0000000c")) == "12 bytes of RTP padding in 0 bytes of payload"


def test_counters_that_ran_over_wrap_in_the_header() -> None:
    assert header(8, 0x1_0002, 0x1_0000_0003, 5, True) == bytes.fromhex("80 88 0002 00000003 00000005")


@given(
    st.integers(0, 127), st.booleans(), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1), st.binary(max_size=200),
)  # fmt: skip
@settings(deadline=None)
def test_what_is_written_reads_the_same(
    payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes
) -> None:
    data = header(payload_type, sequence, timestamp, ssrc, marker) + payload

    assert parse_packet(data) == RtpPacket(payload_type, marker, sequence, timestamp, ssrc, payload)


@given(st.binary(max_size=80) | st.binary(min_size=11, max_size=80).map(lambda tail: b"\xbf" + tail))
@settings(deadline=None)
def test_no_bytes_do_more_than_being_refused(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        parse_packet(data)


def test_rtcp_on_the_same_port_is_told_by_its_type() -> None:
    assert [octet for octet in range(256) if is_rtcp(bytes([0x80, octet]))] == list(range(192, 224))
    assert not is_rtcp(b"\x80")
