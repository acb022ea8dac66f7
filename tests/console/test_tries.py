from sipflow.console.tries import Tries


def test_the_fifth_wrong_one_within_a_minute_makes_a_host_wait_and_no_other() -> None:
    tries = Tries(5, 60)
    for at in range(4):
        tries.was_wrong("192.0.2.1", now=at)
    before = tries.wait_s("192.0.2.1", now=4)
    tries.was_wrong("192.0.2.1", now=4)

    assert before == 0
    assert [tries.wait_s(host, now=4) for host in ("192.0.2.1", "192.0.2.2")] == [56, 0]


def test_what_is_older_than_a_minute_counts_no_more() -> None:
    tries = Tries(2, 60)
    tries.was_wrong("a", now=0)
    tries.was_wrong("a", now=30)

    assert [tries.wait_s("a", now=now) for now in (30, 59.5, 60, 90)] == [30, 1, 0, 0]


def test_hosts_are_forgotten_before_they_fill_the_memory() -> None:
    tries = Tries(1, 60)
    for number in range(2001):
        tries.was_wrong(f"host {number}", now=0)

    assert [tries.wait_s(f"host {number}", now=0) for number in (0, 1, 2000)] == [0, 60, 60]
