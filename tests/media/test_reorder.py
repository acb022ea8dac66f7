import random

from sipflow.media.reorder import Reorder


def feed(reorder: Reorder, sequences: list[int]) -> list[int]:
    """Send packets whose timestamps are their numbers; give the numbers as they come out."""
    out = []
    for sequence in sequences:
        if reorder.passes(sequence):
            out.append(sequence)
        else:
            out += [timestamp for timestamp, _ in reorder.push(sequence, sequence, b"x")]
    return out


def test_packets_in_order_go_straight_through() -> None:
    reorder = Reorder()

    assert feed(reorder, [5, 6, 7]) == [5, 6, 7]


def test_the_sequence_wraps() -> None:
    assert feed(Reorder(), [65534, 65535, 0, 1]) == [65534, 65535, 0, 1]
    assert feed(Reorder(), [65534, 0, 65535, 1]) == [65534, 65535, 0, 1]


def test_packets_that_overtook_each_other_are_put_back_in_order() -> None:
    assert feed(Reorder(), [1, 3, 2, 4]) == [1, 2, 3, 4]
    assert feed(Reorder(), [1, 4, 3, 2, 5]) == [1, 2, 3, 4, 5]


def test_a_missing_packet_is_given_up_when_three_later_ones_wait() -> None:
    reorder = Reorder()

    assert feed(reorder, [1, 3, 4]) == [1]
    assert feed(reorder, [5, 6]) == [3, 4, 5, 6]


def test_two_gaps_are_given_up_one_after_the_other() -> None:
    assert feed(Reorder(), [1, 3, 5, 7, 8]) == [1, 3, 5, 7, 8]


def test_a_packet_that_comes_after_it_was_given_up_is_late() -> None:
    reorder = Reorder()
    feed(reorder, [1, 3, 4, 5])

    assert feed(reorder, [2]) == []
    assert reorder.late == 1


def test_a_packet_twice_is_late_the_second_time() -> None:
    reorder = Reorder()

    assert feed(reorder, [1, 1, 3, 3, 2]) == [1, 2, 3]
    assert reorder.late == 2


def test_a_jump_begins_anew_and_loses_nothing_that_waited() -> None:
    reorder = Reorder()

    assert feed(reorder, [1, 3, 30000, 30001]) == [1, 3, 30000, 30001]


def test_a_restart_accepts_any_number() -> None:
    reorder = Reorder()
    feed(reorder, [100, 102])
    reorder.restart()

    assert feed(reorder, [90, 91]) == [90, 91]


def test_whatever_happens_nothing_comes_out_twice_or_out_of_order() -> None:
    chance = random.Random(4)
    for _ in range(200):
        sent = [n for n in range(60000, 60000 + 200) if chance.random() > 0.1]
        sent += [n for n in sent if chance.random() < 0.05]
        sent.sort(key=lambda n: n + chance.random() * 4)

        reorder = Reorder()
        out = feed(reorder, sent)
        out += [timestamp for timestamp, _ in reorder.flush()]

        assert out == sorted(set(out))
        assert len(out) + reorder.late == len(sent)
