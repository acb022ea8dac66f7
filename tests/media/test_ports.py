import os
import resource
import socket
import struct
from collections.abc import Iterator

import pytest

from sipflow.errors import MediaError, PortsExhausted
from sipflow.media.ports import RETRY_S, PortCounts, PortPair, PortPool
from sipflow.media.settings import Settings
from tests.media.stage import HOST, bound, free_ports, is_free


def keep_order(ports: list[int]) -> None:
    """Leave the ports in order, so that a test can name them."""


@pytest.fixture
def low() -> int:
    """The even start of eight ports that nobody uses."""
    return free_ports(8)


@pytest.fixture
def pool(low: int) -> Iterator[PortPool]:
    pool = PortPool(low, low + 7, bind_host=HOST, drain_s=10.0, shuffle=keep_order)
    yield pool
    pool.close()


def lend_all(pool: PortPool, *, now: float) -> list[PortPair]:
    pairs = []
    while True:
        try:
            pairs.append(pool.lend(now=now))
        except PortsExhausted:
            return pairs


def close_all(pool: PortPool, pairs: list[PortPair], *, now: float = 0.0) -> None:
    pool.close()
    for pair in pairs:
        pool.give_back(pair, now=now)


def test_a_pair_is_an_even_port_for_rtp_and_the_next_for_rtcp_both_bound(pool: PortPool, low: int) -> None:
    pair = pool.lend(now=0.0)

    assert (pair.port, pair.rtcp_port) == (low, low + 1)
    assert pair.rtp.getsockname() == (HOST, low)
    assert pair.rtcp.getsockname() == (HOST, low + 1)
    assert (pair.rtp.getblocking(), pair.rtcp.getblocking()) == (False, False)
    assert repr(pair) == f"PortPair({low})"
    close_all(pool, [pair])


def test_an_odd_start_is_rounded_up_and_an_even_end_has_no_partner(low: int) -> None:
    pool = PortPool(low + 1, low + 6, bind_host=HOST, shuffle=keep_order)

    pairs = lend_all(pool, now=0.0)

    assert [pair.port for pair in pairs] == [low + 2, low + 4]
    close_all(pool, pairs)


def test_nothing_is_bound_before_it_is_lent(pool: PortPool, low: int) -> None:
    assert all(is_free(low + n) for n in range(8))
    assert pool.files_needed == 8


def test_a_given_back_pair_stays_bound_and_rests_before_it_is_lent_again(low: int) -> None:
    pool = PortPool(low, low + 1, bind_host=HOST, drain_s=10.0)
    first = pool.lend(now=0.0)
    pool.give_back(first, now=5.0)

    with pytest.raises(PortsExhausted):
        pool.lend(now=14.9)

    assert not is_free(low)
    again = pool.lend(now=15.0)
    assert again is first
    close_all(pool, [again])


def test_every_pair_is_counted_in_exactly_one_place(pool: PortPool) -> None:
    first, second = pool.lend(now=0.0), pool.lend(now=0.0)
    pool.give_back(first, now=0.0)

    assert pool.counts(now=1.0) == PortCounts(lent=1, draining=1, free=2, taken=0)
    assert pool.counts(now=10.0) == PortCounts(lent=1, draining=0, free=3, taken=0)
    close_all(pool, [second])


def test_a_pair_is_not_lent_again_while_there_are_few_to_choose_from_and_others_to_bind(
    pool: PortPool, low: int
) -> None:
    first = pool.lend(now=0.0)
    pool.give_back(first, now=0.0)

    pairs = [pool.lend(now=20.0) for _ in range(4)]

    assert [pair.port for pair in pairs] == [low + 2, low + 4, low + 6, low]
    close_all(pool, pairs)


def test_rested_pairs_are_lent_again_before_others_are_bound_in_an_order_that_is_chosen() -> None:
    low = free_ports(80)
    pool = PortPool(low, low + 79, bind_host=HOST, drain_s=1.0, shuffle=keep_order, choose=lambda count: count - 2)
    used = [pool.lend(now=0.0) for _ in range(34)]
    for pair in used:
        pool.give_back(pair, now=0.0)

    again = [pool.lend(now=1.0) for _ in range(4)]

    assert again[:3] == [used[32], used[31], used[30]]
    assert again[3] not in used  # 31 are too few to choose from
    close_all(pool, again)


def test_the_order_is_not_the_order_of_the_numbers() -> None:
    pool = PortPool(24000, 24999, bind_host=HOST)

    pairs = [pool.lend(now=0.0) for _ in range(20)]

    ports = [pair.port for pair in pairs]
    assert ports != sorted(ports)
    close_all(pool, pairs)


def test_what_came_while_a_pair_rested_is_gone_when_it_is_lent_again(low: int) -> None:
    pool = PortPool(low, low + 1, bind_host=HOST, drain_s=1.0)
    pair = pool.lend(now=0.0)
    pool.give_back(pair, now=0.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(50):
            stranger.sendto(b"late packet of the call before", (HOST, low))
            stranger.sendto(b"late report", (HOST, low + 1))

    again = pool.lend(now=1.0)

    for sock in (again.rtp, again.rtcp):
        with pytest.raises(BlockingIOError):
            sock.recv(100)
    close_all(pool, [again])


def test_the_streams_that_came_while_a_pair_rested_are_told_to_who_has_it_next(low: int) -> None:
    pool = PortPool(low, low + 1, bind_host=HOST, drain_s=1.0)
    pool.give_back(pool.lend(now=0.0), now=0.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as before:
        before.bind((HOST, 0))
        for sequence in (65534, 65535, 0):
            before.sendto(struct.pack("!HHII", 0x8000, sequence, 160, 7) + bytes(160), (HOST, low))
        before.sendto(b"no RTP", (HOST, low))
        source = before.getsockname()
        again = pool.lend(now=1.0)
    pool.give_back(again, now=1.0)

    assert again.late == {(source, 7): 0}
    assert pool.lend(now=2.0).late == {}
    close_all(pool, [again])


def test_a_port_of_another_program_is_skipped_and_tried_again_later(pool: PortPool, low: int) -> None:
    other = bound(low + 1)  # an odd port is enough to spoil its pair

    pairs = lend_all(pool, now=0.0)
    assert [pair.port for pair in pairs] == [low + 2, low + 4, low + 6]
    assert pool.counts(now=0.0) == PortCounts(lent=3, draining=0, free=0, taken=1)
    assert is_free(low)

    other.close()
    assert pool.counts(now=RETRY_S - 1).free == 0
    assert pool.counts(now=RETRY_S).free == 1
    pairs.append(pool.lend(now=RETRY_S))
    assert pairs[-1].port == low
    close_all(pool, pairs)


def test_a_port_that_another_program_let_go_of_is_lent_at_once_where_no_other_is_left(pool: PortPool, low: int) -> None:
    other = bound(low)
    pairs = lend_all(pool, now=0.0)
    other.close()

    with pytest.raises(PortsExhausted):
        pool.lend(now=0.1)  # it was tried just now
    pairs.append(pool.lend(now=0.2))

    assert [pair.port for pair in pairs] == [low + 2, low + 4, low + 6, low]
    close_all(pool, pairs)


def test_two_programs_with_one_range_leave_each_other_what_they_do_not_need() -> None:
    low = free_ports(256)
    ours, theirs = (PortPool(low, low + 255, bind_host=HOST, drain_s=10.0, shuffle=keep_order) for _ in range(2))
    held = [theirs.lend(now=0.0) for _ in range(2)]  # the first that we find taken
    for pair in [ours.lend(now=0.0) for _ in range(126)]:
        ours.give_back(pair, now=0.0)
    before = lend_all(theirs, now=1.0)
    for beat in range(20):
        ours.tidy(now=10.0 + beat)
    after = lend_all(theirs, now=31.5)

    assert (len(before), len(after)) == (0, 94)  # ours keeps 32 to choose from
    ours.close()
    close_all(theirs, held + after)


def test_exhaustion_is_one_sentence_with_the_counts_and_the_setting(pool: PortPool, low: int) -> None:
    pairs = lend_all(pool, now=0.0)
    pool.give_back(pairs.pop(), now=0.0)

    with pytest.raises(PortsExhausted) as refused:
        pool.lend(now=1.0)

    assert str(refused.value) == (
        f"no RTP port is free in {low}-{low + 7}: 3 of 4 pairs are lent, 1 rest for 10 s after use, "
        "0 are held by other programs; widen media.ports, and let no other program use the same range"
    )
    close_all(pool, pairs)


def test_no_more_open_files_is_exhaustion_that_names_the_limit(pool: PortPool) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files: list[socket.socket] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 20, hard))
    try:
        while True:
            try:
                files.append(socket.socket())
            except OSError:
                break
        files.pop().close()  # room for one socket, not for a pair
        with pytest.raises(PortsExhausted, match=r"needs 8 open files, so raise the limit \(ulimit -n\)"):
            pool.lend(now=0.0)
    finally:
        for file in files:
            file.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert pool.counts(now=0.0) == PortCounts(lent=0, draining=0, free=4, taken=0)


def test_without_files_for_another_pair_a_rested_one_is_lent(pool: PortPool) -> None:
    pair = pool.lend(now=0.0)
    pool.give_back(pair, now=0.0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        again = pool.lend(now=10.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert again is pair
    close_all(pool, [again])


def test_after_a_busy_time_pairs_are_closed_a_few_at_a_time() -> None:
    low = free_ports(64)
    pool = PortPool(low, low + 63, bind_host=HOST, drain_s=0.0, idle_pairs=0)
    for pair in [pool.lend(now=0.0) for _ in range(20)]:
        pool.give_back(pair, now=0.0)

    bound = []
    for now in (1.0, 61.0, 61.0, 61.0):
        pool.counts(now=now)
        bound.append(len(pool._rested))

    assert bound == [20, 12, 4, 0]
    pool.close()


def test_an_address_that_is_not_ours_is_named(low: int) -> None:
    pool = PortPool(low, low + 7, bind_host="192.0.2.1")

    with pytest.raises(MediaError, match=r"192\.0\.2\.1.*media\.bind_host must be an address of this machine"):
        pool.lend(now=0.0)

    assert pool.counts(now=0.0).free == 4


def test_pairs_beyond_a_number_that_are_unused_for_a_minute_are_closed(low: int) -> None:
    pool = PortPool(low, low + 7, bind_host=HOST, drain_s=1.0, idle_pairs=1, shuffle=keep_order)
    for number, pair in enumerate([pool.lend(now=0.0) for _ in range(3)]):
        pool.give_back(pair, now=float(number))

    bound = []
    for now in (10.0, 69.9, 70.0):
        assert pool.counts(now=now) == PortCounts(lent=0, draining=0, free=4, taken=0)
        bound.append(sum(not is_free(low + 2 * n) for n in range(4)))

    assert bound == [3, 3, 1]
    pool.close()


def test_a_pair_given_back_twice_is_refused(pool: PortPool) -> None:
    pair = pool.lend(now=0.0)
    pool.give_back(pair, now=0.0)

    with pytest.raises(MediaError, match="without being lent"):
        pool.give_back(pair, now=0.0)


def test_closing_closes_what_rests_now_and_what_is_lent_when_it_comes_back(pool: PortPool, low: int) -> None:
    resting, lent = pool.lend(now=0.0), pool.lend(now=0.0)
    pool.give_back(resting, now=0.0)

    pool.close()
    assert (is_free(low), is_free(low + 2)) == (True, False)
    pool.give_back(lent, now=1.0)

    assert is_free(low + 2)
    with pytest.raises(MediaError, match="closed"):
        pool.lend(now=2.0)


def test_ipv6_sockets_are_ipv6_only() -> None:
    pool = PortPool(24000, 26000, bind_host="::1")

    pair = pool.lend(now=0.0)

    assert pair.rtp.family == socket.AF_INET6
    assert pair.rtp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert pair.rtp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 46 << 2
    close_all(pool, [pair])


def test_media_is_sent_as_expedited_forwarding(pool: PortPool) -> None:
    pair = pool.lend(now=0.0)

    assert pair.rtp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == Settings().dscp << 2
    close_all(pool, [pair])
