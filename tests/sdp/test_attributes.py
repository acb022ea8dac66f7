import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.sdp.attributes import (
    INACTIVE,
    RECVONLY,
    SENDONLY,
    SENDRECV,
    STATIC_PAYLOAD_TYPES,
    RtpMap,
    direction_of,
    parse_fmtp,
    parse_milliseconds,
    parse_rtcp,
    parse_rtpmap,
    usable_ptime,
)

ABSURD = ["", " ", "x", "-1", "+5", "1_0", "٥", "9" * 5000, "\udcff", "0x10", "1e3"]


def test_an_rtpmap_is_read_and_printed() -> None:
    assert parse_rtpmap("96 opus/48000/2") == RtpMap(96, "opus", 48000, 2)
    assert parse_rtpmap("0  PCMU/8000 ") == RtpMap(0, "PCMU", 8000, 1)
    assert [str(RtpMap(96, "opus", 48000, 2)), str(RtpMap(8, "PCMA", 8000))] == ["96 opus/48000/2", "8 PCMA/8000"]


@pytest.mark.parametrize(
    "value",
    [*ABSURD, "128 X/8000", "65535 X/8000", "96 X/0", "96 X/8000/0", "96 X", "96 /8000", "96 X/99999999", "96X/8"],
)
def test_an_rtpmap_that_makes_no_sense_counts_as_absent(value: str) -> None:
    assert parse_rtpmap(value) is None


@given(
    st.integers(0, 127), st.from_regex(r"[A-Za-z0-9.-]{1,20}", fullmatch=True), st.integers(1, 10**6), st.integers(1, 8)
)
@settings(deadline=None)
def test_an_rtpmap_reads_as_it_was_printed(number: int, encoding: str, rate: int, channels: int) -> None:
    mapping = RtpMap(number, encoding, rate, channels)

    assert parse_rtpmap(str(mapping)) == mapping


def test_payload_types_of_rfc3551_need_no_rtpmap() -> None:
    assert {number: str(STATIC_PAYLOAD_TYPES[number]) for number in (0, 8, 9, 18)} == {
        0: "0 PCMU/8000",
        8: "8 PCMA/8000",
        9: "9 G722/8000",
        18: "18 G729/8000",
    }
    assert all(number == mapping.payload_type for number, mapping in STATIC_PAYLOAD_TYPES.items())


def test_an_fmtp_is_a_payload_type_and_its_parameters() -> None:
    assert parse_fmtp("18 annexb=no") == (18, "annexb=no")
    assert [parse_fmtp(value) for value in [*ABSURD, "128 x", "18"]] == [None] * (len(ABSURD) + 2)


def test_packet_times_may_be_fractions_and_never_zero() -> None:
    assert [parse_milliseconds(value) for value in ("20", " 30 ", "22.5", "999999")] == [20, 30, 22, 999999]
    assert [parse_milliseconds(value) for value in [*ABSURD, "0", "0.5", "-20", "20ms", "1."]] == [None] * (
        len(ABSURD) + 5
    )


@pytest.mark.parametrize(
    ("wanted", "longest", "used"),
    [
        (20, None, 20), (30, None, 30), (25, None, 20), (5, None, 10), (1, None, 10), (61, None, 60),
        (999999, None, 60), (20, 150, 20), (40, 30, 30), (20, 15, 10), (20, 5, 10), (60, 999999, 60),
    ],
)  # fmt: skip
def test_packet_times_are_brought_to_what_we_send(wanted: int, longest: int | None, used: int) -> None:
    assert usable_ptime(wanted, longest) == used


def test_rtcp_has_a_port_and_perhaps_an_address() -> None:
    assert parse_rtcp("53020") == (53020, "")
    assert parse_rtcp("53020 IN IP4 126.16.64.4") == (53020, "126.16.64.4")
    assert parse_rtcp("53020 IN IP6 2001:db8::1") == (53020, "2001:db8::1")
    absurd = [*ABSURD, "0", "65536", "99999", "5000 IN IP4", "5000 IN IP4 host.example.com"]
    assert [parse_rtcp(value) for value in absurd] == [None] * len(absurd)


def test_directions_say_who_sends_and_who_receives() -> None:
    directions = [SENDRECV, SENDONLY, RECVONLY, INACTIVE]

    assert [(d.sends, d.receives) for d in directions] == [(True, True), (True, False), (False, True), (False, False)]
    assert [direction_of(sends=d.sends, receives=d.receives) for d in directions] == directions
