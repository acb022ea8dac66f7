from hypothesis import given
from hypothesis import strategies as st

from sipflow.rtp.reports import Reports, Sent
from sipflow.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    build_compound,
    ntp_time,
    parse_compound,
)
from sipflow.rtp.source import ReceptionReport, Source

OURS, THEIRS = 11, 22
NTP = ntp_time(1_700_000_000.0)


def reports(now: float = 100.0) -> Reports:
    return Reports(OURS, "name", clock_rate_hz=8000, now=now, draw=0.5)


def heard(packets: int, *, lost: int = 0) -> Source:
    """A source that sent so many packets, of which the first `lost` after the first are missing."""
    source = Source(min_sequential=1)
    for n in range(packets):
        if not 1 <= n <= lost:
            source.receive(n, 160 * n, 0.02 * n, THEIRS)
    return source


def about_us(**fields: int) -> bytes:
    block = {"fraction_lost": 64, "cumulative_lost": 5, "highest_sequence": 9, "jitter_ticks": 80, **fields}
    return build_compound([ReceiverReport(THEIRS, (ReceptionReport(OURS, **block),)), SourceDescription(THEIRS, "x")])


def test_the_first_report_is_due_after_half_the_interval_and_the_next_after_a_whole_one_rfc3550_6_2() -> None:
    ours = reports(now=100.0)
    assert round(ours.due_at, 3) == round(100 + 5 / 1.21828 / 2, 3)

    ours.compose(heard(3), Sent(1, 160, 160), now=102.0, ntp_now=NTP, draw=0.0)
    assert round(ours.due_at, 3) == round(102 + 2.5 / 1.21828, 3)
    ours.compose(heard(3), Sent(1, 160, 160), now=110.0, ntp_now=NTP, draw=1.0)
    assert round(ours.due_at, 3) == round(110 + 7.5 / 1.21828, 3)


def test_who_sent_since_the_last_report_is_a_sender_and_who_did_not_a_receiver_rfc3550_6_4() -> None:
    ours, source = reports(), heard(10, lost=2)

    first = parse_compound(ours.compose(source, Sent(7, 1120, 5000), now=1.0, ntp_now=NTP, draw=0.5))
    second = parse_compound(ours.compose(source, Sent(7, 1120, 9000), now=6.0, ntp_now=NTP, draw=0.5))

    block = ReceptionReport(THEIRS, 51, 2, 9, 0)
    assert isinstance(first[0], SenderReport)
    assert (first[0].ssrc, first[0].ntp_time, first[0].rtp_timestamp) == (OURS, NTP, 5000)
    assert (first[0].packets, first[0].octets) == (7, 1120)
    assert [(one.ssrc, one.fraction_lost, one.cumulative_lost) for one in first[0].reports] == [(THEIRS, 51, 2)]
    assert first[1:] == (SourceDescription(OURS, "name"),)
    assert isinstance(second[0], ReceiverReport)
    assert second[0].reports[0].cumulative_lost == block.cumulative_lost


def test_before_anything_was_heard_a_report_has_no_block() -> None:
    (report, _) = parse_compound(reports().compose(Source(), Sent(0, 0, 0), now=1.0, ntp_now=NTP, draw=0.5))

    assert report == ReceiverReport(OURS, ())


def test_the_last_report_says_goodbye_rfc3550_6_6() -> None:
    packets = parse_compound(reports().goodbye(Source(), Sent(1, 160, 0), now=1.0, ntp_now=NTP))

    assert [type(packet) for packet in packets] == [SenderReport, SourceDescription, Goodbye]
    assert packets[2] == Goodbye((OURS,))


def test_what_the_peer_says_about_us_is_remembered() -> None:
    ours = reports()

    assert ours.receive(about_us(), heard(1), now=1.0, ntp_now=NTP)

    assert (ours.remote_lost, ours.remote_fraction_lost, ours.remote_jitter_ms) == (5, 0.25, 10.0)
    assert ours.round_trip_s is None


def test_a_round_trip_is_worked_out_from_our_report_and_the_peers_delay_rfc3550_6_4_1() -> None:
    ours = reports()
    sent_at = NTP >> 16 & 0xFFFFFFFF
    later = NTP + (int(0.75 * 65536) << 16)

    ours.receive(about_us(last_sr=sent_at, delay_since_last_sr=65536 // 2), heard(1), now=1.0, ntp_now=later)

    assert ours.round_trip_s == 0.25


def test_an_absurd_round_trip_and_reports_about_others_change_nothing() -> None:
    ours = reports()
    ours.receive(about_us(last_sr=1), heard(1), now=1.0, ntp_now=NTP)
    stranger = build_compound([ReceiverReport(THEIRS, (ReceptionReport(99, 255, 1000, 0, 1000),))])
    ours.receive(stranger, heard(1), now=1.0, ntp_now=NTP)

    assert (ours.round_trip_s, ours.remote_lost) == (None, 5)


def test_the_peers_sender_report_comes_back_in_ours() -> None:
    ours, source = reports(), heard(5)
    theirs = build_compound([SenderReport(THEIRS, NTP, 0, 5, 800)])

    ours.receive(theirs, source, now=10.0, ntp_now=NTP)
    (report, _) = parse_compound(ours.compose(source, Sent(0, 0, 0), now=10.5, ntp_now=NTP, draw=0.5))

    assert isinstance(report, ReceiverReport)
    assert (report.reports[0].last_sr, report.reports[0].delay_since_last_sr) == (NTP >> 16 & 0xFFFFFFFF, 32768)


def test_garbage_is_no_rtcp_and_a_forged_bye_changes_nothing() -> None:
    ours = reports()

    assert not ours.receive(b"garbage", heard(1), now=1.0, ntp_now=NTP)
    assert not ours.receive(b"", heard(1), now=1.0, ntp_now=NTP)
    assert ours.receive(build_compound([Goodbye((THEIRS,))]), heard(1), now=1.0, ntp_now=NTP)
    assert (ours.remote_fraction_lost, ours.round_trip_s) == (None, None)


def test_absurd_jitter_is_bounded() -> None:
    ours = reports()
    ours.receive(about_us(jitter_ticks=0xFFFFFFFF), heard(1), now=1.0, ntp_now=NTP)

    assert ours.remote_jitter_ms == 10_000.0


word = st.integers(0, 0xFFFFFFFF)


@given(st.lists(st.tuples(st.integers(0, 255), word, word, word, word, word), max_size=3), st.binary(max_size=40), word)
def test_whatever_a_peer_reports_stays_within_bounds(
    blocks: list[tuple[int, int, int, int, int, int]], rest: bytes, ntp_low: int
) -> None:
    ours, source = reports(), heard(3)
    told = [
        ReceptionReport(OURS, fraction, (lost & 0xFFFFFF) - 0x800000, highest, jitter, last_sr, delay)
        for fraction, lost, highest, jitter, last_sr, delay in blocks
    ]
    ours.receive(build_compound([ReceiverReport(THEIRS, tuple(told))]) + rest, source, now=1.0, ntp_now=NTP + ntp_low)
    ours.receive(rest, source, now=2.0, ntp_now=NTP)

    assert ours.round_trip_s is None or 0 <= ours.round_trip_s <= 30
    assert ours.remote_jitter_ms is None or 0 <= ours.remote_jitter_ms <= 10_000
    assert ours.remote_fraction_lost is None or 0 <= ours.remote_fraction_lost < 1
    assert ours.compose(source, Sent(1, 160, 0), now=3.0, ntp_now=NTP, draw=0.5)
