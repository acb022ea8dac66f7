from itertools import pairwise

from sipflow.net.keepalive import KeepAlives
from sipflow.sip.hop import Hop

PROXY = Hop("udp", "192.0.2.1", 5060, "198.51.100.1", 5060)
STREAM = Hop("tls", "192.0.2.1", 5061, server_name="pbx.example.com")


def test_a_udp_path_is_due_within_its_interval_again_and_again() -> None:
    kept = KeepAlives(25.0)
    kept.add(PROXY, now=0.0)

    times = [second for second in range(101) if kept.due(now=float(second)) == [PROXY]]

    assert all(20 <= gap <= 26 for gap in [times[0], *(b - a for a, b in pairwise(times))])
    assert len(times) >= 4


def test_paths_that_start_together_are_not_pinged_together() -> None:
    kept = KeepAlives(25.0)
    for number in range(500):
        kept.add(PROXY._replace(port=5060 + number), now=0.0)

    busiest = max(len(kept.due(now=second / 4)) for second in range(80, 101))

    assert busiest < 50


def test_a_path_is_kept_until_everybody_who_wanted_it_has_forgotten_it() -> None:
    kept = KeepAlives(25.0)
    kept.add(PROXY, now=0.0)
    kept.add(PROXY, now=0.0)

    kept.remove(PROXY)
    still = (PROXY in kept, kept.due(now=26.0))
    kept.remove(PROXY)
    kept.remove(PROXY)

    assert still == (True, [PROXY])
    assert (PROXY in kept, kept.due(now=99.0), len(kept)) == (False, [], 0)


def test_any_connection_to_the_peer_is_the_path_of_a_stream_and_it_is_never_due() -> None:
    kept = KeepAlives(25.0)
    kept.add(STREAM, now=0.0)

    assert STREAM._replace(connection=7, local_host="198.51.100.1", local_port=5061) in kept
    assert STREAM._replace(server_name="") not in kept
    assert kept.due(now=99.0) == []
