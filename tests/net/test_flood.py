from sipflow.net.flood import SourceBuckets


def test_a_source_may_send_a_burst_and_then_its_rate() -> None:
    buckets = SourceBuckets(rate=2.0, burst=3.0)

    at_once = [buckets.allow("192.0.2.1", now=0.0) for _ in range(5)]
    later = [buckets.allow("192.0.2.1", now=now) for now in (0.4, 0.5, 0.6, 1.0)]

    assert at_once == [True, True, True, False, False]
    assert later == [False, True, False, True]
    assert buckets.refused == 4


def test_sources_do_not_pay_for_each_other() -> None:
    buckets = SourceBuckets(rate=1.0, burst=1.0)

    assert [buckets.allow(source, now=0.0) for source in ("192.0.2.1", "192.0.2.1", "192.0.2.2")] == [True, False, True]


def test_rest_fills_a_bucket_no_further_than_its_burst() -> None:
    buckets = SourceBuckets(rate=10.0, burst=2.0)
    buckets.allow("192.0.2.1", now=0.0)

    assert [buckets.allow("192.0.2.1", now=1e6) for _ in range(3)] == [True, True, False]


def test_a_flood_of_sources_does_not_fill_the_memory() -> None:
    buckets = SourceBuckets(rate=1.0, burst=1.0)

    for number in range(40_000):
        buckets.allow(str(number), now=0.0)

    assert len(buckets) == 16_384
