from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipflow.rtp.jitter import JitterBuffer, Missing
from tests.rtp.line import RATE_HZ, TICKS, Heard, Sent, number, payload, play, stream, uniform

LOST, NOTHING = Missing.LOST, Missing.NOTHING
MINUTE = 3000  # packets


def new_buffer(*, min_ms: int = 20, max_ms: int = 200) -> JitterBuffer:
    return JitterBuffer(clock_rate_hz=RATE_HZ, frame_ticks=TICKS, min_ms=min_ms, max_ms=max_ms)


def in_order(heard: Heard) -> bool:
    return all(later > earlier for earlier, later in pairwise(heard.numbers))


# An even network


@pytest.mark.parametrize("phase_ms", [0.1, 1, 10, 19.9])
def test_without_jitter_every_payload_passes_in_order_at_the_first_take_after_it_came(phase_ms: float) -> None:
    heard = play(stream(MINUTE), phase_s=phase_ms / 1000)

    assert heard.numbers == list(range(MINUTE))
    assert (heard.counters, heard.runs(LOST), heard.runs(NOTHING)) == ({}, [], [])
    assert max(heard.depths_ms) == pytest.approx(phase_ms)
    assert heard.buffer.target_ms == 20


def test_payloads_are_handed_out_as_the_objects_they_were() -> None:
    buffer, first, second = new_buffer(), b"first", b"second"
    buffer.put(1, 0, first, 0.0)
    buffer.put(2, TICKS, second, 0.02)

    assert buffer.take(0.021) is first
    assert buffer.take(0.041) is second


def test_nothing_is_there_before_the_first_packet() -> None:
    buffer = new_buffer()

    assert [buffer.take(0.02 * n) for n in range(100)] == [NOTHING] * 100
    assert (buffer.lost, buffer.depth_ms, buffer.target_ms, buffer.held) == (0, 0.0, 20.0, 0)


def test_a_longer_least_depth_is_waited_for_at_the_start() -> None:
    heard = play(stream(100), phase_s=0.007, buffer=new_buffer(min_ms=60), takes=103)

    assert [answer for _, answer in heard.answers[:2]] == [NOTHING, NOTHING]
    assert heard.numbers == list(range(100))
    assert heard.depths_ms[2:100] == [pytest.approx(47.0)] * 98


def test_numbers_wrap() -> None:
    sent = stream(140_000, first_sequence=0, first_timestamp=2**32 - 70_000 * TICKS)
    heard = play(sent)

    assert heard.numbers == list(range(140_000))
    assert heard.counters == {}


# Jitter


@pytest.mark.parametrize(("jitter_ms", "depth_ms"), [(5, 27), (20, 47), (40, 67), (80, 107)])
def test_uniform_jitter_makes_the_buffer_as_deep_as_it_is_and_a_frame(jitter_ms: int, depth_ms: int) -> None:
    heard = play(stream(MINUTE), delay_s=uniform(jitter_ms / 1000), takes=MINUTE + 10)
    late = heard.buffer.late + heard.buffer.lost

    assert in_order(heard)
    assert late <= MINUTE * 0.002
    assert heard.buffer.inserted <= jitter_ms / 20 + 1
    assert jitter_ms - 2 <= heard.depths_ms[MINUTE - 1] <= depth_ms
    assert jitter_ms + 17 <= heard.buffer.target_ms <= jitter_ms + 25


def test_loss_and_forty_ms_of_jitter_lose_no_more_than_the_network_does() -> None:
    heard = play(stream(10 * MINUTE), delay_s=uniform(0.04, loss=0.05), takes=10 * MINUTE)
    lost_on_the_way = 10 * MINUTE - len(heard.numbers) - heard.buffer.held

    assert in_order(heard)
    assert heard.buffer.late <= 10
    assert heard.count(LOST) - lost_on_the_way <= 20
    assert max(heard.depths_ms[100:]) <= 67


def test_long_tails_are_cut_off_where_few_packets_are() -> None:
    random = Random(1)
    heard = play(stream(MINUTE), delay_s=lambda _: min(random.expovariate(50), 0.3), takes=MINUTE)

    assert in_order(heard)
    assert heard.buffer.late <= MINUTE * 0.01
    assert max(heard.depths_ms) < 140


def test_depth_comes_down_again_after_a_bad_minute() -> None:
    bad = uniform(0.08)
    heard = play(stream(3 * MINUTE), delay_s=lambda sent: bad(sent) if sent.at < 60 else 0.001, takes=3 * MINUTE)

    assert in_order(heard)
    assert heard.depths_ms[MINUTE - 1] > 75
    assert heard.depths_ms[-1] < 27
    assert heard.buffer.skipped <= 5


def test_depth_never_goes_beyond_its_bounds_for_long() -> None:
    buffer = new_buffer(max_ms=60)
    heard = play(stream(MINUTE), delay_s=uniform(0.12), takes=MINUTE, buffer=buffer)

    assert in_order(heard)
    assert buffer.target_ms <= 60
    assert sum(depth > 66 for depth in heard.depths_ms) < MINUTE * 0.05


# Loss, copies, order


def test_a_lost_packet_is_concealed_once_in_its_place() -> None:
    heard = play(stream(100), delay_s=lambda sent: None if number(sent.payload) in (40, 41, 70) else 0.0)
    answers = [answer if isinstance(answer, Missing) else number(answer) for _, answer in heard.answers]

    assert answers == [LOST if n in (40, 41, 70) else n for n in range(100)]
    assert heard.counters == {"lost": 3}


def test_copies_are_dropped_and_counted() -> None:
    sent = [packet for packet in stream(200) for _ in range(2)]
    heard = play(sent, delay_s=uniform(0.001))

    assert heard.numbers == list(range(200))
    assert heard.counters == {"duplicates": 200}


def test_copies_that_come_after_they_were_played_are_duplicates_and_not_late() -> None:
    buffer = new_buffer()
    for n in range(10):
        assert buffer.put(n, n * TICKS, payload(n), n * 0.02)
        assert buffer.take(n * 0.02 + 0.01) == payload(n)

    assert [buffer.put(n, n * TICKS, payload(n), 0.2) for n in range(10)] == [False] * 10
    assert (buffer.duplicates, buffer.late) == (10, 0)


def test_packets_that_overtake_each_other_within_the_depth_are_put_in_order() -> None:
    buffer = new_buffer(min_ms=60)
    sent = stream(1000)
    swapped = [packet._replace(at=packet.at + (0.021 if n % 2 else 0.0)) for n, packet in enumerate(sent)]
    heard = play(swapped, buffer=buffer, takes=1005)

    assert heard.numbers == list(range(1000))
    assert heard.buffer.lost <= 5


def test_a_packet_whose_place_has_been_passed_is_late_and_its_copy_a_duplicate() -> None:
    buffer = new_buffer()
    for n in (0, 1, 3, 4):
        buffer.put(n, n * TICKS, payload(n), n * 0.02)
    answers = [buffer.take(n * 0.02 + 0.005) for n in range(5)]

    assert answers == [payload(0), payload(1), LOST, payload(3), payload(4)]
    assert [buffer.put(2, 2 * TICKS, payload(2), 0.1) for _ in range(2)] == [False, False]
    assert (buffer.late, buffer.duplicates, buffer.lost) == (1, 1, 1)


def test_a_late_packet_is_played_late_when_nothing_newer_was() -> None:
    heard = play(stream(200), delay_s=lambda sent: 0.035 if 100 <= number(sent.payload) < 110 else 0.0, takes=201)

    assert heard.numbers == list(range(199))
    assert heard.runs(LOST) == [2]
    assert heard.counters == {"inserted": 2}


def test_the_next_payload_can_be_looked_at_after_a_loss() -> None:
    buffer = new_buffer(min_ms=40)
    buffer.put(0, 0, payload(0), 0.0)
    assert buffer.take(0.03) == payload(0)
    buffer.put(2, 2 * TICKS, payload(2), 0.04)

    assert buffer.take(0.05) is LOST
    assert buffer.peek_next() == payload(2)
    assert buffer.take(0.07) == payload(2)


# Clocks


@pytest.mark.parametrize("ppm", [-500, -100, -20, 20, 100, 500])
@pytest.mark.parametrize("jitter_ms", [0, 20])
def test_drift_is_corrected_a_frame_at_a_time(ppm: int, jitter_ms: int) -> None:
    packets = 20 * MINUTE
    frames = packets * abs(ppm) / 1e6
    heard = play(stream(packets, ppm=ppm), delay_s=uniform(jitter_ms / 1000), takes=int(packets * (1 + ppm / 1e6)))
    corrections = heard.buffer.inserted if ppm > 0 else heard.buffer.skipped

    assert in_order(heard)
    assert max(heard.depths_ms) <= jitter_ms + 27
    assert frames - 2 <= corrections <= frames + 2 + jitter_ms / 20
    assert heard.buffer.late + heard.buffer.lost <= packets * 0.001


@pytest.mark.parametrize("ppm", [-500, 500])
def test_drift_is_corrected_where_it_is_quiet(ppm: int) -> None:
    packets = 5 * MINUTE

    def quiet(payload: bytes) -> bool:
        return number(payload) // 40 % 2 == 0

    buffer = JitterBuffer(clock_rate_hz=RATE_HZ, frame_ticks=TICKS, quiet=quiet)
    heard = play(stream(packets, ppm=ppm), buffer=buffer, takes=int(packets * (1 + ppm / 1e6)))
    if ppm < 0:
        changed = [later - 1 for earlier, later in pairwise(heard.numbers) if later > earlier + 1]
    else:
        following = (heard.answers[at + 1][1] for at, (_, answer) in enumerate(heard.answers[:-1]) if answer is LOST)
        changed = [number(answer) for answer in following if isinstance(answer, bytes)]

    assert len(changed) == pytest.approx(abs(ppm) * packets / 1e6, abs=1.1)
    assert [n for n in changed if not quiet(payload(n))] == []


def test_late_takes_and_takes_after_a_stall_do_not_make_it_drift() -> None:
    random = Random(1)
    heard = play(stream(MINUTE), delay_s=uniform(0.005), late_s=lambda: random.choice((0, 0, 0.004, 0.012)))

    assert heard.numbers == list(range(MINUTE))[: len(heard.numbers)]
    assert heard.counters.get("skipped", 0) == 0
    assert heard.buffer.inserted <= 1


def test_takes_made_up_for_after_a_stall_give_what_came_meanwhile() -> None:
    buffer = new_buffer()
    taken = []
    for n in range(200):
        buffer.put(n, n * TICKS, payload(n), n * 0.02)
        if not 100 <= n < 102:  # the taker stands still for 40 ms, and takes three times then
            taken += [buffer.take(n * 0.02 + 0.01) for _ in range(3 if n == 102 else 1)]

    assert taken == [payload(n) for n in range(200)]
    assert (buffer.lost, buffer.inserted, buffer.skipped) == (0, 0, 0)


def test_takes_never_made_up_for_are_caught_up_with_by_dropping() -> None:
    buffer = new_buffer()
    taken = []
    for n in range(400):
        buffer.put(n, n * TICKS, payload(n), n * 0.02)
        if not 100 <= n < 115:
            taken.append(buffer.take(n * 0.02 + 0.01))

    assert taken[-1] == payload(399)
    assert (buffer.lost, buffer.inserted, buffer.skipped) == (0, 0, 15)


def test_takes_may_be_skipped_and_their_packets_are_dropped() -> None:
    buffer = new_buffer()
    for n in range(10):
        buffer.put(n, n * TICKS, payload(n), n * 0.02)
    assert buffer.take(0.19) == payload(0)
    buffer.skip(8)

    assert buffer.take(0.20) == payload(9)
    assert buffer.skipped == 8
    assert buffer.put(10, 10 * TICKS, payload(10), 0.21)
    assert buffer.take(0.22) == payload(10)


def test_everything_that_waits_can_be_taken_at_once_and_the_stream_goes_on() -> None:
    buffer = new_buffer(min_ms=100)
    for n in (0, 1, 3, 2):
        buffer.put(n, n * TICKS, payload(n), 0.0)

    assert buffer.drain() == [payload(n) for n in range(4)]
    assert (buffer.drain(), buffer.held) == ([], 0)
    assert buffer.put(4, 4 * TICKS, payload(4), 0.08)
    assert buffer.take(0.09) == payload(4)
    assert buffer.lost == 0


# Stalls, pauses, jumps


def test_a_burst_after_a_stall_is_played_and_the_delay_caught_up_within_seconds() -> None:
    heard = play(stream(MINUTE), delay_s=lambda sent: max(10.15 - sent.at, 0.0) if sent.at >= 10 else 0.0, takes=MINUTE)

    assert heard.numbers[:508] == list(range(508))  # what was held up plays, 160 ms late
    assert in_order(heard)
    assert heard.counters == {"inserted": 5, "skipped": 8}
    assert heard.depths_ms[700] < 27


def test_a_burst_after_a_long_stall_is_cut_to_the_target_at_once() -> None:
    heard = play(stream(MINUTE), delay_s=lambda sent: max(11.0 - sent.at, 0.0) if sent.at >= 10 else 0.0, takes=MINUTE)

    assert in_order(heard)
    assert heard.runs(LOST) == [5]
    assert heard.runs(NOTHING) == [45]
    assert heard.counters == {"skipped": 50}
    assert max(heard.depths_ms[560:]) < 27


def test_pauses_of_the_sender_are_no_losses_and_make_it_no_deeper() -> None:
    sent = stream(MINUTE, talks=lambda time: time // 50 % 2 == 0)
    heard = play(sent, takes=MINUTE - 50)

    assert heard.numbers == list(range(len(sent)))
    assert heard.runs(LOST) == [5] * 29
    assert heard.runs(NOTHING) == [45] * 29
    assert heard.counters == {}
    assert max(heard.depths_ms) < 20


def test_pauses_with_jitter_and_loss_lose_only_what_was_lost() -> None:
    sent = stream(10 * MINUTE, talks=lambda time: time // 50 % 2 == 0)
    heard = play(sent, delay_s=uniform(0.04, loss=0.05), takes=10 * MINUTE)
    missing = len(sent) - len(heard.numbers)

    assert in_order(heard)
    assert abs(heard.buffer.lost + heard.buffer.late - missing) <= missing * 0.1
    assert heard.depths_ms[-60] <= 67


def test_a_pause_that_was_announced_is_not_concealed() -> None:
    buffer = new_buffer()
    answers = []
    for n in range(20):
        if n < 10:
            buffer.put(n, n * TICKS, payload(n), n * 0.02)
        elif n == 10:
            buffer.put(n, n * TICKS, b"", n * 0.02)  # comfort noise
        elif n >= 15:
            buffer.put(n - 4, n * TICKS, payload(n), n * 0.02)
        answers.append(buffer.take(n * 0.02 + 0.01))

    assert answers == [NOTHING if 10 <= n < 15 else payload(n) for n in range(20)]
    assert (buffer.lost, buffer.inserted) == (0, 0)


def test_packets_of_an_event_are_no_losses() -> None:
    buffer = new_buffer()
    answers = []
    for n in range(40):
        stamp = 10 * TICKS if 10 <= n < 25 else n * TICKS  # RFC 4733 §2.2: all of an event's have its first timestamp
        buffer.put(n, stamp, b"" if 10 <= n < 25 else payload(n), n * 0.02)
        answers.append(buffer.take(n * 0.02 + 0.01))

    assert answers == [NOTHING if 10 <= n < 25 else payload(n) for n in range(40)]
    assert (buffer.lost, buffer.late, buffer.duplicates) == (0, 0, 0)


def test_a_talk_spurt_begins_at_the_depth_that_is_needed() -> None:
    """The first spurt comes evenly, 40 ms of jitter in the second make it deeper, and the third begins as deep."""
    jitter = uniform(0.04)
    sent = stream(300, talks=lambda time: time % 100 < 80)
    heard = play(sent, delay_s=lambda sent: jitter(sent) if 1.9 < sent.at < 3.8 else 0.0, phase_s=0.001, takes=300)

    assert heard.depths_ms[90] < 20
    assert [round(depth) for depth in heard.depths_ms[205:280]] == [41] * 75


@pytest.mark.parametrize("pause_s", [0.05, 0.1, 0.2, 0.5, 3.0, 60.0])
def test_a_sender_that_stops_with_its_timestamps_is_heard_on(pause_s: float) -> None:
    sent = [packet._replace(at=packet.at + (pause_s if n >= 250 else 0)) for n, packet in enumerate(stream(600))]
    heard = play(sent)

    assert heard.numbers == list(range(len(heard.numbers)))
    assert len(heard.numbers) >= 599
    assert heard.buffer.lost + heard.buffer.late + heard.buffer.skipped == 0
    assert heard.depths_ms[-1] < 20


@pytest.mark.parametrize("jump", [400, -400, 480, 100_000, -100_000, 2**31 + 1, 2**31 - 1])
def test_timestamps_that_jump_do_not_stop_the_audio(jump: int) -> None:
    sent = [
        packet._replace(timestamp=(packet.timestamp + (jump if n >= 250 else 0)) & 0xFFFFFFFF)
        for n, packet in enumerate(stream(600))
    ]
    heard = play(sent)

    assert heard.numbers == list(range(600))[: len(heard.numbers)]
    assert len(heard.numbers) >= 597
    assert heard.buffer.lost + heard.buffer.late <= 3
    assert heard.depths_ms[-1] <= 40


@pytest.mark.parametrize("jump", [5000, 30_000, -5000])
def test_sequence_numbers_that_jump_cost_one_packet(jump: int) -> None:
    sent = [
        packet._replace(sequence=(packet.sequence + (jump if n >= 250 else 0)) & 0xFFFF)
        for n, packet in enumerate(stream(600))
    ]
    heard = play(sent)

    assert heard.numbers == [n for n in range(600) if n != 250]
    assert heard.counters == {"late": 1}


def test_one_packet_far_out_of_sequence_changes_nothing() -> None:
    buffer = new_buffer()
    for n in range(100):
        if n == 50:
            assert not buffer.put(n + 20_000, 12345, b"stray", n * 0.02)
        assert buffer.put(n, n * TICKS, payload(n), n * 0.02)
        assert buffer.take(n * 0.02 + 0.01) == payload(n)


def test_a_new_source_begins_anew_with_what_is_known_of_the_network() -> None:
    buffer = new_buffer()
    play(stream(500), delay_s=uniform(0.04), buffer=buffer)
    target_ms = buffer.target_ms
    buffer.restart()

    assert (buffer.held, buffer.depth_ms, buffer.target_ms) == (0, 0.0, target_ms)
    heard = play(stream(500, first_sequence=7, first_timestamp=99), delay_s=uniform(0.04), buffer=buffer, takes=510)
    assert in_order(heard)
    assert len(heard.numbers) >= 499


# Packet times


def played_at_its_own_pace(sent: list[Sent], buffer: JitterBuffer) -> list[bytes | Missing]:
    """Take at the pace that the buffer asks for."""
    at, queue, answers = 0.01, list(sent), []
    while queue or buffer.held:
        while queue and queue[0].at <= at:
            packet = queue.pop(0)
            buffer.put(packet.sequence, packet.timestamp, packet.payload, packet.at)
        answers.append(buffer.take(at))
        at += buffer.packet_ticks / RATE_HZ
    return answers


@pytest.mark.parametrize("ticks", [80, 120, 240, 320, 400, 480])
def test_another_packet_time_than_agreed_is_learnt(ticks: int) -> None:
    buffer = new_buffer()
    answers = played_at_its_own_pace(stream(500, ticks=ticks), buffer)
    audio = [number(answer) for answer in answers if isinstance(answer, bytes)]

    assert buffer.packet_ticks == ticks
    assert audio == list(range(500))[-len(audio) :]
    assert len(audio) >= 495
    assert answers[20:] == [payload(n) for n in range(500)][-len(answers[20:]) :]


@pytest.mark.parametrize("ticks", [80, 240, 320, 480])
def test_a_packet_time_that_changes_on_the_way_loses_nothing(ticks: int) -> None:
    buffer = new_buffer(min_ms=60)
    before = stream(100, first_sequence=0, first_timestamp=0)
    after = stream(100, ticks=ticks, first_sequence=100, first_timestamp=100 * TICKS)
    sent = before + [packet._replace(at=packet.at + 2.0, payload=payload(100 + n)) for n, packet in enumerate(after)]
    answers = played_at_its_own_pace(sent, buffer)

    assert [number(answer) for answer in answers if isinstance(answer, bytes)] == list(range(200))
    assert buffer.packet_ticks == ticks
    assert buffer.lost + buffer.late + buffer.skipped == 0


def test_timestamps_that_count_by_another_clock_than_agreed_lose_nothing() -> None:
    """As G.722 by 16000 a second, where RFC 3551 §4.5.2 wants 8000."""
    buffer = new_buffer()
    sent = [packet._replace(at=packet.at / 2) for packet in stream(1000, ticks=320)]
    answers = played_at_its_own_pace(sent, buffer)

    assert [number(answer) for answer in answers if isinstance(answer, bytes)] == list(range(1000))
    assert buffer.packet_ticks == TICKS


# Whatever comes

arrivals = st.lists(
    st.tuples(
        st.integers(-4, 40),  # how far from the last packet's number
        st.sampled_from([0, 0, 0, 1, 160, -160, 4000, -(2**20), 2**31]),  # what is added to its timestamp
        st.floats(0, 0.3),  # seconds since the last event
        st.integers(0, 3),  # takes before it
        st.booleans(),
    ),
    max_size=60,
)


@given(arrivals, st.sampled_from([80, 160, 960]), st.sampled_from([20, 60, 200]))
def test_nothing_is_played_twice_and_the_memory_is_bounded_whatever_comes(
    events: list[tuple[int, int, float, int, bool]], ticks: int, max_ms: int
) -> None:
    buffer = JitterBuffer(clock_rate_hz=48000 if ticks == 960 else 8000, frame_ticks=ticks, max_ms=max_ms)
    now, at, shift = 5.0, 0, 0
    accepted: list[bytes] = []
    played: list[bytes | Missing] = []
    for step, jump, pause, takes, audible in events:
        for _ in range(takes):
            played.append(buffer.take(now))
            now += ticks / 8000
        now += pause
        at, shift = at + step, shift + jump
        body = payload(len(accepted)) if audible else b""
        if buffer.put(at & 0xFFFF, (at * ticks + shift) & 0xFFFFFFFF, body, now) and body:
            accepted.append(body)
    played += [buffer.take(now + n * ticks / 8000) for n in range(400)]
    audio = [answer for answer in played if isinstance(answer, bytes)]

    assert len(set(audio)) == len(audio)
    assert set(audio) <= set(accepted)
    assert len(audio) + buffer.skipped == len(accepted)
    assert buffer.held == 0
    assert min(buffer.lost, buffer.late, buffer.duplicates, buffer.inserted, buffer.skipped) >= 0


@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.25),
            st.booleans(),
            st.booleans(),
        ),
        min_size=1,
        max_size=150,
    ),
    st.lists(st.floats(0, 0.05), min_size=1, max_size=20),
)
def test_an_honest_stream_is_never_played_out_of_order(
    network: list[tuple[float, bool, bool]], lateness: list[float]
) -> None:
    """Any loss, any copies, any delay up to 250 ms and so any order; takes up to 50 ms late."""
    sent = [
        packet._replace(at=packet.at + delay)
        for packet, (delay, lost, _) in zip(stream(len(network)), network, strict=True)
        if not lost
    ]
    sent += [packet for packet, (_, _, twice) in zip(list(sent), network, strict=False) if twice]
    turns = iter(lateness * (len(network) + 30))
    heard = play([*sent, stream(1)[0]], late_s=lambda: next(turns), takes=len(network) + 20)

    assert in_order(heard)
    assert heard.buffer.held <= 40


def test_packets_that_nobody_takes_are_dropped_but_for_the_newest() -> None:
    buffer = new_buffer()
    for n in range(10_000):
        buffer.put(n & 0xFFFF, n * TICKS, payload(n), n * 0.02)

    assert buffer.held <= 100
    assert buffer.skipped == 10_000 - buffer.held
    for n in range(10_000, 10_500):
        buffer.put(n & 0xFFFF, n * TICKS, payload(n), n * 0.02)
        taken = buffer.take(n * 0.02 + 0.01)
    assert taken == payload(10_499)
