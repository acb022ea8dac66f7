import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipflow.errors import LocalProtocolError
from sipflow.rtp.packet import RtpPacket
from sipflow.rtp.telephone_event import DIGITS, EventPacket, EventReceiver, encode_event


def packet(
    event: int, timestamp: int, duration: int, *, end: bool = False, marker: bool = False, ssrc: int = 7
) -> RtpPacket:
    payload = bytes([event, 0x8A if end else 0x0A]) + duration.to_bytes(2, "big")
    return RtpPacket(101, marker, 0, timestamp, ssrc, payload)


def press(event: int, timestamp: int, *, steps: int = 5) -> list[RtpPacket]:
    """All packets of one digit, as a careful sender sends them."""
    growing = [packet(event, timestamp, 160 * step, marker=step == 1) for step in range(1, steps)]
    return growing + [packet(event, timestamp, 160 * steps, end=True)] * 3


def heard(packets: list[RtpPacket]) -> str:
    receiver = EventReceiver()
    return "".join(digit for entry in packets if (digit := receiver.receive(entry)) is not None)


def test_a_digit_is_reported_once_at_its_first_packet() -> None:
    receiver = EventReceiver()

    assert [receiver.receive(entry) for entry in press(5, 1000)] == ["5", None, None, None, None, None, None]


def test_every_digit_has_its_event_code() -> None:
    assert heard([packet(event, 10_000 * event, 160, end=True) for event in range(16)]) == "0123456789*#ABCD"


def test_the_same_digit_twice_is_told_by_its_timestamp() -> None:
    assert heard(press(7, 1000) + press(7, 3000)) == "77"


def test_a_digit_without_marker_start_or_end_is_reported_once() -> None:
    assert heard([packet(3, 1000, 480), packet(3, 1000, 640)]) == "3"
    assert heard([packet(3, 1000, 800, end=True)] * 3) == "3"


def test_a_lost_end_does_not_swallow_the_same_digit_pressed_again() -> None:
    assert heard(press(3, 1000)[:2] + press(3, 3000)[1:]) == "33"


def test_packets_that_come_twice_or_late_are_not_reported_again() -> None:
    first, second = press(1, 1000), press(2, 4000)

    assert heard([first[0], first[0], first[2], first[1], second[0], first[4], second[1], first[0], second[4]]) == "12"


def test_a_digit_held_longer_than_one_segment_is_one_digit() -> None:
    start = 2**32 - 1000
    held = [packet(9, start, ticks) for ticks in range(160, 0xFFFF, 160)] + [packet(9, start, 0xFFFF)]
    second = (start + 0xFFFF) & 0xFFFFFFFF
    third = (start + 2 * 0xFFFF) & 0xFFFFFFFF
    held += [packet(9, second, ticks) for ticks in range(160, 0xFFFF, 160)]
    held += [packet(9, third, 160), packet(9, third, 320, end=True)]

    assert heard(held) == "9"


def test_a_duration_that_wraps_around_is_the_same_digit() -> None:
    wrapped = [packet(9, 5000, ticks & 0xFFFF) for ticks in range(160, 0x10000 + 3200, 160)]

    assert heard([*wrapped, packet(9, 5000, 3200, end=True), *press(9, 5000 + 0x10000 + 8000)]) == "99"


def test_a_segment_lost_as_a_whole_does_not_double_the_digit() -> None:
    assert heard([packet(9, 0, 0xFFFF), packet(9, 2 * 0xFFFF, 160)]) == "9"


def test_a_sender_that_moves_the_timestamp_with_every_packet_presses_once() -> None:
    growing = [packet(4, 1000 + 160 * step, 160 * (step + 1)) for step in range(5)]
    end = [packet(4, 1640 + 160 * step, 800, end=True) for step in range(3)]

    assert heard(growing + end) == "4"


def test_the_next_digit_may_begin_the_moment_the_last_one_ends() -> None:
    assert heard(press(4, 1000) + press(4, 1800)) == "44"


def test_a_new_source_starts_afresh() -> None:
    assert heard([packet(4, 1000, 160), packet(4, 1000, 160, ssrc=8)]) == "44"


def test_a_time_line_that_jumps_back_by_more_than_half_a_minute_is_a_new_one() -> None:
    assert heard([packet(4, 300_000, 160), packet(5, 1000, 160), packet(6, 400, 160)]) == "45"


def test_flash_tones_and_cut_off_payloads_are_no_digits() -> None:
    short = RtpPacket(101, True, 0, 9, 7, b"\x01\x0a\x00")

    assert heard([packet(16, 1000, 160), packet(255, 2000, 160), short]) == ""


@given(st.lists(st.builds(packet, st.integers(0, 255), st.integers(0, 2**32 - 1), st.integers(0, 0xFFFF)), max_size=30))
@settings(deadline=None)
def test_no_packets_break_the_receiver(packets: list[RtpPacket]) -> None:
    assert set(heard(packets)) <= set(DIGITS)


@given(
    st.text(DIGITS, min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.lists(st.booleans(), min_size=64, max_size=64),
)
@settings(deadline=None)
def test_digits_are_heard_as_dialled_when_a_packet_of_each_survives(
    digits: str, start: int, survives: list[bool]
) -> None:
    received = []
    for place, digit in enumerate(digits):
        timestamp = (start + place * 2400) & 0xFFFFFFFF
        sent = [RtpPacket(101, p.marker, 0, timestamp, 7, p.payload) for p in encode_event(digit)]
        kept = [p for p, alive in zip(sent, survives[place * 8 :], strict=False) if alive]
        received += kept or sent[-1:]

    assert heard(received) == digits


def test_a_digit_to_send_is_planned_packet_by_packet() -> None:
    assert encode_event("#", duration_ms=80) == [
        EventPacket(0, 0, bytes.fromhex("0b 0a 00a0"), True),
        EventPacket(20, 0, bytes.fromhex("0b 0a 0140"), False),
        EventPacket(40, 0, bytes.fromhex("0b 0a 01e0"), False),
        EventPacket(60, 0, bytes.fromhex("0b 8a 0280"), False),
        EventPacket(80, 0, bytes.fromhex("0b 8a 0280"), False),
        EventPacket(100, 0, bytes.fromhex("0b 8a 0280"), False),
    ]


def test_a_digit_of_less_than_a_packet_time_is_one_packet_time_long() -> None:
    assert encode_event("d", duration_ms=1, ptime_ms=30, volume=0) == [
        EventPacket(30 * place, 0, bytes.fromhex("0f 80 00f0"), place == 0) for place in range(3)
    ]


def test_a_long_digit_is_sent_in_full_segments() -> None:
    plan = encode_event("1", duration_ms=8300)

    assert [(p.offset_ms, p.timestamp_offset, p.payload.hex()) for p in plan[407:]] == [
        (8140, 0, "010aff00"),
        (8160, 0, "010affa0"),
        (8180, 0, "010affff"),
        (8200, 65535, "010a00e1"),
        (8220, 65535, "010a0181"),
        (8240, 65535, "010a0221"),
        (8260, 65535, "010a02c1"),
        (8280, 65535, "018a0361"),
        (8300, 65535, "018a0361"),
        (8320, 65535, "018a0361"),
    ]
    assert heard([RtpPacket(101, p.marker, 0, 500 + p.timestamp_offset, 7, p.payload) for p in plan]) == "1"


@pytest.mark.parametrize("digit", ["", "12", "E", "²", "!"])
def test_what_is_no_digit_cannot_be_sent(digit: str) -> None:
    with pytest.raises(LocalProtocolError):
        encode_event(digit)


@pytest.mark.parametrize(("duration_ms", "ptime_ms", "volume"), [(0, 20, 10), (100, 0, 10), (100, 20, 64)])
def test_times_and_volumes_out_of_range_are_refused(duration_ms: int, ptime_ms: int, volume: int) -> None:
    with pytest.raises(LocalProtocolError):
        encode_event("1", duration_ms=duration_ms, ptime_ms=ptime_ms, volume=volume)


def test_a_digit_that_is_being_pressed_when_the_clock_changes_is_still_one_digit() -> None:
    receiver = EventReceiver(8000)
    plan = encode_event("5")
    heard = []
    for number, packet in enumerate(plan):
        if number == 3:
            receiver.retime(48000)
        heard.append(receiver.receive(RtpPacket(101, packet.marker, number, 1000, 7, packet.payload)))

    assert heard == ["5", *[None] * (len(plan) - 1)]
